"""Answers the system calls that a jailed program may not make itself, and counts what it takes. Believes nothing.

A part of the warden's program, see procs.py. Layouts: seccomp_unotify(2), linux/seccomp.h."""

from __future__ import annotations

import _socket
import _struct
import fcntl
import select
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
EPERM, EIO, EAGAIN, ENAMETOOLONG, EINPROGRESS = 1, 5, 11, 36, 115
SO_DOMAIN, ADDRESS = 39, 128
AT_FDCWD, AT_SYMLINK_NOFOLLOW = -100, 0x100
PATIENCE = 0.005
ENTRIES = 200_000


# ── answers ──────────────────────────────────────────────────────────────────────────────────────


class Doorman:
    """Answers the calls that the filter asks for. All that it reads of a caller may change while it looks: so it acts
    itself, on what it has opened, and lets a call go on only when that has nothing to do with memory."""

    def __init__(self, listener: int, orders: dict[str, Any], poller: Any) -> None:
        self.listener = listener
        self.poller = poller
        self.pending: dict[int, tuple[int, _socket.socket]] = {}
        self.roots: list[str] = orders["roots"]
        self.processes: int = orders["processes"]
        self.count = 1
        self.given = 0.0
        names = {number: name for name, number in orders["asked"].items()}
        self.names: dict[int, str] = names
        self.utimensat: int = orders["calls"]["utimensat"]
        self.connect_number: int = orders["asked"].get("connect", -1)
        self.listen_number: int = orders["asked"].get("listen", -1)
        self.ports: list[int] | None = orders["ports"]

    def come(self, fd: int, event: int) -> None:
        """Something is ready: a call, a connection, or nobody is left who could ask."""
        if fd in self.pending:
            self.finish(fd)
        elif event & select.POLLIN:
            self.answer()
        else:
            self.poller.unregister(fd)

    def answer(self) -> None:
        asked = bytearray(80)
        try:
            fcntl.ioctl(self.listener, NOTIF_RECV, asked)
        except OSError:
            return  # the caller is gone
        ident, pid, _, number = _struct.unpack_from("QIIi", asked)
        arguments = _struct.unpack_from("6Q", asked, 32)
        error: int | None = EPERM
        name = self.names.get(number, "")
        try:
            if name in ("clone", "fork", "vfork"):
                error = 0 if self.room_for_one() else EAGAIN
            elif name == "connect":
                error = self.connect(ident, pid, arguments)
            elif name == "listen":
                error = self.listen(pid, arguments)
            else:
                self.change(name, pid, arguments)
                error = 0
        except OSError as failed:
            error = failed.errno or EIO
        except Exception:
            error = EPERM
        if error is not None:
            self.send(ident, error, CONTINUE if error == 0 and name in ("clone", "fork", "vfork") else 0)

    def send(self, ident: int, error: int, flags: int) -> None:
        try:
            fcntl.ioctl(self.listener, NOTIF_SEND, _struct.pack("QqiI", ident, 0, -error, flags))
        except OSError:
            return  # the caller is gone

    def change(self, name: str, pid: int, words: tuple[int, ...]) -> None:
        """Mode or times of what lies in a writable place. Raises OSError."""
        if name == "utimensat":
            fd = self.opened(pid, words[0], words[1], words[3])
            times = peek(pid, words[2], 32) if words[2] else 0
            self.act(fd, lambda path: call(self.utimensat, AT_FDCWD, path, times, 0))
            return
        if name == "chmod":
            fd, mode = self.opened(pid, AT_FDCWD, words[0], 0), words[1]
        elif name == "fchmod":
            fd, mode = self.opened(pid, words[0], 0, 0), words[1]
        else:
            fd, mode = self.opened(pid, words[0], words[1], words[3] if name == "fchmodat2" else 0), words[2]
        self.act(fd, lambda path: os.chmod(path, mode & 0o1777))

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
        path = meant(pid, text(pid, address)) if address else b""
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

    def connect(self, ident: int, pid: int, words: tuple[int, ...]) -> int | None:
        """The error of a connection, made with the caller's own socket; None when it is answered later."""
        address = peek(pid, words[1], min(words[2], ADDRESS))
        mine = taken_over(pid, words[0] & 0xFFFFFFFF)
        if mine.getsockopt(_socket.SOL_SOCKET, SO_DOMAIN) == _socket.AF_UNIX:
            return self.connect_here(pid, mine, address)
        if self.ports is not None and not reached(address, self.ports):
            return EPERM
        before = fcntl.fcntl(mine.fileno(), fcntl.F_GETFL)
        error = without_waiting(mine, before, lambda: call(self.connect_number, mine.fileno(), address, len(address)))
        if error != EINPROGRESS or before & os.O_NONBLOCK:
            return error
        self.poller.register(mine.fileno(), select.POLLOUT)
        self.pending[mine.fileno()] = (ident, mine)
        return None

    def listen(self, pid: int, words: tuple[int, ...]) -> int:
        """On a socket of this machine: what can be connected to from elsewhere would be a network."""
        mine = taken_over(pid, words[0] & 0xFFFFFFFF)
        if mine.getsockopt(_socket.SOL_SOCKET, SO_DOMAIN) != _socket.AF_UNIX:
            return EPERM
        return call(self.listen_number, mine.fileno(), words[1])

    def connect_here(self, pid: int, mine: _socket.socket, address: bytes) -> int:
        """To a socket file in a writable place, and to nothing else of this machine."""
        if address[:2] != _struct.pack("H", _socket.AF_UNIX) or not address[2:3].strip(b"\0"):
            return EPERM
        at = os.open(f"/proc/{pid}/cwd", os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY)
        try:
            target = os.open(meant(pid, address[2:].partition(b"\0")[0]), os.O_PATH | os.O_CLOEXEC, dir_fd=at)
        finally:
            os.close(at)
        try:
            self.check(target)
            before = fcntl.fcntl(mine.fileno(), fcntl.F_GETFL)
            return without_waiting(mine, before, lambda: mine.connect(f"/proc/self/fd/{target}"))
        finally:
            os.close(target)

    def finish(self, fd: int) -> None:
        """Answer the caller of a connection that is made now, or has failed."""
        ident, mine = self.pending.pop(fd)
        self.poller.unregister(fd)
        self.send(ident, mine.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR), 0)
        mine.close()


