"""The process above what runs in a Landlock jail: starts it, answers for it, ends it. Trusts nothing that it says.

Runs by itself (`python -I -S`, as the jail's user) and imports nothing of this package; what it is to do comes as
`ORDERS`. It stays outside the command's Landlock domain, so the command can neither signal nor read it, and in one of
its own, so that a signal to everybody reaches the command's tree and nobody else. Layouts: seccomp(2),
seccomp_unotify(2), landlock(7), linux/seccomp.h."""

from __future__ import annotations

import _ctypes
import _socket
import _struct
import fcntl
import resource
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import signal as _signal
    from typing import Any
else:  # their inner parts: together they save a third of the time that it takes to start
    import _signal
    import posix as os

PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER = 38, 36
LANDLOCK_RESTRICT_SELF, PIDFD_GETFD = 446, 438
SET_MODE_FILTER, NEW_LISTENER = 1, 8
NOTIF_RECV, NOTIF_SEND, NOTIF_ID_VALID = 0xC0502100, 0xC0182101, 0x40082102
CONTINUE = 1
EPERM, EIO, ENOEXEC, EAGAIN = 1, 5, 8, 11
AT_FDCWD, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH = -100, 0x100, 0x1000
TICK, PATIENCE = 0.1, 0.005
ENTRIES = 200_000
BEGAN, FULL, OVER = b"began\n", b"full\n", b"over\n"


class _Long(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "l"


class _Char(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "c"


class _Function(_ctypes.CFuncPtr):
    _flags_ = 1 | 8  # C's own calling convention; errno is kept
    _restype_ = _Long


_libc: Any = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]
_syscall = _Function(_ctypes.dlsym(_libc, "syscall"))


def call(number: int, *arguments: int | bytes) -> int:
    """A system call; raises OSError."""
    words = [word if isinstance(word, bytes) else _Long(word) for word in arguments]
    answer: int = _syscall(_Long(number), *words)
    if answer < 0:
        code = _ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return answer


# ── the command's own process, before it is the command ──────────────────────────────────────────


def confine(orders: dict[str, Any], talk: _socket.socket) -> None:
    """Everything that cannot be undone. A listener, when calls are to be asked for, goes to the warden."""
    for name, value in orders["limits"].items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
    numbers = orders["calls"]
    call(numbers["capset"], _struct.pack("II", 0x20080522, 0), bytes(24))
    if orders["rules"] >= 0:
        call(LANDLOCK_RESTRICT_SELF, orders["rules"], 0)
    text = orders["filter"]
    if not text:
        return
    array: Any = type("Text", (_ctypes.Array,), {"_type_": _Char, "_length_": len(text)})
    held = array.from_buffer_copy(text)
    program = _struct.pack("HxxxxxxP", len(text) // 8, _ctypes.addressof(held))
    listener = call(numbers["seccomp"], SET_MODE_FILTER, NEW_LISTENER if orders["asks"] else 0, program)
    if orders["asks"]:
        talk.sendmsg([b"x"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, _struct.pack("i", listener))])
        os.close(listener)


def prepare(orders: dict[str, Any], needed: set[int]) -> None:
    """What can still be done freely."""
    os.setsid()
    os.chdir(orders["cwd"])
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ, _signal.SIGCHLD):  # Python takes no notice of two of them
        _signal.signal(number, _signal.SIG_DFL)
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    for fd in opened() - needed:
        os.close(fd)


def become(orders: dict[str, Any], talk: _socket.socket, fault: int) -> None:
    """The child: confined, then the command. Never returns."""
    code = 1
    try:
        prepare(orders, {0, 1, 2, *orders["keep"], orders["rules"], talk.fileno(), fault})
        confine(orders, talk)
        talk.close()
        if orders["rules"] >= 0:
            os.close(orders["rules"])
        code = run(orders["argv"], orders["env"])
    except BaseException as error:
        os.write(fault, f"{type(error).__name__}: {error}".encode("utf-8", "backslashreplace"))
    finally:
        os._exit(code)


def run(argv: list[str], env: dict[str, str]) -> int:
    """Become the command, looked up as a shell would (os.execvpe imports what can no longer be read). Returns the code
    of a shell when there is no such program."""
    folders = [""] if "/" in argv[0] else [folder + "/" for folder in env.get("PATH", "/usr/bin:/bin").split(":")]
    why, code = "no such program", 127
    for folder in folders:
        path = folder + argv[0]
        try:
            os.execve(path, argv, env)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if error.errno == ENOEXEC:
                os.execve("/bin/sh", ["/bin/sh", path, *argv[1:]], env)
            why, code = os.strerror(error.errno or EIO), 126
    os.write(2, f"cannot run {argv[0]}: {why}\n".encode("utf-8", "surrogateescape"))
    return code


def opened() -> set[int]:
    """The descriptors that are open here."""
    held = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            os.fstat(int(name))
        except OSError:  # the one that was just read
            continue
        held.add(int(name))
    return held


