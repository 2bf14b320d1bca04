"""What the record knows of agents: what they may spend and spent, who waits and why, which sessions can be gone on
with, and what was done about them. Refuses to decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kernelfactory.budget import Account, AttemptCaps, Caps, Ledger, Reserved, Running, Spend, reserve
from kernelfactory.model import Incident, Tokens
from kernelfactory.record import queries
from kernelfactory.record.rows import columns, iso, plain
from kernelfactory.record.suspects import Suspects

Member = tuple[str, str | None]
"""An agent of a run: its name, and its model if it has one."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One row of the table `incident`: what was done about an agent, and why."""

    incident: int
    at: float
    run: int
    attempt: int | None
    agent: str | None
    kind: Incident
    text: str


@dataclass(frozen=True, slots=True)
class Kept:
    """The session of an attempt that was cut short, whose home is kept `until` then (epoch seconds)."""

    attempt: int
    agent: str
    model: str | None
    session: str
    workspace: str
    until: float
    score: float | None


class Agents(Suspects):
    """Questions about agents. "Latest run" is the one begun last, running or not."""

    def spend(self, now: float) -> Spend:
        """What was spent by now, as budgets count it; `seconds` of running until `now`."""
        return _spend(self._one("SELECT * FROM tally"), self.hours(now) * 3600.0)

    def spend_of(self, agent: str) -> Spend:
        """What the attempts of one agent took, whatever their model; the dearest of those that ended."""
        rows = self._all("SELECT * FROM account WHERE agent = ?", agent)
        return _spend(rows[0], 0.0) if rows else Spend()

    def running(self) -> list[Running]:
        """Attempts that are not over, and what they have taken by now."""
        return [
            Running(
                attempt=row["attempt"],
                agent=row["agent"],
                costs_money=bool(row["costs_money"]),
                dollars=row["dollars"],
                tokens=row["tokens"],
                streams=bool(row["streams"]),
                told=bool(row["told"]),
            )
            for row in self._all(queries.RUNNING)
        ]

    def ledger(self, now: float, caps: Caps | None = None) -> Ledger:
        """All that budgets need to know; `caps`: those that hold (None: those of the latest run)."""
        with self._lock:  # one moment: this process alone writes
            runs = self._all(f"SELECT {_RUN_CAPS} FROM run ORDER BY run DESC LIMIT 1")
            first = runs[0] if runs else (None,) * 6
            accounts = {
                row["agent"]: Account(
                    spend=self.spend_of(row["agent"]),
                    caps=Caps(dollars=row["cap_dollars"], tokens=row["cap_tokens"]),
                    each=AttemptCaps(row["cap_attempt_dollars"], row["cap_attempt_tokens"]).within(
                        AttemptCaps(*first[4:])
                    ),
                    costs_money=bool(row["costs_money"]),
                    streams=bool(row["streams"]),
                )
                for row in self._all(queries.ACCOUNTS)
            }
            given = caps if caps is not None else Caps(*first[:4])
            return Ledger(given, self.spend(now), accounts, tuple(self.running()))

    def reserved(self, now: float, caps: Caps | None = None) -> Reserved:
        """What the attempts that are still open may take."""
        return reserve(self.ledger(now, caps))

    def billed(self, attempt: int) -> dict[str, Tokens]:
        """Tokens by model."""
        rows = self._all(f"SELECT model, {columns(Tokens, 'bill')} FROM bill WHERE attempt = ? ORDER BY model", attempt)
        return {row[0]: Tokens(*tuple(row)[1:]) for row in rows}

    def parked(self) -> dict[Member, tuple[float | None, str]]:
        """Agents of the latest run (with a model) that wait, until when (None: until a person sees to it), and why."""
        rows = self._all(
            "SELECT agent, model, paused_until, paused_why FROM agent"
            " WHERE run = (SELECT max(run) FROM run) AND paused_why IS NOT NULL ORDER BY agent, model"
        )
        return {(agent, model or None): (until, why) for agent, model, until, why in rows}

    def kept(self, now: float) -> list[Kept]:
        """Sessions that a new attempt can go on with: cut short, their home still kept, and not gone on with yet."""
        return [Kept(**dict(row)) for row in self._all(queries.KEPT, now)]

    def homes(self) -> dict[int, float]:
        """Attempts whose home is kept, gone on with or not, and until when (epoch seconds)."""
        rows = self._all("SELECT attempt, home_until FROM attempt WHERE home_until IS NOT NULL ORDER BY attempt")
        return {row["attempt"]: row["home_until"] for row in rows}

    def incidents(self, attempt: int | None = None, run: int | None = None, last: int | None = None) -> list[Happened]:
        """What was done about agents (in one attempt, in one run; the `last` so many), in order."""
        rows = self._all(
            f"SELECT {columns(Happened, 'incident')} FROM incident WHERE (?1 IS NULL OR attempt = ?1)"
            " AND (?2 IS NULL OR run = ?2) ORDER BY incident DESC LIMIT ?3",
            *(attempt, run, -1 if last is None else last),
        )
        return [Happened(*row) for row in reversed(rows)]

    def agents(self, now: float = 0.0) -> list[dict[str, Any]]:
        """Who works in the latest run; a wait that is over by `now` is none."""
        rows = self._all(
            "SELECT agent, model, slots, iif(paused_until > ?1, paused_until, NULL) AS paused_until,"
            " iif(ifnull(paused_until > ?1, 1), paused_why, NULL) AS paused_why,"
            " (SELECT count(*) FROM attempt a WHERE a.state = 'claimed'"
            " AND a.run = agent.run AND a.agent = agent.agent AND ifnull(a.model, '') = agent.model) AS busy"
            " FROM agent WHERE run = (SELECT max(run) FROM run) ORDER BY agent, model",
            now,
        )
        return [{**dict(row), "model": row["model"] or None, "paused_until": iso(row["paused_until"])} for row in rows]

    def _kept_json(self, now: float) -> list[dict[str, Any]]:
        return [
            {
                "attempt": kept.attempt,
                "agent": kept.agent,
                "model": kept.model,
                "session": kept.session,
                "workspace": kept.workspace,
                "until": iso(kept.until),
                "score": plain(kept.score),
            }
            for kept in self.kept(now)
        ]

    def hours(self, now: float) -> float:
        """Hours of running, over all runs."""
        rows = self._all("SELECT sum(ifnull(ended_at, max(?, started_at)) - started_at) AS seconds FROM run", now)
        return float(rows[0]["seconds"] or 0.0) / 3600.0


_RUN_CAPS = "cap_attempts, cap_seconds, cap_dollars, cap_tokens, cap_attempt_dollars, cap_attempt_tokens"


def _spend(row: Any, seconds: float) -> Spend:
    return Spend(
        attempts=row["ended"],
        seconds=seconds,
        dollars=row["dollars"],
        tokens=row["tokens"],
        unpriced=row["dollars_unknown"],
        worked=row["agent_seconds"],
        top_dollars=row["top_dollars"],
        top_tokens=row["top_tokens"],
    )
