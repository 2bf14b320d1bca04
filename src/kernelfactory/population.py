"""Folds the recorded events into islands, elites, cells and plateaus. Refuses to decide, to remember on disk, or to be
authoritative: it can be thrown away and folded again at any time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kernelfactory.model import TRUST_ORDER, Axis, Candidate, Event, Metric

Cell = tuple[int, ...]
"""One bin a behaviour axis; -1 where the measure is missing or not a number."""


class Sizes(NamedTuple):
    """How much an island keeps, in candidates: `members` live elites, `cells` behaviour cells; `bins` an axis;
    `stones` record holders of the past."""

    members: int = 12
    cells: int = 24
    bins: int = 5
    stones: int = 32


SIZES = Sizes()


@dataclass(slots=True)
class Trial:
    """What was tried on one parent: `visits` claims; `stale` judged attempts since one last improved on it."""

    visits: int = 0
    stale: int = 0


@dataclass(slots=True)
class Island:
    """One population. Counts are in attempts: `visits` claims ever, `age` claims since the start or the last restart,
    `migrated` the age at the last migration, `stale` judged attempts since its best last moved, `gap` the longest such
    run that an improvement has ended, `epoch` restarts so far. `members` and `cells` hold the oldest first."""

    index: int
    members: dict[int, Candidate] = field(default_factory=dict)
    cells: dict[Cell, Candidate] = field(default_factory=dict)
    visits: int = 0
    age: int = 0
    migrated: int | None = None
    stale: int = 0
    gap: int = 0
    epoch: int = 0

    def live(self) -> Iterator[Candidate]:
        """Members, then the cells' elites that are no members any more; no order of merit."""
        yield from self.members.values()
        yield from (c for c in self.cells.values() if c.attempt not in self.members)


