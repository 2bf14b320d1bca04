"""Throw-away folders on the disk for jails that cannot mount any. Refuses to leave them behind.

One folder for this process, locked while it lives; in it a room for each run. Rooms of killed processes are swept."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from kernelfactory import view
from kernelfactory.jail.users import UID_BASE
from kernelfactory.view import Pair

PREFIX = "kf-jail-"
_PLACES = ("/tmp", "/var/tmp", "/dev/shm")


@dataclass(frozen=True, slots=True)
class Room:
    """`folder` is one run's; `pairs`: (folder in it, place inside) of each of its rooms."""

    folder: str
    pairs: tuple[Pair, ...]


class Rooms:
    """The folder of this process."""

    def __init__(self) -> None:
        places = [os.path.realpath(tempfile.gettempdir()), *_PLACES]
        place = next((p for p in places if os.geteuid() != 0 or view.reachable(os.path.join(p, "x"), UID_BASE)), "/tmp")
        sweep(place)
        self._base = tempfile.mkdtemp(prefix=PREFIX, dir=place)
        os.chmod(self._base, 0o711)
        self._lock = os.open(self._base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        weakref.finalize(self, _forget, self._base, self._lock, os.getpid())

    def make(self, places: Sequence[str], uid: int | None) -> Room:
        """A room that stands for /tmp and `places`, owned by `uid`."""
        folder = os.path.realpath(tempfile.mkdtemp(dir=self._base))
        pairs: list[Pair] = []
        for number, place in enumerate(("/tmp", *places)):
            rest = os.path.relpath(place, "/tmp") if view.inside(place, "/tmp") else f"../{number}"
            path = os.path.normpath(os.path.join(folder, "tmp", rest))
            os.makedirs(path, exist_ok=True)
            pairs.append((path, place))
        if uid is not None:
            for path, _, _ in os.walk(folder):
                os.chown(path, uid, uid)
        return Room(folder, tuple(pairs))


def removed(folder: str) -> None:
    """Remove a folder whatever its owner made of it: closed, full, thousands deep. Nobody may be at work in it."""
    waiting, number = [folder], 0
    while waiting:
        at = waiting.pop()
        with suppress(OSError):
            os.chmod(at, stat.S_IRWXU)
            for entry in list(os.scandir(at)):
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)
                    continue
                os.chmod(entry.path, stat.S_IRWXU)
                number += 1
                flat = f"{folder}.{number}"  # paths stay short
                os.rename(entry.path, flat)
                waiting.append(flat)
            os.rmdir(at)


def sweep(place: str) -> None:
    """Remove the folders in `place` that are this user's and whose owner is gone: nobody holds their lock."""
    for name in os.listdir(place):
        if not name.startswith(PREFIX):
            continue
        with suppress(OSError):
            lock = os.open(os.path.join(place, name), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                if os.fstat(lock).st_uid == os.geteuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _clear(os.path.join(place, name))
            finally:
                os.close(lock)


def _clear(base: str) -> None:
    for entry in list(os.scandir(base)):
        if entry.is_dir(follow_symlinks=False):
            removed(entry.path)
    shutil.rmtree(base, ignore_errors=True)


def _forget(base: str, lock: int, pid: int) -> None:
    if os.getpid() == pid:
        with suppress(OSError):
            _clear(base)
        os.close(lock)
