"""Answers the system calls that a jailed program may not make itself, and counts what it takes. Believes nothing.

A part of the warden's program, see procs.py. Layouts: seccomp_unotify(2), linux/seccomp.h."""

from __future__ import annotations

import _socket
import _struct
import fcntl
import time

from kernelfactory.jail.procs import call, read, tasks, tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Any
else:  # its inner part: with the others it saves a third of the time that a warden takes to start
    import posix as os

PIDFD_GETFD = 438
NOTIF_RECV, NOTIF_SEND = 0xC0502100, 0xC0182101
CONTINUE = 1
EPERM, EIO, EAGAIN, ENAMETOOLONG = 1, 5, 11, 36
AT_FDCWD, AT_SYMLINK_NOFOLLOW = -100, 0x100
PATIENCE = 0.005
ENTRIES = 200_000


# ── answers ──────────────────────────────────────────────────────────────────────────────────────


class Doorman:
    """Answers the calls that the filter asks for. All that it reads of a caller may change while it looks: so it acts
    itself, on what it has opened, and lets a call go on only when that has nothing to do with memory."""

    def __init__(self, listener: int, orders: dict[str, Any]) -> None:
        self.listener = listener
        self.roots: list[str] = orders["roots"]
        self.processes: int = orders["processes"]
        self.count = 1
        self.given = 0.0
        names = {number: name for name, number in orders["asked"].items()}
        self.names: dict[int, str] = names
        self.utimensat: int = orders["calls"]["utimensat"]

    def answer(self) -> None:
        asked = bytearray(80)
        try:
            fcntl.ioctl(self.listener, NOTIF_RECV, asked)
        except OSError:
            return  # the caller is gone
        ident, pid, _, number = _struct.unpack_from("QIIi", asked)
        arguments = _struct.unpack_from("6Q", asked, 32)
        error, flags = EPERM, 0
        try:
            error, flags = self.decide(self.names.get(number, ""), pid, arguments)
        except OSError as failed:
            error = failed.errno or EIO
        except Exception:
            error = EPERM
        try:
            fcntl.ioctl(self.listener, NOTIF_SEND, _struct.pack("QqiI", ident, 0, -error, flags))
        except OSError:
            return

    def decide(self, name: str, pid: int, words: tuple[int, ...]) -> tuple[int, int]:
        """(error, flags) of one call."""
        if name in ("clone", "fork", "vfork"):
            return (0, CONTINUE) if self.room_for_one() else (EAGAIN, 0)
        if name == "connect":
            return self.connect(pid, words), 0
        if name == "utimensat":
            fd = self.opened(pid, words[0], words[1], words[3])
            times = peek(pid, words[2], 32) if words[2] else 0
            self.act(fd, lambda path: call(self.utimensat, AT_FDCWD, path, times, 0))
            return 0, 0
        if name == "chmod":
            fd, mode = self.opened(pid, AT_FDCWD, words[0], 0), words[1]
        elif name == "fchmod":
            fd, mode = self.opened(pid, words[0], 0, 0), words[1]
        else:
            fd, mode = self.opened(pid, words[0], words[1], words[3] if name == "fchmodat2" else 0), words[2]
        self.act(fd, lambda path: os.chmod(path, mode & 0o1777))
        return 0, 0

    def room_for_one(self) -> bool:
        """May there be one process or thread more? Those that ended are noticed only when it seems not."""
        if self.count >= self.processes:
            time.sleep(max(0.0, self.given + PATIENCE - time.monotonic()))  # who was allowed last is there by then
            self.count = sum(len(tasks(pid)) for pid in tree())
        if self.count >= self.processes:
            return False
        self.count += 1
        self.given = time.monotonic()
        return True

    def opened(self, pid: int, folder: int, address: int, flags: int) -> int:
        """The object that the caller names, opened without any right: path at `address` seen from `folder`."""
        folder = (folder & 0xFFFFFFFF) - ((folder & 0x80000000) << 1)
        base = f"/proc/{pid}/cwd" if folder == AT_FDCWD else f"/proc/{pid}/fd/{folder}"
        path = text(pid, address) if address else b""
        if not path:
            return os.open(base, os.O_PATH | os.O_CLOEXEC)
        last = os.O_NOFOLLOW if flags & AT_SYMLINK_NOFOLLOW else 0
        if path.startswith(b"/"):
            return os.open(path, os.O_PATH | os.O_CLOEXEC | last)
        at = os.open(base, os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY)
        try:
            return os.open(path, os.O_PATH | os.O_CLOEXEC | last, dir_fd=at)
        finally:
            os.close(at)

    def act(self, fd: int, work: Any) -> None:
        """Do `work` on an opened object by its path of no name, when it lies in a writable place."""
        try:
            self.check(fd)
            work(b"/proc/self/fd/%d" % fd)
        finally:
            os.close(fd)

    def check(self, fd: int) -> None:
        real = os.readlink(f"/proc/self/fd/{fd}")
        if not any((real + "/").startswith(root + "/") for root in self.roots):
            raise PermissionError(EPERM, "not writable here")

    def connect(self, pid: int, words: tuple[int, ...]) -> int:
        address = peek(pid, words[1], min(words[2], 110))
        if address[:2] != _struct.pack("H", _socket.AF_UNIX) or not address[2:3].strip(b"\0"):
            return EPERM
        path = address[2:].partition(b"\0")[0]
        at = os.open(f"/proc/{pid}/cwd", os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY)
        try:
            target = os.open(path, os.O_PATH | os.O_CLOEXEC, dir_fd=at)
        finally:
            os.close(at)
        try:
            self.check(target)
            return connected(pid, words[0] & 0xFFFFFFFF, target)
        finally:
            os.close(target)


