"""One snapshot from files to a row: judged, confirmed where it would lead, committed, recorded. Chooses nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kernelfactory.files import replace_folder, tree_id
from kernelfactory.judge import Judge
from kernelfactory.model import TRUST_ORDER, Files, Measurement, Problem, Verdict
from kernelfactory.policy import Policy
from kernelfactory.population import Population
from kernelfactory.problem import is_editable
from kernelfactory.record import Attempt, Record
from kernelfactory.record.queries import REUSABLE
from kernelfactory.record.writing import Purpose
from kernelfactory.trees import Trees

TRIES = 3
"""How often an old result is judged anew before bad luck is taken for an answer."""

FRESH = 1000
"""Commits remembered by tree until a row names them."""

Rank = tuple[int, float]
"""Trust first, then merit: more is better."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """The rooms that a factory works with, and what is injected: templates by name, the clock (epoch seconds), and
    `window`, which is told each point between two durable steps (tests end the process there)."""

    folder: Path
    problem: Problem
    record: Record
    trees: Trees
    judge: Judge
    policy: Policy
    prompts: Mapping[str, str]
    seats: int = 2
    clock: Callable[[], float] = time.time
    window: Callable[[str], None] = lambda name: None


class Assay:
    """Judges snapshots of one experiment; what would be its best is confirmed at once. No fact is kept here:
    `_fresh` spares a second commit of a tree whose row is not written yet."""

    def __init__(self, rooms: Rooms, population: Population) -> None:
        self.rooms = rooms
        self.metric = rooms.record.experiment.metric
        self._population = population
        self._crowning = threading.Lock()
        self._stripes = tuple(threading.RLock() for _ in range(256))
        self._fresh: dict[str, str] = {}
        self._remembering = threading.Lock()

    def snapshot(self, attempt: int, files: Files) -> Measurement:
        """Judge, commit, write the row: in this order, so that a row never names what is not there. A tree whose
        verdict is known under this ruler and jail gets that verdict."""
        tree = self.tree(files)
        with self._alone(tree):
            return self._snapshot(attempt, files, tree)

    def _snapshot(self, attempt: int, files: Files, tree: str) -> Measurement:
        rooms = self.rooms
        known = rooms.record.cached(tree, rooms.judge.ruler.digest, rooms.judge.jail_name, rooms.judge.trust)
        verdict = known.verdict if known else rooms.judge.screen(files)
        if fresh := not verdict.confirmed and self._would_lead(verdict):
            verdict = self._confirmed(files, verdict)
        rooms.window("after-judge")
        commit = None if verdict.verdict == "rejected" else self.stored(attempt, files)[0]
        rooms.window("after-commit")
        purpose: Purpose = "confirm" if fresh or verdict.confirmed else "screen"
        source = None if fresh or known is None else known.measurement
        row = rooms.record.add_measurement(attempt, purpose, verdict, rooms.clock(), commit=commit, cached_from=source)
        rooms.window("after-row")
        return rooms.record.measurement(row)

    def again(self, attempt: int, *, confirm: bool, fresh: bool = True) -> Measurement | None:
        """Judge the result of an old attempt anew, from the trees, and make that its result, for better or worse. None:
        it could not be judged now (timeouts and crashes may be bad luck), and its old verdict stays. Unless `fresh`, a
        verdict that this ruler and jail gave on the same tree is taken."""
        rooms, old = self.rooms, self.rooms.record.attempt(attempt)
        if old.commit is None or old.tree is None:
            return None
        known = (
            None
            if fresh
            else rooms.record.cached(old.tree, rooms.judge.ruler.digest, rooms.judge.jail_name, rooms.judge.trust)
        )
        if known is not None and confirm and known.verdict.verdict == "accepted" and not known.verdict.confirmed:
            known = None
        verdict = known.verdict if known else self._patiently(self.editable(old.commit), confirm)
        if verdict.verdict == "rejected" and verdict.reason_code not in REUSABLE:
            return None
        with rooms.record.transaction():
            now, source = rooms.clock(), known.measurement if known else None
            row = rooms.record.add_measurement(attempt, "rejudge", verdict, now, commit=old.commit, cached_from=source)
            rooms.record.rejudged(attempt, row, now)
        return rooms.record.measurement(row)

    def _patiently(self, files: Files, confirm: bool) -> Verdict:
        """A verdict, tried again when it may have been bad luck."""
        judge = self.rooms.judge
        for _ in range(TRIES):
            verdict = judge.confirm(files) if confirm else judge.screen(files)
            if verdict.verdict != "rejected" or verdict.reason_code in REUSABLE:
                break
        return verdict

    def _confirmed(self, files: Files, screened: Verdict) -> Verdict:
        """A separate judging on fresh inputs; the score is the worse of the two."""
        again = self.rooms.judge.confirm(files)
        seconds = screened.seconds + again.seconds
        if again.verdict != "accepted" or again.score is None or screened.score is None:
            return replace(again, seconds=seconds)
        worse = screened.score if self.metric.better(again.score, screened.score) else again.score
        return replace(again, seconds=seconds, score=worse)

    def _rank(self, verdict: Verdict) -> Rank | None:
        if verdict.verdict != "accepted" or verdict.score is None:
            return None
        return TRUST_ORDER.index(verdict.trust), self._merit(verdict.score)

    def _merit(self, score: float) -> float:
        return -score if self.metric.goal == "min" else score

    def _would_lead(self, verdict: Verdict) -> bool:
        """Would it be the best of the record, or of the population (which differ after a best has fallen)?"""
        rank = self._rank(verdict)
        if rank is None:
            return False
        bests = (self.rooms.record.best(), self._population.best)
        return any(b is None or rank > (TRUST_ORDER.index(b.trust), self._merit(b.score)) for b in bests)

    # ── trees ────────────────────────────────────────────────────────────────────────────────────

    def whole(self, files: Files) -> dict[str, bytes]:
        """The pristine seed with the editable ones of `files` in place of its own."""
        problem = self.rooms.problem
        mine = {name: data for name, data in files.items() if is_editable(name, problem.editable)}
        kept = {name: data for name, data in problem.seed.items() if not is_editable(name, problem.editable)}
        return {**kept, **mine}

    def tree(self, files: Files) -> str:
        """The tree id of `files` on the pristine seed."""
        return tree_id(self.whole(files))

    def stored(self, attempt: int, files: Files) -> tuple[str, str]:
        """Commit and tree of `files` on the pristine seed; a tree that is there already is not stored again."""
        record, whole = self.rooms.record, self.whole(files)
        tree = tree_id(whole)
        with self._alone(tree):
            row = record.attempt(attempt)
            known = (row.commit if row.tree == tree else None) or record.stored(tree) or self._fresh.get(tree)
            if known is None:
                known = self._commit(row, whole)
                self._remember(tree, known)
        return known, tree

    def _remember(self, tree: str, commit: str) -> None:
        with self._remembering:  # stripes differ, the memory is one
            self._fresh[tree] = commit
            while len(self._fresh) > FRESH:
                del self._fresh[next(iter(self._fresh))]

    def _alone(self, tree: str) -> threading.RLock:
        """One tree is judged and stored in one slot at a time: the second finds what the first did."""
        return self._stripes[int(tree[:2], 16)]

    def _commit(self, row: Attempt, whole: Files) -> str:
        """A commit, child of the parent's, kept by a ref of its own."""
        parent = self.rooms.record.attempt(row.parent).commit if row.parent is not None else None
        made = self.rooms.trees.commit(
            whole,
            parents=[parent] if parent else [],
            message=f"attempt {row.attempt}, program {row.measurements + 1}",
            ref=f"refs/candidates/{row.attempt:06d}/{row.measurements + 1}",
        )
        return made.commit

    def editable(self, commit: str) -> dict[str, bytes]:
        """The editable files of a commit."""
        globs = self.rooms.problem.editable
        return {name: data for name, data in self.rooms.trees.read(commit).items() if is_editable(name, globs)}

    def crown(self) -> None:
        """Make `best/` and the repository's HEAD the best confirmed program of the record."""
        with self._crowning:
            best = self.rooms.record.best()
            if best is not None and best.commit is not None:
                replace_folder(self.rooms.folder / "best", self.editable(best.commit))
                self.rooms.trees.point("refs/heads/best", best.commit)
