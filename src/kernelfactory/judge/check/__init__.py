"""Is a problem sound? Asks it what its author should have asked, then tries it the way careless and hostile candidates
would. Changes nothing in the problem."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from kernelfactory import files
from kernelfactory.jail import Jail
from kernelfactory.judge import Judge, JudgeFailed
from kernelfactory.judge.check import advice, rows, sound
from kernelfactory.judge.check.inputs import Heard, Listened, Tapped, by_heart, listened
from kernelfactory.judge.check.interface import Interface, interface
from kernelfactory.judge.check.rows import HEARD, Row, Target
from kernelfactory.judge.check.sound import Sound
from kernelfactory.judge.check.telling import told
from kernelfactory.judge.check.trying import GAINED, Ask, Range, Try, row, skipped, words
from kernelfactory.judge.check.yard import Check, Yard
from kernelfactory.judge.produce import Refusal, artefact
from kernelfactory.model import Answering, Evaluating, Files, KernelFactoryError, Problem, Produce, Verdict

__all__ = ["Check", "check_problem"]

SEEDS = 2
"""Verdicts on the seed that make the yard; one more for what reports itself."""
PAIRS = 3
"""Of pairs, so many are run where nothing aims at time."""
TIMED_BAR = 1.3
"""A timed try that is clearly slower than this ends early: an attack that gains less is not worth its time."""
SHORT_MEMORY = 512 << 20
SHORT_SECONDS, LONG_SECONDS = 2.0, 5.0
SLOWER = 5
"""A bomb gets so many times the seconds that the seed took, between SHORT_SECONDS and LONG_SECONDS."""

T = TypeVar("T", Produce, Answering, Evaluating)

Progress = Callable[[int, int, str], None]
"""(rows done, rows in all, what was done last)."""


def check_problem(
    problem: Problem, jail: Jail, progress: Progress | None = None, only: Sequence[str] = ()
) -> list[Check]:
    """Every question and every attack, in order; with `only`, those in whose names one of its words is. A ruler that
    fails ends a row with ok False, never with an exception; a seed that is not valid ends the check: there is nothing
    to measure the rest against."""
    tell = progress or (lambda done, count, name: None)
    with tempfile.TemporaryDirectory(prefix="kf-check-") as scratch, ExitStack() as opened:
        try:
            judge = opened.enter_context(Judge(problem, jail, scratch=Path(scratch)))
        except JudgeFailed as failed:
            return [Check("the ruler loads", False, words(failed), fix=advice.LOADS)]
        found = [Check("the ruler loads", True, f"{judge.ruler.backend}, {judge.ruler.digest[:19]}…")]
        verdicts, seed = _seeds(judge)
        found.append(seed)
        if not seed.ok:
            return found
        tell(0, 0, "the seed is valid")
        bench = Bench(judge, jail, Path(scratch), opened, verdicts)
        return _once([*found, *bench.all(tell, only)])


def _once(found: Sequence[Check]) -> list[Check]:
    """A fault of the ruler is told in full once."""
    said: set[str] = set()
    kept = []
    for check in found:
        again = check.outcome == "ruler fails" and check.detail in said
        kept.append(replace(check, detail="the same failure", fix="") if again else check)
        said |= {check.detail} if check.outcome == "ruler fails" else set()
    return kept


def _seeds(judge: Judge) -> tuple[list[Verdict], Check]:
    """Verdicts on the seed, and the row about them."""
    seed = sound.editable(judge.problem)
    verdicts: list[Verdict] = []
    try:
        for _ in range(1 if judge.problem.measure.timed else SEEDS + (judge.problem.kind == "command")):
            verdicts.append(judge.screen(seed))
            ok, detail = sound.accepted(verdicts[-1])
            if not ok:
                return verdicts, Check("the seed is valid", False, detail, fix=advice.SEED)
    except JudgeFailed as failed:
        return verdicts, Check("the seed is valid", False, words(failed), outcome="ruler fails", fix=advice.FAULT_SEED)
    return verdicts, Check("the seed is valid", True, sound.accepted(verdicts[0])[1])


@dataclass(frozen=True, slots=True)
class Bench:
    """What a check works with, once the seed is known to be valid."""

    judge: Judge
    jail: Jail
    scratch: Path
    opened: ExitStack
    verdicts: list[Verdict]

    def all(self, tell: Progress, only: Sequence[str]) -> list[Check]:
        problem = self.judge.problem
        sources = files.read_tree(os.path.join(problem.folder, "judge"), ["**"])
        scores = tuple(verdict.score for verdict in self.verdicts if verdict.score is not None)
        yard = Yard(problem.metric, problem.measure.timed, scores)
        seed, met = sound.editable(problem), interface(problem, sources)
        brief = self._asking(problem, self.jail)
        asked = Sound(self.judge, brief, self.verdicts[0], self.jail, self.scratch, seed, sources, yard)
        asks = (*sound.questions(asked), *sound.intake(problem, met.file, self.scratch))
        work = [_question(each) for each in asks]
        met_row = Check("what attacks aim at", True, met.how, "gallery")
        target, heard = self._target(met, seed, sources)
        at = Range(lambda program: self.judge.screen(program, bar=TIMED_BAR), brief, self._short(), yard)
        self.opened.callback(at.close)
        at.wrong = self._wrong(target, at)
        work += [*heard, *self._attacks(target, at)]
        wanted = [each for each in work if not only or any(word in each[0] for word in only)]
        done = [met_row, *self._done(wanted, tell)]
        return [*done, *_self_reported(done)] if problem.kind == "command" else done

    def _done(self, work: Sequence[Row], tell: Progress) -> list[Check]:
        """The rows, in order; a few at once, except where time is measured."""
        hands = 1 if self.judge.problem.measure.timed else min(4, max(2, os.cpu_count() or 1))
        found: list[Check] = []
        with ThreadPoolExecutor(hands) as pool:
            for (name, _), made in zip(work, pool.map(lambda each: _safely(*each), work), strict=True):
                found.append(made)
                tell(len(found), len(work), name)
        return found

    def _asking(self, problem: Problem, jail: Jail) -> Ask:
        """A way to judge programs that does not wait to time them."""
        if not problem.measure.timed:
            judge = self.judge if problem is self.judge.problem and jail is self.jail else None
            return (judge or self.opened.enter_context(Judge(problem, jail, scratch=self.scratch))).screen
        return self.opened.enter_context(Judge(_untimed(problem), jail, scratch=self.scratch)).confirm

    def _short(self) -> Ask:
        """A way to judge with limits that bombs reach soon."""
        problem, took = self.judge.problem, max(verdict.seconds for verdict in self.verdicts)
        limit = min(max(SHORT_SECONDS, SLOWER * took), LONG_SECONDS)

        def shorter(table: T) -> T:
            return replace(table, seconds=min(table.seconds, limit), memory=min(table.memory, SHORT_MEMORY))

        changed = replace(
            problem,
            produce=problem.produce and shorter(problem.produce),
            answering=problem.answering and shorter(problem.answering),
            evaluating=problem.evaluating and shorter(problem.evaluating),
        )
        return self._asking(changed, Tapped(self.jail, patience=limit + 1))

    def _target(self, met: Interface, seed: Files, sources: Files) -> tuple[Target, list[Row]]:
        """The problem as its attackers see it, with the rows about its inputs."""
        problem = self.judge.problem
        if problem.kind == "function":
            return self._listened(met, seed, sources)
        if problem.kind == "command" and met.names:
            telling = told(self.judge, met, seed)
            target = Target(problem, met, seed, telling.varied, sources, self.jail.holds)
            return target, [("the inputs are fresh", lambda: _fresh(telling.repeated(), telling.words()))]
        return Target(problem, met, seed, False, sources, self.jail.holds), []

    def _listened(self, met: Interface, seed: Files, sources: Files) -> tuple[Target, list[Row]]:
        problem, tapped = self.judge.problem, Tapped(self.jail)
        try:
            with Judge(_untimed(problem), tapped, scratch=self.scratch) as judge:
                screen = judge.screen if not problem.measure.timed else judge.confirm
                heard = Listened(*listened(screen, judge.confirm, tapped, seed), problem.measure.separate)
        except JudgeFailed:  # told of elsewhere
            heard = Listened(Heard(), Heard(), Heard(), problem.measure.separate)
        target = Target(problem, met, seed, heard.first.varied, sources, self.jail.holds)
        detail = f"{len(heard.first.calls)} calls with arguments, {len(heard.confirmation.calls)} in a confirmation"
        return target, [
            ("the inputs are fresh", lambda: _fresh(heard.repeated(), detail)),
            ("a table of known answers", lambda: self._by_heart(target, heard)),
        ]

    def _by_heart(self, target: Target, heard: Listened) -> Check:
        """The program that knows the screenings by heart, before the judging that must not be known."""
        name = "a table of known answers"
        text = by_heart(target.problem, target.interface, [heard.first, heard.second])
        if text is None or not heard.first.is_data():
            return skipped(name, HEARD, "no inputs that a table could hold, or not one Python function")
        program = {**target.seed, target.interface.file: text}
        yard = Yard(target.problem.metric, target.problem.measure.timed, self._scores())
        ask = self.judge.confirm if heard.separate else self._asking(target.problem, self.jail)
        at = Range(ask, ask, ask, yard)
        try:
            came = at.ruled(Try(program, "wrong", "fresh inputs"), ask(program))
        finally:
            at.close()
        return row(name, HEARD, advice.FRESH, [lambda: came])

    def _scores(self) -> tuple[float, ...]:
        return tuple(verdict.score for verdict in self.verdicts if verdict.score is not None)

    def _wrong(self, target: Target, at: Range) -> float | None:
        """What answers that are off by one score: where it is what the seed gets, wrong answers alone show nothing."""
        if target.interface.language != "python" or not target.interface.names or at.yard.timed:
            return None
        try:
            return rows.off_by_one(target, at)
        except JudgeFailed:  # told of elsewhere
            return None

    def _attacks(self, target: Target, at: Range) -> Iterator[Row]:
        language, problem = target.interface.language, target.problem
        if language == "python":
            yield from rows.python_rows(target, at)
        elif language == "c":
            yield from rows.c_rows(target, at)
        if problem.kind == "artefact":
            made = artefact(problem, problem.seed, self.jail, self.scratch)
            yield from () if isinstance(made, Refusal) else rows.data_rows(target, at, made, self.judge.weigh)
        elif language == "data":
            file = target.interface.file
            yield from rows.data_rows(target, at, target.seed[file], lambda content: self._screened(file, content))
        if language != "python":
            why = f"made for Python, and {target.interface.file} is {'C' if language == 'c' else 'data'}"
            yield "the gallery for Python", lambda: skipped("the gallery for Python", rows.PYTHON, why)

    def _screened(self, file: str, content: bytes) -> float | None:
        verdict = self.judge.screen({**sound.editable(self.judge.problem), file: content})
        return verdict.score if verdict.verdict == "accepted" else None


def _untimed(problem: Problem) -> Problem:
    """A timed problem whose time nobody takes seriously: a confirmation of a few pairs needs no slot of the machine."""
    if not problem.measure.timed:
        return problem
    return replace(problem, measure=replace(problem.measure, timed=False, confirm=PAIRS, edges=None))


def _fresh(why: str | None, detail: str) -> Check:
    name = "the inputs are fresh"
    return Check(name, why is None, why or detail, HEARD, fix="" if why is None else advice.FRESH)


def _self_reported(done: Sequence[Check]) -> list[Check]:
    """For an evaluator of the author's own: what fools it, in one row."""
    by = "; ".join(dict.fromkeys(check.name for check in done if check.outcome == GAINED))
    why = f"self-reported: the evaluator can be fooled by: {by}"
    return [Check("the evaluator cannot be fooled", False, why, "gallery", fix=advice.SHIM)] if by else []


def _question(question: sound.Question) -> Row:
    name, answer, cure = question

    def asked() -> Check:
        ok, detail = answer()
        return Check(name, ok, detail, fix="" if ok else cure)

    return name, asked


def _safely(name: str, work: Callable[[], Check]) -> Check:
    try:
        return work()
    except JudgeFailed as failed:
        return Check(name, False, words(failed), outcome="ruler fails", fix=advice.FAULT)
    except KernelFactoryError as error:
        return Check(name, False, " ".join(str(error).split()))
