"""A folder lent to an agent, and what comes back of it: the editable files and the notes. Trusts nothing it finds."""

from __future__ import annotations

import fcntl
import json
import math
import os
import secrets
import stat
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from kernelfactory import cage, files, process
from kernelfactory.gateway import Route
from kernelfactory.gateway.doors import Gateway
from kernelfactory.jail import Jail, Reach, cage_uid, of_cages, own
from kernelfactory.model import Assignment, BadInput, BadIntake, Problem
from kernelfactory.pipes import Halt
from kernelfactory.problem import RESERVED, is_editable
from kernelfactory.process import PLAIN, Finished, Options
from kernelfactory.view import Pair

PREFIX = "kf-"
WORK, HOME, GATE, KEPT = "work", "home", "gate", "kept"
INNER_PORT = 8118
INNER = f"http://127.0.0.1:{INNER_PORT}"
"""Where a cage with a network of its own finds the gateway."""

LOCAL = "127.0.0.1,localhost,::1"
BRIEF, NOTES = RESERVED[:2]
NOTES_BYTES = 64 << 10
OUTPUT_BYTES = 8 << 20
TALK_BYTES = 256 << 10
"""Kept of each output of an agent, without and with a transcript of its own."""

_DEEP, _MANY = 32, 10_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Ground:
    """Where an experiment's workspaces lie and what holds them. `masked`: folders that a caged agent must not see,
    beside `root` itself, the problem and the homes: the experiment above all. `gateway`: the way to models."""

    root: Path
    jail: Jail
    problem: Problem
    masked: tuple[str, ...] = ()
    gateway: Gateway | None = None


@dataclass(frozen=True, slots=True)
class Outfit:
    """What an agent's cage has beside its folder: `show`, files and folders of the machine, read-only at their own
    paths (also where the cage masks the folder); `share`: (source, place) that it may write; `routes` and `hosts`:
    where it may go (see Agent); `refused` is told what it may not reach; `check`: asked before each request to its
    model, says why there may be no more."""

    show: Sequence[str] = ()
    share: Sequence[Pair] = ()
    routes: Sequence[Route] = ()
    hosts: Sequence[str] = ()
    refused: Callable[[str], None] = lambda text: None
    check: Callable[[], str | None] = lambda: None


BARE = Outfit()


def lend(
    assignment: Assignment, ground: Ground, *, slot: int = 0, outfit: Outfit = BARE, again: Path | None = None
) -> Workspace:
    """A new workspace for one attempt, filled. Whoever lends it must close it. `again`: the kept base of an attempt
    whose session goes on: its home stays, its folder is filled anew at the same path. Raises OSError (disk, rights),
    BadInput (`again` is not there any more)."""
    ground.root.mkdir(parents=True, exist_ok=True)
    base = _reopened(again) if again is not None else ground.root / f"{PREFIX}{secrets.token_hex(12)}"
    if again is None:
        base.mkdir(mode=0o700)
    uid = _user(slot, outfit.share) if ground.jail.holds else None
    workspace = Workspace(base, ground.jail, uid)
    try:
        _fill(workspace, assignment, ground.problem)
        workspace.reach = _door(ground, outfit, base / GATE)
        workspace.held = cage.Cage(
            workspace=str(base / WORK),
            masked=(str(ground.root), ground.problem.folder, *ground.masked),
            show=tuple((path, path) for path in outfit.show),
            share=tuple(outfit.share),
            home=str(workspace.home),
            reach=workspace.reach.reach if workspace.reach else (),
            uid=uid,
        )
        own(base, uid)
    except BaseException:
        workspace.close()
        raise
    return workspace


def _user(slot: int, share: Sequence[Pair]) -> int | None:
    """Who the cage runs as: where root runs it, whoever of the cages' users owns what is shared (a login of its own, so
    that it can be read), else the slot's."""
    uid = cage_uid(slot)
    if uid is None:
        return None
    for source, _ in share:
        with suppress(OSError):  # what is not there is told when it is to be shown
            if of_cages(owner := os.stat(source).st_uid):
                return owner
    return uid


@dataclass(frozen=True, slots=True)
class Reached:
    """The way out of one cage: `address` and `proxy` as they are used inside, with a `token` where they need one;
    `close` shuts it."""

    address: str
    proxy: str
    token: str
    reach: tuple[Reach, ...]
    close: Callable[[], None]


def _door(ground: Ground, outfit: Outfit, folder: Path) -> Reached | None:
    """A door of the gateway for one attempt, where its agent has anywhere to go."""
    if ground.gateway is None or not (outfit.routes or outfit.hosts):
        return None
    folder.mkdir(mode=0o700, exist_ok=True)
    inner = ground.jail.name == "bubblewrap"
    door = ground.gateway.open(
        outfit.routes, outfit.hosts, tcp=not inner, folder=str(folder), on_refused=outfit.refused, check=outfit.check
    )
    address, proxy = (INNER, INNER) if inner else (door.address, door.proxy)
    port = INNER_PORT if inner else door.port
    return Reached(address, proxy, door.token, (Reach(port, door.socket),), door.close)


def _reopened(base: Path) -> Path:
    """A kept base, its folder gone: what an agent left in there is not needed, and not trusted."""
    if not (base / KEPT).is_file():
        raise BadInput(f"{base} is not kept any more")
    for name in (WORK, GATE):
        if os.path.lexists(base / name):
            remove(base / name)
    (base / KEPT).unlink()
    return base


