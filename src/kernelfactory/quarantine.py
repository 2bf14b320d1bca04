"""What a person decides of scores in quarantine, and what follows on the record and in best/. Judges nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from kernelfactory import suspicion
from kernelfactory.files import replace_folder
from kernelfactory.model import BadInput, Measurement, Problem, Verdict
from kernelfactory.problem import is_editable
from kernelfactory.record import Record, Saying
from kernelfactory.trees import Trees

REJECTED = "a person looked at this program and rejected it"
DONE = {"release": "released", "reject": "rejected"}


@dataclass(frozen=True, slots=True)
class Word:
    """What a person says: of which attempt's program, who says it, why."""

    attempt: int
    said: Saying
    who: str
    why: str | None = None


def released(verdict: Verdict, confirmed: bool = True) -> Verdict:
    """What the verdict on a program in quarantine is once a person has released it; others are as they were."""
    if verdict.verdict != "quarantined":
        return verdict
    return replace(verdict, verdict="accepted", reason=None, confirmed=confirmed)


def refused(verdict: Verdict) -> Verdict:
    """What the verdict is on a program that a person rejected, whoever hands it in."""
    bare = replace(verdict, verdict="rejected", score=None, confirmed=False, interval=None, screened=None)
    return replace(bare, reason=REJECTED, reason_code="forged", seconds=0.0)


def decide(record: Record, word: Word, at: float) -> list[int]:
    """Put a person's word on the record, with all that follows for every attempt that handed the program in. Returns
    those attempts. A release is of the best program that the attempt has in quarantine, a rejection of all of them.

    Raises BadInput when there is nothing to decide."""
    with record.transaction():
        held = _held(record, word)
        concerned: dict[int, None] = {}
        for tree in {found.verdict.tree: None for found in held}:
            for attempt in record.twins(tree):
                concerned[attempt] = None
                mine = next(m for m in record.in_quarantine(attempt) if m.verdict.tree == tree)
                record.decide(mine.measurement, word.said, word.who, word.why, at)
                (_release if word.said == "release" else _reject)(record, mine, at)
    return list(concerned)


def _held(record: Record, word: Word) -> list[Measurement]:
    """What the word is about."""
    row, held = record.attempt(word.attempt), record.in_quarantine(word.attempt)
    if not held:
        raise BadInput(f"attempt {word.attempt} has nothing in quarantine: kf quarantine {record.folder} list")
    if row.state != "judged":
        raise BadInput(f"attempt {word.attempt} is still at work: decide when it is over")
    held = held[:1] if word.said == "release" else held
    before = record.decided(held[0].verdict.tree)
    if before is not None and before.decision == word.said:
        raise BadInput(f"attempt {word.attempt} was {DONE[word.said]} already, by {before.who}")
    return held


def _release(record: Record, held: Measurement, at: float) -> None:
    verdict = replace(released(held.verdict), seconds=0.0)
    row = record.add_measurement(held.attempt, "release", verdict, at, commit=held.commit)
    best, parent_score = record.best_valid(held.attempt), record.attempt(held.attempt).parent_score
    if best is None or best.measurement != row or verdict.score is None:
        return  # another of its programs is better
    base = parent_score if parent_score is not None else verdict.score
    outcome = suspicion.compared(record.experiment.metric, verdict.score, base)
    record.rejudged(held.attempt, row, at, outcome)


def _reject(record: Record, held: Measurement, at: float) -> None:
    """Out for good; where it was the result, the best of what is left is, if anything is."""
    row = record.add_measurement(held.attempt, "rejudge", refused(held.verdict), at, commit=held.commit)
    attempt, left = record.attempt(held.attempt), record.best_valid(held.attempt)
    if left is None or left.verdict.score is None:
        record.rejudged(held.attempt, row, at, "rejected")
    elif attempt.tree == held.verdict.tree:
        base = attempt.parent_score if attempt.parent_score is not None else left.verdict.score
        outcome = suspicion.compared(record.experiment.metric, left.verdict.score, base)
        record.rejudged(held.attempt, left.measurement, at, outcome)


def crown(folder: Path, record: Record, trees: Trees, problem: Problem) -> None:
    """Make `best/` and the repository's HEAD the best confirmed program of the record."""
    best = record.best()
    if best is not None and best.commit is not None:
        replace_folder(folder / "best", editable(trees, problem, best.commit))
        trees.point("refs/heads/best", best.commit)


def editable(trees: Trees, problem: Problem, commit: str) -> dict[str, bytes]:
    """The editable files of a commit."""
    return {name: data for name, data in trees.read(commit).items() if is_editable(name, problem.editable)}
