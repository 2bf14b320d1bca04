"""What a jailed process must not be able to do, tried from inside. Refuses to do harm where it succeeds.

Run by itself in a jail (`python -I -S -`, this text on stdin), so it imports nothing of this package: a JSON object
of what to aim at comes in $KF_AIM, another, name -> [did it work?, detail], leaves by the descriptor in $KF_REPORT."""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

Outcome = tuple[bool, str]
CLONE_NEWUSER = 0x10000000
PTRACE_ATTACH = 16


def _tried(work: Callable[[], object]) -> Outcome:
    """An attack works unless the system stops it."""
    try:
        return True, str(work())
    except (OSError, MemoryError, ValueError) as error:  # ValueError: not in the list
        return False, str(error)


def _in_child(work: Callable[[], bool]) -> Outcome:
    """Try in a forked process what would change this one."""
    pid = os.fork()
    if pid == 0:
        done = False
        with contextlib.suppress(OSError):
            done = work()
        os._exit(7 if done else 0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7, ""


def _read(path: str) -> Callable[[], object]:
    def work() -> object:
        with open(path, "rb") as file:
            return len(file.read(1))

    return work


def _write(folder: str) -> Callable[[], object]:
    def work() -> object:
        path = os.path.join(folder, f".kf-attack-{os.getpid()}")
        with open(path, "wb") as file:
            file.write(b"x")
        os.unlink(path)
        return path

    return work


def _connect(family: int, address: Any) -> Callable[[], object]:
    def work() -> object:
        with socket.socket(family, socket.SOCK_STREAM) as made:
            made.settimeout(1)
            made.connect(address)
            return address

    return work


def _environment(aim: dict[str, Any]) -> Outcome:
    for pid in ("1", str(os.getppid())):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
            names = {line.partition(b"=")[0].decode() for line in file.read().split(b"\0") if line}
            if extra := names - set(aim["env"]):
                return True, f"/proc/{pid}/environ: {sorted(extra)[0]}"
    return False, ""


def _signal(aim: dict[str, Any]) -> Outcome:
    return _tried(lambda: os.kill(aim["victim"], signal.SIGKILL))


def _listed(aim: dict[str, Any]) -> Outcome:
    folder, name = os.path.split(aim["folder"])
    return _tried(lambda: os.listdir(folder).index(name))


def _shared(aim: dict[str, Any]) -> Outcome:
    """shmat(2) by the number of a segment that the judge made."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    at = libc.shmat(ctypes.c_int(aim["shared"]), None, 0)
    return at not in (None, ctypes.c_void_p(-1).value), str(ctypes.get_errno())


def _watch(aim: dict[str, Any]) -> Outcome:
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init()
    watch = libc.inotify_add_watch(fd, os.fsencode(aim["folder"]), ctypes.c_uint32(0x100))
    os.close(fd)
    return watch >= 0, str(ctypes.get_errno())


def _ptrace(aim: dict[str, Any]) -> Outcome:
    libc = ctypes.CDLL(None, use_errno=True)
    return _in_child(lambda: libc.ptrace(PTRACE_ATTACH, aim["victim"], None, None) == 0)


def _sysctl(aim: dict[str, Any]) -> Outcome:
    def work() -> object:
        with open("/proc/sys/kernel/core_pattern", "r+b"):
            return "opened"

    return _tried(work)


def _calls(aim: dict[str, Any]) -> Outcome:
    """Calls of the deny list with arguments that fail: stopped means EPERM (or none such), never another error."""
    libc = ctypes.CDLL(None, use_errno=True)
    bad = ctypes.c_long(-1)
    for name, number in aim["calls"].items():
        libc.syscall(ctypes.c_long(number), bad, bad, bad, bad, bad)
        if ctypes.get_errno() not in (1, 38):
            return True, name
    return False, ""


def _forks(aim: dict[str, Any]) -> Outcome:
    made: list[int] = []
    reading, writing = os.pipe()
    try:
        while len(made) < aim["processes"] * 2:
            pid = os.fork()
            if pid == 0:
                os.close(writing)
                os.read(reading, 1)
                os._exit(0)
            made.append(pid)
    except OSError:
        return False, f"{len(made)} processes"
    finally:
        os.close(writing)
        os.close(reading)
        for pid in made:
            os.waitpid(pid, 0)
    return True, f"{len(made)} processes"


def _memory(aim: dict[str, Any]) -> Outcome:
    return _tried(lambda: mmap.mmap(-1, aim["memory"] * 2).close())


def _fill(folder: str, size: int) -> Outcome:
    path = os.path.join(folder, f".kf-attack-{os.getpid()}")
    block = b"\0" * (1 << 20)
    try:
        with open(path, "wb", buffering=0) as file:
            for _ in range(2 * size // len(block)):
                if file.write(block) < len(block):
                    return False, "full"
    except OSError as error:
        return False, str(error)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)
    return True, f"{2 * size} bytes in {folder}"


def _descriptors(aim: dict[str, Any]) -> Outcome:
    for fd in range(3, 256):
        if fd not in aim["fds"]:
            with contextlib.suppress(OSError):
                os.fstat(fd)
                return True, f"descriptor {fd}"
    return False, ""


def _capabilities(aim: dict[str, Any]) -> Outcome:
    """capget(2), version 3: two words each of effective, permitted, inheritable."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    failed = libc.capget(header, sets)
    return failed != 0 or any(sets), str(list(sets))


def _daemon(aim: dict[str, Any]) -> Outcome:
    """Leave one behind that holds a pipe of the judge; the judge sees whether it lives."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            for fd in {0, 1, 2, *aim["fds"]} - {aim["leash"]}:
                with contextlib.suppress(OSError):
                    os.close(fd)
            time.sleep(30)
        os._exit(0)
    return False, "left"


def attacks(aim: dict[str, Any]) -> dict[str, Callable[[], Outcome]]:
    """The attacks by name, in the order in which they are tried."""
    tcp, unix = socket.AF_INET, socket.AF_UNIX
    libc = ctypes.CDLL(None, use_errno=True)
    return {
        "read a secret file": lambda: _tried(_read(aim["secret"])),
        "see the host's /tmp": lambda: _listed(aim),
        "read the launcher's environment": lambda: _environment(aim),
        "be user 0": lambda: (0 in (os.getuid(), os.geteuid()), f"{os.getuid()}, {os.geteuid()}"),
        "hold capabilities": lambda: _capabilities(aim),
        "use an inherited descriptor": lambda: _descriptors(aim),
        "trace an outer process": lambda: _ptrace(aim),
        "signal an outer process": lambda: _signal(aim),
        "slow an outer process": lambda: _tried(lambda: os.setpriority(os.PRIO_PROCESS, aim["victim"], 19)),
        "limit an outer process": lambda: _tried(lambda: resource.prlimit(aim["victim"], resource.RLIMIT_CORE, (0, 0))),
        "use shared memory of the host": lambda: _shared(aim),
        "connect to loopback": lambda: _tried(_connect(tcp, ("127.0.0.1", aim["port"]))),
        "connect to an abstract socket": lambda: _tried(_connect(unix, "\0" + aim["abstract"])),
        "connect to a socket file": lambda: _tried(_connect(unix, aim["socket"])),
        "write the host's files": lambda: _tried(_write(aim["folder"])),
        "change the mode of the host's files": lambda: _tried(lambda: os.chmod(aim["secret"], 0o600)),
        "watch the host's files": lambda: _watch(aim),
        "write /": lambda: _tried(_write("/")),
        "write /usr": lambda: _tried(_write("/usr")),
        "write /etc": lambda: _tried(_write("/etc")),
        "write the home": lambda: _tried(_write(aim["home"])),
        "write the interpreter": lambda: _tried(_write(os.path.dirname(os.__file__))),
        "open a sysctl for writing": lambda: _sysctl(aim),
        "make a user namespace": lambda: _in_child(lambda: libc.unshare(CLONE_NEWUSER) == 0),
        "make a denied system call": lambda: _calls(aim),
        "pass the process limit": lambda: _forks(aim),
        "pass the memory limit": lambda: _memory(aim),
        "fill /dev/shm": lambda: _fill("/dev/shm", aim["tmp"]),
        "fill /tmp": lambda: _fill(os.environ.get("TMPDIR", "/tmp"), aim["tmp"]),
        "leave a daemon": lambda: _daemon(aim),
    }


LINUX = {"hold capabilities", "make a user namespace", "make a denied system call", "watch the host's files"}
LINUX |= {"limit an outer process", "trace an outer process", "use shared memory of the host"}
"""Attacks whose system calls there are on Linux only."""

NAMES = tuple(attacks({"port": 0, "abstract": ""}))


def main() -> None:
    aim = json.loads(os.environ["KF_AIM"])
    aim["fds"] = [*aim["fds"], int(os.environ["KF_REPORT"])]
    wanted = aim["only"]
    known = {name: work for name, work in attacks(aim).items() if sys.platform == "linux" or name not in LINUX}
    report = {name: work() for name, work in known.items() if not wanted or name in wanted}
    with open(int(os.environ["KF_REPORT"]), "w") as out:
        json.dump(report, out)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
