"""The second best jail: Landlock and seccomp, in pure Python, where namespaces are forbidden. Refuses half of either.

The command is started by a warden (warden.py), which stays outside of the jail and ends its whole tree. Nothing can be
moved: places of binds are translated to their sources in the command, the working folder and the variables. See
landlock(7)."""

from __future__ import annotations

import dataclasses
import os
import secrets
import select
import signal
from contextlib import suppress
from typing import Any

from kernelfactory import process, seccomp, view
from kernelfactory.interpreter import interpreter_binds
from kernelfactory.jail import grants, groups, programs
from kernelfactory.jail.rooms import Room, Rooms, removed
from kernelfactory.jail.spec import Launch, Launcher, Spec, group_memory, limits, outside, tree_memory
from kernelfactory.jail.users import drops, judged_uid
from kernelfactory.jail.watch import Watch
from kernelfactory.model import BadInput, Trust
from kernelfactory.process import Options
from kernelfactory.seccomp import Bare

LEAST = 3
"""The least version of Landlock that is of use: before, files could be cut short by name."""

_CALLS = {"x86_64": (157, 126, 317, 280), "aarch64": (167, 91, 277, 88)}
_NAMES = ("prctl", "capset", "seccomp", "utimensat")
_PROGRAM = ("procs", "doorman", "warden")
_LOOKS, _LOOKS_AT_ROOMS = 0.1, 1.0
"""Seconds between two looks at what a tree takes; memory fills faster than a disk."""
_GRACE = 10.0
"""Seconds in which a warden ends its tree."""


