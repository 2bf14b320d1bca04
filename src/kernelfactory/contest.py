"""Timed programs against each other, on fresh pairs of runs, so that luck does not win. Writes duels, never results."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

from kernelfactory import suspicion
from kernelfactory.judge import Judge, JudgeFailed
from kernelfactory.model import Duel, Files, Verdict
from kernelfactory.record import Best, Record

ROUNDS = 5
"""How many new bests a program may meet that come up while it meets the last one."""

Side = tuple[int, str]
"""A program: of which attempt, and its tree."""


class Contest:
    """Duels of one experiment. `editable` gives the files of a commit. No call may be made inside a transaction."""

    def __init__(
        self, record: Record, judge: Judge, editable: Callable[[str], Files], clock: Callable[[], float]
    ) -> None:
        self._record = record
        self._judge = judge
        self._editable = editable
        self._clock = clock
        self._metric = record.experiment.metric

    def won(self, side: Side, files: Files, verdict: Verdict) -> Verdict:
        """A confirmed program that would be the best is, when a duel shows it faster than the best there is; its score
        is then at least what the duel shows of it. Else its score is no better than the best's, and unconfirmed."""
        for _ in range(ROUNDS):
            best = self._record.best()
            if verdict.verdict != "accepted" or verdict.score is None or best is None or verdict.trust != best.trust:
                return verdict  # scores of another trust are not compared
            duel = None if best.tree == side[1] else self.met(side, files, best)
            if duel is None or not duel.better:
                return self._below(verdict, best)
            lifted = max(verdict.score, best.score * duel.low) if best.score > 0 else verdict.score
            verdict = replace(verdict, score=lifted)
            now = self._record.best()
            if now is not None and now.measurement == best.measurement:
                return verdict
        return self._below(verdict, now) if now is not None else verdict

    def defended(self, side: Side, files: Files, verdict: Verdict) -> Verdict:
        """The best, judged anew, against the next best: it stays the best unless a duel shows it slower."""
        best = self._record.best()
        rival = None if best is None else self._record.runner_up(best) or self._seed()
        if verdict.verdict != "accepted" or verdict.score is None or rival is None or rival.tree == side[1]:
            return verdict
        duel = self.fight(side, files, rival)
        if duel is not None and duel.worse:
            return self._below(verdict, rival)
        if self._metric.better(verdict.score, rival.score):
            return verdict
        better = -math.inf if self._metric.goal == "min" else math.inf
        return replace(verdict, score=math.nextafter(rival.score, better))

    def met(self, side: Side, files: Files, other: Best) -> Duel | None:
        """The duel of two programs: the one they had, so that nobody wins by asking often, or a new one."""
        return self._record.fought(side[1], other.tree or "") or self.fight(side, files, other)

    def fight(self, side: Side, files: Files, other: Best) -> Duel | None:
        """A new duel, put on the record; None when the judge cannot compare them."""
        if other.commit is None or other.tree is None:
            return None
        began = time.monotonic()
        try:
            duel = self._judge.duel(files, self._editable(other.commit))
        except JudgeFailed:
            return None
        seconds = time.monotonic() - began
        self._record.fight(side, (other.attempt, other.tree), duel, (self._clock(), seconds))
        return duel

    def leads(self, verdict: Verdict) -> Best | None:
        """The best that this confirmed program would follow, which it has not met yet."""
        best = self._record.best()
        if best is None or best.tree is None or best.tree == verdict.tree or verdict.score is None:
            return None
        ahead = verdict.trust == best.trust and self._metric.better(verdict.score, best.score)
        return best if ahead and verdict.confirmed and self._record.fought(verdict.tree, best.tree) is None else None

    def _below(self, verdict: Verdict, best: Best) -> Verdict:
        score = best.score if verdict.score is None else suspicion.worst(self._metric, verdict.score, best.score)
        return replace(verdict, score=score, confirmed=False)

    def _seed(self) -> Best | None:
        row = self._record.attempt(0)
        if row.score is None or row.measurement is None or row.trust is None:
            return None
        return Best(0, row.measurement, row.score, row.commit, row.tree, row.trust)
