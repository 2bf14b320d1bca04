"""The file of a record: made, opened, checked, migrated; what disks say, in one line. Refuses to know rows."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from kernelfactory.model import BadInput, Experiment, KernelFactoryError

VERSION = 3
APPLICATION = 0x4B466163
"""`PRAGMA application_id` of a record ("KFac")."""
DATABASE = "record.db"
QUICK_CHECK_BYTES = 16 << 20
"""Files up to this size are checked whole when opened; larger ones in the tables that can be checked at once."""


class RecordFull(KernelFactoryError):
    """No room for another row; what was recorded is intact."""

    exit_code = 3


class RecordReadOnly(BadInput):
    """The file or its folder cannot be written."""


class RecordRefused(KernelFactoryError):
    """A row that contradicts the record (a state that goes back, an attempt that is not there)."""


@dataclass(frozen=True, slots=True)
class Options:
    """For tests and odd places: `max_pages` bounds the file (4 KiB each); `steps` are the migrations, by the version
    they lead to (None: those that are shipped)."""

    max_pages: int | None = None
    steps: Mapping[int, str] | None = None


# ── making and opening ───────────────────────────────────────────────────────────────────────────


def create(path: Path, experiment: Experiment, options: Options) -> sqlite3.Connection:
    """A new file with its one experiment. BadInput: there is one already."""
    db = _prepared(path, options)
    try:
        if db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            raise BadInput(
                f"{path.parent} holds an experiment already: kf resume {path.parent}, or choose another folder"
            )
        _fill(db, experiment)
        _sync_folder(path.parent)
    except BaseException:
        db.close()
        raise
    return db


def _fill(db: sqlite3.Connection, experiment: Experiment) -> None:
    schema = resources.files("kernelfactory").joinpath("schema.sql").read_text("utf-8")
    metric = experiment.metric
    db.executescript(
        f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};\n{schema}"
    )
    db.execute(
        "INSERT INTO experiment VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(experiment.name, experiment.problem, experiment.digest, metric.name, metric.unit, metric.goal),
            *(metric.impossible, json_text(metric.reference), experiment.policy, experiment.islands, experiment.seed),
            *("\n".join(experiment.agents), int(experiment.private), experiment.created_at),
        ),
    )
    axes = [(axis.name, axis.low, axis.high) for axis in experiment.axes]
    db.executemany("INSERT INTO axis (name, low, high) VALUES (?, ?, ?)", axes)
    db.execute("COMMIT")


def open_to_write(path: Path, options: Options) -> sqlite3.Connection:
    """The file, checked and of this version. BadInput: damaged, newer, or too old."""
    db = connect(path, "mode=rw")
    try:
        version = check_file(db, path)
        _check_integrity(db, path)
    finally:
        db.close()
    db = _prepared(path, options)
    try:
        if version < VERSION:
            _migrate(db, path, version, options.steps if options.steps is not None else _shipped_steps())
    except BaseException:
        db.close()
        raise
    return db


def _prepared(path: Path, options: Options) -> sqlite3.Connection:
    db = connect(path, "mode=rwc")
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = 1", f"journal_size_limit = {64 << 20}"):
        db.execute(f"PRAGMA {pragma}")
    if options.max_pages is not None:
        db.execute(f"PRAGMA max_page_count = {options.max_pages}")
    return db


def _check_integrity(db: sqlite3.Connection, path: Path) -> None:
    small = path.stat().st_size <= QUICK_CHECK_BYTES
    for table in ("",) if small else ("(experiment)", "(run)", "(best)", "(tally)"):
        answer = db.execute(f"PRAGMA quick_check{table}").fetchone()[0]
        if answer != "ok":
            raise damaged(path, answer.splitlines()[-1])


def _migrate(db: sqlite3.Connection, path: Path, version: int, steps: Mapping[int, str]) -> None:
    missing = [number for number in range(version + 1, VERSION + 1) if number not in steps]
    if missing:
        raise BadInput(
            f"{path} was written by an older kernelfactory (record {version}) that this one cannot bring up to date"
        )
    copy = connect(copy_of(path, version), "mode=rwc")
    db.backup(copy)
    copy.close()
    text = "\n".join(steps[number] for number in range(version + 1, VERSION + 1))
    db.execute("PRAGMA foreign_keys = 0")  # a table that is made anew is gone for a moment
    try:
        db.executescript(f"BEGIN IMMEDIATE;\n{text}\nPRAGMA user_version = {VERSION};")
        if db.execute("PRAGMA foreign_key_check").fetchone():
            raise sqlite3.IntegrityError("rows would point at nothing")
        db.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise BadInput(f"{path} could not be brought up to date ({error}); it is as it was") from error
    finally:
        db.execute("PRAGMA foreign_keys = 1")


def copy_of(path: Path, version: int) -> Path:
    """Where a record is copied to before it is migrated."""
    return path.with_name(f"{DATABASE}.v{version}")


def _shipped_steps() -> dict[int, str]:
    folder = resources.files("kernelfactory").joinpath("migrations")
    return {int(item.name[:4]): item.read_text("utf-8") for item in folder.iterdir() if item.name.endswith(".sql")}


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Says in one line what SQLite or the system says about the disk."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _explained(path, error) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(path) from error
        raise RecordReadOnly(f"{path.parent} cannot be written ({error.strerror}): choose another folder") from error


def _explained(path: Path, error: sqlite3.DatabaseError) -> KernelFactoryError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    match code:
        case sqlite3.SQLITE_FULL:
            return _full(path)
        case sqlite3.SQLITE_IOERR if os.statvfs(path.parent).f_bavail < 256:
            return _full(path)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return RecordReadOnly(f"{path} cannot be written ({error}): make its folder writable; nothing was changed")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return damaged(path, error)
    return RecordRefused(f"the record {path} refused: {error}")


def _full(path: Path) -> RecordFull:
    return RecordFull(f"no room left for {path}: free some, then kf resume {path.parent}; nothing recorded is lost")


# ── opening ──────────────────────────────────────────────────────────────────────────────────────


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """A connection with rows by name, no implicit transactions; `mode` as in SQLite's URI ("ro", "rw", "rwc")."""
    try:
        db = sqlite3.connect(
            f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None, check_same_thread=False, timeout=10.0
        )
    except sqlite3.OperationalError as error:
        raise BadInput(f"{path} cannot be opened ({error}): see to its rights; nothing was changed") from error
    db.row_factory = sqlite3.Row
    return db


