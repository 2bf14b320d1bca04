"""Rows of the record as values, and as the JSON of the contract. Refuses to open a file or to ask a question."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from kernelfactory.model import (
    Axis,
    Choice,
    End,
    Event,
    Experiment,
    Flag,
    Measurement,
    Metric,
    Move,
    Outcome,
    Ruler,
    State,
    Trust,
    Usage,
    Verdict,
)

Saying = Literal["release", "reject"]
"""What a person can say of a program in quarantine."""


class Row(Protocol):
    """A row by column name."""

    def keys(self) -> Iterable[str]: ...

    def __getitem__(self, name: str, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row of the table `attempt`, columns as in docs/record.md; `inspirations` as numbers, flags as bools."""

    attempt: int
    run: int | None
    parent: int | None
    island: int
    move: Move
    reason: str
    share_notes: bool
    inspirations: tuple[int, ...]
    parent_score: float | None
    best_before: float | None
    continues: int | None
    late_of: int | None
    agent: str
    model: str | None
    worker: str
    cage: str
    token_hash: str | None
    lease_until: float | None
    workspace: str | None
    brief: str | None
    prompt: str | None
    state: State
    started_at: float
    submitted_at: float | None
    ended_at: float | None
    end: End | None
    fault: str | None
    notes: str
    seconds: float
    tokens: int
    dollars: float | None
    measurements: int
    quick_tries: int
    outcome: Outcome | None
    measurement: int | None
    commit: str | None
    tree: str | None
    score: float | None
    delta: float | None
    trust: Trust | None
    confirmed: bool
    flagged: bool
    transcript: str | None
    session: str | None
    home_until: float | None


@dataclass(frozen=True, slots=True)
class Best:
    """The best confirmed program, or one point of the curve to it."""

    attempt: int
    measurement: int
    score: float
    commit: str | None
    tree: str | None
    trust: Trust


@dataclass(frozen=True, slots=True)
class Improvement:
    """One point of the curve: when `attempt` became the best, and what had been spent by then (dollars of known price
    only; `dollars_unknown` attempts had none). `hours` of running, over all runs."""

    at: float
    attempt: int
    score: float
    trust: Trust
    attempts: int
    measurements: int
    judge_seconds: float
    agent_seconds: float
    tokens: int
    dollars: float
    dollars_unknown: int
    hours: float


@dataclass(frozen=True, slots=True)
class Spent:
    """Totals so far; `dollars` counts known prices only, `dollars_unknown` is the number of attempts without one."""

    attempts: int
    measurements: int
    judge_seconds: float
    agent_seconds: float
    tokens: int
    dollars: float
    dollars_unknown: int

    @property
    def usage(self) -> Usage:
        return Usage(self.agent_seconds, self.tokens, None if self.dollars_unknown else self.dollars)


@dataclass(frozen=True, slots=True)
class Run:
    """One row of the table `run`; caps are None where there is none."""

    run: int
    started_at: float
    ended_at: float | None
    state: str
    why: str | None
    pid: int
    cap_attempts: int | None
    cap_seconds: float | None
    cap_dollars: float | None
    cap_tokens: int | None
    target: float | None
    attempt_seconds: float
    jail: str
    trust: Trust
    ruler_backend: str
    ruler_digest: str
    unprotected: bool
    cap_attempt_dollars: float | None
    cap_attempt_tokens: int | None
    nudges: int | None
    switching: bool