# ── who is there ─────────────────────────────────────────────────────────────────────────────────


def read(path: str, size: int = 1 << 16) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, size)
    except OSError:
        return b""
    finally:
        os.close(fd)


def tasks(pid: int | str) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def tree() -> list[int]:
    """The living processes below this one. Orphans come to it, so that all are."""
    found: list[int] = []
    above: list[int | str] = ["self"]
    while above:
        pid = above.pop()
        for task in tasks(pid):
            below = [int(word) for word in read(f"/proc/{pid}/task/{task}/children").split()]
            found += below
            above += below
    return found


# ── what is taken ────────────────────────────────────────────────────────────────────────────────


class Full(Exception):
    """More than is allowed."""


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


def size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_blocks * 512
    except FileNotFoundError:
        return 0
    except OSError as error:  # deeper than a path can be long
        raise Full from error


def taken(room: str) -> int:
    """Bytes of what lies in a folder. Raises Full for what cannot be counted."""
    total, count, folders = 0, 0, [room]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise Full from error
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
        raise OSError(36, "the path is too long")
    return path


# ── the end ──────────────────────────────────────────────────────────────────────────────────────


def end(scoped: bool) -> None:
    """Kill until nobody is left: everybody of this Landlock domain at once, or one by one as they are found."""
    while True:
        for pid in [-1] if scoped else tree():
            try:
                os.kill(pid, _signal.SIGKILL)
            except OSError:
                continue
        try:
            while os.waitpid(-1, 0 if scoped else os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)


def reaped(main: int) -> int | None:
    """Take in who ended; the code of the command when it was among them."""
    code = None
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == main:
                code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    except ChildProcessError:
        pass
    return code


def guard(orders: dict[str, Any], main: int, listener: int) -> int:
    """Until the command ended, is too large, or nobody wants it any more; its code."""
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    _signal.set_wakeup_fd(wake)
    poller = select.poll()
    for fd in (woken, orders["leash"], *([listener] if listener >= 0 else [])):
        poller.register(fd, select.POLLIN)
    doorman = Doorman(listener, orders)
    due = time.monotonic() + TICK
    code = reaped(main)
    while code is None:
        for fd, event in poller.poll(max(0.0, due - time.monotonic()) * 1000):
            if fd == orders["leash"]:
                return 137
            if fd == woken:
                os.read(woken, 4096)
                code = reaped(main)
            elif event & select.POLLIN:
                doorman.answer()
            else:
                poller.unregister(fd)  # nobody is left who could ask
        if code is None and time.monotonic() >= due:
            code, due = looked(orders)
    return code


def looked(orders: dict[str, Any]) -> tuple[int | None, float]:
    """Look at what is taken: (the code of an end that this makes, when to look again)."""
    begin = time.monotonic()
    try:
        measure(orders)
    except Full:
        os.write(orders["status"], FULL)
        return 137, begin
    now = time.monotonic()
    return None, now + max(TICK, 20 * (now - begin))


def scoped(orders: dict[str, Any]) -> bool:
    """Is this process in a domain out of which it cannot signal? Its parent is not to be reached."""
    if orders["scope"] < 0:
        return False
    call(LANDLOCK_RESTRICT_SELF, orders["scope"], 0)
    try:
        os.kill(os.getppid(), 0)
    except PermissionError:
        return True
    return False


def main(orders: dict[str, Any]) -> None:
    numbers = orders["calls"]
    call(numbers["prctl"], PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    call(numbers["prctl"], PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    orders["keep"] = opened() - {0, 1, 2, *(orders[name] for name in ("leash", "status", "rules", "scope"))}
    given = [line.decode().partition("=") for line in read("/proc/self/environ").split(b"\0") if line]
    orders["env"].update((name, value) for name, _, value in given)  # which descriptor is whose
    alone = scoped(orders)
    _signal.signal(_signal.SIGCHLD, lambda *_: None)
    child, listener = started(orders, alone)
    os.write(orders["status"], BEGAN)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for fd in (null, orders["rules"], orders["scope"], *orders["keep"]):
        if fd > 2:
            os.close(fd)
    code = guard(orders, child, listener)
    end(alone)
    os.write(orders["status"], OVER)
    os._exit(code)


def started(orders: dict[str, Any], alone: bool) -> tuple[int, int]:
    """Fork the command: (its process, the listener of its calls or -1). Ends this process when that failed."""
    mine, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    fault, faults = os.pipe()
    child = os.fork()
    if child == 0:
        become(orders, theirs, faults)
    theirs.close()
    os.close(faults)
    listener = -1
    if orders["asks"]:
        _, given, _, _ = mine.recvmsg(1, 64)
        listener = _struct.unpack("i", given[0][2])[0] if given else -1
    said = os.read(fault, 4096)
    if said:
        os.write(2, said + b"\n")
        end(alone)
        os._exit(1)
    os.close(fault)
    mine.close()
    return child, listener