def connected(pid: int, fd: int, target: int) -> int:
    """Connect the caller's own socket; it never waits, whatever the caller would do."""
    leader = next(line for line in read(f"/proc/{pid}/status").splitlines() if line.startswith(b"Tgid:"))
    process = os.pidfd_open(int(leader.split()[1]))
    try:
        mine = _socket.socket(fileno=call(PIDFD_GETFD, process, fd, 0))
    finally:
        os.close(process)
    try:
        before = fcntl.fcntl(mine.fileno(), fcntl.F_GETFL)
        fcntl.fcntl(mine.fileno(), fcntl.F_SETFL, before | os.O_NONBLOCK)
        try:
            return mine.connect_ex(f"/proc/self/fd/{target}")
        finally:
            fcntl.fcntl(mine.fileno(), fcntl.F_SETFL, before)
    finally:
        mine.close()


def peek(pid: int, address: int, size: int) -> bytes:
    """Of a caller's memory."""
    fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(fd, size, address)
    finally:
        os.close(fd)


def text(pid: int, address: int) -> bytes:
    """A path in a caller's memory, which may end with its page."""
    page = 4096 - address % 4096
    piece = peek(pid, address, page)
    if b"\0" not in piece:
        piece += peek(pid, address + page, 4096)
    path, end, _ = piece.partition(b"\0")
    if not end:
        raise OSError(ENAMETOOLONG, "the path is too long")
    return path


# ── what is taken ────────────────────────────────────────────────────────────────────────────────


class Full(Exception):
    """More than is allowed."""


class Moved(Exception):
    """What was being looked at changed meanwhile."""


def resident(pids: list[int], most: int) -> int:
    """Bytes of memory: shared pages counted once a process, and when that is too much, in parts."""
    page = os.sysconf("SC_PAGE_SIZE")
    fields = [read(f"/proc/{pid}/statm").split() for pid in pids]
    rough = sum(int(words[1]) * page for words in fields if len(words) > 1)
    if rough <= most:
        return rough
    total = 0
    for pid in pids:
        for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith(b"Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def unlinked(pids: list[int]) -> int:
    """Bytes of files that only descriptors hold: deleted ones, and memory that never had a name."""
    seen: dict[tuple[int, int], int] = {}
    for pid in pids:
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for name in names:
            try:
                status = os.stat(f"/proc/{pid}/fd/{name}")
            except OSError:
                continue
            if status.st_nlink == 0:
                seen[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(seen.values())


def listed(folder: str, room: str) -> list[os.DirEntry[str]]:
    """What is in a folder. One that its owner has closed is opened: nothing may be out of sight."""
    for _ in range(2):
        try:
            return list(os.scandir(folder))
        except FileNotFoundError:
            return []
        except PermissionError:
            open_up(folder, room)
        except OSError as error:  # deeper than a path can be long
            raise Full from error
    raise Full


def open_up(folder: str, room: str) -> None:
    """Only what is in the room, whatever the path leads to by now."""
    try:
        fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:  # a folder above it was closed just now
        raise Moved from error
    try:
        path = f"/proc/self/fd/{fd}"
        if not (os.readlink(path) + "/").startswith(room + "/"):
            raise Moved
        os.chmod(path, os.stat(path).st_mode & 0o7777 | 0o700)
    finally:
        os.close(fd)


def size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_blocks * 512
    except FileNotFoundError:
        return 0
    except PermissionError as error:
        raise Moved from error
    except OSError as error:  # deeper than a path can be long
        raise Full from error


def taken(room: str) -> int:
    """Bytes of what lies in a folder. Raises Full for what cannot be counted."""
    for _ in range(4):
        try:
            return counted(room)
        except Moved:
            continue
    raise Full


def counted(room: str) -> int:
    total, count, folders = 0, 0, [room]
    while folders:
        folder = folders.pop()
        entries = listed(folder, room)
        for entry in entries:
            total += size(entry)
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
        count += len(entries)
        if count > ENTRIES:
            raise Full
    return total


def measure(orders: dict[str, Any]) -> None:
    """Raises Full when the tree or its rooms take more than they may."""
    pids = tree()
    rooms = taken(orders["room"])
    if rooms > orders["room_bytes"]:
        raise Full
    most = orders["tree_memory"]
    if most is not None:
        nameless = unlinked(pids)
        if nameless > most or rooms + nameless + resident(pids, most - rooms - nameless) > most:
            raise Full
