"""System calls and /proc, for what runs above a jailed tree. Refuses to import what takes time.

A part of the warden's program: its process has nothing of this package but the text of three modules."""

from __future__ import annotations

import _ctypes

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Any
else:  # its inner part: with the others it saves a third of the time that a warden takes to start
    import posix as os


class _Long(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "l"


class Char(_ctypes._SimpleCData):  # type: ignore[type-arg]
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
