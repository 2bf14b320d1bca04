"""What is run in a jail and what comes of it, as values. Refuses to know which jail it is."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from kernelfactory import process, view
from kernelfactory.interpreter import python
from kernelfactory.jail.rooms import removed
from kernelfactory.model import KernelFactoryError, Trust
from kernelfactory.pipes import Halt
from kernelfactory.process import Child, Finished, Options
from kernelfactory.view import Pair

_SHARE = 0.75


class JailFailed(KernelFactoryError):
    """The jail itself did not start (no memory, no disk, no namespaces …): the command never ran."""


@dataclass(frozen=True, slots=True)
class Reach:
    """A way out: in the jail 127.0.0.1:`port` (from 1024) leads to the Unix socket `socket` outside, which the jailed
    user must be able to write. Where a jail has no network of its own, `socket` is not looked at: that port of this
    machine itself is what can be connected to, and who is there to answer is somebody else's matter."""

    port: int
    socket: str


@dataclass(frozen=True, slots=True)
class Spec:
    """What to run and what it may have.

    `read`, `write`: (source, place inside) binds; `env` is all of the environment; `seconds` of wall time (and of CPU
    time on every core); `memory` (bytes) of address space of each process, None for no limit; `tree_memory` (bytes) of
    all processes and writable rooms together, bounded where the system lets us, None for twice `memory` and the rooms
    (without that for most of the machine, where there are control groups);
    `processes` counts threads too; `files_bytes` bounds each file written, `tmp_bytes` /tmp and /dev/shm each. `hide`:
    folders of the machine that show empty wherever a bind would show them; `rooms`: more empty writable places, like
    /tmp. `reach`: what can be connected to without a `network`; nothing else can. `whole`: the view starts from the
    whole machine, read-only. `alone`: one process of one thread, no more. `uid`: for root, the user to become (None:
    any). Under root what is bound must be readable by others: the jailed user is nobody special."""

    argv: tuple[str, ...]
    read: tuple[Pair, ...] = ()
    write: tuple[Pair, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    seconds: float = 60.0
    memory: int | None = 2 << 30
    tree_memory: int | None = None
    processes: int = 64
    network: bool = False
    reach: tuple[Reach, ...] = ()
    proc: bool = False
    files_bytes: int = 256 << 20
    tmp_bytes: int = 64 << 20
    hide: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()
    whole: bool = False
    alone: bool = False
    uid: int | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """A spec made ready: for `process.run` or `process.spawn`, once. Close it when that has started (or will not).
    `room`: a throw-away folder that may go when it has ended."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    options: Options
    close_fds: tuple[int, ...] = ()
    room: str | None = None

    def __enter__(self) -> Launch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for fd in self.close_fds:
            with suppress(OSError):
                os.close(fd)
        if self.options.watch is not None and not self.options.watch.begun:
            self.options.watch.over()


class Jail(Protocol):
    """Runs a Spec. `trust` is what its verdicts are worth; `holds`: does it keep anything in at all? `note`: what it
    lacks beside the best jail, on one line; nothing when it is the best. `lacks`: attacks of the self-test that it is
    known not to stop."""

    name: str
    trust: Trust
    holds: bool
    note: str
    lacks: frozenset[str]

    def command(self, spec: Spec, options: Options = process.PLAIN) -> Launch: ...

    def run(
        self,
        spec: Spec,
        *,
        stdin: bytes = b"",
        options: Options = process.PLAIN,
        stop: Halt | None = None,
    ) -> Finished: ...

    def spawn(self, spec: Spec, *, options: Options = process.PLAIN) -> Child: ...


class Launcher:
    """What a jail's `run` and `spawn` are when it has a `command`."""

    note = ""
    lacks: frozenset[str] = frozenset()

    def command(self, spec: Spec, options: Options = process.PLAIN) -> Launch:
        raise NotImplementedError

    def run(
        self,
        spec: Spec,
        *,
        stdin: bytes = b"",
        options: Options = process.PLAIN,
        stop: Halt | None = None,
    ) -> Finished:
        """Raises JailFailed when the jail does not start."""
        with self.command(spec, options) as made:
            try:
                return process.run(
                    made.argv, env=made.env, seconds=spec.seconds, stdin=stdin, stop=stop, options=made.options
                )
            finally:
                if made.room is not None:
                    removed(made.room)

    def spawn(self, spec: Spec, *, options: Options = process.PLAIN) -> Child:
        """Reading from a child whose jail did not start raises JailFailed."""
        with self.command(spec, options) as made:
            return process.spawn(made.argv, env=made.env, options=made.options)


def tree_memory(spec: Spec) -> int | None:
    """Bytes that all of the processes and rooms together may take."""
    if spec.tree_memory is not None or spec.memory is None:
        return spec.tree_memory
    return 2 * spec.memory + (2 + len(spec.rooms)) * spec.tmp_bytes


def group_memory(spec: Spec) -> int:
    """The same for a control group, which costs nothing: where no bound is asked for, a share of this machine, so that
    no one tree takes what all others need."""
    told = tree_memory(spec)
    return told if told is not None else int(_SHARE * os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")


def outside(path: str, binds: Sequence[Pair], rooms: Sequence[Pair]) -> str:
    """Where a place inside lies outside, for jails that cannot move anything: in the source of the deepest bind, where
    it may also be meant already. What has blanks in it may be a whole command, with a path at its beginning that is
    there as it is: no room is meant."""
    there = [(source, source) for source, _ in binds]
    pairs = [*binds, *there, *([] if any(char.isspace() for char in path) else rooms)]
    deep = sorted((pair for pair in pairs if view.inside(path, pair[1])), key=lambda pair: -len(pair[1]))
    return deep[0][0] + path.removeprefix(deep[0][1].rstrip("/")) if deep else path


# ── limits ───────────────────────────────────────────────────────────────────────────────────────


def limits(spec: Spec) -> dict[str, int]:
    """The resource limits of each process, none above what this one has."""
    wanted = {
        "cpu": int(spec.seconds * (os.cpu_count() or 1)) + 2 if spec.seconds < 1e7 else None,
        "as": spec.memory,
        "nproc": spec.processes,
        "fsize": spec.files_bytes,
        "nofile": 1024,
        "core": 0,
    }
    made = {}
    for name, value in wanted.items():
        if value is not None:
            hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))[1]
            made[name] = value if hard == resource.RLIM_INFINITY else min(value, hard)
    return made


def limited(argv: Sequence[str], bounds: Mapping[str, int], binary: str | None) -> tuple[str, ...]:
    """The command with its limits: by prlimit(1), else by a Python that sets them and becomes the command."""
    if binary is not None:
        return (binary, *(f"--{name}={value}:{value}" for name, value in bounds.items()), "--", *argv)
    code = (
        "import os, resource, sys; n = sys.argv.index('--');"
        "[resource.setrlimit(getattr(resource, 'RLIMIT_' + k.upper()), (int(v),) * 2)"
        " for k, v in (a.split('=') for a in sys.argv[1:n])]; os.execvp(sys.argv[n + 1], sys.argv[n + 1:])"
    )
    return (python(), "-I", "-S", "-c", code, *(f"{name}={value}" for name, value in bounds.items()), "--", *argv)