def reached(address: bytes, ports: list[int]) -> bool:
    """Is this one of these ports of this machine itself?"""
    if len(address) < 8 or address[:2] != _struct.pack("H", _socket.AF_INET) or address[4:8] != b"\x7f\0\0\1":
        return False
    return int.from_bytes(address[2:4], "big") in ports


def taken_over(pid: int, fd: int) -> _socket.socket:
    """A caller's own socket, as a descriptor of this process."""
    leader = next(line for line in read(f"/proc/{pid}/status").splitlines() if line.startswith(b"Tgid:"))
    process = os.pidfd_open(int(leader.split()[1]))
    try:
        return _socket.socket(fileno=call(PIDFD_GETFD, process, fd, 0))
    finally:
        os.close(process)


def without_waiting(mine: _socket.socket, before: int, work: Any) -> int:
    """Do `work` with a socket whose flags were `before`, whatever they are. The error, 0 for none."""
    fcntl.fcntl(mine.fileno(), fcntl.F_SETFL, before | os.O_NONBLOCK)
    try:
        work()
    except OSError as error:
        return error.errno or EIO
    finally:
        fcntl.fcntl(mine.fileno(), fcntl.F_SETFL, before)
    return 0


def peek(pid: int, address: int, size: int) -> bytes:
    """Of a caller's memory."""
    fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(fd, size, address)
    finally:
        os.close(fd)


def meant(pid: int, path: bytes) -> bytes:
    """A path as its caller means it: "self" is not who looks here."""
    mine = b"/proc/self/"
    return b"/proc/%d/" % pid + path[len(mine) :] if path.startswith(mine) else path


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
