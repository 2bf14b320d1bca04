"""The reading side of the record: questions asked of the SQLite file, while its writer runs or later. Refuses to write
and to migrate."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from kernelfactory.model import (
    TRUST_ORDER,
    BadInput,
    Event,
    Measurement,
    Note,
    Outcome,
    State,
    Trust,
)
from kernelfactory.record import queries
from kernelfactory.record.agents import Agents
from kernelfactory.record.owner import owner
from kernelfactory.record.rows import (
    Attempt,
    Best,
    Improvement,
    IslandRow,
    Refusal,
    Run,
    Spent,
    attempt_json,
    attempt_of,
    columns,
    event_of,
    plain,
    token_digest,
)
from kernelfactory.record.store import VERSION, check_file, connect_for_reading, database


@dataclass(frozen=True, slots=True)
class Filter:
    """Which attempts; None: whatever."""

    state: State | None = None
    outcome: Outcome | None = None
    island: int | None = None
    agent: str | None = None
    parent: int | None = None


class Reader(Agents):
    """Questions to one record. Values are copies: nothing read here changes later. Attempt 0 is the seed.

    `Reader.open(folder)` opens read-only. Every call may raise BadInput when the file turns out to be damaged.
    """

    @classmethod
    def open(cls, folder: str | Path) -> Reader:
        """Read-only, also while the writer runs. BadInput: no record there, damaged, or newer than this program."""
        path = database(Path(folder))
        db = connect_for_reading(path)
        try:
            if check_file(db, path) < VERSION:
                raise BadInput(f"{path} was written by an older kernelfactory: kf resume {folder} brings it up to date")
            db.execute("PRAGMA query_only = 1")
            return cls(db, Path(folder))
        except BaseException:
            db.close()
            raise

    # what happened

    def attempt(self, attempt: int) -> Attempt:
        """BadInput when there is no such attempt."""
        rows = self._all(f"SELECT {queries.ATTEMPT} FROM attempt WHERE attempt = ?", attempt)
        if not rows:
            raise BadInput(f"{self.folder} has no attempt {attempt}: kf attempts lists those there are")
        return attempt_of(rows[0])

    def attempts(self, which: Filter = Filter(), limit: int | None = None, offset: int = 0) -> list[Attempt]:
        """In order; the seed is not among them."""
        return [attempt_of(row) for row in self._page(queries.ATTEMPT, which, limit, offset)]

    def attempts_json(
        self, which: Filter = Filter(), limit: int | None = None, offset: int = 0
    ) -> list[dict[str, Any]]:
        """What `kf attempts --json` prints."""
        score = "(SELECT score FROM measurement m WHERE m.measurement = attempt.measurement) AS shown"
        answer = []
        for row in self._page(f"{queries.ATTEMPT}, {score}", which, limit, offset):
            values = dict(row)
            shown = values.pop("shown")
            item = attempt_of(values)
            answer.append(attempt_json(item, shown, self.flags(item.attempt) if item.flagged else ()))
        return answer

    def flags(self, attempt: int) -> list[dict[str, str]]:
        """Every tripwire that fired in an attempt."""
        rows = self._all("SELECT DISTINCT flags FROM measurement WHERE attempt = ? AND flags <> '[]'", attempt)
        return [flag for row in rows for flag in json.loads(row["flags"])]

    def measurements(self, attempt: int) -> list[Measurement]:
        """Every judged snapshot of an attempt, in order."""
        rows = self._all("SELECT * FROM measurement WHERE attempt = ? ORDER BY number", attempt)
        return [self._measurement(row) for row in rows]

    def measurement(self, measurement: int) -> Measurement:
        """BadInput when there is no such measurement."""
        rows = self._all("SELECT * FROM measurement WHERE measurement = ?", measurement)
        if not rows:
            raise BadInput(f"{self.folder} has no measurement {measurement}")
        return self._measurement(rows[0])

    def best_valid(self, attempt: int) -> Measurement | None:
        """The best accepted snapshot of an attempt; a confirmation speaks for its tree; of equals, the later."""
        rows = self._all(queries.STANDING.format(order=self._order), attempt)
        return self._measurement(rows[0]) if rows else None

    def cached(self, tree: str, ruler_digest: str, jail: str, trust: Trust) -> Measurement | None:
        """A measurement of this tree by this ruler in this jail, worth this trust, that would come out the same;
        confirmations first. Never a quarantined one, a timeout or a crash."""
        rows = self._all(queries.CACHED, tree, ruler_digest, jail, trust)
        return self._measurement(rows[0]) if rows else None

    def events(self, after: int = 0) -> Iterator[Event]:
        """What the population folds, in recorded order; read in pieces."""
        while rows := self._all(queries.EVENTS, after, 5000):
            yield from map(event_of, rows)
            after = rows[-1]["seq"]

    def by_token(self, token: str) -> Attempt | None:
        """The attempt this token was given to, in whatever state."""
        rows = self._all(f"SELECT {queries.ATTEMPT} FROM attempt WHERE token_hash = ?", token_digest(token))
        return attempt_of(rows[0]) if rows else None

    def open_attempts(self) -> list[Attempt]:
        """Claimed and submitted ones."""
        return self._where("state IN ('claimed', 'submitted')")

    def expired(self, now: float) -> list[Attempt]:
        """Claimed ones whose lease is over."""
        return self._where("state = 'claimed' AND lease_until < ?", now)

    # notes

    def lineage(self, attempt: int, depth: int = 64) -> tuple[int, ...]:
        """The attempt, its parent, and so on, back to the seed or for `depth` steps."""
        return tuple(row["attempt"] for row in self._all(queries.LINEAGE, attempt, depth))

    def notes(self, attempts: Iterable[int] | None = None, *, told: bool = False) -> list[Note]:
        """Notes left by these attempts, in the order given (None: by all, in order). Hostile text. Attempts with a
        flagged or forged snapshot say nothing. `told`: with scores as agents may know them."""
        said = f"SELECT {queries.TOLD_NOTE if told else queries.NOTE} FROM attempt WHERE notes <> '' AND flagged = 0"
        if attempts is None:
            return [Note(**row) for row in self._all(f"{said} ORDER BY attempt")]
        order = list(attempts)
        rows = self._all(f"{said} AND attempt IN (SELECT value FROM json_each(?))", json.dumps(order))
        by_attempt = {row["attempt"]: Note(**row) for row in rows}
        return [by_attempt[attempt] for attempt in order if attempt in by_attempt]

    def failed_notes(self, parent: int, limit: int = 8) -> list[Note]:
        """Notes of attempts on this parent that did not improve it, newest first; scores as agents may know them."""
        rows = self._all(
            f"SELECT {queries.TOLD_NOTE} FROM attempt WHERE parent = ? AND outcome <> 'improved' AND notes <> ''"
            " AND flagged = 0 ORDER BY attempt DESC LIMIT ?",
            parent,
            limit,
        )
        return [Note(**row) for row in rows]

    def stored(self, tree: str) -> str | None:
        """A commit that holds this tree, if a measurement names one."""
        rows = self._all('SELECT "commit" FROM measurement WHERE tree = ? AND "commit" IS NOT NULL LIMIT 1', tree)
        return rows[0]["commit"] if rows else None

    def untold(self, attempt: int) -> bool:
        """Has the agent of this attempt, which costs money, not told what it spent? One that tells it while it works
        has, to the last request."""
        return bool(self._all(queries.UNTOLD, attempt))

    # where it stands

    def best(self) -> Best | None:
        """The best confirmed program of the strongest trust there is; the seed when nothing is confirmed yet."""
        for trust in reversed(TRUST_ORDER):
            if rows := self._all(queries.BEST.format(order=self._order), trust):
                return Best(**rows[0])
        seed = self._all(
            'SELECT attempt, measurement, score, "commit", tree, trust FROM attempt'
            " WHERE attempt = 0 AND score IS NOT NULL"
        )
        return Best(**seed[0]) if seed else None

    def outcomes(self) -> dict[str, int]:
        """How many attempts ended how."""
        return self._counts(
            "SELECT outcome, count(*) FROM attempt WHERE outcome IS NOT NULL AND attempt > 0 GROUP BY 1"
        )

    def baseline(self) -> float | None:
        """The seed's score."""
        rows = self._all("SELECT score FROM attempt WHERE attempt = 0")
        return rows[0]["score"] if rows else None

    def curve(self) -> list[Improvement]:
        """Each time the best changed, and what it had cost by then; the seed first."""
        return [
            Improvement(**row) for row in self._all(f"SELECT {columns(Improvement, 'best')} FROM best ORDER BY seq")
        ]

    def spent(self) -> Spent:
        return Spent(**self._one(f"SELECT {columns(Spent, 'tally')} FROM tally"))

    def best_measurement(self) -> Measurement | None:
        """The measurement behind `best()`."""
        best = self.best()
        return None if best is None else self.measurement(best.measurement)

    def islands(self) -> list[IslandRow]:
        answer = []
        numbers = json.dumps(list(range(self.experiment.islands)))
        for row in self._all(queries.ISLANDS.format(pick=self._pick), numbers):
            island, best = row["island"], row["best"]
            stale = self._one(queries.STALE, island, island, row["first"], best)[0]
            answer.append(IslandRow(island, row["candidates"], best, row["visits"], stale))
        return answer

    def runs(self) -> list[Run]:
        """Every `kf run` and `kf resume`, in order."""
        rows = self._all("SELECT * FROM run ORDER BY run")
        bools = ("unprotected", "switching")
        return [Run(**{**dict(row), **{name: bool(row[name]) for name in bools}}) for row in rows]

    def refusals(self) -> list[Refusal]:
        """Verbs that were refused, in order."""
        return [Refusal(**row) for row in self._all("SELECT * FROM refusal ORDER BY refusal")]

    def state(self) -> tuple[str, str | None]:
        """running, stopped or finished, and why."""
        rows = self._all("SELECT state, why FROM run ORDER BY run DESC LIMIT 1")
        if not rows:
            return ("running" if owner(self.folder) is not None else "stopped"), None
        if rows[0]["state"] == "running" and owner(self.folder) is None:
            return "stopped", f"its process ended without a word: kf resume {self.folder} goes on"
        return rows[0]["state"], rows[0]["why"]

    def status(self, now: float = 0.0) -> dict[str, Any]:
        """What `kf status --json` prints, from one snapshot, without waits and kept sessions that are over at `now`."""
        with self._lock:
            own = not self._db.in_transaction
            if own:
                self._db.execute("BEGIN")
            try:
                return self._status(now)
            finally:
                if own:
                    self._db.execute("ROLLBACK")

    # how it is asked

    def _status(self, now: float) -> dict[str, Any]:
        (state, why), best, spent = self.state(), self.best(), self.spent()
        counts = dict.fromkeys(("claimed", "submitted", "judged", "abandoned"), 0)
        counts |= self._counts("SELECT state, count(*) FROM attempt WHERE attempt > 0 GROUP BY state")
        verdicts = self._counts("SELECT verdict, count(*) FROM measurement WHERE attempt > 0 GROUP BY verdict")
        return {
            "experiment": self.experiment.name,
            "problem": self.experiment.problem,
            "state": state,
            "why": why,
            "metric": self.experiment.metric.name,
            "goal": self.experiment.metric.goal,
            "attempts": counts,
            "measurements": spent.measurements,
            "rejected": verdicts.get("rejected", 0),
            "quarantined": verdicts.get("quarantined", 0),
            "waiting": len(self.held()),
            "reasons": self._counts(queries.REASONS),
            "best": best
            and {
                "attempt": best.attempt,
                "score": plain(best.score),
                "commit": best.commit,
                "tree": best.tree,
                "trust": best.trust,
            },
            "baseline": plain(self.baseline()),
            "spent": {
                "dollars": spent.dollars,
                "dollars_unknown": spent.dollars_unknown,
                "tokens": spent.tokens,
                "seconds": spent.agent_seconds,
                "judge_seconds": spent.judge_seconds,
            },
            "refused": self._one("SELECT ifnull(sum(times), 0) FROM refusal")[0],
            "islands": [
                {
                    "island": row.island,
                    "candidates": row.candidates,
                    "best": plain(row.best),
                    "visits": row.visits,
                    "stale": row.stale,
                }
                for row in self.islands()
            ],
            "agents": self.agents(now),
            "kept": self._kept_json(now),
            "incidents": self._counts("SELECT kind, count(*) FROM incident GROUP BY kind ORDER BY kind"),
        }

    def _page(self, names: str, which: Filter, limit: int | None, offset: int) -> list[sqlite3.Row]:
        asked = {field.name: getattr(which, field.name) for field in fields(Filter)}
        given = {name: value for name, value in asked.items() if value is not None}
        where = "".join(f" AND {name} = ?" for name in given)
        return self._all(
            f"SELECT {names} FROM attempt WHERE attempt > 0{where} ORDER BY attempt LIMIT ? OFFSET ?",
            *given.values(),
            -1 if limit is None else limit,
            offset,
        )

    def _where(self, condition: str, *values: object) -> list[Attempt]:
        return [
            attempt_of(row)
            for row in self._all(f"SELECT {queries.ATTEMPT} FROM attempt WHERE {condition} ORDER BY attempt", *values)
        ]