@dataclass
class Population:
    """A fold over `Event`s in recorded order; equal event sequences give equal populations.

    `best` is the best confirmed candidate (or the seed); a weaker trust never replaces a stronger one, whatever its
    score. A candidate that would be the best and is not confirmed is held back: it becomes no parent. `stones` are the
    successive bests, thinned. Memory is bounded by `sizes` but for `trees` (known trees).
    """

    metric: Metric
    axes: Sequence[Axis] = ()
    count: int = 3
    sizes: Sizes = SIZES
    seq: int = 0
    seed: Candidate | None = None
    best: Candidate | None = None
    stones: list[Candidate] = field(default_factory=list)
    trees: set[str] = field(default_factory=set)
    islands: list[Island] = field(init=False)
    trials: dict[int, Trial] = field(default_factory=dict)
    running: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError("a population has at least one island")
        self.islands = [Island(index) for index in range(self.count)]

    # ── folding ──────────────────────────────────────────────────────────────────────────────────

    def catch_up(self, events: Iterable[Event]) -> None:
        """Fold `events`, which come after those folded already."""
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> None:
        """Fold one event. Raises ValueError, and changes nothing, for one that is out of order, names no island of this
        population, or carries a score that is no finite number."""
        self._check(event)
        self.seq = event.seq
        match event.kind:
            case "seeded":
                self._seeded(event)
            case "claimed":
                self._claimed(event)
            case "judged":
                self._judged(event)
            case "abandoned":
                self.running.pop(event.attempt, None)
            case _:
                self._rejudged(event)

    def _check(self, event: Event) -> None:
        if event.seq <= self.seq:
            raise ValueError(f"event {event.seq} comes after event {self.seq} was folded")
        if not 0 <= event.island < self.count:
            raise ValueError(f"event {event.seq} names island {event.island}; there are {self.count}")
        if event.score is not None and not math.isfinite(event.score):
            raise ValueError(f"event {event.seq} carries the score {event.score}, which is no finite number")

    def _seeded(self, event: Event) -> None:
        seed = self._candidate(event)
        if seed is None:
            return
        self.seed = seed
        self.trees.add(seed.tree)
        for island in self.islands:
            self._admit(island, seed)
        self._crown(seed)

    def _claimed(self, event: Event) -> None:
        island = self.islands[event.island]
        parent = None if event.parent is None else self.find(event.parent)
        if event.move == "restart" and parent is not None:
            self._restart(island, parent)
        elif event.move == "migrate" and parent is not None:
            self._migrate(island, parent)
        island.visits += 1
        island.age += 1
        if event.parent is not None:
            self.trials.setdefault(event.parent, Trial()).visits += 1
        self.running[event.attempt] = island.epoch

    def _restart(self, island: Island, parent: Candidate) -> None:
        island.members.clear()
        island.cells.clear()
        island.age = island.stale = 0
        island.migrated = None
        island.epoch += 1
        self._admit(island, parent)
        self._forget()

    def _migrate(self, island: Island, parent: Candidate) -> None:
        top = self.top(island)
        if top is None or self.merit(parent) > self.merit(top):
            island.stale = 0
        island.migrated = island.age
        self._admit(island, parent)

    def _judged(self, event: Event) -> None:
        """A result that was claimed before its island's restart stays out of the island, unless it is the new best."""
        island = self.islands[event.island]
        current = self.running.pop(event.attempt, island.epoch) == island.epoch
        fresh = self._fresh(event)
        self._count_trial(event, improved=fresh is not None and event.outcome == "improved")
        top = self.top(island)
        moved = fresh is not None and (top is None or self.merit(fresh) > self.merit(top))
        crowned = fresh is not None and self._crown(fresh)
        if not (current or crowned):
            return
        self._count_island(island, moved)
        if fresh is not None:
            self._supplant(fresh)
            self.trees.add(fresh.tree)
            self._admit(island, fresh)

    def _supplant(self, fresh: Candidate) -> None:
        """A known program that a stronger trust has judged takes the places of the one that a weaker had."""
        for island in self.islands if fresh.tree in self.trees else ():
            for known in [c.attempt for c in island.live() if c.tree == fresh.tree]:
                self._replace(island, known, fresh)

    def _fresh(self, event: Event) -> Candidate | None:
        """The candidate of `event` if its tree is not known yet, or it leads all the same (judged by a stronger trust),
        and it may be a parent."""
        candidate = self._candidate(event)
        if candidate is None or self._held_back(candidate):
            return None
        return candidate if candidate.tree not in self.trees or self._leads(candidate) else None

    def _count_trial(self, event: Event, improved: bool) -> None:
        if event.parent is None:
            return
        trial = self.trials.setdefault(event.parent, Trial())
        if improved:
            trial.stale = 0
        else:
            trial.stale += 1
        if len(self.trials) > 4 * self.count * (self.sizes.members + self.sizes.cells):
            self._forget()

    @staticmethod
    def _count_island(island: Island, moved: bool) -> None:
        if moved:
            island.gap = max(island.gap, island.stale)
            island.stale = 0
        else:
            island.stale += 1

    def _rejudged(self, event: Event) -> None:
        attempt, old = event.attempt, self.find(event.attempt)
        new = self._candidate(event, old)
        dethroned = self.best is not None and self.best.attempt == attempt
        if self.seed is not None and self.seed.attempt == attempt:
            self.seed = new
        if not dethroned and new is not None and self._held_back(new):
            new = None
        if new is None:  # found again, its tree may come back
            self.trees.discard(event.tree or (old.tree if old else ""))
        self.stones = [c for c in (new if c.attempt == attempt else c for c in self.stones) if c is not None]
        for island in self.islands:
            self._replace(island, attempt, new)
        if old is None and new is not None and new.tree not in self.trees:
            self._welcome(self.islands[event.island], new)
        if dethroned:
            self._crown_again(new)
        elif new is not None:
            self._crown(new)

    def _welcome(self, island: Island, candidate: Candidate) -> None:
        """An old result that counts from now on only, such as one that a person took out of quarantine."""
        top = self.top(island)
        if top is None or self.merit(candidate) > self.merit(top):
            self._count_island(island, moved=True)
        self.trees.add(candidate.tree)
        self._admit(island, candidate)

    # ── candidates ───────────────────────────────────────────────────────────────────────────────

    def _candidate(self, event: Event, old: Candidate | None = None) -> Candidate | None:
        """The candidate that `event` speaks of, with what it leaves out taken from `old`; None: no valid program."""
        tree = event.tree if event.tree is not None or old is None else old.tree
        if event.score is None or tree is None:
            return None
        measures = event.measures if event.measures or old is None else old.measures
        return Candidate(event.attempt, event.score, tree, measures, event.trust, event.confirmed)

    def _admit(self, island: Island, candidate: Candidate) -> None:
        """Into the members and its cell; whoever is worst goes, among equals the oldest, so equal scores drift."""
        island.members.pop(candidate.attempt, None)
        island.members[candidate.attempt] = candidate
        if len(island.members) > self.sizes.members:
            del island.members[min(island.members.values(), key=self.merit).attempt]
        self._settle(island, candidate)
        if len(island.cells) > self.sizes.cells:
            del island.cells[min(island.cells, key=lambda cell: self.merit(island.cells[cell]))]

    def _settle(self, island: Island, candidate: Candidate) -> None:
        cell = self.cell(candidate.measures)
        held = island.cells.get(cell)
        if held is None or self.merit(candidate) >= self.merit(held):
            island.cells.pop(cell, None)
            island.cells[cell] = candidate

    def _replace(self, island: Island, attempt: int, new: Candidate | None) -> None:
        """`attempt` goes and `new` takes its place; an island that would be left empty starts again from the seed."""
        if all(c.attempt != attempt for c in island.live()):
            return
        island.members.pop(attempt, None)
        island.cells = {cell: c for cell, c in island.cells.items() if c.attempt != attempt}
        for member in island.members.values():
            self._settle(island, member)
        successor = self.seed if new is None and not island.members else new
        if successor is not None:
            self._admit(island, successor)

    def _held_back(self, candidate: Candidate) -> bool:
        return not self._may_lead(candidate) and self.best is not None and self._rank(candidate) > self._rank(self.best)

    @staticmethod
    def _may_lead(candidate: Candidate) -> bool:
        return candidate.confirmed or candidate.attempt == 0

    def _crown(self, candidate: Candidate) -> bool:
        """Make it the best if it is better and may be (confirmed, or the seed); True when it was."""
        if not self._leads(candidate):
            return False
        self.best = candidate
        self.stones.append(candidate)
        if len(self.stones) > self.sizes.stones:
            self.stones = [*self.stones[:-1:2], candidate]
        return True

    def _leads(self, candidate: Candidate) -> bool:
        better = self.best is None or self._rank(candidate) > self._rank(self.best)
        return better and self._may_lead(candidate)

    def _crown_again(self, new: Candidate | None) -> None:
        """The best was judged anew: the best of all that are live follows, of equals the earliest attempt."""
        self.best = None
        heirs = [*self._live(), *([] if new is None else [new])]
        self.best = max(filter(self._may_lead, heirs), key=lambda c: (self._rank(c), -c.attempt), default=None)

    def _rank(self, candidate: Candidate) -> tuple[int, float]:
        return TRUST_ORDER.index(candidate.trust), self.merit(candidate)

    def _live(self) -> Iterator[Candidate]:
        yield from (c for c in (self.seed, self.best) if c is not None)
        for island in self.islands:
            yield from island.live()
        yield from self.stones

    def _forget(self) -> None:
        """Drop what was counted for parents that nothing can choose any more."""
        live = {c.attempt for c in self._live()}
        self.trials = {attempt: trial for attempt, trial in self.trials.items() if attempt in live}

    # ── questions ────────────────────────────────────────────────────────────────────────────────

    def merit(self, candidate: Candidate) -> float:
        """The score turned so that more is better, in the metric's unit."""
        return -candidate.score if self.metric.goal == "min" else candidate.score

    def top(self, island: Island) -> Candidate | None:
        """The best member of `island`, of equals the one that came last (drift); None only without a valid seed."""
        return max(reversed(island.members.values()), key=self.merit, default=None)

    def find(self, attempt: int) -> Candidate | None:
        """The candidate of `attempt` if an island, a cell or the path of bests still holds it. Costs O(elites)."""
        return next((c for c in self._live() if c.attempt == attempt), None)

    def trial(self, attempt: int) -> Trial:
        """What was tried on `attempt` as a parent."""
        return self.trials.get(attempt, Trial())

    def cell(self, measures: Mapping[str, float]) -> Cell:
        """The behaviour cell of `measures`: a bin an axis, clipped to the axis' range."""
        return tuple(self._bin(axis, measures.get(axis.name, math.nan)) for axis in self.axes)

    def _bin(self, axis: Axis, value: float) -> int:
        if math.isnan(value) or axis.high <= axis.low:
            return -1
        share = (min(max(value, axis.low), axis.high) - axis.low) / (axis.high - axis.low)
        return min(int(share * self.sizes.bins), self.sizes.bins - 1)
