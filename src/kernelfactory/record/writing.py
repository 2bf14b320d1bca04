"""The writing side of the record: one process at a time, each fact once. Refuses to decide anything: it keeps what it
is told, and guards that states only go forward."""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from kernelfactory.model import (
    BadInput,
    Duel,
    Experiment,
    Outcome,
    Verdict,
    Work,
)
from kernelfactory.record.dealing import Dealing
from kernelfactory.record.owner import own, refuse_network
from kernelfactory.record.rows import (
    ClaimRow,
    Saying,
    shallow,
    text,
    token_digest,
)  # fmt: skip
from kernelfactory.record.spending import handed_in
from kernelfactory.record.store import (
    DATABASE,
    VERSION,
    Options,
    RecordRefused,
    check_file,
    connect_for_reading,
    copy_of,
    create,
    database,
    disk,
    json_text,
    open_to_write,
)

Purpose = Literal["screen", "confirm", "rejudge", "release"]

ORDINARY = Options()
REFUSALS = 100
"""Different refusals kept an attempt; further ones are counted in one row."""


class Record(Dealing):
    """The one writer of an experiment, and a Reader. Usable from many threads: one connection behind one lock.

    Every verb is a transaction of its own, or joins the one that is open (`with record.transaction():`). Raises
    RecordFull or RecordReadOnly when the disk says so, LostClaim when an attempt is not in the state the verb needs.
    """

    _owned: int

    @classmethod
    def create(cls, folder: str | Path, experiment: Experiment, options: Options = ORDINARY) -> Record:
        """A new record in `folder` (made if need be), open for writing. BadInput: there is one already."""
        path = Path(folder) / DATABASE
        refuse_network(Path(folder).absolute().parent)
        with disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        return _owning(path, lambda: create(path, experiment, options), cls)

    @classmethod
    def open(cls, folder: str | Path, options: Options = ORDINARY) -> Record:
        """For writing, by this process alone. BadInput: no record, damaged, newer than this program, in use by another
        process, or on a network file system. An older one is copied beside itself, then migrated."""
        path = database(Path(folder))
        return _owning(path, lambda: open_to_write(path, options), cls)

    def close(self) -> None:
        """Also lets another process have the experiment."""
        with self._lock:
            if self._owned >= 0:
                self._db.close()
                os.close(self._owned)
                self._owned = -1

    # the verbs' rows

    def next_attempt(self) -> int:
        """The number the next claim gets; ask inside the claim's transaction."""
        return int(self._one("SELECT ifnull(max(attempt), 0) + 1 FROM attempt")[0])

    def seeded(self, verdict: Verdict, at: float, commit: str | None) -> int:
        """Attempt 0, the seed, with its verdict (accepted). Returns the measurement."""
        with self.transaction():
            self._insert(
                "attempt",
                {
                    "attempt": 0,
                    "island": 0,
                    "move": "seed",
                    "reason": "the seed",
                    "share_notes": 1,
                    "inspirations": "",
                    "agent": "seed",
                    "worker": "",
                    "cage": "",
                    "state": "submitted",
                    "started_at": at,
                },
            )
            measurement = self._measured(0, "seed", verdict, (at, commit, None))
            self._result(0, measurement, at, {"state": "judged", "outcome": "none", "ended_at": at})
            self._event("seeded", 0, measurement, at)
        return measurement

    def claim(self, claim: ClaimRow) -> None:
        """The row of a new attempt, state claimed."""
        choice = claim.choice
        values = shallow(claim)
        del values["choice"], values["token"], values["at"]
        values |= {
            "parent": choice.parent,
            "island": choice.island,
            "move": choice.move,
            "reason": text(choice.reason),
            "share_notes": int(choice.share_notes),
            "inspirations": " ".join(map(str, choice.inspirations)),
            "token_hash": token_digest(claim.token),
            "state": "claimed",
            "started_at": claim.at,
        }
        with self.transaction():
            self._insert("attempt", values)
            self._event("claimed", claim.attempt, None, claim.at)

    def lent(
        self, attempt: int, *, workspace: str | None = None, brief: str | None = None, prompt: str | None = None
    ) -> None:
        """What became known after the claim: the folder lent, the digests of the brief and of the prompt's template."""
        with self.transaction():
            self._all(
                "UPDATE attempt SET workspace = ifnull(?, workspace), brief = ifnull(?, brief),"
                " prompt = ifnull(?, prompt) WHERE attempt = ?",
                *(workspace, brief, prompt, attempt),
            )

    def renew(self, attempt: int, lease_until: float) -> None:
        """A longer lease. LostClaim: no longer claimed."""
        with self.transaction():
            self._update(attempt, {"lease_until": lease_until}, "claimed")

    def tried(self, attempt: int) -> None:
        """Counts a quick try. LostClaim: no longer claimed."""
        with self.transaction():
            count = self.attempt(attempt).quick_tries + 1
            self._update(attempt, {"quick_tries": count}, "claimed")

    def add_measurement(
        self,
        attempt: int,
        purpose: Purpose,
        verdict: Verdict,
        at: float,
        *,
        commit: str | None = None,
        cached_from: int | None = None,
    ) -> int:
        """A judged snapshot; the number within the attempt is the next one. A cached verdict costs no judge seconds.
        LostClaim: a screen or confirm of an attempt that is over. BadInput: a score that is not a number."""
        with self.transaction():
            if purpose in ("screen", "confirm"):
                self._expect(attempt, "claimed", "submitted")
            return self._measured(attempt, purpose, verdict, (at, commit, cached_from))

    def submit(
        self, attempt: int, work: Work, at: float, *, commit: str | None = None, tree: str | None = None
    ) -> None:
        """Handed in, not yet judged: survives a crash before its verdict. LostClaim: not claimed any more."""
        values = handed_in(work) | {"state": "submitted", "submitted_at": at, "commit": commit, "tree": tree}
        with self.transaction():
            self._update(attempt, values, "claimed")
            self._bill(attempt, work.usage, at)

    def judged(
        self, attempt: int, outcome: Outcome, measurement: int | None, at: float, *, fault: str | None = None
    ) -> None:
        """The end of an attempt; its result is `measurement` (None: there is no verdict), from which commit, tree,
        score and trust are taken. `fault`: why what was handed in could not be judged. LostClaim: over already."""
        values: dict[str, object] = {"state": "judged", "outcome": outcome, "ended_at": at}
        values |= {"fault": text(fault)} if fault else {}
        with self.transaction():
            self._result(attempt, measurement, at, values)
            self._event("judged", attempt, measurement, at)

    def abandon(self, attempt: int, work: Work, at: float) -> None:
        """Nothing came of it; `work` says what was spent, noted, and why (`end`, `fault`). LostClaim: over already."""
        values = handed_in(work) | {"state": "abandoned", "outcome": "none", "ended_at": at}
        with self.transaction():
            self._update(attempt, values, "claimed", "submitted")
            self._bill(attempt, work.usage, at)
            self._event("abandoned", attempt, None, at)

    def rejudged(self, attempt: int, measurement: int, at: float, outcome: Outcome | None = None) -> None:
        """Another measurement is the result of this judged attempt from now on; it may be a rejection. `outcome`: what
        came of the attempt, where that is another one now."""
        with self.transaction():
            self._result(attempt, measurement, at, {} if outcome is None else {"outcome": outcome})
            self._event("rejudged", attempt, measurement, at)

    def decide(self, measurement: int, said: Saying, who: str, why: str | None, at: float) -> None:
        """What a person said of the program in quarantine that this measurement judged. Changes no result."""
        found = self.measurement(measurement)
        values = {"at": at, "attempt": found.attempt, "measurement": measurement, "tree": found.verdict.tree}
        with self.transaction():
            self._insert(
                "decision",
                values | {"decision": said, "who": text(who, 100), "why": None if why is None else text(why)},
            )

    def fight(self, sides: tuple[int, str], against: tuple[int, str], duel: Duel, when: tuple[float, float]) -> None:
        """Two programs (attempt and tree) were timed against each other; `when`: at what time, and for how long."""
        values = {"attempt": sides[0], "tree": sides[1], "against": against[0], "against_tree": against[1]}
        if not (0.0 <= duel.low <= duel.ratio <= duel.high < math.inf and duel.ratio > 0.0):
            raise BadInput(f"the judge gave {duel}: only finite ratios above 0, within their ends, can be kept")
        with self.transaction():
            self._insert("duel", values | shallow(duel) | {"at": when[0], "seconds": when[1]})

    def refuse(self, attempt: int | None, verb: str, why: str, at: float) -> None:
        """A verb that was refused, so that it is seen. The same one again is counted; floods stay one row."""
        verb, why = text(verb, 40), text(why, 300)
        with self.transaction():
            same = "ifnull(attempt, -1) = ifnull(?, -1) AND verb = ? AND why = ?"
            known = self._all(f"SELECT refusal FROM refusal WHERE {same}", attempt, verb, why)
            count = self._one("SELECT count(*) FROM refusal WHERE ifnull(attempt, -1) = ifnull(?, -1)", attempt)[0]
            if not known and count >= REFUSALS:
                verb, why = "…", "further refusals"
            self._all(
                "INSERT INTO refusal (attempt, verb, why, times, first_at, last_at) VALUES (?, ?, ?, 1, ?, ?)"
                " ON CONFLICT (ifnull(attempt, -1), verb, why)"
                " DO UPDATE SET times = times + 1, last_at = excluded.last_at",
                *(attempt, verb, why, at, at),
            )

    # how a row is written

    def _measured(
        self, attempt: int, purpose: str, verdict: Verdict, when: tuple[float, str | None, int | None]
    ) -> int:
        at, commit, cached_from = when
        low, high = verdict.interval or (None, None)
        numbers = (verdict.score or 0.0, low or 0.0, high or 0.0, *verdict.measures.values())
        if not all(math.isfinite(number) for number in numbers):
            raise BadInput(f"the ruler gave {verdict.score}, {dict(verdict.measures)}: only finite numbers can be kept")
        number = self._one("SELECT measurements + 1 FROM attempt WHERE attempt = ?", attempt)[0]
        values = {name: getattr(verdict, name) for name in _VERDICT}
        return self._insert(
            "measurement",
            values
            | {
                "attempt": attempt,
                "number": number,
                "purpose": purpose,
                "at": at,
                "commit": commit,
                "low": low,
                "high": high,
                "reason": None if verdict.reason is None else text(verdict.reason),
                "measures": json_text(dict(verdict.measures)),
                "flags": json_text([shallow(flag) for flag in verdict.flags]),
                "instruments": json_text(dict(verdict.instruments)),
                "seconds": 0.0 if cached_from is not None else verdict.seconds,
                "ruler_backend": verdict.ruler.backend,
                "ruler_digest": verdict.ruler.digest,
                "confirmed": int(verdict.confirmed),
                "cached_from": cached_from,
            },
        )

    def _result(self, attempt: int, measurement: int | None, at: float, values: dict[str, object]) -> None:
        if measurement is not None:
            found = self.measurement(measurement)
            if found.attempt != attempt:
                raise RecordRefused(f"measurement {measurement} belongs to attempt {found.attempt}, not {attempt}")
            verdict = found.verdict
            score = verdict.score if verdict.verdict == "accepted" else None
            before = self.attempt(attempt).parent_score
            values |= {
                "measurement": measurement,
                "commit": found.commit,
                "tree": verdict.tree,
                "score": score,
                "delta": None if score is None or before is None else score - before,
                "trust": verdict.trust,
                "confirmed": int(verdict.confirmed),
            }
        self._update(attempt, values, *(("claimed", "submitted") if "state" in values else ("judged",)))

    def _event(self, kind: str, attempt: int, measurement: int | None, at: float) -> None:
        flagged = self._one("SELECT flagged FROM attempt WHERE attempt = ?", attempt)[0]
        values = {"at": at, "kind": kind, "attempt": attempt, "measurement": measurement, "flagged": flagged}
        seq = self._insert("event", values)
        if kind in ("seeded", "judged", "rejudged"):
            self._note_best(seq, at)

    def _note_best(self, seq: int, at: float) -> None:
        best = self.best()
        last = self._all("SELECT attempt, measurement FROM best ORDER BY seq DESC LIMIT 1")
        if best is None or (last and tuple(last[0]) == (best.attempt, best.measurement)):
            return
        self._insert(
            "best",
            shallow(self.spent())
            | {"seq": seq, "at": at, "attempt": best.attempt, "measurement": best.measurement}
            | {"score": best.score, "trust": best.trust, "hours": self.hours(at)},
        )


_VERDICT = ("tree", "verdict", "score", "screened", "reason_code", "jail", "trust", "inputs")


def bring_up_to_date(folder: str | Path) -> Path | None:
    """Copy and migrate a record that an older program wrote: where the copy is; None: there was no need. Raises
    BadInput as `open`."""
    path = database(Path(folder))
    db = connect_for_reading(path)
    try:
        version = check_file(db, path)
    finally:
        db.close()
    if version == VERSION:
        return None
    Record.open(folder).close()
    return copy_of(path, version)


def _owning(path: Path, make: Callable[[], sqlite3.Connection], kind: type[Record]) -> Record:
    with disk(path):
        owned = own(path.parent)
    try:
        with disk(path):
            db = make()
            try:
                record = kind(db, path.parent)
            except BaseException:
                db.close()
                raise
    except BaseException:
        os.close(owned)
        raise
    record._owned = owned
    return record
