"""Where agents work: the machine read-only, what matters masked, one folder writable. Refuses to lend or collect."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from kernelfactory.interpreter import interpreter_binds
from kernelfactory.jail import Reach, Spec
from kernelfactory.view import Pair, inside

HOME, TEMPORARY = "/tmp/home", "/tmp/tmp"
"""The agent's home and its folder for what it throws away, in the cage's own /tmp; neither lies in the other."""

ROOMS = ("/tmp", "/dev")
"""What the cage has of its own, in any jail."""

ALWAYS_MASKED = ("/root", "/home", "/var/tmp", "/run", "/var/run", "/mnt", "/media")


@dataclass(frozen=True, slots=True)
class Cage:
    """What one agent sees: the machine read-only, except that homes, `masked` (the experiment, other workspaces,
    problem sources …), the system's temporary folders and the shipped problems show empty.

    `workspace` is there read-write at its own path, and `home`, a folder outside, at HOME (None: one that is gone when
    the command has ended); `share` and `show` are more (source, place) binds, writable and read-only, also under a mask
    or in HOME. Programs of this installation (`python`, `kf`) work. Of any network only what `reach` leads to, all of
    it with `network`. `uid`: from `cage_uid(slot)`, who must own the workspace and the home. `memory` bounds address
    space per process (agents' runtimes reserve far more than they use: None). Sizes in bytes."""

    workspace: str
    home: str | None = None
    masked: tuple[str, ...] = ()
    show: tuple[Pair, ...] = ()
    share: tuple[Pair, ...] = ()
    uid: int | None = None
    network: bool = False
    reach: tuple[Reach, ...] = ()
    memory: int | None = None
    processes: int = 1024
    tmp_bytes: int = 1 << 30
    files_bytes: int = 4 << 30

    def spec(self, argv: Sequence[str], *, env: Mapping[str, str], seconds: float) -> Spec:
        """Run `argv` in the workspace; `env` is added to PATH, HOME, TMPDIR and LANG."""
        hidden = self._hidden()
        needed = [*_installation(), *(_resolver() if self.network else ())]
        lent = [(self.workspace, self.workspace), *([(self.home, HOME)] if self.home is not None else [])]
        again = [pair for pair in needed if any(inside(_place(pair), mask) for mask in (*hidden, *ROOMS))]
        return Spec(
            argv=tuple(argv),
            read=tuple((pair[0], _place(pair)) for pair in (*again, *self.show)),
            write=tuple((pair[0], _place(pair)) for pair in (*lent, *self.share)),
            env={"PATH": _path(), "HOME": HOME, "TMPDIR": TEMPORARY, "LANG": "C.UTF-8", **env},
            cwd=os.path.realpath(self.workspace),
            seconds=seconds,
            memory=self.memory,
            processes=self.processes,
            network=self.network,
            reach=self.reach,
            proc=True,
            files_bytes=self.files_bytes,
            tmp_bytes=self.tmp_bytes,
            hide=hidden,
            rooms=(HOME, TEMPORARY),
            whole=True,
            uid=self.uid,
        )

    def _hidden(self) -> tuple[str, ...]:
        homes = [os.path.expanduser("~")]
        with suppress(KeyError):
            homes.append(pwd.getpwuid(os.getuid()).pw_dir)
        wanted = [*ALWAYS_MASKED, *homes, *self.masked]
        real = {os.path.realpath(path) for path in wanted if path and os.path.isdir(path)}
        return tuple(sorted(path for path in real if path != "/" and not inside(path, "/usr")))


def _place(pair: Pair) -> str:
    """Where a bind lies when every folder above it is real: a link's own name is kept."""
    folder, name = os.path.split(os.path.normpath(pair[1]))
    return os.path.join(os.path.realpath(folder), name)


def _kf() -> str | None:
    return shutil.which("kf", path=os.pathsep.join([os.path.join(sys.prefix, "bin"), os.environ.get("PATH", "")]))


def _installation() -> list[Pair]:
    kf = _kf()
    return [*interpreter_binds(with_package=True), *([(kf, kf)] if kf is not None else [])]


def _path() -> str:
    kf = _kf()
    own = [os.path.dirname(kf)] if kf is not None else []
    folders = [*own, os.path.dirname(sys.executable), "/usr/local/bin", "/usr/bin", "/bin"]
    return os.pathsep.join(dict.fromkeys(folders))


def _resolver() -> list[Pair]:
    """Where the names of the network are looked up, which may be a link into a masked folder."""
    path = os.path.realpath("/etc/resolv.conf")
    return [(path, path)] if os.path.isfile(path) else []
