"""One snapshot from files to a row: judged, confirmed where it would lead, committed, recorded. Chooses nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kernelfactory import suspicion
from kernelfactory.contest import ROUNDS, Contest, Side
from kernelfactory.files import tree_id
from kernelfactory.judge import Judge
from kernelfactory.judge.answer import told
from kernelfactory.model import TRUST_ORDER, Files, Measurement, Outcome, Problem, Verdict
from kernelfactory.policy import Policy
from kernelfactory.population import Population
from kernelfactory.problem import is_editable
from kernelfactory.quarantine import crown, editable, refused, released
from kernelfactory.record import Attempt, Best, Decision, Record
from kernelfactory.record.queries import REUSABLE
from kernelfactory.record.writing import Purpose
from kernelfactory.trees import Trees

TRIES = 3
"""How often an old result is judged anew before bad luck is taken for an answer."""

FRESH = 1000
"""Commits remembered by tree until a row names them."""

Rank = tuple[int, float]
"""Trust first, then merit: more is better."""


Waiting = Callable[[threading.Condition, Callable[[], bool], float], object]
"""Waits, at most so many seconds, until something that is told to the condition is so."""


def wait_for(changed: threading.Condition, enough: Callable[[], bool], seconds: float) -> bool:
    """Wait until `enough`, or so many seconds."""
    with changed:
        return changed.wait_for(enough, seconds)


@dataclass(frozen=True, slots=True)
class Rooms:
    """The rooms that a factory works with, and what is injected: templates by name, the clock (epoch seconds) and how
    to wait by it, and `window`, which is told each point between two durable steps (tests end the process there)."""

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
    wait: Waiting = wait_for


class Assay:
    """Judges snapshots of one experiment; what would be its best is confirmed at once, and shown to be faster than the
    best where scores are timed. No fact is kept here: `_fresh` spares a second commit of a tree whose row is not
    written yet."""

    def __init__(self, rooms: Rooms, population: Population) -> None:
        self.rooms = rooms
        self.metric = rooms.record.experiment.metric
        self.contest = Contest(rooms.record, rooms.judge, self.editable, rooms.clock)
        self._population = population
        self._crowning = threading.Lock()
        self._stripes = tuple(threading.RLock() for _ in range(256))
        self._fresh: dict[str, str] = {}
        self._remembering = threading.Lock()

    def snapshot(self, attempt: int, files: Files) -> Measurement:
        """Judge, commit, write the row: in this order, so that a row never names what is not there. A tree whose
        verdict is known under this ruler and jail gets that verdict, unless scores are timed; one that waits for a
        person goes on waiting, and one that a person rejected is rejected."""
        tree = self.tree(files)
        with self._alone(tree):
            return self._snapshot(attempt, files, tree)

    def _snapshot(self, attempt: int, files: Files, tree: str) -> Measurement:
        rooms = self.rooms
        word = rooms.record.decided(tree)
        known = self._known(tree, word)
        verdict = known.verdict if known else rooms.judge.screen(files, **self._bar(attempt))
        if known is not None and word is not None and word.decision == "reject":
            fresh, verdict = False, refused(known.verdict)
        else:
            fresh, verdict = self._proved((attempt, tree), files, verdict, known, word)
        rooms.window("after-judge")
        commit = None if verdict.verdict == "rejected" else self.stored(attempt, files)[0]
        rooms.window("after-commit")
        purpose: Purpose = "confirm" if fresh or verdict.confirmed else "screen"
        source = None if fresh or known is None else known.measurement
        row = rooms.record.add_measurement(attempt, purpose, verdict, rooms.clock(), commit=commit, cached_from=source)
        rooms.window("after-row")
        return rooms.record.measurement(row)

    def _known(self, tree: str, word: Decision | None) -> Measurement | None:
        """What needs no judging: a person's rejection, a program that waits for a person, a verdict that would come out
        the same."""
        record, judge = self.rooms.record, self.rooms.judge
        if word is not None and word.decision == "reject":
            return record.measurement(word.measurement)
        held = record.held_tree(tree, judge.ruler.digest, judge.jail_name) if word is None else None
        return held or self._cached(tree)

    def _cached(self, tree: str) -> Measurement | None:
        judge = self.rooms.judge
        if self.rooms.problem.measure.timed:
            return None
        return self.rooms.record.cached(tree, judge.ruler.digest, judge.jail_name, judge.trust)

    def _bar(self, attempt: int) -> dict[str, float]:
        """The parent's score, below which a timed measurement may end early. Other verdicts must not hang on who
        asks."""
        score = self.rooms.record.attempt(attempt).parent_score
        return {"bar": score} if self.rooms.problem.measure.timed and score is not None else {}

    def _proved(
        self, side: Side, files: Files, verdict: Verdict, known: Measurement | None, word: Decision | None
    ) -> tuple[bool, Verdict]:
        """What would lead, or would wake a person, is confirmed first: was it judged anew, and the verdict then."""
        free = word is not None
        if known is not None and known.verdict.verdict == "quarantined":
            return False, verdict
        screened = released(verdict, confirmed=False) if free else verdict
        if screened.confirmed or not (screened.verdict == "quarantined" or self._would_lead(screened)):
            return False, screened
        proved = self._confirmed(files, screened, self._times(screened))
        proved = released(proved) if free else self._suspected(proved)
        return True, self.contest.won(side, files, proved) if self.rooms.problem.measure.timed else proved

    def _times(self, verdict: Verdict) -> int:
        """An unusual jump has to pass a larger confirmation; of a self-reported score it would show nothing."""
        if self.rooms.problem.kind == "command" or verdict.score is None:
            return 1
        bests = [point.score for point in self.rooms.record.curve()]
        return suspicion.LARGER if suspicion.unusual(self.metric, verdict.score, bests) else 1

    def _suspected(self, verdict: Verdict) -> Verdict:
        """A jump of a self-reported score waits for a person."""
        evaluating, best = self.rooms.problem.evaluating, self.rooms.record.best()
        if evaluating is None or best is None or verdict.verdict != "accepted" or verdict.score is None:
            return verdict
        if not suspicion.jumped(self.metric, verdict.score, best.score, evaluating.jump):
            return verdict
        why = f"a self-reported {verdict.score:g} is better than the best, {best.score:g}, by more than a factor of"
        reason = f"{why} {evaluating.jump:g}; a person must look at it"
        return replace(verdict, verdict="quarantined", confirmed=False, reason=reason)

    def again(self, attempt: int, *, confirm: bool, fresh: bool = True) -> Measurement | None:
        """Judge the result of an old attempt anew, from the trees, and make that its result, for better or worse. None:
        it could not be judged now (timeouts and crashes may be bad luck), and its old verdict stays. Unless `fresh`, a
        verdict that this ruler and jail gave on the same tree is taken."""
        rooms, old = self.rooms, self.rooms.record.attempt(attempt)
        if old.commit is None or old.tree is None:
            return None
        known = None if fresh else self._cached(old.tree)
        if known is not None and confirm and known.verdict.verdict == "accepted" and not known.verdict.confirmed:
            known = None
        verdict = known.verdict if known else self._anew((attempt, old.tree), self.editable(old.commit), confirm)
        if verdict.verdict == "rejected" and verdict.reason_code not in REUSABLE:
            return None
        with rooms.record.transaction():
            now, source = rooms.clock(), known.measurement if known else None
            row = rooms.record.add_measurement(attempt, "rejudge", verdict, now, commit=old.commit, cached_from=source)
            rooms.record.rejudged(attempt, row, now)
        return rooms.record.measurement(row)

    def _anew(self, side: Side, files: Files, confirm: bool) -> Verdict:
        """What a person has released stays released, and what leads a timed problem is shown to lead."""
        verdict, word = self._patiently(files, confirm), self.rooms.record.decided(side[1])
        if word is not None and word.decision == "release":
            verdict = released(verdict, confirm)
        best = self.rooms.record.best()
        if not (confirm and self.rooms.problem.measure.timed) or best is None:
            return verdict
        if best.attempt == side[0]:
            return self.contest.defended(side, files, verdict)
        return self.contest.won(side, files, verdict) if self._would_lead(verdict) else verdict

    def _patiently(self, files: Files, confirm: bool) -> Verdict:
        """A verdict, tried again when it may have been bad luck."""
        judge = self.rooms.judge
        for _ in range(TRIES):
            if confirm and not self.rooms.problem.measure.separate:
                verdict = judge.confirm(files)
            else:
                verdict = judge.screen(files)
                verdict = self._confirmed(files, verdict) if confirm and verdict.verdict == "accepted" else verdict
            if verdict.verdict != "rejected" or verdict.reason_code in REUSABLE:
                break
        return verdict

    def _confirmed(self, files: Files, screened: Verdict, times: int = 1) -> Verdict:
        """A separate judging on fresh inputs; the score is the worse of the two. Where it has data of its own, agents
        are told nothing that follows from it: what they may know of the screening is kept."""
        again = self.rooms.judge.confirm(files, **({} if times == 1 else {"times": times}))
        found = replace(again, seconds=screened.seconds + again.seconds)
        if again.score is not None and screened.score is not None:
            found = replace(found, score=suspicion.worst(self.metric, screened.score, again.score))
        if not self.rooms.problem.measure.separate:
            return found
        told = None if found.score == screened.score else screened.score
        return replace(found, measures=screened.measures, instruments=screened.instruments, screened=told)

    def told(self, attempt: int | None, score: float | None) -> float | None:
        """The score of an attempt's result as agents may know it; `score` is the one it has."""
        if attempt is None or not self.rooms.problem.measure.separate:
            return score
        row = self.rooms.record.attempt(attempt)
        return told(self.rooms.record.measurement(row.measurement).verdict) if row.measurement else score

    # ── against the parent ───────────────────────────────────────────────────────────────────────

    def compare(self, attempt: int) -> None:
        """Timed programs meet before a result is written, never inside a transaction: a best that came up meanwhile,
        and the parent where the scores leave open which is faster."""
        if not self.rooms.problem.measure.timed:
            return
        record = self.rooms.record
        mine = record.best_valid(attempt)
        for _ in range(ROUNDS):
            if mine is None or self.contest.leads(mine.verdict) is None:
                break
            self._meet(mine)
            mine = record.best_valid(attempt)
        row = record.attempt(attempt)
        if mine is None or mine.commit is None or row.parent is None or self._by_scores(row, mine) is not None:
            return
        parent = record.attempt(row.parent)
        if parent.score is not None and parent.measurement is not None and parent.trust is not None:
            other = Best(row.parent, parent.measurement, parent.score, parent.commit, parent.tree, parent.trust)
            self.contest.met((attempt, mine.verdict.tree), self.editable(mine.commit), other)

    def outcome(self, row: Attempt, best: Measurement) -> Outcome:
        """What an attempt came to: its result against its parent, both from the same data; where timed scores leave it
        open, as their duel says."""
        if self.rooms.problem.measure.timed:
            parent = self.rooms.record.attempt(row.parent or 0)
            met = self.rooms.record.fought(best.verdict.tree, parent.tree or "")
            return self._by_scores(row, best) or suspicion.timed(met)
        mine, theirs = best.verdict.score, row.parent_score
        if not best.verdict.confirmed:
            mine, theirs = told(best.verdict), self.told(row.parent, theirs)
        return suspicion.compared(self.metric, mine or 0.0, theirs or 0.0)

    def _by_scores(self, row: Attempt, best: Measurement) -> Outcome | None:
        """What a timed result is against its parent, as far as scores alone say it."""
        parent = self.rooms.record.attempt(row.parent or 0)
        if parent.tree == best.verdict.tree:
            return "equal"
        theirs = self.rooms.record.measurement(parent.measurement).verdict.interval if parent.measurement else None
        if suspicion.undecided(best.verdict.interval, theirs):
            return None
        return suspicion.compared(self.metric, best.verdict.score or 0.0, row.parent_score or 0.0)

    def _meet(self, found: Measurement) -> Measurement:
        """Have a timed program that would be the best meet the best that came up since it was measured; what follows is
        a measurement of its own, in place of the first."""
        side, verdict = (found.attempt, found.verdict.tree), replace(found.verdict, seconds=0.0)
        ruled = self.contest.won(side, self.editable(found.commit or ""), verdict)
        now, commit = self.rooms.clock(), found.commit
        row = self.rooms.record.add_measurement(found.attempt, "confirm", ruled, now, commit=commit)
        return self.rooms.record.measurement(row)

    # ── the best ─────────────────────────────────────────────────────────────────────────────────

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
        return editable(self.rooms.trees, self.rooms.problem, commit)

    def crown(self) -> None:
        """Make `best/` and the repository's HEAD the best confirmed program of the record."""
        with self._crowning:
            crown(self.rooms.folder, self.rooms.record, self.rooms.trees, self.rooms.problem)
