"""The deny list of system calls, assembled as raw BPF. Refuses to be an allow list: honest programs must run.

Numbers: Linux arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h (aarch64); layout of a
filter: seccomp(2), struct sock_filter in linux/filter.h. What is denied follows the container runtimes' lists."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

ENOSYS, EPERM, ENOTSUP = 38, 1, 95

Numbers = dict[str, tuple[int | None, int | None]]

DENIED: Numbers = {
    # name: (x86_64, aarch64)
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "settimeofday": (164, 170),
    "adjtimex": (159, 171),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "lookup_dcookie": (212, 18),
    "vhangup": (153, 58),
}
OUTSIDE: Numbers = {
    # what reaches beyond the process where nothing else stands between: shared memory, queues, others' pages, names
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "ioprio_set": (251, 30),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "process_mrelease": (448, 448),
    "inotify_add_watch": (254, 27),
}
BY_PID: Numbers = {
    # allowed on the caller (0), denied on any other process
    "prlimit64": (302, 261),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122),
}
OWNED: Numbers = {
    # what an owner may do to files that only opening would be denied for
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "file_setattr": (469, 469),
}
ATTRIBUTES: Numbers = {
    # extended ones: programs know file systems without
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
}
ASKED: Numbers = {
    # what a warden may do for the caller, where the object is one that it may change or reach
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "utimensat": (280, 88),
    "connect": (42, 203),
    "listen": (50, 201),
    "clone": (56, 220),
    "fork": (57, None),
    "vfork": (58, None),
}
ACCOMPLICES: Numbers = {
    # what reaches whoever can open the same file, in whatever jail: locks of files and looks at their use
    "flock": (73, 32),
    "inotify_add_watch": (254, 27),
}
FCNTL, LOCKS = (
    (72, 25),
    (5, 6, 7, 36, 37, 38, 1024, 1025, 1026),
)  # F_{GETLK,SETLK,SETLKW,OFD_*,SETLEASE,GETLEASE,NOTIFY}
VSOCK = 40
"""A family of sockets that no network namespace holds."""
FAST_OPEN = 0x20000000
"""A flag that makes sending connect."""
SENDING = ((44, 206, 3), (46, 211, 2), (307, 269, 3))
"""sendto, sendmsg and sendmmsg, and which argument has the flags."""
SOCKET, SOCKETPAIR, SETPRIORITY = (41, 198), (53, 199), (141, 140)
FILE_FLAGS = (0x40086602, 0x401C5820)  # FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR
CLONE, CLONE3, IOCTL = (56, 220), (435, 435), (16, 29)
FORKS = ((56, 57, 58), (220,))
"""clone, and fork and vfork where there are such calls."""
NEW_NAMESPACES = 0x7E020000  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}
TERMINAL_INJECTION = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER, _ARCH, _ARG0, _ARG1, _ARG2 = 0, 4, 16, 24, 32
_ALLOW, _KILL, _ERRNO, _ASK = 0x7FFF0000, 0x80000000, 0x00050000, 0x7FC00000
_LOCAL, _FAMILIES = 1, (2, 10, 16)  # AF_UNIX; AF_INET, AF_INET6, AF_NETLINK
_STREAM, _PACKETS, _TCP = 1, 5, 6


@dataclass(frozen=True, slots=True)
class Bare:
    """What a jail without namespaces has to deny, too. `sockets`: none, those of this machine by name (stream ones),
    TCP over IPv4 beside (connect and listen must be asked for), or all. `asked`: calls that a warden answers. `owned`:
    may the caller own files that it must not change?"""

    sockets: Literal["none", "local", "tcp", "all"] = "none"
    asked: tuple[str, ...] = ()
    owned: bool = True


def _line(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("<HBBI", code, yes, no, value)


def _when(test: int, value: int, answer: int) -> bytes:
    """Answer when the loaded word passes the test, else go on."""
    return _line(test, value, 0, 1) + _line(_RETURN, answer)


def _on_argument(number: int, argument: int, tests: bytes) -> bytes:
    """Apply `tests` to the low word of an argument of one call, and allow that call when none answers."""
    body = _line(_LOAD, argument) + tests + _line(_RETURN, _ALLOW)
    return _line(_EQUAL, number, 0, len(body) // 8) + body


def _unless(value: int, answer: int) -> bytes:
    """Answer when the loaded word is another one, else go on."""
    return _line(_EQUAL, value, 1, 0) + _line(_RETURN, answer)


def _bare(bare: Bare, column: int) -> Iterator[bytes]:
    """The lines for a jail without namespaces. Asking comes last: what is denied is not asked for."""
    denied, denial = [OUTSIDE, *([OWNED] if bare.owned else [])], _ERRNO | EPERM
    yield from (_when(_EQUAL, n[column] or 0, denial) for table in denied for n in table.values() if n[column])
    if bare.owned:
        for numbers in ATTRIBUTES.values():
            yield _when(_EQUAL, numbers[column] or 0, _ERRNO | ENOTSUP)
    for numbers in BY_PID.values():
        yield _on_argument(numbers[column] or 0, _ARG0, _unless(0, denial))
    mine = _unless(0, denial) + _line(_LOAD, _ARG1) + _unless(0, denial)  # PRIO_PROCESS, the caller
    yield _on_argument(SETPRIORITY[column], _ARG0, mine)
    yield from _sockets(bare.sockets, column, denial)
    for name in bare.asked:
        number = ASKED[name][column]
        if number is not None and number != CLONE[column]:
            yield _when(_EQUAL, number, _ASK)


def _sockets(allowed: str, column: int, denial: int) -> Iterator[bytes]:
    """The lines for new sockets: pairs, and those of this machine, are of few types."""
    kind = _unless(_LOCAL, denial) + _line(_LOAD, _ARG1) + _line(_AND, 0xF)
    yield _on_argument(SOCKETPAIR[column], _ARG0, kind + _when(_EQUAL, _PACKETS, _ALLOW) + _unless(_STREAM, denial))
    kind += _unless(_STREAM, denial)
    if allowed == "none":
        yield _when(_EQUAL, SOCKET[column], denial)
        return
    families = b"".join(_when(_EQUAL, f, _ALLOW) for f in _FAMILIES) if allowed == "all" else b""
    yield _on_argument(SOCKET[column], _ARG0, (_tcp(denial) if allowed == "tcp" else families) + kind)
    for call in SENDING if allowed == "tcp" else ():
        yield _on_argument(call[column], _ARG0 + 8 * call[2], _when(_ANY_BIT, FAST_OPEN, _ERRNO | ENOTSUP))


def _tcp(denial: int) -> bytes:
    """Tests of a new socket's family, type and protocol: of IPv4's only TCP; other families go on."""
    lines = _line(_LOAD, _ARG1) + _line(_AND, 0xF) + _unless(_STREAM, denial)
    lines += _line(_LOAD, _ARG2) + _when(_EQUAL, 0, _ALLOW) + _unless(_TCP, denial) + _line(_RETURN, _ALLOW)
    return _line(_EQUAL, _FAMILIES[0], 0, len(lines) // 8) + lines


def _alone(column: int) -> list[bytes]:
    """The lines for one process of one thread that nobody else is to help, or to hear."""
    numbers = [*FORKS[column], *(pair[column] or 0 for pair in ACCOMPLICES.values())]
    locks = b"".join(_when(_EQUAL, command, _ERRNO | EPERM) for command in LOCKS)
    return [*(_when(_EQUAL, number, _ERRNO | EPERM) for number in numbers), _on_argument(FCNTL[column], _ARG1, locks)]


def supported(machine: str | None = None) -> bool:
    return (machine or os.uname().machine) in _MACHINES


def program(machine: str | None = None, *, alone: bool = False, bare: Bare | None = None) -> bytes:
    """The filter for this machine's processor (or the named one); KeyError for a processor without a table. `alone`:
    no further process or thread either, nor what reaches one elsewhere; `bare`: for a jail without namespaces."""
    column, arch = _MACHINES[machine or os.uname().machine]
    lines = [_line(_LOAD, _ARCH), _line(_EQUAL, arch, 1, 0), _line(_RETURN, _KILL), _line(_LOAD, _NUMBER)]
    if column == 0:
        lines.append(_when(_AT_LEAST, 0x40000000, _ERRNO | ENOSYS))  # the x32 table
    lines.append(_when(_EQUAL, CLONE3[column], _ERRNO | ENOSYS))  # its flags lie in memory: callers fall back to clone
    lines += [_when(_EQUAL, numbers[column] or 0, _ERRNO | EPERM) for numbers in DENIED.values() if numbers[column]]
    lines += _alone(column) if alone else []
    if bare is None:
        lines.append(_on_argument(SOCKET[column], _ARG0, _when(_EQUAL, VSOCK, _ERRNO | EPERM)))
    lines += [] if bare is None else _bare(bare, column)
    asked = _line(_RETURN, _ASK) if bare is not None and "clone" in bare.asked else b""
    lines.append(_on_argument(CLONE[column], _ARG0, _when(_ANY_BIT, NEW_NAMESPACES, _ERRNO | EPERM) + asked))
    requests = TERMINAL_INJECTION + (FILE_FLAGS if bare is not None and bare.owned else ())
    injections = b"".join(_when(_EQUAL, request, _ERRNO | EPERM) for request in requests)
    lines.append(_on_argument(IOCTL[column], _ARG1, injections))
    lines.append(_line(_RETURN, _ALLOW))
    return b"".join(lines)


def number(name: str) -> int | None:
    """The number of a denied or asked call on this machine."""
    column, _ = _MACHINES[os.uname().machine]
    return {**DENIED, **OUTSIDE, **BY_PID, **ASKED}[name][column]
