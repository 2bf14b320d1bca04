"""The factory's own Python, as jailed processes get it. Refuses to look for another one."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from functools import cache
from pathlib import Path

from kernelfactory import view
from kernelfactory.view import Pair

PACKAGE = str(Path(__file__).resolve().parent)
SHIPPED = os.path.join(PACKAGE, "problems")


def python(with_package: bool = False) -> str:
    """The factory's interpreter as a path inside: the bare one, or the one that can import this package."""
    return sys.executable if with_package else os.path.realpath(sys.executable)


def _prefixes(path: str) -> list[str]:
    """The installation folders along a chain of links: a virtual environment's python leads to another prefix."""
    found = []
    for _ in range(16):
        found.append(os.path.dirname(os.path.dirname(path)))
        if not os.path.islink(path):
            break
        path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
    return found


@cache
def interpreter_binds(with_package: bool = False) -> tuple[Pair, ...]:
    """Read-only binds, each at its own path, that `python(with_package)` needs beyond /usr. With the package: also
    the virtual environment, where packages lie, and this package itself (also when installed editable)."""
    folders = [*_prefixes(python()), os.path.realpath(sys.base_prefix)]
    if with_package:
        packages = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), site.getusersitepackages()]
        folders += [*_prefixes(sys.executable), sys.base_prefix, sys.prefix, *packages, PACKAGE]
    kept: list[str] = []
    for folder in sorted({folder for folder in folders if os.path.isdir(folder)}):
        if not any(view.inside(folder, outer) for outer in ("/usr", *kept)) and folder != "/":
            kept.append(folder)
    return tuple((folder, folder) for folder in kept)
