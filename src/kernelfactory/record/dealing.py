"""What is written of runs and of their agents: who works and waits, what is billed, what was done about them. Refuses
to decide when."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Literal

from kernelfactory.model import Incident, Usage
from kernelfactory.record.agents import Member
from kernelfactory.record.pen import Pen
from kernelfactory.record.rows import Start, shallow, text
from kernelfactory.record.spending import spent_of

INTERRUPTED = "its process ended without a word"
LAST_SIGN = """
SELECT max(at) FROM (
  SELECT 0.0 AS at UNION ALL SELECT max(at) FROM bill
  UNION ALL SELECT * FROM (SELECT at FROM event ORDER BY seq DESC LIMIT 1)
  UNION ALL SELECT * FROM (SELECT at FROM incident ORDER BY incident DESC LIMIT 1))"""
INCIDENTS = 100
"""Incidents of one kind kept an attempt; of those that belong to none, ten times as many a run."""


class Dealing(Pen):
    """The rows of runs, agents, bills and incidents."""

    # runs

    def start_run(self, start: Start, at: float) -> int:
        """A new run of this process, in which nobody waits yet; one that was left open is closed as interrupted, at its
        last sign of life."""
        values = shallow(start)
        del values["crew"]
        values |= {"started_at": at, "state": "running", "pid": os.getpid()}
        with self.transaction():
            self._all(
                f"UPDATE run SET state = 'stopped', why = ?, ended_at = max(started_at, ({LAST_SIGN}))"
                " WHERE state = 'running'",
                INTERRUPTED,
            )
            run = self._insert("run", values)
            for item in start.crew:
                self._insert("agent", shallow(item) | {"run": run, "model": item.model or ""})
        return run

    def end_run(self, run: int, state: Literal["stopped", "finished"], why: str, at: float) -> None:
        """Why a run ended: finished when it reached what it was asked for."""
        with self.transaction():
            self._all(
                "UPDATE run SET state = ?, why = ?, ended_at = max(?, started_at) WHERE run = ? AND state = 'running'",
                *(state, text(why), at, run),
            )

    def pause(self, run: int, who: Iterable[Member], until: float | None, why: str | None = None) -> None:
        """These agents wait until then, and why; until a person sees to it when `until` is None or infinite and `why`
        is given; neither: they work again."""
        when = until if until is not None and math.isfinite(until) else None
        reason = None if when is None and not why else text(why or "", 300)
        with self.transaction():
            for agent, model in who:
                self._all(
                    "UPDATE agent SET paused_until = ?, paused_why = ? WHERE run = ? AND agent = ? AND model = ?",
                    *(when, reason, run, agent, model or ""),
                )

    def incident(
        self, kind: Incident, said: str, at: float, *, run: int, attempt: int | None = None, agent: str | None = None
    ) -> None:
        """What was done about an agent, and why; whose it is follows from the attempt. Floods end with a row that says
        so."""
        most = INCIDENTS * (10 if attempt is None else 1)
        with self.transaction():
            count = self._one(
                "SELECT count(*) FROM incident WHERE run = ? AND attempt IS ? AND kind = ?", run, attempt, kind
            )[0]
            if count >= most:
                return
            if agent is None and attempt is not None:
                agent = self.attempt(attempt).agent
            told = text(said, 500) if count < most - 1 else "this and all further ones of this kind are left out"
            row = {"at": at, "run": run, "attempt": attempt, "agent": agent, "kind": kind, "text": told}
            self._insert("incident", row)

    # what an attempt has spent by now, and what is left of its session

    def bill(self, attempt: int, usage: Usage, at: float) -> None:
        """What a claimed attempt has spent by now, all told, also by model. Nothing of it gets less, but a price can
        become unknown. LostClaim: no longer claimed."""
        with self.transaction():
            self._update(attempt, spent_of(usage), "claimed")
            self._bill(attempt, usage, at)

    def session(self, attempt: int, session: str) -> None:
        """The agent's own name of its session."""
        self._note("session", attempt, text(session, 200))

    def transcript(self, attempt: int, digest: str) -> None:
        """The digest ("sha256:…") of attempts/NNNNNN/transcript.jsonl."""
        self._note("transcript", attempt, text(digest, 100))

    def keep(self, attempt: int, until: float | None) -> None:
        """The home of an attempt's agent is kept until then (None: it is gone)."""
        self._note("home_until", attempt, until)

    def _note(self, column: str, attempt: int, value: str | float | None) -> None:
        with self.transaction():
            self._all(f"UPDATE attempt SET {column} = ? WHERE attempt = ?", value, attempt)
