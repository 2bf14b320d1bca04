"""Who writes an experiment: an operating-system lock that dies with its process. Refuses network file systems."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

from kernelfactory.model import BadInput

LOCK = "desk.lock"
NETWORK = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "afs",
    "ceph",
    "glusterfs",
    "lustre",
    "9p",
    "fuse.sshfs",
    "fuse.rclone",
)
"""File systems (as /proc/self/mountinfo names them) on which locks and shared memory cannot be relied on."""
PATIENCE = 0.3
"""Seconds to wait for a lock: a reader that looks who holds it holds it for a moment itself."""


MOUNTS = Path("/proc/self/mountinfo")


def own(folder: Path, mounts: Path = MOUNTS) -> int:
    """Take the experiment for this process, until the descriptor returned is closed or the process is dead.

    BadInput: another process has it, or the folder lies on a network file system. OSError: not writable.
    """
    refuse_network(folder, mounts)
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _lock(descriptor, folder)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def owner(folder: Path) -> int | None:
    """The process that writes this experiment now, or None (0: somebody does, who is unknown)."""
    try:
        descriptor = os.open(Path(folder) / LOCK, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(descriptor)
    finally:
        os.close(descriptor)
    return None


def refuse_network(folder: Path, table: Path = MOUNTS) -> None:
    """BadInput when the folder lies on a network file system."""
    try:
        mounts = table.read_text("utf-8", "replace")
    except OSError:
        return
    kind = filesystem(os.path.realpath(folder), mounts)
    if kind in NETWORK and not (kind == "9p" and filesystem("/", mounts) == "9p"):
        raise BadInput(f"{folder} lies on a network file system ({kind}): choose a folder on a local disk (--dir)")


def filesystem(path: str, mounts: str) -> str:
    """The type of the file system under `path`, from the text of mountinfo; "" when it does not say."""
    found, length = "", 0
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        words, kinds = left.split(), right.split()
        if len(words) < 5 or not kinds:
            continue
        point = words[4].encode().decode("unicode_escape", "replace")
        if (path == point or path.startswith(point.rstrip("/") + "/")) and len(point) >= length:
            found, length = kinds[0], len(point)
    return found


def _lock(descriptor: int, folder: Path) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
        if time.monotonic() > until:
            raise BadInput(f"{folder} is in use by process {_holder(descriptor) or 'unknown'} (kf stop {folder})")
        time.sleep(0.01)


def _holder(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else 0