def _fill(workspace: Workspace, assignment: Assignment, problem: Problem) -> None:
    workspace.home.mkdir(mode=0o700, exist_ok=True)
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
    could not be read. Below `base` (0700, unpredictable) lie `folder`, the agent's, and its throw-away `home`;
    `reach`: its way out, if it has one; `held`: what its processes see."""

    held: cage.Cage
    reach: Reached | None = None

    def __init__(self, base: Path, jail: Jail, uid: int | None) -> None:
        self.base = base
        self.folder = base / WORK
        self.home = base / HOME
        self.cage = jail.name if jail.holds else "none"
        self.faults: list[str] = []
        self._jail = jail
        self._uid = uid
        self._lock: int | None = os.open(base, _FOLDER)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def home_inside(self) -> str:
        """Its home as its processes see it."""
        return cage.HOME if self.cage == "bubblewrap" else str(self.home)  # no other jail can move a folder

    def put(self, name: str, data: bytes) -> None:
        """Write a file of the home, its folders made, as the agent's own. What an earlier attempt left in its way goes,
        whatever it is. Raises BadIntake for a name that is no plain relative path."""
        *folders, last = files.checked(name)
        at = os.open(self.base, _FOLDER)
        try:
            for part in (HOME, *folders):
                outer, at = at, _entered(part, at, self._uid)
                os.close(outer)
            with suppress(FileNotFoundError):
                _cleared(last, at)
            made = os.open(last, _NEW, 0o600, dir_fd=at)
        finally:
            os.close(at)
        with os.fdopen(made, "wb") as file:
            if self._uid is not None:
                os.fchown(made, self._uid, self._uid)
            file.write(data)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        seconds: float = 3600.0,
        options: Options = PLAIN,
        stop: Halt | None = None,
    ) -> Finished:
        """Run a process in the folder, in the cage when there is one, with a scrubbed environment plus `env`, for at
        most `seconds` or until `stop` is set; its tree is gone afterwards. Of each output the first OUTPUT_BYTES are
        kept, TALK_BYTES with a talk. Raises OSError when it cannot be started."""
        kept = OUTPUT_BYTES if options.talk is None else TALK_BYTES
        options = replace(options, cwd=str(self.folder), output_bytes=kept, keep_going=True)
        env = {**self._proxies(), **(env or {})}
        if self.cage != "none":
            spec = self.held.spec(argv, env=env, seconds=seconds)
            return self._jail.run(spec, stdin=stdin, options=options, stop=stop)
        plain = {"PATH": _path(), "HOME": str(self.home), "TMPDIR": str(self.home), "LANG": "C.UTF-8", **env}
        return process.run(argv, env=plain, seconds=seconds, stdin=stdin, stop=stop, options=options)

    def _proxies(self) -> dict[str, str]:
        """How programs are told of the only way out: also where nothing is allowed, so that they hear it at once."""
        if self.reach is None or not self.reach.proxy:
            return {}
        names = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
        return {**dict.fromkeys(names, self.reach.proxy), **dict.fromkeys(("NO_PROXY", "no_proxy"), LOCAL)}

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

    def keep(self, until: float) -> None:
        """Leave home and folder for a later attempt, at most until then (epoch seconds): see `lend`."""
        self._shut()
        if self._lock is not None:
            files.write_atomic(self.base / KEPT, repr(until).encode())
            os.close(self._lock)
            self._lock = None

    def _shut(self) -> None:
        if self.reach is not None:
            self.reach.close()
            self.reach = None

    def close(self) -> None:
        """Remove the folder and the home, whatever the agent made there, unless they are kept. May be called twice.
        What cannot be removed is told in `faults` and stays for `leftovers`: no attempt's result is lost over it."""
        self._shut()
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


def leftovers(root: Path, now: float = math.inf) -> list[Path]:
    """Workspaces below `root` whose process is gone (each living one holds a lock) and that are not kept beyond `now`
    (epoch seconds), for `remove`."""
    return [base for base in sorted(root.glob(f"{PREFIX}*")) if _kept_until(base) <= now and _abandoned(base)]


def _kept_until(base: Path) -> float:
    try:
        return float((base / KEPT).read_text("ascii"))
    except (OSError, ValueError):
        return 0.0


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
        _cleared(base.name, parent)
    finally:
        os.close(parent)


def _entered(name: str, folder: int, uid: int | None) -> int:
    """The folder `name` in an open one, opened and that user's; a new one when it is none."""
    try:
        opened = _opened(name, folder)
    except OSError:
        with suppress(FileNotFoundError):
            _cleared(name, folder)
        os.mkdir(name, 0o700, dir_fd=folder)
        opened = _opened(name, folder)
    if uid is not None:
        os.fchown(opened, uid, uid)
    return opened


def _cleared(name: str, folder: int) -> None:
    """Remove what is called `name` in an open folder, and all below it."""
    waiting = [name]
    while waiting:
        waiting += _remove(waiting.pop(), folder, folder, 0)


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
        later, full = [], True
        while full:  # who is still writing must not keep this going
            names = _some(opened)
            later += [deep for inner in names for deep in _remove(inner, opened, top, depth + 1)]
            full = len(names) == _MANY
    finally:
        os.close(opened)
    os.rmdir(name, dir_fd=folder)
    return later


def _some(folder: int) -> list[str]:
    """Names in an open folder, few enough to be held."""
    with os.scandir(folder) as found:
        return [entry.name for entry in islice(found, _MANY)]


def _opened(name: str, folder: int) -> int:
    """An open descriptor of a folder that may now be read, entered and emptied."""
    try:
        opened = os.open(name, _FOLDER, dir_fd=folder)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=folder)
        opened = os.open(name, _FOLDER, dir_fd=folder)
    os.fchmod(opened, 0o700)
    return opened
