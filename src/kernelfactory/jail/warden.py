"""The process above what runs in a Landlock jail: starts it, answers for it, ends it. Trusts nothing that it says.

Runs by itself (`python -I -S`, as the jail's user); its text, that of the two modules that it imports and its orders
come over a pipe, so that no file of this package must be readable. It stays outside the command's Landlock domain, so
that the command can neither signal nor read it, and in one of its own, so that a signal to everybody reaches the
command's tree and nobody else. Layouts: seccomp(2), landlock(7)."""

from __future__ import annotations

import _ctypes
import _socket
import _struct
import resource
import select
import time

from kernelfactory.jail.doorman import Doorman, Full, measure
from kernelfactory.jail.procs import Char, call, opened, read, tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import signal as _signal
    from typing import Any
else:
    import _signal
    import posix as os

PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER = 38, 36
LANDLOCK_RESTRICT_SELF = 446
SET_MODE_FILTER, NEW_LISTENER = 1, 8
EIO, ENOEXEC = 5, 8
BEGAN, FULL, OVER = b"began\n", b"full\n", b"over\n"


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
    array: Any = type("Text", (_ctypes.Array,), {"_type_": Char, "_length_": len(text)})
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
    doorman = Doorman(listener, orders, poller)
    due = time.monotonic() + orders["tick"]
    code = reaped(main)
    while code is None:
        for fd, event in poller.poll(max(0.0, due - time.monotonic()) * 1000):
            if fd == orders["leash"]:
                return 137
            if fd == woken:
                os.read(woken, 4096)
                code = reaped(main)
            else:
                doorman.come(fd, event)
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
    return None, now + max(orders["tick"], 20 * (now - begin))


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
