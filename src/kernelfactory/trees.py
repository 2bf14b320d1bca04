"""Every program of an experiment, in one bare git repository that plain git reads. Refuses to run hooks, to follow the
user's git configuration, and to forget."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pygit2
from pygit2.enums import ConfigLevel, FileMode

from kernelfactory import process
from kernelfactory.files import free_bytes
from kernelfactory.model import BadInput, BadIntake, Files, KernelFactoryError

NAME, EMAIL = "KernelFactory", "kf@localhost"
BEST = "refs/heads/best"
DIFF_CHARACTERS = 400_000
LITTLE = 1 << 20
"""Free bytes; libgit2 often does not say why a write failed, so with less than this left it was for want of room."""
_OBJECT = re.compile(r"[0-9a-f]{40}")
_REF = re.compile(r"refs(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+")
_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
"""What some file systems leave out of names when they compare them."""
_CONFIG = """[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
\thooksPath = /dev/null
\tlogAllRefUpdates = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
"""


class TreesFull(KernelFactoryError):
    """No room for another program; those stored are intact."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Commit:
    """Git's ids of a commit and of its tree (40 hexadecimal digits)."""

    commit: str
    tree: str


class Trees:
    """The content store. Usable from many threads. Ids are git's own; equal files, parents, message and time give the
    same commit anywhere. On disk (fsync) before a call returns."""

    def __init__(self, folder: str | Path) -> None:
        """Open. BadInput: no repository there, or it is damaged."""
        self.folder = Path(folder)
        self._local = threading.local()
        self._lock = threading.RLock()
        self._repository()

    @classmethod
    def create(cls, folder: str | Path) -> Trees:
        """A new, empty repository; BadInput when the folder holds one already."""
        folder = Path(folder)
        if (folder / "HEAD").exists():
            raise BadInput(f"{folder} holds a repository already: choose another folder")
        _prepare()
        with _explained(folder):
            pygit2.init_repository(str(folder), bare=True, initial_head="best")
            shutil.rmtree(folder / "hooks", ignore_errors=True)
            (folder / "config").write_text(_CONFIG, "utf-8")
            (folder / "description").write_text("Every program of this experiment; see refs/candidates.\n", "utf-8")
        return cls(folder)

    def commit(
        self, files: Files, *, parents: Sequence[str] = (), message: str, ref: str | None = None, at: float = 0.0
    ) -> Commit:
        """Store a folder. `at`: epoch seconds, whole ones are kept. `ref`: the name that keeps it for good
        (`refs/candidates/<attempt>/<measurement>`); without one it is kept only as somebody's parent.

        BadIntake: a path git cannot hold. BadInput: a parent that is not here. TreesFull: no room.
        """
        repository = self._repository()
        for parent in parents:
            self._object(parent, pygit2.Commit)
        who = pygit2.Signature(NAME, EMAIL, int(at), 0)
        text = message.encode("utf-8", "replace").decode().replace("\0", "�").rstrip("\n") + "\n"
        nested = _nested(files)

        def store() -> tuple[str, str]:
            tree = _store(repository, nested)
            return str(repository.create_commit(None, who, who, text, tree, list(parents))), str(tree)

        with self._lock, _explained(self.folder):
            commit, tree = _again(store)
        if ref is not None:
            self.point(ref, commit)
        return Commit(commit, tree)

    def point(self, ref: str, commit: str) -> None:
        """Make a name (`refs/…`) mean this commit, atomically."""
        if not _REF.fullmatch(ref) or ".." in ref or ref.endswith(".lock"):
            raise BadInput(f"{ref!r} is no name for a program")
        self._object(commit, pygit2.Commit)
        with self._lock, _explained(self.folder):
            path = self.folder / ref
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = self.folder / f"kf-ref-{secrets.token_hex(8)}"
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            try:
                os.write(descriptor, f"{commit}\n".encode())
                os.fsync(descriptor)
                beside.rename(path)
            finally:
                os.close(descriptor)
                beside.unlink(missing_ok=True)
            _sync(path.parent)

    def resolve(self, ref: str) -> str | None:
        """The commit that a name means, or None."""
        with _explained(self.folder):
            found = self._repository().references.get(ref)
            return None if found is None else str(found.peel(pygit2.Commit).id)

    def read(self, name: str) -> dict[str, bytes]:
        """The files of a commit or tree, by path. BadInput: it is not here."""
        with _explained(self.folder):
            return dict(_walk(self._object(name, pygit2.Tree)))

    def exists(self, name: str) -> bool:
        """Is there a commit or tree of this id?"""
        return _OBJECT.fullmatch(name) is not None and name in self._repository()

    def ancestry(self, commit: str, limit: int = 64) -> tuple[str, ...]:
        """The commit, its first parent, and so on."""
        found = [self._object(commit, pygit2.Commit)]
        while len(found) < limit and found[-1].parents:
            found.append(found[-1].parents[0])
        return tuple(str(item.id) for item in found)

    def diff(self, a: str, b: str, characters: int = DIFF_CHARACTERS) -> str:
        """Unified text from commit or tree `a` to `b`, cut after so many characters (and says so)."""
        with _explained(self.folder):
            text = self._repository().diff(self._object(a, pygit2.Tree), self._object(b, pygit2.Tree)).patch or ""
        if len(text) <= characters:
            return text
        kept = text[:characters].rpartition("\n")[0]
        return f"{kept}\n[cut: {len(text) - len(kept):,} characters more]\n"

    def pack(self, seconds: float = 600.0) -> None:
        """Put loose objects and names together (about every 500 commits): 25 KB a program become 1. Drops nothing.
        Programs can be stored meanwhile. KernelFactoryError: git is missing or failed; nothing is lost then."""
        self._git(("repack", "-d", "-l", "-q", "--geometric=2"), seconds)
        with self._lock:
            self._git(("pack-refs", "--all"), seconds)

    # how it is done

    def _git(self, words: tuple[str, ...], seconds: float) -> None:
        git = shutil.which("git")
        if git is None:
            raise KernelFactoryError("git is not installed: programs stay unpacked, which only takes more room")
        settings = ("-c", "core.fsync=all", "-c", "repack.writeBitmaps=false", "-c", "pack.threads=1")
        argv = (git, *settings, "-c", "safe.directory=*", "--git-dir", str(self.folder.absolute()), *words)
        env = {"PATH": os.defpath, "HOME": "/nonexistent", "LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1"}
        ended = process.run(argv, env=env | {"GIT_CONFIG_GLOBAL": "/dev/null"}, seconds=seconds)
        if ended.returncode != 0:
            said = " ".join(ended.stderr.decode("utf-8", "replace").split())[:300]
            raise KernelFactoryError(f"git {words[0]} in {self.folder} failed: {said or ended.returncode}")

    def _repository(self) -> pygit2.Repository:
        """One a thread: libgit2 does not share them."""
        if not hasattr(self._local, "repository"):
            _prepare()
            try:
                self._local.repository = pygit2.Repository(str(self.folder))
            except pygit2.GitError as error:
                raise BadInput(f"{self.folder} holds no readable git repository ({error}): restore a copy") from error
        found: pygit2.Repository = self._local.repository
        return found

    def _object(self, name: str, kind: Any) -> Any:
        if _OBJECT.fullmatch(name) is None:
            raise BadInput(f"{name!r} is no id of a program: 40 hexadecimal digits are")
        with _explained(self.folder):
            found = self._repository().get(name)
            if found is None:
                raise BadInput(f"{self.folder} holds no program {name}")
            try:
                return found.peel(kind)
            except (pygit2.GitError, pygit2.InvalidSpecError) as error:
                raise BadInput(f"{name} in {self.folder} is no {kind.__name__.lower()}") from error


# ── folders as git's trees ───────────────────────────────────────────────────────────────────────

_Folder = dict[str, Any]
"""A name to bytes or to a further _Folder."""


def _nested(files: Files) -> _Folder:
    top: _Folder = {}
    for path, data in files.items():
        *folders, name = _parts(path)
        here = top
        for folder in folders:
            here = here.setdefault(folder, {})
            if not isinstance(here, dict):
                raise BadIntake(f"{path!r} lies under a file of the same name: rename one of them")
        if name in here:
            raise BadIntake(f"{path!r} is a file and a folder: rename one of them")
        here[name] = data
    return top


def _parts(path: str) -> list[str]:
    parts = path.split("/")
    for part in parts:
        plain = _IGNORED.sub("", part).rstrip(" .").lower()
        if plain in ("", ".git", "git~1", ".gitmodules") or re.search("[\0-\x1f\x7f\ud800-\udfff]", part):
            raise BadIntake(f"{path!r} is no path a program may have: rename it")
    return parts


def _store(repository: pygit2.Repository, folder: _Folder) -> pygit2.Oid:
    builder = repository.TreeBuilder()
    for name, item in folder.items():
        if isinstance(item, dict):
            builder.insert(name, _store(repository, item), FileMode.TREE)
        else:
            builder.insert(name, repository.create_blob(bytes(item)), FileMode.BLOB)
    return builder.write()


def _walk(tree: pygit2.Tree, above: str = "") -> Iterator[tuple[str, bytes]]:
    for item in tree:
        if isinstance(item, pygit2.Tree):
            yield from _walk(item, f"{above}{item.name}/")
        elif isinstance(item, pygit2.Blob):
            yield f"{above}{item.name}", item.data


@cache
def _prepare() -> None:
    """libgit2, once a process: everything reaches the disk, nobody's configuration or templates are read."""
    pygit2.settings.enable_fsync_gitdir(True)
    pygit2.settings.owner_validation = False
    for level in (ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL):
        pygit2.settings.search_path[level] = ""


def _again(store: Callable[[], tuple[str, str]], times: int = 10) -> tuple[str, str]:
    """Packing takes away folders that it has emptied, and libgit2 gives up when that happens under its hands."""
    for _ in range(times):
        try:
            return store()
        except (pygit2.GitError, OSError) as error:
            if "No such file" not in str(error):
                raise
    return store()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Says in one line what git or the system says about the disk."""
    try:
        yield
    except (pygit2.GitError, OSError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or free_bytes(folder) < LITTLE:
            raise TreesFull(f"no room left for {folder}: free some, then go on; nothing stored is lost") from error
        raise BadInput(f"{folder} cannot be used ({error}): make it writable, or restore a copy") from error
