"""One attempt's search: propose an edit, see whether it is still a program, try it, keep it when it is no worse.
Refuses to know how trying works: `measure` is given."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from kernelfactory.agents.mutator.operators import OPERATORS, Chooser, Tally
from kernelfactory.agents.mutator.syntax import Code, problem_with

DRIFT = 0.4
"""How often an edit that changes nothing in the figure is kept."""
SLOWER = 1.5
"""An edit that changes nothing in the figure isn't kept when trying it took so many times as long."""
WORTHWHILE = 0.01
"""A gain of this share of the parent's score ends the attempt: others go on from there."""
DRY = 2_000
"""So many proposals in a row that are no program, or were tried already, end the attempt."""


class Trial(NamedTuple):
    """What came of trying a program: `figure` None says that it isn't a valid one, and `reason` why."""

    figure: float | None
    reason: str = ""


class NoMore(Exception):
    """There is nothing more to measure: the attempt is over or may not measure any longer."""


Sources = Mapping[str, Code]
Measure = Callable[[Sources, bool], Trial]
"""(files, quick?) -> Trial; raises NoMore."""


@dataclass(frozen=True)
class Task:
    """What an attempt is given. `donors`: other candidates' text by path; `seconds`: the time that may be used."""

    sources: Sources
    parent_score: float
    smaller_is_better: bool
    seconds: float
    donors: Mapping[str, Sequence[Code]] = field(default_factory=dict)
    earlier: Mapping[str, Tally] = field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    """An edit that was kept: the operators, where, and the figures before and after (`quick`: of the small try)."""

    operators: str
    where: str
    before: float
    after: float
    quick: bool


