"""What a Landlock jail lets its command do with which files. Refuses to grant a folder that holds a hidden one.

Landlock knows no "except": a right to a folder is one to all below it. So what lies beside something hidden is granted
one by one, and the folders above it cannot be listed."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from kernelfactory import view
from kernelfactory.interpreter import PACKAGE, SHIPPED
from kernelfactory.jail.spec import Spec
from kernelfactory.view import Pair

_CREATE, _ADD, _PATH_BENEATH = 444, 445, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_REFER, _TRUNCATE, _IOCTL = 1 << 13, 1 << 14, 1 << 15
_ALL = (1 << 16) - 1
_SINCE = {_REFER: 2, _TRUNCATE: 3, _IOCTL: 5}
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_TCP, _TCP_SINCE = 3, 4
ABSTRACT, SIGNAL, SCOPES_SINCE = 1, 2, 6

READ = _EXECUTE | _READ_FILE | _READ_DIR
WRITE = _ALL & ~_MAKE_CHAR & ~_MAKE_BLOCK
LOOK = _READ_FILE | _READ_DIR
DEVICE = _READ_FILE | _WRITE_FILE | _IOCTL
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_OWN = ("/proc", "/dev", "/tmp")
"""What even a view of the whole machine does not take from it."""

Grant = tuple[str, int]


def granted(spec: Spec, room: str) -> list[Grant]:
    """(path, rights) of all that the command may touch; `room` is its own writable folder."""
    hidden = sorted({os.path.realpath(path) for path in (SHIPPED, *spec.hide, *_shadowed([*spec.read, *spec.write]))})
    made: list[Grant] = [(room, WRITE), *((device, DEVICE) for device in DEVICES)]
    if spec.whole:
        # the folder in which all rooms lie is somebody else's, too
        made += [(path, READ) for path in carved("/", [*hidden, *_OWN, os.path.dirname(room)])]
    else:
        made += [(mount.source, READ) for mount in view.base(False) if mount.kind == "read"]
    shows = spec.whole
    for pairs, rights in ((spec.read, READ), (spec.write, WRITE)):
        for source, _ in pairs:
            real = os.path.realpath(source)
            made += [(path, rights) for path in carved(real, [path for path in hidden if path != real])]
            shows = shows or view.inside(PACKAGE, real)
    made += [(_importable(hidden), _READ_DIR)] if shows else []
    return [*made, *([("/proc", LOOK)] if spec.proc else [])]


def _importable(hidden: Iterable[str]) -> str:
    """The folder that Python must be able to list so that it finds this package: where it lies, when nothing but the
    shipped problems is hidden in there (what they are called is no secret), else itself."""
    folder = os.path.dirname(PACKAGE)
    private = [path for path in hidden if view.inside(path, folder) and not view.inside(path, SHIPPED)]
    return PACKAGE if private else folder


def carved(root: str, hidden: Iterable[str]) -> Iterator[str]:
    """A folder, or what is in it one by one, without what is hidden strictly inside; nothing when it is hidden."""
    within = [path for path in hidden if view.inside(path, root)]
    if root in within:
        return
    if not within:
        yield root
        return
    with suppress(OSError):
        for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
            if not entry.is_symlink():  # what it leads to is granted where that lies, or not
                yield from carved(entry.path, within)


def _shadowed(pairs: Sequence[Pair]) -> Iterator[str]:
    """Folders that a bind would cover: those of another bind's source at the place of a deeper one."""
    for source, place in pairs:
        for outer, above in pairs:
            if place != above and view.inside(place, above):
                covered = os.path.join(os.path.realpath(outer), os.path.relpath(place, above))
                if os.path.realpath(covered) != os.path.realpath(source):
                    yield covered


# ── as the kernel takes it ───────────────────────────────────────────────────────────────────────


def _call(number: int, *arguments: int | bytes) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [word if isinstance(word, bytes) else ctypes.c_long(word) for word in arguments]
    answer: int = libc.syscall(ctypes.c_long(number), *words)
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"landlock: {os.strerror(code)}")
    return answer


def version() -> int:
    """Which version of Landlock this kernel has, 0 for none."""
    try:
        return _call(_CREATE, 0, 0, 1)
    except OSError:
        return 0


def ruleset(grants: Iterable[Grant], abi: int, *, network: bool) -> int:
    """A descriptor of the rules: what is not granted is denied, of files, TCP, signals and abstract sockets, as far as
    version `abi` goes. Close it. Raises OSError."""
    files = _ALL & ~sum(right for right, since in _SINCE.items() if abi < since)
    ports = _TCP if abi >= _TCP_SINCE and not network else 0
    fd = _call(_CREATE, *_attributes(files, ports, ABSTRACT | SIGNAL if abi >= SCOPES_SINCE else 0, abi))
    try:
        for path, rights in grants:
            _allow(fd, path, rights & files)
    except BaseException:
        os.close(fd)
        raise
    return fd


def scope() -> int:
    """A descriptor of rules that deny nothing but signals to the outside."""
    return _call(_CREATE, *_attributes(0, 0, SIGNAL, SCOPES_SINCE))


def _attributes(files: int, ports: int, scoped: int, abi: int) -> tuple[bytes, int, int]:
    words = (files, ports, scoped)[: 1 if abi < _TCP_SINCE else 2 if abi < SCOPES_SINCE else 3]
    return struct.pack(f"{len(words)}Q", *words), 8 * len(words), 0


def _allow(fd: int, path: str, rights: int) -> None:
    try:
        target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # it has gone, or is not for this user anyway
    try:
        if not stat.S_ISDIR(os.fstat(target).st_mode):
            rights &= _ON_FILES
        _call(_ADD, fd, _PATH_BENEATH, struct.pack("=Qi", rights, target), 0)
    finally:
        os.close(target)
