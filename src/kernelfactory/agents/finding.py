"""Where an agent's program is, and which version. Refuses to install one, and to ask it anything but its version."""

from __future__ import annotations

import functools
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kernelfactory import process
from kernelfactory.model import BadInput

FOLDER = "KF_AGENTS"
"""Names the folder where scripts/agents.sh puts the programs that tests drive: links in its bin/."""

_CPU = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}
_VERSION = re.compile(r"\d+\.\d+[\w.+-]*")
_SECONDS = 30.0
_QUIET = {"DISABLE_AUTOUPDATER": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1", "GEMINI_CLI_NO_RELAUNCH": "true"}


@dataclass(frozen=True, slots=True)
class Program:
    """`argv`: how it is started, before its arguments; `needs`: what a cage must show of it, at its own place."""

    argv: tuple[str, ...]
    needs: tuple[str, ...]

    @property
    def path(self) -> str:
        return self.argv[-1]


def find(name: str, path: str | None = None, native: Sequence[str] = ()) -> Program | None:
    """The program `name`: at `path`, else in $KF_AGENTS/bin, else on $PATH; None when it is nowhere.

    What npm puts on $PATH is a wrapper: `native` says where the real program lies from a node_modules folder, the first
    that is there ("{os}", "{cpu}" and * are filled in). Without one, node starts the wrapper. Raises BadInput for a
    `path` that is no program."""
    found = _given(name, path) if path else _known(name)
    if found is None:
        return None
    real = Path(os.path.realpath(found))
    for behind in _behind(real, native):
        return Program((str(behind),), (_package(behind),))
    if b"node" not in _shebang(real):
        return Program((str(real),), (_package(real),))
    node = shutil.which("node")
    if node is None:
        return None
    return Program((os.path.realpath(node), str(real)), (os.path.realpath(node), _package(real)))


def _given(name: str, path: str) -> str:
    full = os.path.abspath(os.path.expanduser(path))
    if not os.access(full, os.X_OK) or os.path.isdir(full):
        raise BadInput(f"agent {name}: {path} is not there, or not executable; set path in agents.toml")
    return full


def _known(name: str) -> str | None:
    folder = os.environ.get(FOLDER)
    return (shutil.which(name, path=os.path.join(folder, "bin")) if folder else None) or shutil.which(name)


def _behind(real: Path, native: Sequence[str]) -> Iterator[Path]:
    machine = platform.machine().lower()
    names = {"os": sys.platform, "cpu": _CPU.get(machine, machine)}
    for pattern in native:
        for parent in real.parents:
            for found in sorted(parent.glob(f"node_modules/{pattern.format(**names)}")):
                if os.access(found, os.X_OK):
                    yield Path(os.path.realpath(found))


def _package(real: Path) -> str:
    """What must be seen for the program to work: all that npm installed with it, or the file alone."""
    outer = [parent for parent in real.parents if parent.name == "node_modules"]
    return str(outer[-1] if outer else real)


def _shebang(real: Path) -> bytes:
    try:
        with open(real, "rb") as file:
            line = file.readline(256)
    except OSError:
        return b""
    return line if line.startswith(b"#!") else b""


def version(program: Program) -> str | None:
    """What `--version` says, asked once for each file: with nothing of ours in its environment, in a throw-away home.
    None when it says none."""
    try:
        stat = os.stat(program.path)
    except OSError:
        return None
    return _version(program, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=64)
def _version(program: Program, *_: int) -> str | None:
    with tempfile.TemporaryDirectory(prefix="kf-version-") as home:
        env = {"PATH": "/usr/bin:/bin", "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8", **_QUIET}
        try:
            done = process.run((*program.argv, "--version"), env=env, seconds=_SECONDS)
        except OSError:
            return None
    said = _VERSION.search(done.stdout[:1000].decode(errors="replace"))
    return said[0][:40] if said and done.returncode == 0 else None


def within(version: str | None, low: str, high: str) -> bool:
    """Is the version among those known to work, both ends included?"""
    return version is not None and _numbers(low) <= _numbers(version) <= _numbers(high)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part[:9]) for part in re.findall(r"\d+", version)[:3])
