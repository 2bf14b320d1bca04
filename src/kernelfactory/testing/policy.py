"""PolicyContract: what every policy must do, run by its author's tests; and a toy game to play one. Refuses to know any
policy by name."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from kernelfactory.model import Axis, Choice, Event, Metric, Outcome
from kernelfactory.policy import Policy
from kernelfactory.population import Population

METRIC = Metric("cost", "points", "min")
AXES = (Axis("head", 0.0, 1.0), Axis("tail", 0.0, 1.0))

Terrain = Callable[[str], tuple[float, Mapping[str, float]]]
"""A toy problem: the cost of a program (a string of bits) and its behaviour measures."""


def rugged(seed: int, bits: int = 24, reach: int = 4) -> Terrain:
    """Kauffman's NK landscape: each bit's cost hangs on it and its next `reach` neighbours, rounded so that there are
    plateaus; many local optima. Measures: the share of ones in either half."""

    table: dict[tuple[int, str], float] = {}

    def part(at: int, window: str) -> float:
        if (at, window) not in table:
            table[at, window] = random.Random(f"{seed}:{at}:{window}").random()
        return table[at, window]

    def cost(tree: str) -> tuple[float, Mapping[str, float]]:
        ring = tree + tree[:reach]
        parts = [part(at, ring[at : at + reach + 1]) for at in range(bits)]
        half = bits // 2
        shares = {"head": tree[:half].count("1") / half, "tail": tree[half:].count("1") / half}
        return float(round(10 * sum(parts))), shares

    return cost


def flip(tree: str, rng: random.Random) -> str:
    """One toy edit: one bit, at times two."""
    for _ in range(1 + (rng.random() < 0.3)):
        at = rng.randrange(len(tree))
        tree = tree[:at] + "10"[int(tree[at])] + tree[at + 1 :]
    return tree


@dataclass
class Game:
    """A played experiment: the population, every event, every choice and result by attempt. `seed` drives the policy,
    as in an experiment, and the toy agent; `watch` sees each choice before it is folded."""

    policy: Policy
    terrain: Terrain
    seed: int = 0
    slots: int = 1
    bits: int = 24
    watch: Callable[[Population, Choice], None] = lambda population, choice: None
    events: list[Event] = field(default_factory=list)
    choices: dict[int, Choice] = field(default_factory=dict)
    results: dict[int, tuple[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.population = Population(METRIC, AXES, self.policy.islands)
        start = "0" * self.bits
        cost, measures = self.terrain(start)
        self.results[0] = (start, cost)
        self._fold(Event(1, "seeded", 0, None, 0, "seed", score=cost, tree=start, measures=measures, confirmed=True))

    def play(self, attempts: int) -> Game:
        """Steady state on `slots` slots; ends drained."""
        rng = random.Random(f"agent {self.seed}")
        running: list[int] = []
        for _ in range(attempts):
            attempt = len(self.choices) + 1
            choice = self.policy.choose(self.population, rng_for(self.seed, attempt))
            self.watch(self.population, choice)
            self.choices[attempt] = choice
            self._fold(Event(self._next(), "claimed", attempt, choice.parent, choice.island, choice.move))
            running.append(attempt)
            if len(running) >= self.slots:
                self._end(running.pop(rng.randrange(len(running))), rng)
        while running:
            self._end(running.pop(), rng)
        return self

    def _end(self, attempt: int, rng: random.Random) -> None:
        choice = self.choices[attempt]
        claim = Event(self._next(), "claimed", attempt, choice.parent, choice.island, choice.move)
        if rng.random() < 0.1:
            self._fold(replace(claim, kind="abandoned"))
            return
        before, score = self.results[choice.parent]
        tree = flip(before, rng)
        cost, measures = self.terrain(tree)
        outcome: Outcome = "improved" if cost < score else "equal" if cost == score else "worse"
        self.results[attempt] = (tree, cost)
        judged = replace(claim, kind="judged", outcome=outcome, score=cost, tree=tree, measures=measures)
        self._fold(replace(judged, confirmed=True))

    def _next(self) -> int:
        return len(self.events) + 1

    def _fold(self, event: Event) -> None:
        self.events.append(event)
        self.population.apply(event)


def rng_for(seed: int, attempt: int) -> random.Random:
    """The dice of one claim, as the factory throws them."""
    return random.Random(f"{seed}:{attempt}")


class PolicyContract:
    """Subclass it in a test module, give `make_policy`, and pytest runs the suite. `migrates` and `explores` say what
    the policy claims to do; what it does not claim is not asked of it."""

    migrates: ClassVar[bool] = True
    explores: ClassVar[bool] = True

    def make_policy(self) -> Policy:
        raise NotImplementedError("give make_policy()")

    def test_every_island_is_fed(self) -> None:
        game = Game(self.make_policy(), rugged(1)).play(90)
        visits = [island.visits for island in game.population.islands]
        share = 90 / len(visits)
        assert min(visits) >= share / 2, f"claims by island: {visits}"

    def test_every_cell_is_reachable(self) -> None:
        if not self.explores:
            return
        policy = self.make_policy()
        for index in range(policy.islands):
            population = crowded(policy.islands, index)
            elites = {elite.attempt for elite in population.islands[index].cells.values()}
            parents = {policy.choose(population, rng_for(index, draw)).parent for draw in range(400)}
            assert elites <= parents, f"island {index} never starts from the elites {sorted(elites - parents)}"

    def test_migration_moves_something(self) -> None:
        if not self.migrates:
            return
        moved: list[Choice] = []

        def watch(population: Population, choice: Choice) -> None:
            if choice.move == "migrate":
                assert choice.parent not in population.islands[choice.island].members, "the guest lives here already"
                moved.append(choice)

        Game(self.make_policy(), rugged(2), watch=watch).play(200)
        assert moved, "nobody ever migrated"
        assert len(moved) <= 40, f"{len(moved)} of 200 attempts migrate: the islands are one"

    def test_replay_equals_itself(self) -> None:
        game = Game(self.make_policy(), rugged(3), seed=7, slots=2).play(120)
        again = Population(METRIC, AXES, game.policy.islands)
        policy = self.make_policy()
        for event in game.events:
            if event.kind == "claimed":
                choice = policy.choose(again, rng_for(7, event.attempt))
                assert choice == game.choices[event.attempt], f"attempt {event.attempt} was chosen otherwise"
            again.apply(event)
        assert again == game.population

    def test_names_only_what_is_there(self) -> None:
        def watch(population: Population, choice: Choice) -> None:
            assert 0 <= choice.island < population.count
            assert population.find(choice.parent) is not None, f"attempt {choice.parent} is no candidate"
            assert all(population.find(other) for other in choice.inspirations)
            assert choice.parent not in choice.inspirations, "a parent inspires itself"
            assert choice.reason.strip(), "a choice without a reason"

        Game(self.make_policy(), rugged(4), slots=3, watch=watch).play(200)

    def test_choosing_changes_nothing(self) -> None:
        game = Game(self.make_policy(), rugged(5)).play(40)
        before = copy.deepcopy(game.population)
        game.policy.choose(game.population, rng_for(1, 1))
        assert game.population == before


def crowded(islands: int, index: int) -> Population:
    """A population whose island `index` has its turn and holds elites of cells that are no members any more: its
    members are all of one cell and better."""
    population = Population(METRIC, AXES, islands)
    seq = 1
    population.apply(
        Event(seq, "seeded", 0, None, 0, "seed", score=100.0, tree="seed", measures={"head": 0, "tail": 0})
    )
    for attempt in range(1, population.sizes.members + 5):
        seq += 2
        late = attempt - population.sizes.members
        measures = {"head": 0.3 * late, "tail": 1.0} if late > 0 else {"head": 0.0, "tail": 0.0}
        event = Event(seq, "claimed", attempt, 0, index, "select", measures=measures, tree=f"tree {attempt}")
        population.apply(event)
        population.apply(replace(event, seq=seq + 1, kind="judged", score=110.0 if late > 0 else 99.0, confirmed=True))
    for other in (i for i in range(islands) if i != index):
        for attempt in range(100 * (other + 1), 100 * (other + 1) + 20):
            seq += 2
            population.apply(Event(seq, "claimed", attempt, 0, other, "select"))
            population.apply(Event(seq + 1, "abandoned", attempt, 0, other, "select"))
    return population
