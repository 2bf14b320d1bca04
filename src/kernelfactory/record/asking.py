"""How the record is asked: one connection behind one lock, rows by name. Refuses to know what they mean."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from kernelfactory.model import Experiment, Measurement
from kernelfactory.record.rows import experiment_of, measurement_of
from kernelfactory.record.store import DATABASE, damaged, disk


class Asking:
    """One connection to a record. Every call may raise BadInput when the file turns out to be damaged."""

    def __init__(self, db: sqlite3.Connection, folder: Path, lock: threading.RLock | None = None) -> None:
        self._db = db
        self._lock = lock if lock is not None else threading.RLock()
        self.folder = Path(folder)
        self._path = self.folder / DATABASE
        self.experiment: Experiment = experiment_of(
            self._one("SELECT * FROM experiment"), self._all("SELECT * FROM axis ORDER BY axis")
        )
        self._order = "ASC" if self.experiment.metric.goal == "min" else "DESC"
        self._pick = self.experiment.metric.goal

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _measurement(self, row: sqlite3.Row) -> Measurement:
        return measurement_of(row, self.experiment.problem, self.experiment.digest)

    def _counts(self, sql: str) -> dict[str, int]:
        return {row[0]: row[1] for row in self._all(sql)}

    def _one(self, sql: str, *values: object) -> sqlite3.Row:
        rows = self._all(sql, *values)
        if not rows:
            raise damaged(self._path, "a row that must be there is missing")
        return rows[0]

    def _all(self, sql: str, *values: object) -> list[sqlite3.Row]:
        with self._lock, disk(self._path):
            return self._db.execute(sql, values).fetchall()
