"""Policies: the contract over all that are shipped, faulty ones that it must catch, and what Islands decides when."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from kernelfactory.model import BadInput, Choice, Event, Metric
from kernelfactory.policy import Greedy, Islands, Lone, Policy, Uniform, find, weights
from kernelfactory.population import Population
from kernelfactory.testing.policy import Game, PolicyContract, rng_for, rugged


class TestIslands(PolicyContract):
    def make_policy(self) -> Policy:
        return Islands()


class TestOneIsland(PolicyContract):
    migrates = False

    def make_policy(self) -> Policy:
        return Islands(islands=1)


class TestGreedy(PolicyContract):
    migrates = explores = False

    def make_policy(self) -> Policy:
        return Greedy()


class TestUniform(PolicyContract):
    migrates = explores = False

    def make_policy(self) -> Policy:
        return Uniform()


class TestLone(PolicyContract):
    migrates = explores = False

    def make_policy(self) -> Policy:
        return Lone()


# ── the contract catches what it is there for ────────────────────────────────────────────────────


@dataclass(frozen=True)
class AlwaysIslandZero:
    islands: int = 3
    name: str = "faulty"

    def choose(self, population: Population, rng: random.Random) -> Choice:
        return Choice(population.islands[0].index, 0, "the first")


@dataclass(frozen=True)
class OwnDice:
    islands: int = 3
    name: str = "faulty"

    def choose(self, population: Population, rng: random.Random) -> Choice:
        return Islands().choose(population, random.Random())


@dataclass(frozen=True)
class Invents:
    islands: int = 1
    name: str = "faulty"

    def choose(self, population: Population, rng: random.Random) -> Choice:
        choice = Greedy().choose(population, rng)
        return replace(choice, inspirations=(999_999,))


@dataclass(frozen=True)
class Meddles:
    islands: int = 1
    name: str = "faulty"

    def choose(self, population: Population, rng: random.Random) -> Choice:
        population.islands[0].visits += 1
        return Greedy().choose(population, rng)


@dataclass(frozen=True)
class KeepsMigrating:
    islands: int = 3
    name: str = "faulty"

    def choose(self, population: Population, rng: random.Random) -> Choice:
        return Islands(quiet=0, every=0).choose(population, rng)


@pytest.mark.parametrize(
    ("faulty", "check"),
    [
        (AlwaysIslandZero(), "test_every_island_is_fed"),
        (Islands(explore=0.0), "test_every_cell_is_reachable"),
        (Islands(quiet=10**6), "test_migration_moves_something"),
        (KeepsMigrating(), "test_migration_moves_something"),
        (OwnDice(), "test_replay_equals_itself"),
        (Invents(), "test_names_only_what_is_there"),
        (Meddles(), "test_choosing_changes_nothing"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_the_contract_catches(faulty: Policy, check: str) -> None:
    class Faulty(PolicyContract):
        def make_policy(self) -> Policy:
            return faulty

    with pytest.raises(AssertionError):
        getattr(Faulty(), check)()


def test_the_contract_wants_a_policy() -> None:
    with pytest.raises(NotImplementedError):
        PolicyContract().make_policy()


# ── Islands: when it does what ───────────────────────────────────────────────────────────────────


def population(islands: int = 3, goal: str = "min") -> Population:
    made = Population(Metric("cycles", "cycles", "max" if goal == "max" else "min"), (), islands)
    made.apply(Event(1, "seeded", 0, None, 0, "seed", score=100.0, tree="seed"))
    return made


def attempt(to: Population, island: int, score: float | None = None, parent: int = 0, **more: object) -> int:
    """One attempt, claimed and judged; its number."""
    number = to.seq + 1
    claim = replace(Event(number, "claimed", number, parent, island, "select"), **more)
    to.apply(claim)
    outcome = "none" if score is None else "improved" if score < 100 else "worse"
    tree = None if score is None else f"tree {number}"
    to.apply(replace(claim, seq=number + 1, kind="judged", score=score, tree=tree, confirmed=True, outcome=outcome))
    return number


def choices(policy: Policy, of: Population, draws: int = 200) -> list[Choice]:
    return [policy.choose(of, rng_for(0, draw)) for draw in range(draws)]


def feed(others: Population, but: int, times: int) -> None:
    """Claims on all islands but one, so that it has its turn."""
    for island in (i for i in range(others.count) if i != but):
        for _ in range(times):
            attempt(others, island)


def test_islands_take_turns_from_the_seed() -> None:
    first = Islands().choose(population(), rng_for(0, 1))
    assert (first.parent, first.island, first.move, first.inspirations) == (0, 0, "select", ())
    assert first.reason == "island 0: the seed, no. 1 of 1 by score, 0 visits, weight 0.50"


@pytest.mark.parametrize("goal", ["min", "max"])
def test_good_parents_with_few_visits_weigh_more(goal: str) -> None:
    made = population(1, goal)
    good, bad = (80.0, 120.0) if goal == "min" else (120.0, 80.0)
    for score in (good, 100.5, 99.5, bad):
        attempt(made, 0, score)
    pool = list(made.islands[0].members.values())
    by_score = dict(zip([c.score for c in pool], weights(made, pool, 4.0), strict=True))
    assert by_score[good] > 0.9 and by_score[bad] < 0.1
    assert by_score[100.0] < by_score[99.5 if goal == "min" else 100.5]  # the seed was visited by all


def test_weights_when_nothing_differs_or_one_does() -> None:
    made = population(1)
    for score in (100.0, 100.0, 100.0, 90.0):
        attempt(made, 0, score)
    pool = list(made.islands[0].members.values())
    equal = [weights(made, pool[1:4], 4.0), weights(made, pool[1:2], 4.0)]
    assert equal == [[0.5, 0.5, 0.5], [0.5]]
    assert weights(made, pool[1:], 4.0)[-1] > 0.9  # MAD is 0 here


def test_weights_survive_scores_of_any_size() -> None:
    made = population(1)
    for score in (1.7e308, -1.7e308, 5e-324):
        attempt(made, 0, score)
    assert all(0 < w <= 1 for w in weights(made, list(made.islands[0].members.values()), 4.0))


def test_no_visitors_and_no_ideas_from_elsewhere_while_an_island_is_young() -> None:
    made = population(2)
    other = attempt(made, 1, 50.0)
    feed(made, 0, 20)
    assert not [c for c in choices(Islands(quiet=3), made) if c.move == "migrate" or other in c.inspirations]
    for _ in range(3):
        attempt(made, 0)
    taken = choices(Islands(quiet=3), made)
    assert {c.move for c in taken} == {"migrate"} and {c.parent for c in taken} == {other}
    assert taken[0].reason == f"island 0: attempt {other} comes over from island 1, one guest in about 15 attempts"


def test_a_guest_comes_again_only_after_a_while_and_only_when_new() -> None:
    made = population(2)
    attempt(made, 1, 50.0)
    for _ in range(3):
        attempt(made, 0)
    feed(made, 0, 20)
    policy = Islands(quiet=3, every=4)
    guest = policy.choose(made, rng_for(0, 0))
    attempt(made, 0, parent=guest.parent, move="migrate")
    assert all(c.move != "migrate" for c in choices(policy, made))
    for _ in range(3):
        attempt(made, 0)
    assert all(c.move != "migrate" for c in choices(policy, made))  # due, but island 1 has nobody new
    newer = attempt(made, 1, 60.0)
    assert {c.parent for c in choices(policy, made) if c.move == "migrate"} == {newer}


def test_no_room_for_a_weak_guest() -> None:
    made = population(2)
    for _ in range(made.sizes.members + 1):
        attempt(made, 0, 90.0)
    attempt(made, 1, 95.0)
    feed(made, 0, 30)
    assert all(c.move != "migrate" for c in choices(Islands(), made))


def test_stagnation_on_a_parent_then_in_the_island_pivots() -> None:
    made = population(1)
    policy = Islands(islands=1, parent_patience=3, island_patience=6)
    for _ in range(2):
        attempt(made, 0)
    assert all(c.move == "select" for c in choices(policy, made))
    attempt(made, 0)
    stuck = [c for c in choices(policy, made) if c.move == "pivot"]
    assert 60 < len(stuck) < 140
    assert stuck[0].reason.endswith("; 3 attempts on it without gain: another direction")
    for _ in range(3):
        attempt(made, 0)
    reasons = [c.reason for c in choices(policy, made) if c.move == "pivot"]
    assert reasons[0].endswith("; the island is 6 attempts without gain: another direction")


def test_patience_grows_with_the_longest_wait_that_paid_off() -> None:
    made = population(1)
    policy = Islands(islands=1, parent_patience=1, island_patience=1)
    for _ in range(9):
        attempt(made, 0)
    best = attempt(made, 0, 90.0)
    assert made.islands[0].gap == 9
    for _ in range(8):
        attempt(made, 0, parent=best)
    assert all(c.move != "pivot" for c in choices(policy, made) if c.parent == best)
    attempt(made, 0, parent=best)
    assert any(c.move == "pivot" for c in choices(policy, made))


def stuck_pair() -> tuple[Population, int, int, int]:
    """Island 0 weak and long without gain, island 1 holds the best; the attempts: early best, weak best, best."""
    made = population(2)
    early = attempt(made, 1, 85.0)
    best = attempt(made, 1, 50.0)
    weak = attempt(made, 0, 80.0)
    for _ in range(6):
        attempt(made, 0, parent=weak)
    feed(made, 0, 20)
    return made, early, weak, best


def test_the_weakest_island_restarts_from_a_stepping_stone() -> None:
    made, early, weak, best = stuck_pair()
    policy = Islands(islands=2, restart_patience=6, quiet=1000)
    taken = choices(policy, made)
    assert {c.move for c in taken} == {"restart"} and {c.island for c in taken} == {0}
    parents = {c.parent for c in taken}
    assert early in parents and not parents & {best, weak}
    assert "island 0: the weakest and 6 attempts without gain (of 6), restarts from " in taken[0].reason


def test_only_the_weakest_and_only_after_its_patience() -> None:
    made, *_ = stuck_pair()
    assert all(c.move != "restart" for c in choices(Islands(islands=2, restart_patience=7, quiet=1000), made))
    feed(made, 1, 40)  # now the strong island has its turn
    taken = choices(Islands(islands=2, restart_patience=6, quiet=1000), made)
    assert {c.island for c in taken} == {1} and all(c.move != "restart" for c in taken)


def test_no_restart_without_a_stone_or_another_island() -> None:
    alone = population(1)
    pair = population(2)
    for made in (alone, pair):
        for island in range(made.count):
            for _ in range(20):
                attempt(made, island)
        taken = choices(Islands(islands=made.count, restart_patience=5), made)
        assert all(c.move != "restart" for c in taken)


def test_explores_any_cell_and_looks_at_strangers() -> None:
    game = Game(Islands(), rugged(9), slots=2).play(120)
    explored = [c for c in game.choices.values() if c.move == "explore"]
    assert explored and "behaviour cells, each as likely" in explored[0].reason
    assert max(len(c.inspirations) for c in game.choices.values()) == 2


def test_greedy_and_lone_drift_to_the_latest_of_equals() -> None:
    for policy in (Greedy(), Lone()):
        made = population(1)
        attempt(made, 0, 90.0)
        later = attempt(made, 0, 90.0)
        attempt(made, 0, 95.0)
        assert policy.choose(made, rng_for(0, 0)).parent == later
    assert not Lone().choose(made, rng_for(0, 0)).share_notes
    assert Lone().choose(made, rng_for(0, 0)).move == "continue"


@pytest.mark.parametrize("make", [Islands, Greedy, Uniform, Lone])
def test_nothing_to_start_from_is_bad_input(make: Callable[[], Policy]) -> None:
    empty = Population(Metric("cycles", "cycles", "min"), (), 3)
    with pytest.raises(BadInput, match="the seed was not accepted"):
        make().choose(empty, rng_for(0, 0))


def test_find() -> None:
    assert find("islands", 4) == Islands(islands=4)
    assert [find(name, 5).islands for name in ("greedy", "uniform", "lone")] == [1, 5, 1]
    with pytest.raises(BadInput, match="no policy 'best'; give one of greedy, islands, lone, uniform"):
        find("best")
    with pytest.raises(BadInput, match="at least 1, not 0"):
        find("islands", 0)


def test_on_a_rugged_landscape_islands_pass_greedy_and_uniform() -> None:
    """A sanity check on one family of toys, at equal attempts; no claim about any real problem."""

    def mean(policy: Policy) -> float:
        bests = [Game(policy, rugged(seed), seed, slots=3).play(500).population.best for seed in range(8)]
        return statistics.fmean(best.score for best in bests if best is not None)

    islands = mean(Islands())
    assert islands < mean(Greedy())
    assert islands < mean(Uniform())
