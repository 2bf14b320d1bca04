"""Looks through a folder and its repositories for known programs. Opens every file beneath the folder without following
links, runs nothing, contacts nobody; what it could not look into, it says."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

import pygit2

from kernelfactory.files import blob_id
from kernelfactory.model import BadInput
from kernelfactory.publish.history import EXPERIMENT, FILE_BYTES, MARKS, PAGE, PRIVATE, History, is_page
from kernelfactory.publish.likeness import Index, Match
from kernelfactory.publish.store import Store, git_folder, remotes

FILES = 500_000
DEPTH = 100

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Leak:
    """A place that would give a program away: a path, in the folder or (`commit`) in a repository's history; ""
    where no commit has the content. Paths are hostile text."""

    where: str
    commit: str | None
    match: Match


@dataclass(frozen=True, slots=True)
class Sign:
    """A place that gives programs away whatever they are: what it is, in words."""

    where: str
    commit: str | None
    what: str


@dataclass(slots=True)
class Looked:
    """What was looked at and what was found. `unread`: what could not be looked into, and why; `notes`: what is no
    leak and worth a look."""

    leaks: list[Leak] = field(default_factory=list)
    signs: list[Sign] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    remotes: list[str] = field(default_factory=list)
    repositories: int = 0
    files: int = 0
    commits: int = 0
    blobs: int = 0


class Search:
    """One look at one folder."""

    def __init__(self, index: Index) -> None:
        self.found = Looked()
        self._index = index
        self._known: dict[str, Match | None] = {}

    def look(self, folder: Path) -> Looked:
        """Everything in `folder`. Raises BadInput when it cannot be opened."""
        try:
            opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise BadInput(f"{folder}: {error.strerror}; name a folder") from None
        try:
            if not self._is_bare(folder):
                self._walk(opened, folder, "", 0)
        finally:
            os.close(opened)
        return self.found

    def _is_bare(self, folder: Path) -> bool:
        """A bare repository has no files but its own."""
        if os.path.lexists(folder / ".git") or not (folder / "HEAD").is_file() or not (folder / "objects").is_dir():
            return False
        self._repository(folder, "")
        return True

    # ── files ──

    def _walk(self, opened: int, folder: Path, above: str, depth: int) -> None:
        with os.scandir(opened) as listed:
            names = sorted(entry.name for entry in listed)
        self._mark(opened, above, frozenset(names))
        for name in names:
            if self.found.files >= FILES:
                self.found.unread.append(f"all files after the first {FILES:,}")
                return
            if name == ".git":
                self._repository(folder, above)
            else:
                self._entry(opened, folder, above, name, depth)

    def _entry(self, opened: int, folder: Path, above: str, name: str, depth: int) -> None:
        try:
            mode = os.stat(name, dir_fd=opened, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                self._descend(opened, folder, f"{above}{name}/", depth + 1)
            elif stat.S_ISREG(mode):
                self._file(opened, above + name)
        except OSError as error:
            self.found.unread.append(f"{above}{name}: {error.strerror}")

    def _descend(self, opened: int, folder: Path, path: str, depth: int) -> None:
        if depth > DEPTH:
            self.found.unread.append(f"{path}: nested deeper than {DEPTH} folders")
            return
        name = path.rstrip("/").rpartition("/")[2]
        inner = os.open(name, _FLAGS | os.O_DIRECTORY, dir_fd=opened)
        try:
            self._walk(inner, folder / name, path, depth)
        finally:
            os.close(inner)

    def _file(self, opened: int, path: str) -> None:
        with os.fdopen(os.open(path.rpartition("/")[2], _FLAGS, dir_fd=opened), "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return
            whole = status.st_size <= FILE_BYTES
            data = _up_to(file.fileno(), FILE_BYTES + 1 if whole else 1 << 16)
        self.found.files += 1
        if whole and len(data) <= FILE_BYTES:
            self._judge(path, None, data, blob_id(data))
        else:
            self.found.unread.append(f"{path}: larger than {FILE_BYTES >> 20} MiB")
        self._page(path, None, data)

    def _mark(self, opened: int, path: str, names: frozenset[str]) -> None:
        """Is this an experiment's folder, or a problem's?"""
        if "record.db" in names and names & MARKS:
            toml = _text_of(opened, "problem", "problem.toml")
            if toml is None or PRIVATE.search(toml):
                self.found.signs.append(Sign(path or "./", None, EXPERIMENT))
        elif "problem.toml" in names and PRIVATE.search(_text_of(opened, "problem.toml") or b""):
            self.found.notes.append(f"{path or './'}: a problem with private solutions; its seed gives nothing away")

    # ── what is found ──

    def _judge(self, path: str, commit: str | None, data: bytes, blob: str) -> None:
        if match := self._match(path, data, blob):
            self.found.leaks.append(Leak(path, commit, match))

    def _match(self, name: str, data: bytes, blob: str) -> Match | None:
        if blob not in self._known:
            self._known[blob] = self._index.look(name, data, blob)
        return self._known[blob]

    def _page(self, path: str, commit: str | None, data: bytes) -> None:
        if is_page(path, data):
            self.found.signs.append(Sign(path, commit, PAGE))

    # ── repositories ──

    def _repository(self, folder: Path, above: str) -> None:
        try:
            git = git_folder(folder)
            if git is None:
                return
            history = History(Store(git / "objects"), self._match)
            self.found.remotes += remotes(git)
        except (BadInput, OSError, ValueError, pygit2.GitError) as error:
            self.found.unread.append(f"{above}.git: {error}")
            return
        self.found.repositories += 1
        self.found.commits += len(history.commits)
        self.found.blobs += history.blobs
        self.found.unread += [f"{above}.git: {line}" for line in history.unread]
        self.found.leaks += [Leak(above + path, commit, match) for path, commit, match in history.leaks()]
        self.found.signs += [Sign(above + path, commit, what) for path, commit, what in history.signs()]


def _up_to(file: int, size: int) -> bytes:
    pieces, left = [], size
    while left > 0 and (piece := os.read(file, min(left, 1 << 20))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _text_of(opened: int, *path: str) -> bytes | None:
    """The first 64 KiB of a plain file beneath an open folder; None where there is none."""
    held = os.dup(opened)
    try:
        for name in path[:-1]:
            inner = os.open(name, _FLAGS | os.O_DIRECTORY, dir_fd=held)
            os.close(held)
            held = inner
        file = os.open(path[-1], _FLAGS, dir_fd=held)
        try:
            return _up_to(file, 1 << 16) if stat.S_ISREG(os.fstat(file).st_mode) else None
        finally:
            os.close(file)
    except OSError:
        return None
    finally:
        os.close(held)
