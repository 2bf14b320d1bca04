"""Where experiments lie: new folders, the state folder, and which experiment is the latest. Opens no record."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path

from kernelfactory.files import state_folder
from kernelfactory.known import KNOWN, LATEST, remembered
from kernelfactory.model import BadInput


def remember(folder: Path) -> None:
    """`folder` is now the latest experiment. A state folder that cannot be written costs only this convenience."""
    from kernelfactory.files import write_atomic

    state = state_folder()
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(state / LATEST, os.fsencode(folder.resolve()) + b"\n")
        lines = [os.fsencode(path) for path in remembered() if path != folder.resolve()]
        write_atomic(state / KNOWN, b"".join(line + b"\n" for line in (*lines, os.fsencode(folder.resolve()))))
    except OSError as error:
        from kernelfactory.cli.terminal import warn

        warn(f"kf: cannot remember this experiment in {state} ({error.strerror}): name its folder in later commands")


def experiment(folder: Path | None) -> Path:
    """The experiment meant: the folder named, else the latest one made. Raises BadInput when it is none."""
    if folder is None:
        folder = _latest()
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder; give the folder of an experiment (kf run makes one)")
    if not (folder / "record.db").exists():
        raise BadInput(f"{folder} is no experiment (it holds no record.db); give the folder of one (kf run makes one)")
    return folder


def _latest() -> Path:
    try:
        named = (state_folder() / LATEST).read_bytes()
    except OSError:
        raise BadInput("no experiment was made here yet: kf demo makes one, or name a folder") from None
    folder = Path(os.fsdecode(named.rstrip(b"\n")))
    if not folder.is_dir():
        raise BadInput(f"the latest experiment, {folder}, is gone: name another folder")
    return folder


def new_folder(named: Path | None, problem: str) -> Path:
    """A new experiment: the folder named, else `experiments/<problem>-<time>`. Raises BadInput when it is in use."""
    if named is not None and not str(named).isprintable():
        raise BadInput(f"{str(named)!a}: name a new folder with printable characters only")
    if named is None:
        return _unused(Path(KNOWN) / f"{problem}-{time.strftime('%Y%m%d-%H%M%S')}")
    if os.path.exists(named) and not os.path.isdir(named):
        raise BadInput(f"{named} is a file: name a new folder with --dir")
    if os.path.isdir(named) and any(named.iterdir()):
        go_on = f", or go on with it: {kf()} resume {shlex.quote(str(named))}" if (named / "record.db").exists() else ""
        raise BadInput(f"{named} is not empty: name a new folder with --dir{go_on}")
    return named


def work_tree(folder: Path) -> Path | None:
    """The git repository that a folder lies in, told by its .git alone."""
    full = folder.resolve()
    return next((above for above in (full, *full.parents) if os.path.lexists(above / ".git")), None)


def can_be_made(folder: Path, option: str) -> None:
    """Make a folder with its parents, and take back what was not there. Raises BadInput that names `option`."""
    missing = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise BadInput(f"{folder} cannot be made ({error.strerror}): name another place with {option}") from error
    finally:
        for place in missing:
            with suppress(OSError):
                place.rmdir()


def _unused(folder: Path) -> Path:
    candidate, count = folder, 1
    while candidate.exists():
        count += 1
        candidate = folder.with_name(f"{folder.name}-{count}")
    return candidate


def kf() -> str:
    """How this command can be called again from here."""
    called = Path(sys.argv[0])
    if shutil.which("kf") is not None:
        return "kf"
    if called.name != "kf":
        return f"{shlex.quote(sys.executable)} -m kernelfactory"
    return shlex.quote(str(called) if called.is_absolute() else shown(called.absolute()))


def shown(folder: Path) -> str:
    """A path as short as it can be said from here."""
    full, here = folder.resolve(), Path.cwd()
    return str(full.relative_to(here)) if full.is_relative_to(here) else str(full)