def check_file(db: sqlite3.Connection, path: Path) -> int:
    """The version of the record; BadInput when the file is none, is damaged, or is newer than this program."""
    try:
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.DatabaseError as error:
        raise _explained(path, error) from error
    if application != APPLICATION:
        raise BadInput(f"{path} is not a KernelFactory record; nothing was changed")
    if version > VERSION:
        raise BadInput(
            f"{path} was written by a newer kernelfactory (record {version}, this one reads {VERSION}): update"
        )
    return version


def damaged(path: Path, error: object) -> BadInput:
    detail = " ".join(str(error).split())
    return BadInput(f"{path} is damaged ({detail}); nothing was changed: restore a copy, or start a new experiment")


def database(folder: Path) -> Path:
    """Where the record of an experiment lies; BadInput when the folder holds none."""
    path = Path(folder) / DATABASE
    if not path.is_file():
        raise BadInput(f"{folder} holds no {DATABASE}: give the folder of an experiment (kf run makes one)")
    return path


def connect_for_reading(path: Path) -> sqlite3.Connection:
    """`mode=ro`; a folder that cannot be written and has no log left to read is opened as immutable."""
    db = connect(path, "mode=ro")
    try:
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError as error:
        db.close()
        if path.with_name(f"{DATABASE}-wal").exists():
            raise _explained(path, error) from error
        return connect(path, "immutable=1")
    except sqlite3.DatabaseError:
        pass
    return db


def json_text(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