@dataclass
class Report:
    """What happened, for the notes. `best` is None when no measured program was better than the parent."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    kept: list[Kept] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    drifted: int = 0
    tries: int = 0
    measured: int = 0
    best: float | None = None
    ended: str = "time was over"

    def count(self, names: Sequence[str], tally: Tally) -> None:
        for name in names:
            self.tallies[name] = self.tallies.get(name, Tally()) + tally

    def refuse(self, reason: str) -> None:
        reason = re.sub(r"\d+", "N", reason)
        if reason in self.refused or len(self.refused) < 12:
            self.refused[reason] = self.refused.get(reason, 0) + 1


class Proposal(NamedTuple):
    sources: Sources
    operators: tuple[str, ...]
    where: str


@dataclass
class Search:
    """The search of one attempt. `clock` gives seconds; `changed` is called when there is something new to note."""

    task: Task
    measure: Measure
    rng: Random
    clock: Callable[[], float]
    changed: Callable[[Report], None] = lambda report: None
    report: Report = field(default_factory=Report)
    quick: bool = True

    def __post_init__(self) -> None:
        self.sources = self.safe = self.task.sources
        self.chooser = Chooser(self.task.earlier)
        self.seen = {self._key(self.sources)}
        self.figure = self.safe_figure = self.best = self.task.parent_score
        self.start = self.clock()
        self.took = self.usual = 0.0
        self.dry = 0

    def run(self) -> tuple[Sources, Report]:
        """Searches until a worthwhile gain or the end of the time; the sources that come back are the best measured
        ones, or ones as good as the parent's, or the parent's."""
        try:
            self._base()
            while not self._over() and not self._step():
                if self.dry >= DRY:
                    self.report.ended = "nothing new was found to try"
                    break
            if self.report.best is None and self.sources is not self.safe:
                self._confirm_drift()
        except NoMore as why:
            self.report.ended = str(why)
        self.changed(self.report)
        return self.safe, self.report

    # ── one step ──

    def _base(self) -> None:
        """The figure to compare with: that of the parent in the small try, if the problem has one."""
        try:
            base = self._try(self.sources, True)
        except NoMore:
            base = Trial(None)
        self.quick = base.figure is not None
        if base.figure is not None:
            self.figure = self.safe_figure = base.figure
            self.usual = self.took

    def _try(self, sources: Sources, quick: bool) -> Trial:
        """Measures; notes how long one of the usual kind took, and takes the first one that is valid as usual."""
        started = self.clock()
        trial = self.measure(sources, quick)
        if quick == self.quick:
            self.took = self.clock() - started
            self.usual = self.usual or (self.took if trial.figure is not None else 0.0)
        return trial

    def _over(self) -> bool:
        return self.clock() - self.start > self.task.seconds

    def _step(self) -> bool:
        """Tries one proposal; True: the attempt has reached something worth handing in."""
        proposal = self._propose()
        self.dry = self.dry + 1 if proposal is None else 0
        if proposal is None:
            return False
        self.report.tries += 1
        if not self.quick:
            return self._full(proposal, self.figure, self.figure)
        trial = self._try(proposal.sources, True)
        if trial.figure is None:
            self.report.count(proposal.operators, Tally(1, 0, 0))
            self.report.refuse(trial.reason)
            return False
        if self._better(trial.figure, self.figure):
            return self._full(proposal, self.figure, trial.figure)
        self.report.count(proposal.operators, Tally(1, 1, 0))
        if trial.figure == self.figure and self.rng.random() < DRIFT:
            self._drift(proposal)
        return False

    def _full(self, proposal: Proposal, before: float, after: float) -> bool:
        trial = self._try(proposal.sources, False)
        self.report.measured += 1
        if trial.figure is None:
            self.report.count(proposal.operators, Tally(1, 0, 0))
            self.report.refuse(trial.reason)
            self._back()
            return False
        if not self._better(trial.figure, self.best):
            self.report.count(proposal.operators, Tally(1, 1, 0))
            if trial.figure != self.best:
                self._back()
            elif (self.rng.random() < DRIFT or self.quick) and self._drift(proposal):
                self.safe, self.figure, self.safe_figure = proposal.sources, after, after
            return False
        self.report.count(proposal.operators, Tally(1, 1, 1))
        self._keep(proposal, trial.figure, (before, after))
        return self._gain() >= WORTHWHILE

    def _keep(self, proposal: Proposal, score: float, quick: tuple[float, float]) -> None:
        names = " + ".join(proposal.operators)
        self.report.kept.append(Kept(names, proposal.where, self.best, score, False))
        self.sources = self.safe = proposal.sources
        self.best = self.report.best = score
        self.usual = self.took
        self.figure = self.safe_figure = quick[1] if self.quick else score
        if self._gain() >= WORTHWHILE:
            self.report.ended = "a worthwhile gain"
        self.changed(self.report)

    def _gain(self) -> float:
        return abs(self.task.parent_score - self.best) / max(abs(self.task.parent_score), 1e-12)

    def _drift(self, proposal: Proposal) -> bool:
        """An edit that makes no difference stays, unless it makes the text or the time much longer. True: it stays."""
        stays = _length(proposal.sources) < 1.5 * _length(self.sources) and self.took <= SLOWER * self.usual
        if stays:
            self.report.drifted += 1
            self.sources = proposal.sources
        return stays

    def _back(self) -> None:
        """The small try had said better and was wrong: what has drifted since the last sound program isn't trusted."""
        self.sources, self.figure = self.safe, self.safe_figure

    def _confirm_drift(self) -> None:
        trial = self._try(self.sources, False)
        self.report.measured += 1
        if trial.figure is not None and not self._better(self.best, trial.figure):
            self.safe = self.sources

    def _better(self, a: float, b: float) -> bool:
        return math.isfinite(a) and (a < b if self.task.smaller_is_better else a > b)

    # ── proposals ──

    def _propose(self) -> Proposal | None:
        """An edit, or two or three on top of each other, that still is a program and hasn't been tried yet."""
        path = self.rng.choices(list(self.sources), [1 + len(code.source) for code in self.sources.values()])[0]
        code, names, places = self.sources[path], [], []
        donors = self.task.donors.get(path, ())
        usable = [name for name in OPERATORS if donors or name not in {"hunk", "function", "statement"}]
        for _ in range(self.rng.choices((1, 2, 3), (0.8, 0.15, 0.05))[0]):
            name = self.chooser.choose(self.rng, self.report.tallies, usable)
            edit = OPERATORS[name][0](code, self.rng, donors)
            if edit is None or problem_with(edit.code) is not None:
                self.report.count([name], Tally(0.1, 0, 0))
                break
            code = edit.code
            names.append(name)
            places.append(edit.where)
        sources = {**self.sources, path: code}
        key = self._key(sources)
        if not names or key in self.seen:
            return None
        self.seen.add(key)
        return Proposal(sources, tuple(names), "; ".join(places))

    @staticmethod
    def _key(sources: Sources) -> tuple[tuple[bytes, ...], ...]:
        return tuple(code.tokens for code in sources.values())


def _length(sources: Sources) -> int:
    return sum(len(code.source) for code in sources.values())