class _Leash(Watch):
    """Of one run under a warden: the warden ends its tree when the pipe to it is closed, and so when we are gone."""

    expendable = False

    def __init__(self, group: groups.Group | None, room: Room) -> None:
        super().__init__(b"", b"began", group)
        self.leash_fd, self._leash_fd = os.pipe()
        self.mark = f"{process.MARK}={secrets.token_hex(12)}"
        self._room = room

    def order(self, orders: dict[str, Any]) -> None:
        self._orders = programs.ordered(_PROGRAM, orders)

    def started(self, pid: int) -> None:
        self._close("leash_fd")
        super().started(pid)

    def ask(self, pid: int, over: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        self._close("_leash_fd")
        poller = select.poll()
        poller.register(over, select.POLLIN)
        poller.poll(_GRACE * 1000)

    def over(self) -> bool:
        lacked = super().over()
        self._close("leash_fd", "_leash_fd")
        if b"began" in self._told and b"over" not in self._told:  # somebody killed the warden
            process.end_marked(self.mark)
        removed(self._room.folder)
        return lacked or b"full" in self._told


class Landlock(Launcher):
    """Rules of files, TCP, signals and abstract sockets, a seccomp list that denies sockets and whatever else names
    something outside, limits, a user of its own under root, and a warden above it. `abi`: go no further than this
    version of Landlock. `ruled`, `filtered`: without the one or the other it holds nothing, for the tests; `grouped`:
    control groups.

    What it cannot do: show something else in a place (nothing but the user's own view, with holes), hide that a file of
    a known name exists, or share memory between processes by name (/dev/shm, so `multiprocessing` locks)."""

    name = "landlock"
    holds = True

    def __init__(
        self, *, abi: int | None = None, ruled: bool = True, filtered: bool = True, grouped: bool = True
    ) -> None:
        """Raises BadInput where it cannot work."""
        here = grants.version()
        self.abi = min(here, abi) if abi is not None else here
        self._machine = os.uname().machine
        self._ruled, self._filtered, self._grouped = ruled, filtered, grouped
        self._drops = drops()
        if self.abi < LEAST:
            raise BadInput(f"Landlock is {'missing' if not here else f'of version {here}'}, {LEAST} is needed")
        if self._machine not in _CALLS:
            raise BadInput(f"no list of system calls for {self._machine}")
        if os.geteuid() == 0 and not self._drops:
            raise BadInput("root has no other user to become here")
        self._rooms = Rooms()
        whole = self.abi >= grants.SCOPES_SINCE
        self.trust: Trust = "judged" if whole else "judged-weak"
        mine = "" if self._drops else "signals to your own processes"
        self.lacks = frozenset() if whole or self._drops else frozenset({"signal an outer process"})
        weak = f"Landlock {self.abi} does not hold {mine or 'signals to the warden'}; Linux 6.12 does"
        self.note = "no namespaces: Landlock and seccomp stand in" + ("" if whole else f"; {weak}")

    def command(self, spec: Spec, options: Options = process.PLAIN) -> Launch:
        """Raises OSError for a bind whose source is not there."""
        for source, _ in (*spec.read, *spec.write):
            os.stat(source)
        uid = None if not self._drops else spec.uid if spec.uid is not None else judged_uid()
        room = self._rooms.make(spec.rooms, uid)
        watch = _Leash(groups.make(group_memory(spec), spec.processes + 1) if self._grouped else None, room)
        try:
            return self._launch(spec, options, uid, watch, room)
        except BaseException:
            watch.over()
            raise

    def _launch(self, spec: Spec, options: Options, uid: int | None, watch: _Leash, room: Room) -> Launch:
        scoped = self.abi >= grants.SCOPES_SINCE
        fds = {
            "rules": grants.ruleset(grants.granted(spec, room.folder), self.abi, network=spec.network)
            if self._ruled
            else -1,
            "scope": grants.scope() if scoped else -1,
        }
        bare = self._bare(spec)
        watch.order(
            {
                **self._command(spec, room, watch.mark),
                **self._bounds(spec, room),
                **fds,
                "leash": watch.leash_fd,
                "status": watch.status_fd,
                "filter": seccomp.program(alone=spec.alone, bare=bare) if self._filtered else b"",
                "asks": self._filtered and bool(bare.asked),
                "asked": {name: number for name in bare.asked if (number := seccomp.number(name)) is not None},
                "ports": None if spec.network else [reach.port for reach in spec.reach],
                "calls": dict(zip(_NAMES, _CALLS[self._machine], strict=True)),
            }
        )
        wanted = [source for source, _ in (*spec.read, *spec.write, *interpreter_binds())]
        far = [path for path in wanted if uid is not None and not view.reachable(path, uid)]

        def prepare() -> None:
            if far and uid is not None:
                view.uncover(far, uid)
            watch.enter()

        given = tuple(fd for fd in fds.values() if fd >= 0)
        options = dataclasses.replace(
            options,
            cwd="/",
            pass_fds=(*options.pass_fds, watch.orders_fd, watch.status_fd, watch.leash_fd, *given),
            user=uid,
            contained=True,
            prepare=prepare,
            watch=watch,
        )
        return Launch(programs.command(watch.orders_fd), {}, options, given)

    def _bare(self, spec: Spec) -> Bare:
        """What of the system calls is denied or asked for. A user of its own owns nothing but its rooms, and only an
        agent's cage needs its door; with a network, too, no other door is open. What may be reached is the
        warden's to know: a rule of Landlock would allow that port of every machine."""
        doors = spec.whole or spec.network or bool(spec.reach)
        asked = (
            () if self._drops else ("chmod", "fchmod", "fchmodat", "fchmodat2", "utimensat", "clone", "fork", "vfork")
        )
        return Bare(
            sockets="all" if spec.network else "tcp" if spec.reach else "local" if doors else "none",
            asked=(*asked, *(("connect",) if doors else ()), *(("listen",) if spec.reach else ())),
            owned=not self._drops,
        )

    def _command(self, spec: Spec, room: Room, mark: str) -> dict[str, Any]:
        pairs = [*spec.read, *spec.write], room.pairs
        given = {"HOME": "/tmp", "TMPDIR": "/tmp", **spec.env}
        name, _, value = mark.partition("=")
        return {
            "argv": [outside(word, *pairs) for word in spec.argv],
            "env": {name: value, **{key: outside(text, *pairs) for key, text in given.items()}},
            "cwd": outside(spec.cwd, *pairs),
            "room": room.folder,
            "roots": [room.folder, *(os.path.realpath(source) for source, _ in spec.write)],
        }

    def _bounds(self, spec: Spec, room: Room) -> dict[str, Any]:
        made = {name.upper(): value for name, value in limits(spec).items()}
        made["FSIZE"] = min(made["FSIZE"], spec.tmp_bytes)  # a room is no file system of a size
        if self._drops:
            made["NPROC"] += 1  # the warden
        else:
            del made["NPROC"]  # it would count all that the user runs: the warden counts
        return {
            "limits": made,
            "processes": spec.processes,
            "tree_memory": tree_memory(spec),
            "tick": _LOOKS if tree_memory(spec) is not None else _LOOKS_AT_ROOMS,
            "room_bytes": (2 + len(spec.rooms)) * spec.tmp_bytes,
        }
