"""Memory and processes of a whole tree, bounded by a control group where one can be made. Refuses to be needed.

One folder for this process, locked while it lives, so that those of killed processes can be told and removed; in it a
fresh group for each run. Where nothing can be made (an ordinary user, a read-only mount) there is no group. Layouts:
Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst of the kernel."""

from __future__ import annotations

import atexit
import errno
import fcntl
import itertools
import os
import secrets
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PREFIX = "kf-group-"
SLACK = 8
"""The jail's own processes, beside those that the command may have."""

_PATIENCE = 50
_number = itertools.count()
_waiting: list[str] = []
"""Groups that still held somebody who was dying."""
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Place:
    """Where groups of one hierarchy are made: `folder` is this process's, `back` the group that it is in. `unified`:
    version 2."""

    folder: str
    back: str
    unified: bool
    lock: int


def bounds(kind: str, unified: bool, memory: int | None, processes: int) -> Iterator[tuple[str, str, bool]]:
    """(file, value, must it be there?) of a group that holds so much. A kernel may count no swap."""
    if kind == "pids":
        yield "pids.max", str(processes + SLACK), True
    elif memory is not None and unified:
        yield from (("memory.max", str(memory), True), ("memory.swap.max", "0", False))
    elif memory is not None:
        yield from (("memory.limit_in_bytes", str(memory), True), ("memory.memsw.limit_in_bytes", str(memory), False))


class Group:
    """A group for one run, made when this is. `enter` and `leave` are called by the thread that forks, around the fork
    (version 1); `add` by the parent after it, before the child may go on (version 2)."""

    def __init__(self, places: Mapping[str, Place], memory: int | None, processes: int) -> None:
        name = f"{next(_number)}"
        self._places = places
        self._folders = {kind: os.path.join(place.folder, name) for kind, place in places.items()}
        for folder in dict.fromkeys(self._folders.values()):
            os.mkdir(folder)
        for kind, place in places.items():
            for file, value, needed in bounds(kind, place.unified, memory, processes):
                with suppress(*(() if needed else (OSError,))):
                    _write(os.path.join(self._folders[kind], file), value)

    def enter(self) -> None:
        for kind, place in self._places.items():
            if not place.unified:
                _write(os.path.join(self._folders[kind], "tasks"), "0")

    def leave(self) -> None:
        for place in self._places.values():
            if not place.unified:
                _write(os.path.join(place.back, "tasks"), "0")

    def add(self, pid: int) -> None:
        for folder in {self._folders[kind] for kind, place in self._places.items() if place.unified}:
            _write(os.path.join(folder, "cgroup.procs"), str(pid))

    def close(self) -> bool:
        """End whoever is still in it and remove it, now or before the next one is made: those who were killed take a
        moment. Was anybody killed for memory?"""
        killed = self._killed()
        for folder in dict.fromkeys(self._folders.values()):
            if not _removed(folder, 1):
                with _lock:
                    _waiting.append(folder)
        return killed

    def _killed(self) -> bool:
        if "memory" not in self._folders:
            return False
        told = "memory.events" if self._places["memory"].unified else "memory.oom_control"
        with suppress(OSError, ValueError):
            text = Path(self._folders["memory"], told).read_text()
            counts = dict(line.split(maxsplit=1) for line in text.splitlines())
            return int(counts.get("oom_kill", "0")) > 0
        return False


def make(memory: int | None, processes: int) -> Group | None:
    """A group that holds a tree to so many bytes (None: any) and processes, None where there are no groups."""
    places = available()
    if not places:
        return None
    with _lock:
        waiting, _waiting[:] = list(_waiting), []
    for folder in waiting:
        if not _removed(folder, 1):
            with _lock:
                _waiting.append(folder)
    with suppress(OSError):
        return Group(places, memory, processes)
    return None


def available() -> Mapping[str, Place]:
    """The places for groups by what they bound, "memory" or "pids"; empty where none can be made."""
    return _places(os.getpid())


@cache
def _places(pid: int) -> Mapping[str, Place]:
    made: dict[str, Place] = {}
    with suppress(OSError, ValueError):
        made = find(Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text())
    if made:
        atexit.register(_forget, pid, made)
    return made


