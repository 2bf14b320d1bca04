"""Programs that run in the cage as an agent or beside one. This room says how they start, and runs none."""

from __future__ import annotations

import sys
from importlib.util import find_spec

BASE = "KF_BASE"
"""The variable in which a program finds where its model's API begins: what a command says, all of a machine can see."""


def program(name: str, *arguments: str) -> tuple[str, ...]:
    """The command that starts the program `name` of this package; any cage shows all that it needs."""
    return (sys.executable, "-P", "-m", f"kernelfactory.agents.inside.{name}", *arguments)


def there(*packages: str) -> bool:
    """Are these packages installed here?"""
    return all(find_spec(package) is not None for package in packages)
