"""Folders to values and back, opened beneath with links not followed. Refuses to trust what a folder holds."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import secrets
import shutil
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from kernelfactory.model import BadInput, BadIntake, Files

SKIPPED = frozenset({".kf", ".git", "__pycache__"})
DEPTH = 32
ENTRIES = 200_000
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


@dataclass(frozen=True, slots=True)
class Caps:
    """How much a folder may hold: bytes of one file, bytes of all, number of files."""

    file_bytes: int = 8 << 20
    total_bytes: int = 64 << 20
    count: int = 2000


# ── globs: a state is what remains of a glob, segment by segment ─────────────────────────────────

_State = tuple[str, ...]


def _open_states(states: frozenset[_State]) -> frozenset[_State]:
    """`**` may stand for no segment at all."""
    grown = set(states)
    for state in states:
        while state and state[0] == "**":
            state = state[1:]  # noqa: PLW2901
            grown.add(state)
    return frozenset(grown)


def _step(states: frozenset[_State], name: str) -> tuple[frozenset[_State], frozenset[_State]]:
    """The states after one path segment: (by a segment that names it, by `**`)."""
    named, swept = set(), set()
    for state in _open_states(states):
        if state and state[0] == "**":
            swept.add(state)
        elif state and fnmatchcase(name, state[0]):
            named.add(state[1:])
    return frozenset(named), frozenset(swept)


def _start(globs: Sequence[str]) -> frozenset[_State]:
    for glob in globs:
        parts = glob.split("/")
        if not glob or any(part in ("", ".", "..") for part in parts):
            raise BadInput(f"glob {glob!r}: write a relative path such as 'kernel.py' or 'src/**/*.c'")
    return frozenset(tuple(glob.split("/")) for glob in globs)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


def shown(name: str) -> str:
    """A hostile name on one printable line."""
    return ascii(name)[1:-1][:200]


def _skipped(name: str) -> bool:
    """Also what git takes for `.git` on file systems that hold upper and lower case for the same."""
    return name in SKIPPED or name.lower() == ".git"


def _plain(name: str) -> bool:
    return not any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in name)


class _Reader:
    """One walk over one folder: what was read so far, against the caps."""

    def __init__(self, caps: Caps) -> None:
        self.caps = caps
        self.files: dict[str, bytes] = {}
        self.total = 0
        self.entries = 0

    def walk(self, folder: int, prefix: tuple[str, ...], states: frozenset[_State]) -> None:
        if len(prefix) > DEPTH:
            raise BadIntake(f"{shown('/'.join(prefix))}: nested deeper than {DEPTH} folders; flatten it")
        for name in self._names(folder):
            if _skipped(name):
                continue
            named, swept = _step(states, name)
            if named or swept:
                self._entry(folder, (*prefix, name), named, swept)

    def _names(self, folder: int) -> Iterator[str]:
        with os.scandir(folder) as found:
            names = []
            for entry in found:
                self.entries += 1
                if self.entries > ENTRIES:
                    raise BadIntake(f"the folder holds more than {ENTRIES} entries; remove what is not needed")
                names.append(entry.name)
        return iter(sorted(names))

    def _entry(self, folder: int, path: tuple[str, ...], named: frozenset[_State], swept: frozenset[_State]) -> None:
        whole = () in _open_states(named | swept)
        try:
            mode = os.stat(path[-1], dir_fd=folder, follow_symlinks=False).st_mode
        except OSError as error:
            raise BadIntake(f"{shown('/'.join(path))}: {error.strerror}") from None
        if stat.S_ISDIR(mode):
            self._descend(folder, path, named | swept)
        elif stat.S_ISREG(mode):
            if whole:
                self._take(folder, path)
        elif whole or any(named):
            raise BadIntake(f"{shown('/'.join(path))}: is {_what(mode)}, not a regular file; put a plain file there")

    def _descend(self, folder: int, path: tuple[str, ...], states: frozenset[_State]) -> None:
        if not any(states):
            return
        inner = _open(path, folder, os.O_DIRECTORY)
        try:
            self.walk(inner, path, states)
        finally:
            os.close(inner)

    def _take(self, folder: int, path: tuple[str, ...]) -> None:
        name = "/".join(path)
        if not _plain(name):
            raise BadIntake(f"{shown(name)}: the name is not plain UTF-8 text; rename the file")
        if len(self.files) >= self.caps.count:
            raise BadIntake(f"{shown(name)}: more than {self.caps.count} files; remove what is not needed")
        data = self._read(folder, path)
        self.files[name] = data
        self.total += len(data)
        if self.total > self.caps.total_bytes:
            raise BadIntake(f"{shown(name)}: the files pass {self.caps.total_bytes} bytes together; make them smaller")

    def _read(self, folder: int, path: tuple[str, ...]) -> bytes:
        cap = self.caps.file_bytes
        opened = _open(path, folder, 0)
        with os.fdopen(opened, "rb", buffering=0) as file:
            status = os.fstat(opened)
            if not stat.S_ISREG(status.st_mode):
                raise BadIntake(f"{shown('/'.join(path))}: is {_what(status.st_mode)}, not a regular file")
            data = b"" if status.st_size > cap else _read_at_most(file.fileno(), cap + 1)
        if status.st_size > cap or len(data) > cap:
            raise BadIntake(f"{shown('/'.join(path))}: larger than {cap} bytes; make it smaller")
        return data


def _read_at_most(file: int, size: int) -> bytes:
    pieces, left = [], size
    while left > 0 and (piece := os.read(file, min(left, 1 << 20))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _what(mode: int) -> str:
    kinds = ((stat.S_ISLNK, "a symbolic link"), (stat.S_ISFIFO, "a FIFO"), (stat.S_ISSOCK, "a socket"))
    return next((text for test, text in kinds if test(mode)), "a device")


def _open(path: tuple[str, ...], folder: int | None, flags: int) -> int:
    try:
        return os.open(path[-1], _FLAGS | flags, dir_fd=folder)
    except OSError as error:
        link = error.errno in (errno.ELOOP, errno.ENOTDIR)
        why = "is not a plain file or folder" if link else error.strerror
        raise BadIntake(f"{shown('/'.join(path))}: {why}") from None


def read_tree(folder: str | Path | int, globs: Sequence[str], caps: Caps | None = None) -> dict[str, bytes]:
    """The regular files under `folder` (a path, or an open folder's descriptor) that match one of `globs`
    (fnmatch in each path segment; `**`: any number of segments), by POSIX path.

    Every component is opened beneath its folder without following links, so a hostile folder can show only what
    lies in it, also while it changes. What is called `.kf`, `.git` (a file of that name points git elsewhere) or
    `__pycache__` is not looked at.
    Raises BadIntake, naming the file, for a matching link, FIFO, socket or device, a link on the way that a glob
    names, a name that is not plain UTF-8, or when `caps` are passed."""
    reader = _Reader(caps if caps is not None else Caps())
    states = _start(globs)
    opened = os.dup(folder) if isinstance(folder, int) else _open((os.fspath(folder),), None, os.O_DIRECTORY)
    try:
        reader.walk(opened, (), states)
    finally:
        os.close(opened)
    return reader.files


def read_head(folder: str | Path, name: str, size: int) -> bytes:
    """The first `size` bytes of the regular file `name` right in `folder`; empty when there is none. Raises BadIntake
    for a link, FIFO, socket or device."""
    opened = _open((os.fspath(folder),), None, os.O_DIRECTORY)
    try:
        file = os.open(name, _FLAGS, dir_fd=opened)
    except FileNotFoundError:
        return b""
    except OSError:
        raise BadIntake(f"{shown(name)}: is not a plain file") from None
    finally:
        os.close(opened)
    try:
        if not stat.S_ISREG(mode := os.fstat(file).st_mode):
            raise BadIntake(f"{shown(name)}: is {_what(mode)}, not a regular file")
        return _read_at_most(file, size)
    finally:
        os.close(file)


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def checked(name: str) -> tuple[str, ...]:
    """The parts of a plain relative path. Raises BadIntake for any other."""
    parts = tuple(name.split("/"))
    if any(part in ("", ".", "..") for part in parts) or not _plain(name):
        raise BadIntake(f"{shown(name)!r}: not a plain relative path")
    return parts


def _write(path: Path, data: bytes, *, sync: bool) -> None:
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(opened, "wb", buffering=0) as file:
        os.fchmod(opened, 0o644)
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        if sync:
            os.fsync(opened)


def _make_folders(base: Path, parts: Sequence[str]) -> None:
    for part in parts:
        base = base / part
        try:
            base.mkdir()
            base.chmod(0o755)
        except FileExistsError:
            if base.is_symlink() or not base.is_dir():
                raise BadIntake(f"{shown(str(base))}: is both a file and a folder") from None


def write_tree(folder: str | Path, files: Files, *, sync: bool = False) -> None:
    """Write `files` under `folder` (made when absent), files 0644 and folders 0755; others that lie there stay.
    Raises BadIntake for a name that is absolute, empty or holds `..`, and for a file that is also a folder."""
    base = Path(folder)
    base.mkdir(parents=True, exist_ok=True)
    made: set[tuple[str, ...]] = set()
    for name, data in sorted(files.items()):
        parts = checked(name)
        if parts[:-1] not in made:
            _make_folders(base, parts[:-1])
            made.add(parts[:-1])
        try:
            _write(base.joinpath(*parts), data, sync=sync)
        except OSError as error:
            if error.errno not in (errno.EISDIR, errno.ELOOP):
                raise
            raise BadIntake(f"{shown(name)}: a folder or link is in the way") from None


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def write_atomic(path: str | Path, data: bytes) -> None:
    """Replace the file at `path` by `data`: a crash leaves the old or the new one, whole and on disk."""
    target = Path(path)
    fresh = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        _write(fresh, data, sync=True)
        fresh.rename(target)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two names in one step (renameat2(2)); False where the system or file system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    done: int = renameat2(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE)
    return done == 0


def replace_folder(path: str | Path, files: Files) -> None:
    """Make the folder at `path` hold exactly `files`, atomically: written beside, synced, then exchanged.
    A crash leaves the old or the new folder (and a `.NAME.…` beside it, removed by the next call)."""
    target = Path(path)
    for left in target.parent.glob(f".{target.name}.????????????"):
        shutil.rmtree(left)
    fresh = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    write_tree(fresh, files, sync=True)
    fresh.chmod(0o755)
    if not target.exists():
        fresh.rename(target)
    elif not _exchange(fresh, target):
        old = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
        target.rename(old)
        fresh.rename(target)
        fresh = old
    _sync_folder(target.parent)
    if fresh.exists():
        shutil.rmtree(fresh)


def state_folder() -> Path:
    """Where this machine's state lies: `$KF_STATE`, else `$XDG_STATE_HOME/kernelfactory`, else
    `~/.local/state/kernelfactory`."""
    if named := os.environ.get("KF_STATE"):
        return Path(named)
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(base) / "kernelfactory"


def free_bytes(path: str | Path) -> int:
    """What an ordinary user may still write on the file system of `path`, in bytes."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


# ── names of content ─────────────────────────────────────────────────────────────────────────────


def _object_id(kind: bytes, data: bytes) -> bytes:
    return hashlib.sha1(kind + b" %d\0" % len(data) + data, usedforsecurity=False).digest()


def blob_id(data: bytes) -> str:
    """git's name of a file's content."""
    return _object_id(b"blob", data).hex()


def tree_id(files: Files) -> str:
    """git's name of a folder whose files are all plain (mode 100644)."""
    return _tree({tuple(name.split("/")): data for name, data in files.items()}).hex()


def _tree(files: dict[tuple[str, ...], bytes]) -> bytes:
    lines: dict[bytes, bytes] = {}
    folders: dict[str, dict[tuple[str, ...], bytes]] = {}
    for path, data in files.items():
        if len(path) == 1:
            name = path[0].encode()
            lines[name] = b"100644 " + name + b"\0" + _object_id(b"blob", data)
        else:
            folders.setdefault(path[0], {})[path[1:]] = data
    for folder, inner in folders.items():
        name = folder.encode()
        lines[name + b"/"] = b"40000 " + name + b"\0" + _tree(inner)
    return _object_id(b"tree", b"".join(lines[key] for key in sorted(lines)))


def digest(files: Files) -> str:
    """ "sha256:…" over the sorted paths and contents, each with its length before it."""
    whole = hashlib.sha256()
    for name, data in sorted((name.encode(), data) for name, data in files.items()):
        whole.update(b"%d %d\n" % (len(name), len(data)) + name + data)
    return "sha256:" + whole.hexdigest()