def find(groups: str, mounts: str) -> dict[str, Place]:
    """Make this process's folders, as its /proc/self/cgroup and /proc/self/mountinfo say."""
    lines = [line.split(":", 2) for line in groups.splitlines()]
    own = {kind: path for _, kinds, path in lines for kind in kinds.split(",")}
    made: dict[str, Place] = {}
    for kind in ("memory", "pids"):
        for unified, mount in _mounts(mounts, kind):
            here = _joined(mount, own.get("" if unified else kind, "/"))
            twin = next((place for place in made.values() if unified and place.unified), None)
            place = twin or _claimed(here, mount[0], kind, unified)
            if place is not None and (not unified or kind in _enabled(place.folder)):
                made[kind] = place
                break
    return made


def _mounts(text: str, kind: str) -> Iterator[tuple[bool, tuple[str, str]]]:
    """(version 2?, (where it is mounted, the group that is its root)) of each hierarchy that may bound `kind`."""
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields, (system, _, options) = left.split(), right.split(" ", 2)
        where = fields[4].replace("\\040", " ")
        if system == "cgroup" and kind in options.split(","):
            yield False, (where, fields[3])
        elif system == "cgroup2":
            yield True, (where, fields[3])


def _joined(mount: tuple[str, str], group: str) -> str:
    where, root = mount
    inner = group.removeprefix(root.rstrip("/")) if (group + "/").startswith(root.rstrip("/") + "/") else "/"
    return os.path.join(where, inner.lstrip("/")).rstrip("/")


def _claimed(here: str, top: str, kind: str, unified: bool) -> Place | None:
    """A locked folder in this process's own group or the nearest one above that allows it."""
    at = here if os.path.isdir(here) else top
    while True:
        if not unified or kind in _enabled(at):
            with suppress(OSError):
                for group in {at, *_beside(at, top)}:
                    sweep(group)
                return _made(at, here, unified)
        if at == top:
            return None
        at = os.path.dirname(at)


def _beside(at: str, top: str) -> list[str]:
    """The groups beside one: whoever is started in a group of its own each time never comes back to the same."""
    with suppress(OSError):
        return [] if at == top else [entry.path for entry in os.scandir(os.path.dirname(at)) if entry.is_dir()]
    return []


def _made(at: str, back: str, unified: bool) -> Place:
    folder = os.path.join(at, f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}")
    os.mkdir(folder, 0o755)
    lock = -1
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.stat(folder)  # nobody took it for a leftover before it was locked
        if unified:
            offered = _read(os.path.join(folder, "cgroup.controllers")).split()
            wanted = " ".join(f"+{kind}" for kind in ("memory", "pids") if kind in offered)
            _write(os.path.join(folder, "cgroup.subtree_control"), wanted)
        elif os.path.exists(os.path.join(folder, "memory.use_hierarchy")):
            with suppress(OSError):
                _write(os.path.join(folder, "memory.use_hierarchy"), "1")
    except OSError:
        if lock >= 0:
            os.close(lock)
        with suppress(OSError):
            os.rmdir(folder)
        raise
    return Place(folder, back, unified, lock)


def sweep(at: str) -> None:
    """Remove the folders in `at` whose owner is gone: nobody holds their lock."""
    names: list[str] = []
    with suppress(OSError):
        names = [name for name in os.listdir(at) if name.startswith(PREFIX)]
    for name in names:
        folder = os.path.join(at, name)
        with suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _clear(folder)
            finally:
                os.close(lock)


def _clear(folder: str) -> None:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            _removed(entry.path)
    _removed(folder)


def _forget(pid: int, places: Mapping[str, Place]) -> None:
    if os.getpid() == pid:
        for place in places.values():
            with suppress(OSError):
                _clear(place.folder)


def _removed(folder: str, patience: int = _PATIENCE) -> bool:
    """Remove a group; whoever is in it is killed first. False when somebody takes long to die."""
    for turn in range(patience):
        try:
            os.rmdir(folder)
        except OSError as error:
            if error.errno != errno.EBUSY:
                return True  # it has gone, or is not ours to remove
        else:
            return True
        _kill(_read(os.path.join(folder, "cgroup.procs")))
        if turn + 1 < patience:
            time.sleep(min(0.0002 * 2**turn, 0.005))
    return False


def _kill(members: str) -> None:
    for word in members.split():
        with suppress(OSError):
            if int(word) > 1:  # 0: somebody of another PID namespace
                os.kill(int(word), signal.SIGKILL)


def _enabled(folder: str) -> list[str]:
    """What the groups below a folder may bound (version 2)."""
    return _read(os.path.join(folder, "cgroup.subtree_control")).split()


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _write(path: str, value: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)
