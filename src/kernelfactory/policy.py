"""Which parent the next attempt gets, and why, in words. Refuses to remember: all it knows is the population it is
shown, and all its chance is the rng it is given, so a recorded choice can be made again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kernelfactory.model import BadInput, Candidate, Choice, Move
from kernelfactory.population import Island, Population

if TYPE_CHECKING:
    from random import Random


class Policy(Protocol):
    """`islands`: how many islands it wants fed. `choose` is pure and takes O(elites); it names only candidates that
    `population.find` knows and raises BadInput when there is no valid program to start from."""

    @property
    def name(self) -> str: ...

    @property
    def islands(self) -> int: ...

    def choose(self, population: Population, rng: Random) -> Choice: ...


# ── what policies share ──────────────────────────────────────────────────────────────────────────


def weights(population: Population, pool: Sequence[Candidate], steepness: float) -> list[float]:
    """A weight in (0, 1] a candidate: sigmoid(steepness x (merit - median) / MAD) x 1 / (1 + visits), as ShinkaEvolve
    weighs parents. Where the MAD is 0 the mean deviation takes its place, and where all are equal only visits count."""
    merits = [population.merit(candidate) for candidate in pool]
    middle = _median(merits)
    deviations = [abs(merit - middle) for merit in merits]
    scale = _median(deviations) or sum(deviations) / len(deviations)
    flat = scale == 0 or not math.isfinite(scale)
    scaled = [0.0 if flat else steepness * (merit - middle) / scale for merit in merits]
    return [_sigmoid(x) / (1 + population.trial(c.attempt).visits) for x, c in zip(scaled, pool, strict=True)]


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, x))))


def _name(candidate: Candidate) -> str:
    return "the seed" if candidate.attempt == 0 else f"attempt {candidate.attempt}"


def _hungriest(population: Population) -> Island:
    """The island with the fewest claims, so that every one is fed; of equals the first."""
    fed = [island for island in population.islands if island.members]
    if not fed:
        raise BadInput("there is no valid program to start from: the seed was not accepted; see kf check")
    return min(fed, key=lambda island: island.visits)


def _best(population: Population, island: Island) -> Candidate:
    return max(reversed(island.members.values()), key=population.merit)


def _distinct(pool: Iterable[Candidate], *without: Candidate | None) -> list[Candidate]:
    """`pool` without repeats and without `without` (also under another number), by attempt."""
    barred = {c.tree for c in without if c is not None}
    kept = {c.attempt: c for c in pool if c.tree not in barred}
    return [kept[attempt] for attempt in sorted(kept)]


# ── the shipped ones ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Islands:
    """The default: steady state over a few islands, greedy first, wider on stagnation.

    Patience, `quiet` and `every` are counted in attempts on one island (or one parent). An island's patience is never
    shorter than the longest wait that paid off there (`Island.gap`), so that cheap agents, which need many attempts a
    gain, do not make it thrash. `explore` and `pivot` are probabilities; `steepness` is a factor per MAD. Settings:
    the middle of what published harnesses use for a cheap judge and dear attempts.
    """

    islands: int = 3
    explore: float = 0.15
    steepness: float = 4.0
    quiet: int = 10
    every: int = 15
    parent_patience: int = 5
    island_patience: int = 10
    restart_patience: int = 30
    pivot: float = 0.5
    inspirations: int = 2
    name: str = "islands"

    def choose(self, population: Population, rng: Random) -> Choice:
        island = _hungriest(population)
        return (
            self._restart(population, island, rng)
            or self._migrate(population, island, rng)
            or self._explore(population, island, rng)
            or self._select(population, island, rng)
        )

    def _restart(self, population: Population, island: Island, rng: Random) -> Choice | None:
        """The weakest island, long without gain, starts again from a stepping stone that is not the best."""
        patience = max(self.restart_patience, 2 * island.gap)
        if island.stale < patience or island is not _weakest(population):
            return None
        stones = _stones(population, _best(population, island))
        if not stones:
            return None
        stone = rng.choices(stones, weights(population, stones, self.steepness))[0]
        why = f"the weakest and {island.stale} attempts without gain (of {patience}), restarts from {_name(stone)}"
        return self._choice(population, island, stone, rng, ("restart", why))

    def _migrate(self, population: Population, island: Island, rng: Random) -> Choice | None:
        """The best that another island has and this one has not, once in `every` attempts."""
        wait = self.quiet if island.migrated is None else island.migrated + self.every
        if island.age < wait:
            return None
        donors = [(other, best) for other in population.islands if (best := _guest(population, other, island))]
        if not donors:
            return None
        donor, guest = rng.choice(donors)
        why = f"{_name(guest)} comes over from island {donor.index}, one guest in about {self.every} attempts"
        return self._choice(population, island, guest, rng, ("migrate", why))

    def _explore(self, population: Population, island: Island, rng: Random) -> Choice | None:
        """Any behaviour cell, each as likely as the other."""
        if rng.random() >= self.explore or len(island.cells) < 2:
            return None
        elite = rng.choice(list(island.cells.values()))
        why = f"{_name(elite)}, best of one of {len(island.cells)} behaviour cells, each as likely"
        return self._choice(population, island, elite, rng, ("explore", why))

    def _select(self, population: Population, island: Island, rng: Random) -> Choice:
        pool = list(island.members.values())
        scales = weights(population, pool, self.steepness)
        at = rng.choices(range(len(pool)), scales)[0]
        parent, trial = pool[at], population.trial(pool[at].attempt)
        place = 1 + sum(population.merit(c) > population.merit(parent) for c in pool)
        why = f"{_name(parent)}, no. {place} of {len(pool)} by score, {trial.visits} visits, weight {scales[at]:.2f}"
        stuck = self._stuck(island, trial.stale)
        if stuck and rng.random() < self.pivot:
            return self._choice(population, island, parent, rng, ("pivot", f"{why}; {stuck}: another direction"))
        return self._choice(population, island, parent, rng, ("select", why))

    def _stuck(self, island: Island, stale: int) -> str:
        """Why another direction is due, in words; "" when it is not."""
        if island.stale >= max(self.island_patience, island.gap):
            return f"the island is {island.stale} attempts without gain"
        if stale >= max(self.parent_patience, island.gap):
            return f"{stale} attempts on it without gain"
        return ""

    def _choice(
        self, population: Population, island: Island, parent: Candidate, rng: Random, what: tuple[Move, str]
    ) -> Choice:
        move, why = what
        others = [_best(population, i) for i in population.islands if i is not island and i.members]
        pool = [*island.cells.values(), *(others if island.age >= self.quiet else [])]
        strangers = _distinct(pool, parent)
        chosen = rng.sample(strangers, min(self.inspirations, len(strangers)))
        return Choice(
            parent=parent.attempt,
            island=island.index,
            reason=f"island {island.index}: {why}",
            move=move,
            inspirations=tuple(c.attempt for c in chosen),
        )


def _stones(population: Population, top: Candidate) -> list[Candidate]:
    """Earlier bests and elites of islands and cells, not the best and not `top`; equals of `top` for want of others."""
    pool = [*population.stones, *(c for island in population.islands for c in island.live())]
    stones = _distinct(pool, population.best, top)
    return [c for c in stones if c.score != top.score] or stones


def _weakest(population: Population) -> Island | None:
    """The island with the worst best, of equals the one longest without gain; None where there is only one."""
    fed = [island for island in population.islands if island.members]
    if len(fed) < 2:
        return None
    return min(fed, key=lambda i: (population.merit(_best(population, i)), -i.stale))


def _guest(population: Population, donor: Island, host: Island) -> Candidate | None:
    """The best of `donor` that `host` has not and would keep."""
    if donor is host:
        return None
    full = len(host.members) >= population.sizes.members
    floor = min(map(population.merit, host.members.values())) if full else -math.inf
    absent = [c for c in donor.members.values() if c.attempt not in host.members and population.merit(c) >= floor]
    return max(absent, key=population.merit, default=None)


@dataclass(frozen=True)
class Greedy:
    """One island, always its best; of equals the latest, so that equal scores drift."""

    islands: int = 1
    name: str = "greedy"

    def choose(self, population: Population, rng: Random) -> Choice:
        island = _hungriest(population)
        parent = _best(population, island)
        return Choice(parent.attempt, island.index, f"island {island.index}: {_name(parent)}, the best so far")


@dataclass(frozen=True)
class Uniform:
    """The null arm: every member of an island is as likely as the other."""

    islands: int = 3
    name: str = "uniform"

    def choose(self, population: Population, rng: Random) -> Choice:
        island = _hungriest(population)
        parent = rng.choice(list(island.members.values()))
        why = f"{_name(parent)}, any of {len(island.members)}"
        return Choice(parent.attempt, island.index, f"island {island.index}: {why}")


@dataclass(frozen=True)
class Lone:
    """One agent alone on one lineage: no notes of others, no inspirations. What a factory adds is measured against it;
    give it one slot."""

    islands: int = 1
    name: str = "lone"

    def choose(self, population: Population, rng: Random) -> Choice:
        island = _hungriest(population)
        parent = _best(population, island)
        why = f"the lineage goes on from {_name(parent)}, its best so far"
        return Choice(parent.attempt, island.index, why, move="continue", share_notes=False)


SHIPPED: Mapping[str, Callable[[int], Policy]] = {
    "islands": Islands,
    "greedy": lambda islands: Greedy(),
    "uniform": Uniform,
    "lone": lambda islands: Lone(),
}


def find(name: str, islands: int = 3) -> Policy:
    """A shipped policy by name, with `islands` islands if it has several. Raises BadInput."""
    if islands < 1:
        raise BadInput(f"--islands must be at least 1, not {islands}")
    if name not in SHIPPED:
        raise BadInput(f"there is no policy {name!r}; give one of {', '.join(sorted(SHIPPED))}")
    return SHIPPED[name](islands)
