"""Compiles the C core at set-up (`python -m kernelfactory.core.build`). Refuses to be needed: without a compiler it
says so, ends with 0, and the same machine in Python does the work, slowly."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path

from kernelfactory import process
from kernelfactory.core.compiled import Core
from kernelfactory.core.place import FLAGS, FOLDER, cache_folder, file_name, shared_object, sources

SECONDS = 300.0
"""For one compiler; ziglang makes its own C library at first use."""
SLOWER = 300
"""About how many times the pure-Python backend is slower (benchmarks/judge.py)."""


def compilers() -> list[tuple[str, list[str]]]:
    """(name, argument list) of the C compilers here, best first."""
    found = []
    cc = shutil.which("cc")
    if cc:
        found.append(("cc", [cc]))
    if importlib.util.find_spec("ziglang"):
        found.append(("ziglang", [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]))
    return found


def compile_files(folder: Path, command: list[str], made: Path, quickly: bool = False) -> Path | None:
    """`made`, compiled from the C files in `folder`; None if the compiler fails or what it made does."""
    flags = [*FLAGS, "-O1"] if quickly else list(FLAGS)
    texts = [str(folder / name) for name in sources(".c")]
    done = process.run([*command, *flags, *texts, "-o", str(made)], env=dict(os.environ), seconds=SECONDS)
    return made if done.returncode == 0 and works(made) else None


def compile_into(folder: Path, command: list[str]) -> Path | None:
    """The core, compiled into `folder` under its name in one step; None if that fails."""
    with tempfile.TemporaryDirectory(prefix=".build-", dir=folder) as work:
        made = compile_files(FOLDER, command, Path(work) / "core.so")
        if made is None:
            return None
        made.chmod(0o644)
        os.replace(made, folder / file_name())
    return folder / file_name()


def works(path: Path) -> bool:
    """Does this file load and hash?"""
    try:
        return Core(path).hash_steps(0)[-1] == 0x6B4ED927
    except OSError:
        return False


def _folder() -> Path:
    """Where the compiled core may be written: beside its sources (older ones go), else the cache (made)."""
    if os.access(FOLDER, os.W_OK):
        for found in FOLDER.glob("vliw-*.so"):
            if found.name != file_name():
                found.unlink(missing_ok=True)
        return FOLDER
    cache = cache_folder()
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    return cache


def build() -> str:
    """Compiles the core unless it is there; says in one line what was done."""
    there = shared_object()
    if there:
        return f"C core: there already ({there.name})"
    slow = f"pure-Python ruler, about {SLOWER} times slower"
    try:
        folder = _folder()
        made = next((name for name, command in compilers() if compile_into(folder, command)), None)
    except (OSError, RuntimeError) as error:
        return f"C core: {error}; {slow}"
    return f"C core: compiled with {made}" if made else f"no C compiler that works: {slow}"


if __name__ == "__main__":
    print(build())
