"""The population: a fold that equals itself, keeps within its caps, and means what restart, migrate and rejudge say."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelfactory.model import TRUST_ORDER, Axis, Candidate, Event, Metric
from kernelfactory.population import Island, Population, Sizes

CYCLES = Metric("cycles", "cycles", "min")
SPEED = Metric("speed", "x", "max")
AXES = (Axis("a", 0.0, 1.0), Axis("b", 0.0, 10.0))
SMALL = Sizes(members=3, cells=4, bins=2, stones=4)


def seeded(islands: int = 2, metric: Metric = CYCLES, sizes: Sizes = SMALL) -> Population:
    population = Population(metric, AXES, islands, sizes)
    population.apply(Event(1, "seeded", 0, None, 0, "seed", score=100.0, tree="seed", measures={"a": 0.1, "b": 1.0}))
    return population


def claim(population: Population, parent: int, island: int = 0, move: str = "select") -> int:
    seq = population.seq + 1
    population.apply(Event(seq, "claimed", seq, parent, island, move))
    return seq


def judge(
    population: Population, attempt: int, score: float | None, parent: int = 0, island: int = 0, **more: object
) -> None:
    outcome = "rejected" if score is None else "improved" if score < 100 else "worse"
    event = Event(population.seq + 1, "judged", attempt, parent, island, "select", outcome=outcome, score=score)
    given = {"tree": f"tree {attempt}", "confirmed": True, **more}
    population.apply(replace(event, **given))


def make(population: Population, score: float | None, parent: int = 0, island: int = 0, **more: object) -> int:
    attempt = claim(population, parent, island)
    judge(population, attempt, score, parent, island, **more)
    return attempt


def rejudge(population: Population, attempt: int, score: float | None, **more: object) -> None:
    event = Event(population.seq + 1, "rejudged", attempt, None, 0, "select", score=score, confirmed=True)
    population.apply(replace(event, **more))


def members(population: Population, island: int = 0) -> list[int]:
    return list(population.islands[island].members)


# ── members, cells, best ─────────────────────────────────────────────────────────────────────────


def test_the_seed_is_everywhere_and_the_first_best() -> None:
    population = seeded(3)
    assert [members(population, i) for i in range(3)] == [[0], [0], [0]]
    assert population.best is population.seed is population.find(0)
    assert population.find(7) is None


def test_a_seed_that_is_no_program_leaves_nothing() -> None:
    population = Population(CYCLES, AXES, 1)
    population.apply(Event(1, "seeded", 0, None, 0, "seed", outcome="rejected"))
    assert population.seed is None and population.best is None and population.top(population.islands[0]) is None
    make(population, 120.0)
    claim(population, 2, move="migrate")
    assert members(population) == [2]


@pytest.mark.parametrize("metric", [CYCLES, SPEED])
def test_the_worst_goes_and_among_equals_the_oldest(metric: Metric) -> None:
    better, worse = (90.0, 110.0) if metric.goal == "min" else (110.0, 90.0)
    population = seeded(1, metric)
    first, second, third = (make(population, 100.0) for _ in range(3))
    assert members(population) == [first, second, third]  # the seed, oldest of equals, went
    fourth = make(population, better)
    assert members(population) == [second, third, fourth]
    make(population, worse)
    assert members(population) == [second, third, fourth]
    assert population.top(population.islands[0]).attempt == fourth
    assert population.best.attempt == fourth


def test_equal_to_the_best_drifts_but_does_not_take_its_place() -> None:
    population = seeded(1)
    first, second = make(population, 90.0), make(population, 90.0)
    assert population.best.attempt == first
    assert population.top(population.islands[0]).attempt == second


def test_the_same_tree_is_not_kept_twice() -> None:
    population = seeded(2)
    first = make(population, 90.0, tree="x")
    make(population, 90.0, tree="x")
    make(population, 90.0, tree="x", island=1)
    make(population, 100.0, tree="seed")
    assert members(population) == [0, first] and members(population, 1) == [0]
    assert population.islands[0].stale == 2 and population.islands[1].stale == 1


def test_cells_keep_who_is_different_after_the_members_dropped_it() -> None:
    population = seeded(1)
    odd = make(population, 150.0, measures={"a": 0.9, "b": 9.0})
    for _ in range(3):
        make(population, 90.0, measures={"a": 0.1, "b": 1.0})
    island = population.islands[0]
    assert odd not in members(population)
    assert island.cells[1, 1].attempt == odd and population.find(odd).score == 150.0
    newer = make(population, 150.0, measures={"a": 0.9, "b": 9.0})
    assert island.cells[1, 1].attempt == newer
    make(population, 160.0, measures={"a": 0.9, "b": 9.0})
    assert island.cells[1, 1].attempt == newer


def test_cells_are_capped_and_the_worst_goes() -> None:
    population = seeded(1, sizes=SMALL._replace(bins=8))
    for step in range(6):
        make(population, 110.0 + step, measures={"a": step / 8 + 0.2, "b": 9.0})
    cells = population.islands[0].cells
    assert len(cells) == 4 and max(c.score for c in cells.values()) == 112.0


def test_cell_of_what_is_out_of_range_missing_or_no_number() -> None:
    population = Population(CYCLES, (*AXES, Axis("flat", 1.0, 1.0)), 1)
    assert population.cell({"a": 2.0, "b": -5.0, "flat": 1.0}) == (4, 0, -1)
    assert population.cell({"a": math.inf, "b": math.nan}) == (4, -1, -1)
    assert population.cell({"a": -math.inf}) == (0, -1, -1)


def test_a_weaker_trust_never_replaces_a_stronger_best() -> None:
    population = seeded(1)
    make(population, 95.0)
    weak = make(population, 1.0, trust="unprotected")
    assert population.best.score == 95.0 and weak in members(population)
    make(population, 0.5, trust="self-reported")
    assert population.best.score == 95.0


def test_a_stronger_trust_replaces_a_weaker_best() -> None:
    population = Population(CYCLES, AXES, 1)
    population.apply(Event(1, "seeded", 0, None, 0, "seed", score=100.0, tree="seed", trust="unprotected"))
    strong = make(population, 105.0)
    assert population.best.attempt == strong


def test_an_unconfirmed_best_is_held_back_until_it_is_confirmed() -> None:
    population = seeded(1)
    make(population, 90.0, confirmed=False)
    assert members(population) == [0] and population.best.attempt == 0
    again = make(population, 90.0, tree="tree 2")
    assert members(population) == [0, again] and population.best.attempt == again
    plain = make(population, 95.0, confirmed=False)
    assert plain in members(population)


def test_stones_are_the_path_of_the_bests_thinned() -> None:
    population = seeded(1)
    for score in range(99, 80, -1):
        make(population, float(score))
        assert len(population.stones) <= SMALL.stones
    scores = [c.score for c in population.stones]
    assert scores == sorted(scores, reverse=True) and scores[0] == 100.0 and scores[-1] == 81.0


def test_a_flag_decides_nothing() -> None:
    population = seeded(1)
    flagged = make(population, 90.0, flagged=True)
    assert population.best is not None and population.best.attempt == flagged


# ── counters ─────────────────────────────────────────────────────────────────────────────────────


def test_visits_and_what_is_stale() -> None:
    population = seeded(2)
    for score in (120.0, None, 130.0):
        make(population, score)
    trial, island = population.trial(0), population.islands[0]
    assert (trial.visits, trial.stale) == (3, 3)
    assert (island.visits, island.age, island.stale, island.gap) == (3, 3, 3, 0)
    make(population, 90.0)
    assert (population.trial(0).stale, island.stale, island.gap) == (0, 0, 3)
    assert population.islands[1].visits == 0


def test_an_attempt_that_was_abandoned_says_nothing_of_its_parent() -> None:
    population = seeded(1)
    attempt = claim(population, 0)
    assert population.running == {attempt: 0}
    population.apply(Event(population.seq + 1, "abandoned", attempt, 0, 0, "select"))
    assert (population.trial(0).visits, population.trial(0).stale, population.islands[0].stale) == (1, 0, 0)
    assert population.running == {}


def test_a_result_without_a_parent_counts_for_its_island() -> None:
    population = seeded(1)
    population.apply(Event(2, "claimed", 2, None, 0, "select"))
    judge(population, 2, 90.0, parent=None)
    assert population.best.attempt == 2 and population.trial(0).visits == 0


def test_counters_of_dropped_parents_are_forgotten() -> None:
    population = seeded(1)
    for _ in range(200):
        make(population, 90.0, parent=population.top(population.islands[0]).attempt)
    assert len(population.trials) <= 4 * (SMALL.members + SMALL.cells) + 1
    assert population.top(population.islands[0]).attempt in members(population)


# ── restart and migrate ──────────────────────────────────────────────────────────────────────────


def test_restart_empties_the_island_to_the_parent() -> None:
    population = seeded(2)
    stone, top = make(population, 95.0), make(population, 90.0)
    make(population, None)
    claim(population, stone, move="restart")
    island = population.islands[0]
    assert list(island.members) == [stone] and [c.attempt for c in island.cells.values()] == [stone]
    assert (island.stale, island.age, island.visits, island.migrated, island.epoch) == (0, 1, 4, None, 1)
    assert population.best.attempt == top and population.find(top) is not None


def test_what_was_claimed_before_a_restart_comes_home_only_as_the_best() -> None:
    population = seeded(1)
    late, latest = claim(population, 0), claim(population, 0)
    stone = make(population, 120.0)
    claim(population, stone, move="restart")
    judge(population, late, 101.0)
    assert members(population) == [stone] and population.islands[0].stale == 0
    judge(population, latest, 90.0)
    assert members(population) == [stone, latest] and population.best.attempt == latest


def test_migrate_brings_the_parent_to_the_island() -> None:
    population = seeded(2)
    guest = make(population, 90.0, island=1)
    for _ in range(2):
        make(population, None)
    claim(population, guest, move="migrate")
    island = population.islands[0]
    assert list(island.members) == [0, guest] and island.stale == 0 and island.migrated == 2
    make(population, None)
    claim(population, 0, move="migrate")
    assert island.stale == 1  # a guest that is no better is no improvement


def test_a_parent_that_nothing_holds_any_more_moves_nothing() -> None:
    population = seeded(1)
    for move in ("restart", "migrate"):
        claim(population, 77, move=move)
    assert members(population) == [0] and population.islands[0].epoch == 0


# ── rejudged ─────────────────────────────────────────────────────────────────────────────────────


def test_a_result_that_stands_no_longer_goes_and_the_next_best_follows() -> None:
    population = seeded(2)
    second, first = make(population, 95.0), make(population, 90.0)
    claim(population, first, island=1, move="migrate")
    rejudge(population, first, None)
    assert population.best.attempt == second and population.find(first) is None
    assert members(population) == [0, second] and members(population, 1) == [0]
    assert [c.attempt for c in population.stones] == [0, second]
    make(population, 90.0, tree=f"tree {first}")
    latest = max(c.attempt for c in population.islands[0].live())
    assert population.best.attempt == latest, "judged valid again, it is back"


def test_a_new_score_takes_the_old_ones_place() -> None:
    population = seeded(1)
    second, first = make(population, 95.0, measures={"a": 1.0, "b": 10.0}), make(population, 90.0)
    rejudge(population, first, 97.0)
    assert population.best.attempt == second and population.find(first).score == 97.0
    rejudge(population, second, 96.0)
    held = population.find(second)
    assert (population.best, held.score, held.tree, held.measures["a"]) == (held, 96.0, f"tree {second}", 1.0)
    rejudge(population, first, 50.0)
    assert population.best.attempt == first


def test_a_cell_whose_elite_goes_is_taken_by_a_member() -> None:
    population = seeded(1)
    plain, elite = make(population, 95.0), make(population, 90.0)
    assert [c.attempt for c in population.islands[0].cells.values()] == [0, elite]
    rejudge(population, elite, None)
    assert [c.attempt for c in population.islands[0].cells.values()] == [0, plain]


def test_an_island_left_empty_starts_again_from_the_seed() -> None:
    population = seeded(1)
    stone = make(population, 90.0)
    claim(population, stone, move="restart")
    rejudge(population, stone, None)
    assert members(population) == [0] and population.best.attempt == 0


def test_an_unconfirmed_new_best_is_held_back_at_a_rejudging_too() -> None:
    population = seeded(1)
    best, other = make(population, 90.0), make(population, 95.0)
    rejudge(population, other, 80.0, confirmed=False)
    assert population.best.attempt == best and population.find(other) is None
    again = make(population, 80.0, tree=f"tree {other}")
    assert population.best.attempt == again


def test_the_seed_may_be_judged_anew_and_may_fall() -> None:
    population = seeded(1)
    rejudge(population, 0, 105.0, confirmed=False)
    assert population.best is population.seed and population.seed.score == 105.0
    rejudge(population, 0, None)
    assert population.seed is None and population.best is None and members(population) == []


def test_rejudging_what_nothing_holds_changes_nothing_or_brings_the_best() -> None:
    population = seeded(1)
    rejudge(population, 50, 120.0)
    rejudge(population, 50, None)
    assert members(population) == [0] and population.find(50) is None
    rejudge(population, 51, 80.0, tree="found")
    assert population.best.attempt == 51


def test_what_comes_out_of_quarantine_is_a_member_of_its_island() -> None:
    population = seeded(2)
    held, twin = make(population, None, island=1, tree="held"), make(population, None, island=1, tree="held")
    assert members(population, 1) == [0]
    stale = population.islands[1].stale
    rejudge(population, held, 110.0, island=1, tree="held")
    assert members(population, 1) == [0, held] and members(population, 0) == [0]
    assert population.best.attempt == 0 and population.islands[1].stale == stale, "worse moves nothing"
    rejudge(population, twin, 110.0, island=1, tree="held")
    assert members(population, 1) == [0, held], "one program twice"
    best = make(population, None, island=1, tree="good")
    rejudge(population, best, 50.0, island=1, tree="good")
    assert population.best.attempt == best and best in members(population, 1) and population.islands[1].stale == 0


def test_a_known_program_that_a_stronger_trust_judged_leads() -> None:
    population = seeded(1)
    weak = make(population, 50.0, tree="same", trust="unprotected")
    assert population.best.attempt == 0 and weak in members(population)
    strong = make(population, 60.0, tree="same")
    assert population.best.attempt == strong and strong in members(population)
    assert weak not in members(population), "one tree is one member"
    make(population, 60.0, tree="same")
    assert population.best.attempt == strong, "handed in again it is nothing new"


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", ["seeded", "judged", "rejudged"])
def test_a_score_that_is_no_finite_number_is_refused(score: float, kind: str) -> None:
    population, untouched = seeded(), seeded()
    with pytest.raises(ValueError, match="no finite number"):
        population.apply(Event(2, kind, 1, 0, 0, "select", score=score, tree="x", confirmed=True))
    assert population == untouched


def test_events_out_of_order_or_of_no_island_are_refused() -> None:
    population, untouched = seeded(2), seeded(2)
    with pytest.raises(ValueError, match="event 1 comes after event 1"):
        population.apply(Event(1, "claimed", 1, 0, 0, "select"))
    for island in (-1, 2):
        with pytest.raises(ValueError, match=f"names island {island}; there are 2"):
            population.apply(Event(2, "claimed", 1, 0, island, "select"))
    assert population == untouched
    with pytest.raises(ValueError, match="at least one island"):
        Population(CYCLES, AXES, 0)


# ── whatever happens ─────────────────────────────────────────────────────────────────────────────

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["claim", "claim", "judge", "judge", "abandon", "rejudge"]),
        st.integers(0, 30),
        st.integers(0, 2),
        st.sampled_from(["select", "select", "explore", "migrate", "restart"]),
        st.one_of(st.none(), st.integers(80, 120).map(float)),
        st.booleans(),
        st.sampled_from(TRUST_ORDER),
        st.fixed_dictionaries({"a": st.floats(0, 1), "b": st.floats(0, 10)}),
    ),
    max_size=60,
)


def history(steps: Sequence[tuple], goal: str) -> tuple[Population, list[Event]]:
    """A history that could be recorded: the parents exist, an attempt ends once."""
    population = Population(CYCLES if goal == "min" else SPEED, AXES, 3, SMALL)
    events = [Event(1, "seeded", 0, None, 0, "seed", score=100.0, tree="seed")]
    population.apply(events[0])
    open_: list[Event] = []
    ended: list[Event] = []
    for kind, pick, island, move, score, confirmed, trust, measures in steps:
        seq = population.seq + 1
        if kind == "claim":
            pool = sorted({c.attempt for i in population.islands for c in i.live()}) or [0]
            event = Event(seq, "claimed", seq, pool[pick % len(pool)], island, move)
            open_.append(event)
        elif kind == "rejudge" and ended:
            old = ended[pick % len(ended)]
            event = replace(old, seq=seq, kind="rejudged", score=score, confirmed=confirmed, trust=trust)
        elif kind in ("judge", "abandon") and open_:
            old = open_.pop(pick % len(open_))
            kind_ = "judged" if kind == "judge" else "abandoned"
            said = {"outcome": "improved" if confirmed else "worse", "tree": f"tree {pick}", "trust": trust}
            found = {"score": score, "measures": measures, "confirmed": confirmed, **said} if kind == "judge" else {}
            event = replace(old, seq=seq, kind=kind_, **found)
            ended += [event] if kind == "judge" and score is not None else []
        else:
            continue
        events.append(event)
        population.apply(event)
    return population, events


def check_island(population: Population, island: Island) -> None:
    live = [c.attempt for c in island.live()]
    assert len(live) == len(set(live))
    assert len(island.members) <= SMALL.members and len(island.cells) <= SMALL.cells
    assert all(population.find(attempt) is not None for attempt in live)
    assert all(population.cell(c.measures) == cell for cell, c in island.cells.items())
    if population.seed is not None:
        assert island.members


def check(population: Population, events: Sequence[Event]) -> None:
    for island in population.islands:
        check_island(population, island)
    live = {c.attempt: c for i in population.islands for c in i.live()}.values()
    assert len(live) == len({c.tree for c in live}), "one tree under two attempts"
    said = {e.attempt: e.score for e in events if e.kind in ("seeded", "judged", "rejudged")}
    for attempt, score in said.items():
        found = population.find(attempt)
        assert found is None or found.score == score, "a verdict that stands no longer"
    may_lead = [(TRUST_ORDER.index(c.trust), population.merit(c)) for c in live if c.confirmed or c.attempt == 0]
    best = population.best
    assert not may_lead or (TRUST_ORDER.index(best.trust), population.merit(best)) >= max(may_lead)
    assert len(population.stones) <= SMALL.stones


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, cut=st.integers(0, 60), goal=st.sampled_from(["min", "max"]))
def test_any_history(steps: Sequence[tuple], cut: int, goal: str) -> None:
    population, events = history(steps, goal)
    fresh = Population(population.metric, AXES, 3, SMALL)
    fresh.catch_up(events[:cut])
    fresh.catch_up(events[cut:])
    assert fresh == population
    check(population, events)


class Hoards(Population):
    def _admit(self, island: Island, candidate: Candidate) -> None:
        island.members[candidate.attempt] = candidate


class TakesTwice(Population):
    def _fresh(self, event: Event) -> Candidate | None:
        return self._candidate(event)

    def _supplant(self, fresh: Candidate) -> None:
        pass


class KeepsOldVerdicts(Population):
    def _rejudged(self, event: Event) -> None:
        pass


class Crowns(Population):
    def _crown(self, candidate: Candidate) -> bool:
        self.best = candidate
        return True


@pytest.mark.parametrize("faulty", [Hoards, TakesTwice, KeepsOldVerdicts, Crowns])
def test_the_invariants_catch(faulty: type[Population]) -> None:
    events = [Event(1, "seeded", 0, None, 0, "seed", score=100.0, tree="seed")]
    for attempt, tree in enumerate("aabcd", start=1):
        score = 90.0 + attempt
        judged = Event(attempt + 1, "judged", attempt, 0, 0, "select", score=score, tree=tree, confirmed=True)
        events.append(judged)
    events.append(replace(events[1], seq=10, kind="rejudged", score=99.5))
    sound = Population(CYCLES, AXES, 3, SMALL)
    sound.catch_up(events)
    check(sound, events)
    fold = faulty(CYCLES, AXES, 3, SMALL)
    fold.catch_up(events)
    with pytest.raises(AssertionError):
        check(fold, events)


def test_many_attempts_fold_in_seconds_and_bounded() -> None:
    population = Population(CYCLES, AXES, 3)
    population.apply(Event(1, "seeded", 0, None, 0, "seed", score=1e6, tree="seed"))
    start, seq = time.perf_counter(), 1
    for attempt in range(1, 20_001):
        island = attempt % 3
        parent = population.top(population.islands[island])
        measures = {"a": attempt % 7 / 7, "b": attempt % 11}
        event = Event(seq + 1, "claimed", attempt, parent.attempt, island, "select", tree=f"{attempt:040x}")
        score = parent.score - (attempt % 10 == 0)
        population.apply(event)
        population.apply(replace(event, seq=seq + 2, kind="judged", score=score, measures=measures, confirmed=True))
        seq += 2
    assert time.perf_counter() - start < 6  # a fifth of the size; 0.6 s on an idle core
    assert len(population.trials) < 500 and not population.running
    assert sum(len(list(island.live())) for island in population.islands) <= 3 * 36
