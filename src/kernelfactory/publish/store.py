"""Git's objects, straight from the folder they lie in. Runs no git, obeys no configuration, follows no link, and
refuses a store with anything in it that reading could hang on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pygit2

from kernelfactory.files import read_head
from kernelfactory.model import BadInput, BadIntake

ENTRIES = 1_000_000
KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
_POINTER_BYTES = 4096
_CONFIG_BYTES = 1 << 20
_REMOTE = re.compile(r'^\s*\[\s*remote\s+"((?:\\.|[^"\\\n])*)"\s*\]', re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a tree. `name` as text, undecodable bytes kept as surrogates."""

    name: str
    oid: str
    folder: bool
    file: bool


class Store:
    """The objects of one repository. Raises BadInput when the folder is not fit to be read; what is damaged or
    vanishes reads as None."""

    def __init__(self, objects: Path) -> None:
        refuse_odd(objects)
        self._odb = pygit2.Odb(str(objects))

    def __iter__(self) -> Iterator[str]:
        """The id of every object, once; also of those that no name leads to."""
        return iter(sorted({str(oid) for oid in self._odb}))

    def header(self, oid: str) -> tuple[str, int] | None:
        """(kind, bytes) without reading the content."""
        with suppress(KeyError, ValueError, OverflowError, pygit2.GitError):
            kind, size = self._odb.read_header(oid)
            return KINDS.get(int(kind), "other"), size
        return None

    def read(self, oid: str) -> bytes | None:
        """The content. Ask for the header first: its size is whatever the object says."""
        with suppress(KeyError, ValueError, MemoryError, pygit2.GitError):
            return bytes(self._odb.read(oid)[1])
        return None


def refuse_odd(objects: Path, depth: int = 5) -> None:
    """Raises BadInput unless all that reading this store would open is plain files and folders, alternates included."""
    if depth == 0:
        raise BadInput("its alternates lead to further and further stores")
    for count, entry in enumerate(_below(objects)):
        if count >= ENTRIES:
            raise BadInput(f"more than {ENTRIES:,} files of objects: pack them (git gc) and ask again")
        if not entry.is_file(follow_symlinks=False):
            raise BadInput("its objects are not all plain files (a link, a FIFO or a device lies among them)")
    for line in _small(objects / "info", "alternates").splitlines():
        if line.strip() and not line.startswith("#"):
            refuse_odd(objects / line.strip(), depth - 1)


def _below(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Everything under a folder that is no folder itself."""
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                else:
                    yield entry


def git_folder(folder: Path) -> Path | None:
    """The folder that holds the objects/ of the repository at `folder`: its .git, itself when bare, or where a .git
    file points. None: no repository. Raises BadInput when that cannot be told safely."""
    dot = folder / ".git"
    if os.path.islink(dot):
        raise BadInput(".git is a link")
    if dot.is_dir():
        return _common(dot)
    if dot.is_file():
        pointer = _small(folder, ".git")
        if not pointer.startswith("gitdir:"):
            raise BadInput(".git is a file that points nowhere")
        return _common(folder / pointer.removeprefix("gitdir:").strip())
    bare = (folder / "objects").is_dir() and (folder / "HEAD").is_file()
    return folder if bare else None


def _common(git: Path) -> Path:
    """A worktree keeps its objects in the repository that it belongs to."""
    shared = _small(git, "commondir").strip()
    return git / shared if shared else git


def remotes(git: Path) -> list[str]:
    """The names of the remotes in a repository's configuration, whose other lines are not read. Hostile text."""
    found = _REMOTE.findall(_small(git, "config", _CONFIG_BYTES))
    return list(dict.fromkeys(re.sub(r"\\(.)", r"\1", name) for name in found))


def _small(folder: Path, name: str, size: int = _POINTER_BYTES) -> str:
    """A small text file, or nothing. Raises BadInput for what is no plain file."""
    if not folder.is_dir():
        return ""
    try:
        return read_head(folder, name, size).decode("utf-8", "surrogateescape")
    except BadIntake as error:
        raise BadInput(str(error)) from None


# ── what the objects say ─────────────────────────────────────────────────────────────────────────


def entries(tree: bytes) -> Iterator[Entry]:
    """The lines of a tree object; ends at the first that makes no sense."""
    at = 0
    while at < len(tree):
        space, null = tree.find(b" ", at), tree.find(b"\0", at)
        if not at < space < null or null + 21 > len(tree):
            return
        mode = tree[at:space]
        name = tree[space + 1 : null].decode("utf-8", "surrogateescape")
        kind = mode.lstrip(b"0")
        yield Entry(name, tree[null + 1 : null + 21].hex(), kind == b"40000", kind.startswith(b"100"))
        at = null + 21


def commit_facts(commit: bytes) -> tuple[str | None, float]:
    """A commit's tree and its time (epoch seconds)."""
    head = commit.split(b"\n\n", 1)[0].decode("utf-8", "replace")
    tree = re.search(r"^tree ([0-9a-f]{40})$", head, re.MULTILINE)
    when = re.search(r"^committer .* (\d{1,12}) [+-]\d{4}$", head, re.MULTILINE)
    return (tree[1] if tree else None), float(when[1]) if when else 0.0
