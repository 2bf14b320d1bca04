"""Names of the core's sources and where its compiled form lies. Refuses to compile and to load it."""

from __future__ import annotations

import hashlib
import os
import stat
import sysconfig
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent
FLAGS = ("-std=c99", "-O3", "-fPIC", "-shared", "-Wall", "-Wextra")
PLACE = "KERNELFACTORY_CORE"
"""Environment variable: where the compiled core lies, for a process that sees neither cache nor home (the jail)."""


def sources(*endings: str) -> list[str]:
    """File names in this folder with one of these endings, sorted."""
    return sorted(path.name for path in FOLDER.iterdir() if path.suffix in endings)


def _hash(names: list[str], *more: str) -> str:
    digest = hashlib.sha256("\0".join(more).encode())
    for name in names:
        data = (FOLDER / name).read_bytes()
        digest.update(f"\0{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


@lru_cache
def digest() -> str:
    """Of everything here that decides a verdict, both backends: "sha256:…"."""
    return "sha256:" + _hash(sources(".c", ".h", ".py"))


@lru_cache
def file_name() -> str:
    """Name of the compiled core: another source, flag or platform has another name, so a stale one is never loaded."""
    return f"vliw-{_hash(sources('.c', '.h'), *FLAGS, sysconfig.get_platform())[:16]}.so"


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/kernelfactory, else ~/.cache/kernelfactory. RuntimeError when there is no home."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(given) if os.path.isabs(given) else Path.home() / ".cache") / "kernelfactory"


def _trusted(path: Path) -> bool:
    """A regular file that only its owner may change, and that is root's, ours, or nobody's as seen from a namespace."""
    try:
        found = path.lstat()
    except OSError:
        return False
    owner = found.st_uid in (0, os.geteuid(), 65534)
    return stat.S_ISREG(found.st_mode) and owner and not found.st_mode & 0o022


def _places() -> list[Path]:
    given = Path(os.environ.get(PLACE, ""))
    places = [FOLDER / file_name()]
    if given.name == file_name():
        places.insert(0, given)
    try:
        places.append(cache_folder() / file_name())
    except RuntimeError:
        return places
    return places


def shared_object() -> Path | None:
    """The compiled core that belongs to these sources, if there is one."""
    return next((path for path in _places() if _trusted(path)), None)