@dataclass(frozen=True, slots=True)
class IslandRow:
    """An island as the record sees it since its last restart: candidates, best score, claims, and claims since the
    attempt that set the best."""

    island: int
    candidates: int
    best: float | None
    visits: int
    stale: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A verb somebody may not have; the same one from the same attempt is counted, not repeated."""

    refusal: int
    attempt: int | None
    verb: str
    why: str
    times: int
    first_at: float
    last_at: float


@dataclass(frozen=True, slots=True)
class Held:
    """A program in quarantine that waits for a person: whose, since when, why, and where the program is. `programs`:
    how many of that attempt wait; this is the best of them."""

    measurement: int
    attempt: int
    at: float
    parent: int | None
    agent: str
    score: float
    reason: str | None
    tree: str
    commit: str | None
    parent_score: float | None
    programs: int


@dataclass(frozen=True, slots=True)
class Decision:
    """One row of the table `decision`: what a person said of a program in quarantine."""

    seq: int
    at: float
    attempt: int
    measurement: int
    tree: str
    decision: Saying
    who: str
    why: str | None


@dataclass(frozen=True, slots=True)
class Fight:
    """One row of the table `duel`: two programs timed against each other."""

    duel: int
    at: float
    attempt: int
    against: int
    tree: str
    against_tree: str
    ratio: float
    low: float
    high: float
    pairs: int
    seconds: float


# ── what the writer is given ─────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """What a claim writes. `token` is given in clear and kept as its sha256 only; `lease_until` and `at` are epoch
    seconds; `best_before` is the best score at this moment; `cage` names the jail of the agent or is "none"."""

    attempt: int
    choice: Choice
    token: str
    at: float
    lease_until: float
    agent: str
    worker: str
    cage: str
    model: str | None = None
    run: int | None = None
    parent_score: float | None = None
    best_before: float | None = None
    continues: int | None = None
    late_of: int | None = None


@dataclass(frozen=True, slots=True)
class Crew:
    """One agent of a run: its name, model and how many work at a time. `streams`: its usage is known while it works;
    the caps are those of all attempts of that name, and of each one (None: none of its own)."""

    agent: str
    model: str | None
    slots: int
    costs_money: bool = False
    streams: bool = False
    cap_dollars: float | None = None
    cap_tokens: int | None = None
    cap_attempt_dollars: float | None = None
    cap_attempt_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """What `kf run` or `kf resume` was started with; caps are None where there is none. `nudges`: how often an agent
    that stops early is sent on; `switching`: a slot whose agent waits is given to another."""

    attempt_seconds: float
    jail: str
    trust: Trust
    ruler_backend: str
    ruler_digest: str
    unprotected: bool = False
    cap_attempts: int | None = None
    cap_seconds: float | None = None
    cap_dollars: float | None = None
    cap_tokens: int | None = None
    target: float | None = None
    crew: tuple[Crew, ...] = ()
    cap_attempt_dollars: float | None = None
    cap_attempt_tokens: int | None = None
    nudges: int | None = None
    switching: bool = True


# ── values from rows ─────────────────────────────────────────────────────────────────────────────


def columns(kind: type[Any], table: str) -> str:
    return ", ".join(f'{table}."{field.name}"' for field in fields(kind))


def shallow(row: Any) -> dict[str, Any]:
    """A dataclass as a dictionary, its values as they are."""
    return {field.name: getattr(row, field.name) for field in fields(row)}


def attempt_of(row: Row) -> Attempt:
    values: dict[str, Any] = dict(row)
    values["inspirations"] = tuple(int(word) for word in row["inspirations"].split())
    for name in ("share_notes", "confirmed", "flagged"):
        values[name] = bool(row[name])
    return Attempt(**values)


def event_of(row: Iterable[Any]) -> Event:
    """A row of the query EVENTS, which has the fields of an Event in their order."""
    seq, kind, attempt, parent, island, move, outcome, score, tree, measures, trust, confirmed, flagged = row
    seen = json.loads(measures) if measures else {}
    claimed = (seq, kind, attempt, parent, island, move)
    return Event(*claimed, outcome, score, tree, seen, trust, bool(confirmed), bool(flagged))


def verdict_of(row: Row, problem: str, digest: str) -> Verdict:
    """The verdict in a row of the table `measurement`; problem and digest are the experiment's."""
    return Verdict(
        verdict=row["verdict"],
        score=row["score"],
        problem=problem,
        digest=digest,
        tree=row["tree"],
        jail=row["jail"],
        trust=row["trust"],
        ruler=Ruler(row["ruler_backend"], row["ruler_digest"]),
        seconds=row["seconds"],
        inputs=row["inputs"],
        confirmed=bool(row["confirmed"]),
        reason=row["reason"],
        reason_code=row["reason_code"],
        measures=json.loads(row["measures"]),
        instruments=json.loads(row["instruments"]),
        flags=tuple(Flag(**flag) for flag in json.loads(row["flags"])),
        interval=None if row["low"] is None else (row["low"], row["high"]),
        screened=row["screened"],
    )


def plain(score: float | None) -> float | int | None:
    """A score as JSON shows it: whole numbers without a point."""
    return int(score) if score is not None and float(score).is_integer() else score


def iso(at: float | None) -> str | None:
    """Epoch seconds as ISO-8601 UTC."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def measurement_of(row: Row, problem: str, digest: str) -> Measurement:
    return Measurement(
        measurement=row["measurement"],
        attempt=row["attempt"],
        number=row["number"],
        at=row["at"],
        verdict=verdict_of(row, problem, digest),
        commit=row["commit"],
        cached=row["cached_from"] is not None,
    )


def experiment_of(row: Row, axes: Sequence[Row]) -> Experiment:
    reference = tuple((str(name), float(score)) for name, score in json.loads(row["reference"]))
    return Experiment(
        name=row["name"],
        problem=row["problem"],
        digest=row["digest"],
        metric=Metric(row["metric"], row["unit"], row["goal"], row["impossible"], reference),
        axes=tuple(Axis(axis["name"], axis["low"], axis["high"]) for axis in axes),
        policy=row["policy"],
        islands=row["islands"],
        seed=row["seed"],
        created_at=row["created_at"],
        agents=tuple(row["agents"].splitlines()),
        private=bool(row["private"]),
    )


def attempt_json(row: Attempt, score: float | None, flags: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """One element of `kf attempts --json`; `score` also when it is quarantined."""
    return {
        "attempt": row.attempt,
        "parent": row.parent,
        "island": row.island,
        "agent": row.agent,
        "model": row.model,
        "state": row.state,
        "outcome": row.outcome,
        "score": plain(score),
        "delta": plain(row.delta),
        "commit": row.commit,
        "tree": row.tree,
        "end": row.end,
        "started_at": iso(row.started_at),
        "ended_at": iso(row.ended_at),
        "seconds": row.seconds,
        "dollars": row.dollars,
        "tokens": row.tokens,
        "brief": row.brief,
        "move": row.move,
        "policy_reason": row.reason,
        "flags": list(flags),
        "measurements": row.measurements,
        "continues": row.continues,
        "late_of": row.late_of,
        "cage": row.cage,
        "trust": row.trust,
        "confirmed": row.confirmed,
        "fault": row.fault,
        "session": row.session,
        "transcript_digest": row.transcript,
    }


def text(said: str, cap: int | None = 2000) -> str:
    """What SQLite can keep of any text."""
    return said[:cap].encode("utf-8", "replace").decode().replace("\0", "�")


def token_digest(token: str) -> str:
    """What the record keeps of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
