"""Programs that run by themselves beside what is jailed: modules of this folder, handed over compiled. Refuses to need
a file of this package there."""

from __future__ import annotations

import marshal
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

from kernelfactory.interpreter import python

_BOOT = """
import marshal, sys
program, orders = marshal.loads(open(int(sys.argv[1]), 'rb').read())
for name, text in program:
    sys.modules[name] = module = type(sys)(name)
    exec(text, module.__dict__)
module.main(orders)
"""


@cache
def _compiled(names: tuple[str, ...]) -> list[tuple[str, CodeType]]:
    found = []
    for name in names:
        path = Path(__file__).with_name(f"{name}.py")
        found.append((f"{__package__}.{name}", compile(path.read_bytes(), path.name, "exec", dont_inherit=True)))
    return found


def ordered(names: tuple[str, ...], orders: dict[str, Any]) -> bytes:
    """What `command` reads: modules, which import each other by name and nothing else of this package, and orders for
    the `main` of the last."""
    return marshal.dumps((_compiled(names), orders))


def command(fd: int) -> tuple[str, ...]:
    """Runs what can be read from a descriptor."""
    return (python(), "-I", "-S", "-c", _BOOT, str(fd))
