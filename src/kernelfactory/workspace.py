"""A folder lent to an agent, and what comes back of it: the editable files and the notes. Trusts nothing it finds."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import stat
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kernelfactory import cage, files, process
from kernelfactory.jail import Jail, cage_uid, own
from kernelfactory.model import Assignment, BadIntake, Problem
from kernelfactory.problem import RESERVED, is_editable
from kernelfactory.process import Finished, Options

PREFIX = "kf-"
WORK = "work"
BRIEF, NOTES = RESERVED[:2]
NOTES_BYTES = 64 << 10
OUTPUT_BYTES = 8 << 20
_DEEP = 32
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Ground:
    """Where an experiment's workspaces lie and what holds them. `masked`: folders that a caged agent must not see,
    beside `root` itself, the problem and the homes: the experiment above all."""

    root: Path
    jail: Jail
    problem: Problem
    masked: tuple[str, ...] = ()


def lend(
    assignment: Assignment, ground: Ground, *, slot: int = 0, network: bool = False, show: Sequence[str] = ()
) -> Workspace:
    """A new workspace for one attempt, filled. Whoever lends it must close it. `show`: files of the machine that its
    cage shows read-only at their own paths, also where it masks the folder. Raises OSError (disk, rights)."""
    ground.root.mkdir(parents=True, exist_ok=True)
    base = ground.root / f"{PREFIX}{secrets.token_hex(12)}"
    base.mkdir(mode=0o700)
    uid = cage_uid(slot) if ground.jail.holds else None
    held = cage.Cage(
        workspace=str(base / WORK),
        masked=(str(ground.root), ground.problem.folder, *ground.masked),
        show=tuple((path, path) for path in show),
        share=((str(base / "home"), cage.HOME),),
        uid=uid,
        network=network,
    )
    workspace = Workspace(base, ground.jail, held)
    try:
        _fill(workspace, assignment, ground.problem)
        own(base, uid)
    except BaseException:
        workspace.close()
        raise
    return workspace


def _fill(workspace: Workspace, assignment: Assignment, problem: Problem) -> None:
    workspace.home.mkdir(mode=0o700)
    facts = {
        "attempt": assignment.attempt,
        "seconds": assignment.limits.seconds,
        "parent_score": assignment.parent_score,
        "metric": problem.metric.name,
        "goal": problem.metric.goal,
        "editable": list(problem.editable),
    }
    given = {
        f".kf/inspirations/{n}/{name}": data
        for n, found in assignment.inspirations.items()
        for name, data in found.items()
    }
    own_files = {
        BRIEF: assignment.brief.encode(),
        NOTES: b"",
        ".kf/token": assignment.token.encode(),
        ".kf/assignment.json": json.dumps(facts).encode(),
    }
    files.write_tree(workspace.folder, {**assignment.files, **given, **own_files})
    os.chmod(workspace.folder / ".kf/token", 0o600)


class Workspace:
    """One lent folder. `cage` names the jail that holds its processes, or is "none"; `faults` says in words what
    could not be read. Below `base` (0700, unpredictable) lie `folder`, the agent's, and its throw-away `home`."""

    def __init__(self, base: Path, jail: Jail, held: cage.Cage) -> None:
        self.base = base
        self.folder = base / WORK
        self.home = base / "home"
        self.cage = jail.name if jail.holds else "none"
        self.faults: list[str] = []
        self._jail = jail
        self._held = held
        self._lock: int | None = os.open(base, _FOLDER)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        seconds: float = 3600.0,
        on_line: Callable[[str], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Finished:
        """Run a process in the folder, in the cage when there is one, with a scrubbed environment plus `env`, for at
        most `seconds` or until `stop` is set; its tree is gone afterwards. Of each output the first OUTPUT_BYTES are
        kept. Raises OSError when it cannot be started."""
        options = Options(cwd=str(self.folder), output_bytes=OUTPUT_BYTES, keep_going=True, on_line=on_line)
        if self.cage != "none":
            spec = self._held.spec(argv, env=env or {}, seconds=seconds)
            return self._jail.run(spec, stdin=stdin, options=options, stop=stop)
        plain = {"PATH": _path(), "HOME": str(self.home), "TMPDIR": str(self.home), "LANG": "C.UTF-8", **(env or {})}
        return process.run(argv, env=plain, seconds=seconds, stdin=stdin, stop=stop, options=options)

    def collect(self, editable: Sequence[str]) -> tuple[dict[str, bytes] | None, str | None]:
        """The regular files that match `editable`, or None and the reason why they cannot be had."""
        try:
            found = files.read_tree(self.folder, editable)
        except (BadIntake, OSError) as error:
            self.faults.append(str(error))
            return None, str(error)
        return {name: data for name, data in found.items() if is_editable(name, editable)}, None

    def notes(self) -> str:
        """The first NOTES_BYTES of progress.md; empty when it is not there or no regular file. Hostile text."""
        try:
            return files.read_head(self.folder, NOTES, NOTES_BYTES).decode("utf-8", "replace")
        except (BadIntake, OSError) as error:
            self.faults.append(str(error))
            return ""

    def close(self) -> None:
        """Remove the folder and the home, whatever the agent made there. May be called twice. What cannot be removed
        is told in `faults` and stays for `leftovers`: an attempt's result is not lost over it."""
        if self._lock is None:
            return
        for pause in (0.0, 0.05, 0.2, 0.5):  # an uncaged process may still be ending, and writing
            time.sleep(pause)
            with suppress(OSError):
                remove(self.base)
            if not os.path.lexists(self.base):
                break
        else:
            self.faults.append(f"{self.base} cannot be removed; kf clean tries again")
        os.close(self._lock)
        self._lock = None

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _path() -> str:
    own_tools = os.path.dirname(sys.executable)
    return os.pathsep.join(dict.fromkeys((own_tools, *os.environ.get("PATH", "/usr/bin:/bin").split(os.pathsep))))


def left_notes(folder: str | None) -> str:
    """The notes in a workspace whose run is gone: as `Workspace.notes`."""
    try:
        return "" if folder is None else files.read_head(folder, NOTES, NOTES_BYTES).decode("utf-8", "replace")
    except (BadIntake, OSError):
        return ""


def leftovers(root: Path) -> list[Path]:
    """Workspaces below `root` whose process is gone (each living one holds a lock), for `remove`."""
    return [base for base in sorted(root.glob(f"{PREFIX}*")) if _abandoned(base)]


def _abandoned(base: Path) -> bool:
    with suppress(OSError):
        opened = os.open(base, _FOLDER)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False
        finally:
            os.close(opened)
    return False


def remove(base: Path) -> None:
    """Remove a folder and all below it: never follows a link, opens what was closed (mode 000), and takes trees of
    any depth. What cannot be removed (another user's) raises OSError."""
    parent = os.open(base.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        waiting = [base.name]
        while waiting:
            waiting += _remove(waiting.pop(), parent, parent, 0)
    finally:
        os.close(parent)


def _remove(name: str, folder: int, top: int, depth: int) -> list[str]:
    """Remove `name` in the open `folder`; folders deeper than _DEEP are moved to `top`, under the names returned."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=folder)
        return []
    opened = _opened(name, folder)
    try:
        if depth == _DEEP:
            moved = f"{PREFIX}{secrets.token_hex(16)}"
            os.rename(name, moved, src_dir_fd=folder, dst_dir_fd=top)
            return [moved]
        with os.scandir(opened) as found:
            names = [entry.name for entry in found]
        later = [deep for inner in names for deep in _remove(inner, opened, top, depth + 1)]
    finally:
        os.close(opened)
    os.rmdir(name, dir_fd=folder)
    return later


def _opened(name: str, folder: int) -> int:
    """An open descriptor of a folder that may now be read, entered and emptied."""
    try:
        opened = os.open(name, _FOLDER, dir_fd=folder)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=folder)
        opened = os.open(name, _FOLDER, dir_fd=folder)
    os.fchmod(opened, 0o700)
    return opened
