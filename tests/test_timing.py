"""Timed pairs on a machine made of dice: load that drifts, spikes, processes with luck of their own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import median
from typing import Any

import pytest

from kernelfactory import timing
from kernelfactory.model import Measured, Rejected
from kernelfactory.timing import ERROR, EXACT, LIFE, LOOKING, MOST, anytime, interval, log_ratio, speedup

PROMISED = 0.05
CONFIRM = 20
"""Pairs of a confirmation and of a duel, as matmul_c has them."""


@dataclass
class Machine:
    """`spread`: of one run; `luck`: of one process; `drift`: a step of the load from run to run (logarithms).
    One run in fifty is hit by something else."""

    rng: Random
    spread: float = 0.03
    luck: float = 0.005
    drift: float = 0.005
    load: float = 0.0

    def run(self) -> float:
        self.load = 0.98 * self.load + self.rng.gauss(0, self.drift)
        spike = self.rng.uniform(0.1, 0.7) if self.rng.random() < 0.02 else 0.0
        return self.load + self.rng.gauss(0, self.spread) + spike


@dataclass
class Program:
    """Answers `factor` times slower than another would; `answers` tells what comes out."""

    machine: Machine
    factor: float = 1.0
    answers: Callable[[int], Any] = lambda number: number + 1
    bar: float | None = None
    calls: list[int] = field(default_factory=list)
    starts: int = 0
    luck: float = 0.0
    other: Program | None = None

    @property
    def baseline(self) -> Program:
        assert self.other is not None
        return self.other

    def restart(self) -> None:
        self.starts += 1
        self.luck = self.machine.rng.gauss(0, self.machine.luck)

    def timed(self, *args: Any) -> tuple[Any, float]:
        self.calls.append(args[0])
        return self.answers(args[0]), 0.05 * self.factor * math.exp(self.machine.run() + self.luck)


class Immortal(Program):
    """A fault: one process for all calls."""

    def restart(self) -> None:
        if not self.starts:
            super().restart()


def against(machine: Machine, ratio: float = 1.0, bar: float | None = None, kind: type[Program] = Program) -> Program:
    """A program that is `ratio` times faster than its baseline."""
    return kind(machine, 1 / ratio, bar=bar, other=kind(machine))


def draw(rng: Random) -> tuple[int]:
    return (rng.getrandbits(64),)


def check(args: tuple[Any, ...], answer: Any) -> None:
    if answer != args[0] + 1:
        raise Rejected("wrong_answer", "not the next number")


def measured(call: Program, pairs: int = CONFIRM) -> Measured:
    return speedup(call, draw, check, pairs, call.machine.rng)


def declared(found: Measured) -> bool:
    assert found.interval is not None
    return not found.interval[0] <= 1 <= found.interval[1]


def rate(trial: Callable[[Random], bool], times: int = 1000) -> float:
    return sum(trial(Random(seed)) for seed in range(times)) / times


# ── what is promised ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("bar", [None, 1.0, 1.02, 1.5], ids=str)
@pytest.mark.parametrize("pairs", [10, CONFIRM])
def test_equal_programs_are_seldom_told_apart(bar: float | None, pairs: int) -> None:
    assert rate(lambda rng: declared(measured(against(Machine(rng), bar=bar), pairs))) <= PROMISED


@pytest.mark.parametrize("spread", [0.01, 0.02], ids=["as the seed", "as a fast program"])
def test_three_percent_are_found(spread: float) -> None:
    """With half as much spread again as benchmarks/timing.py finds (in pairs: twice the variance), and spikes."""

    def found(rng: Random) -> bool:
        seen = measured(against(Machine(rng, spread), 1.03)).interval
        return seen is not None and seen[0] > 1

    assert rate(found, 500) >= 0.8


def test_the_interval_holds_the_true_ratio() -> None:
    def missed(rng: Random) -> bool:
        low, high = measured(against(Machine(rng), 6.0)).interval or (0, 0)
        return not low <= 6.0 <= high

    assert rate(missed) <= PROMISED


# ── what would break it ──────────────────────────────────────────────────────────────────────────


def test_fault_times_that_are_not_paired() -> None:
    """All runs of one program, then all of the other: what drifts in between passes for a difference."""

    def apart(rng: Random) -> bool:
        machine = Machine(rng, drift=0.01)
        call = against(machine)
        times = [[program.timed(1)[1] for _ in range(CONFIRM)] for program in (call, call.baseline)]
        _, low, high = interval([log_ratio(b, a) for a, b in zip(*times, strict=True)])
        return not low <= 1 <= high

    assert rate(apart, 300) > 0.15


def test_fault_one_process_for_all_pairs() -> None:
    assert rate(lambda rng: declared(measured(against(Machine(rng, 0.02, luck=0.015), kind=Immortal))), 300) > 0.15


def peeked(ratios: Sequence[float], look: Callable[[Sequence[float]], tuple[float, float]]) -> bool:
    """Was 0 ever outside, when looked at after every pair?"""
    return any(not low <= 0 <= high for n in range(1, len(ratios) + 1) for low, high in [look(ratios[:n])])


def coins(rng: Random, count: int = 60) -> list[float]:
    return [rng.gauss(0, 0.03) + (rng.choice((-1, 1)) * 0.5 if rng.random() < 0.1 else 0) for _ in range(count)]


def test_looking_after_every_pair_is_paid_for() -> None:
    assert rate(lambda rng: peeked(coins(rng), lambda ratios: anytime(ratios, LOOKING))) <= LOOKING


def test_fault_looking_after_every_pair_at_an_interval_for_one_look() -> None:
    def once(ratios: Sequence[float]) -> tuple[float, float]:
        _, low, high = interval(ratios)
        return (math.log(low) if low else -math.inf), math.log(high)

    assert rate(lambda rng: peeked(coins(rng), once), 300) > 4 * LOOKING


def test_luck_does_not_last() -> None:
    """The best of 200 equal programs looks faster; on fresh pairs it is not. The fault is to believe the first look."""
    lucky, shown = [], 0
    for seed in range(40):
        rng = Random(seed)
        lucky.append(max(measured(against(Machine(rng)), 10).score for _ in range(100)))
        shown += declared(measured(against(Machine(rng))))
    assert median(lucky) > 1.02
    assert shown <= 4


# ── the race ─────────────────────────────────────────────────────────────────────────────────────


def test_a_race_that_is_lost_ends_early() -> None:
    found = measured(against(Machine(Random(1)), 2.0, bar=4.0))
    assert found.instruments["pairs"] <= 8 and found.instruments["ended"].startswith("early")
    assert found.interval is not None and found.interval[0] <= found.score <= found.interval[1] < 4.0


@pytest.mark.parametrize("ratio", [1.0, 1.03, 2.0])
def test_who_is_no_worse_than_the_bar_is_not_stopped(ratio: float) -> None:
    def stopped(rng: Random) -> bool:
        return measured(against(Machine(rng), ratio, bar=1.0)).instruments["pairs"] < CONFIRM

    assert rate(stopped, 500) <= LOOKING


def test_nothing_races_against_no_bar() -> None:
    for bar in (None, 0.0, -1.0):
        assert measured(against(Machine(Random(2)), 0.1, bar=bar)).instruments["pairs"] == CONFIRM


# ── how it is measured ───────────────────────────────────────────────────────────────────────────


def test_every_pair_has_fresh_processes_one_fresh_input_and_a_random_order() -> None:
    order: list[str] = []

    @dataclass
    class Named(Program):
        name: str = ""

        def timed(self, *args: Any) -> tuple[Any, float]:
            order.append(self.name)
            return super().timed(*args)

    machine = Machine(Random(3))
    call = Named(machine, other=Named(machine, name="baseline"), name="candidate")
    measured(call, 60)
    assert call.starts == call.baseline.starts == 60
    assert call.calls[:60] == call.baseline.calls and len(set(call.calls)) == 60 + LIFE
    del order[120:]
    firsts = order[::2]
    assert 15 < firsts.count("candidate") < 45
    assert all({a, b} == {"candidate", "baseline"} for a, b in zip(order[::2], order[1::2], strict=True))


def test_every_answer_is_checked() -> None:
    machine, answers = Machine(Random(4)), iter(range(10**9))
    call = against(machine)
    call.answers = lambda number: number + 1 if next(answers) < 19 else number
    with pytest.raises(Rejected, match="next number"):
        measured(call)
    assert len(call.calls) == 20


def test_what_is_right_once_must_be_right_again() -> None:
    call = against(Machine(Random(4)))
    call.answers = lambda number: number + (len(call.calls) <= CONFIRM)
    with pytest.raises(Rejected, match="next number"):
        measured(call)


def test_a_baseline_that_answers_wrongly_is_not_the_programs_fault() -> None:
    call = against(Machine(Random(5)))
    call.baseline.answers = lambda number: number
    with pytest.raises(ValueError, match="the baseline answers wrongly: not the next number"):
        measured(call)


def test_a_baseline_may_answer_otherwise_and_rightly() -> None:
    call, seen = against(Machine(Random(6))), []
    call.baseline.answers = lambda number: float(number + 1)
    found = speedup(call, lambda rng: (rng.getrandbits(8),), lambda args, got: seen.append(got), 6, Random(0))
    assert [type(got) for got in seen] == [int, float] * 6 + [int] * LIFE and found.instruments["pairs"] == 6


def test_instruments_tell_milliseconds_and_no_input() -> None:
    found = measured(against(Machine(Random(7)), 2.0))
    assert set(found.instruments) == {"pairs", "ended", "milliseconds"}
    middle = found.instruments["milliseconds"]
    assert 1.5 < middle["baseline"] / middle["program"] < 2.5


# ── times and numbers ────────────────────────────────────────────────────────────────────────────


def test_times_of_nothing_and_times_that_are_none() -> None:
    assert log_ratio(0.0, 0.0) == log_ratio(-1.0, 0.0) == 0.0
    assert log_ratio(1.0, 0.0) == math.log(MOST) == -log_ratio(0.0, 1.0)
    assert log_ratio(2.0, 1.0) == pytest.approx(math.log(2))
    for bad in (math.nan, math.inf):
        for times in ((bad, 1.0), (1.0, bad)):
            with pytest.raises(ValueError, match="no number"):
                log_ratio(*times)


def test_a_clock_that_stands_still_shows_no_difference() -> None:
    assert interval([0.0] * 10) == (1.0, 1.0, 1.0)


def test_few_pairs_say_nothing() -> None:
    assert interval([0.7]) == (pytest.approx(math.exp(0.7)), 0.0, MOST)
    assert interval([0.1] * 6)[1:] == (0.0, MOST)
    assert interval([0.1] * 7)[1:] == (pytest.approx(math.exp(0.1)),) * 2
    assert anytime([-9.0] * 6, LOOKING) == (-math.inf, math.inf)
    assert anytime([-9.0] * 7, LOOKING) == (-9.0, -9.0)
    with pytest.raises(ValueError, match="no pairs"):
        interval([])
    with pytest.raises(ValueError, match="no pairs"):
        measured(against(Machine(Random(8))), 0)


def test_the_other_way_round_is_the_inverse() -> None:
    ratios = coins(Random(9), 31)
    ratio, low, high = interval(ratios)
    assert interval([-x for x in ratios]) == pytest.approx((1 / ratio, 1 / high, 1 / low))
    assert low < ratio < high


def by_hand(count: int, error: float) -> int | None:
    """The cut, by going through all signs."""
    sums = [
        sum(rank for rank, plus in enumerate(signs, 1) if plus) for signs in itertools.product((0, 1), repeat=count)
    ]
    fits = [t for t in range(count * count) if sum(s <= t for s in sums) <= error / 2 * len(sums)]
    return max(fits, default=None)


def test_the_cut_is_that_of_the_tables() -> None:
    for count in range(1, 11):
        assert timing._cut(count, ERROR) == by_hand(count, ERROR), count
    published = {8: 3, 10: 8, 12: 13, 15: 25, 20: 52, 25: 89, 30: 137, 50: 434}
    assert {count: timing._cut(count, 0.05) for count in published} == published


def test_many_pairs_are_counted_as_well_as_few() -> None:
    """Beyond EXACT a normal distribution takes over, without a jump."""
    cuts = [timing._cut(count, 0.05) or 0 for count in range(EXACT - 2, EXACT + 4)]
    steps = [b - a for a, b in itertools.pairwise(cuts)]
    assert max(steps) - min(steps) <= 3


def test_only_a_steady_winner_multiplies_the_stake() -> None:
    fair = [sum(math.comb(n, k) / 2**n * timing._stake(k, n) for k in range(n + 1)) for n in (1, 7, 30)]
    assert fair == pytest.approx([1.0] * 3)
    assert timing._stake(7, 7) > 2 / LOOKING > timing._stake(6, 7)
