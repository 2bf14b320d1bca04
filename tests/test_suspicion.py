"""The pure rules: what is too good to pass as it is, and what two timed scores say of each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelfactory.model import Duel, Goal, Metric
from kernelfactory.suspicion import compared, jumped, timed, undecided, unusual, worst

LOW, HIGH = Metric("c", "c", "min"), Metric("s", "s", "max")


@pytest.mark.parametrize(
    ("metric", "score", "best", "expected"),
    [
        (LOW, 51.0, 100.0, False),
        (LOW, 50.0, 100.0, False),  # exactly the factor is not more than it
        (LOW, 49.0, 100.0, True),
        (LOW, 0.0, 100.0, True),
        (LOW, -1.0, 100.0, True),
        (LOW, -19.0, -10.0, False),
        (LOW, -21.0, -10.0, True),
        (LOW, -0.1, 0.0, True),
        (LOW, 200.0, 100.0, False),
        (HIGH, 199.0, 100.0, False),
        (HIGH, 201.0, 100.0, True),
        (HIGH, -51.0, -100.0, False),
        (HIGH, -49.0, -100.0, True),
        (HIGH, 1.0, -100.0, True),
        (HIGH, 0.0, 0.0, False),
        (HIGH, 1e-9, 0.0, True),
        (HIGH, 1e308, 1e308, False),
        (HIGH, 50.0, 100.0, False),
    ],
)
def test_a_jump(metric: Metric, score: float, best: float, expected: bool) -> None:
    assert jumped(metric, score, best, 2.0) is expected


numbers = st.floats(-1e100, 1e100)


@given(numbers, numbers, st.sampled_from(["min", "max"]), st.floats(1.01, 100.0))
def test_a_jump_is_better_and_the_goals_mirror(score: float, best: float, goal: Goal, factor: float) -> None:
    metric, other = (LOW, HIGH) if goal == "min" else (HIGH, LOW)
    assert jumped(metric, score, best, factor) == jumped(other, -score, -best, factor)
    if jumped(metric, score, best, factor):
        assert metric.better(score, best)


@given(numbers, numbers, st.floats(1.01, 100.0))
def test_what_jumps_by_more_jumps_by_less(score: float, best: float, factor: float) -> None:
    if jumped(LOW, score, best, factor * 2):
        assert jumped(LOW, score, best, factor)


def test_unusual_against_the_history() -> None:
    slow = [1000.0, 990.0, 980.0, 971.0, 960.0, 950.0]
    assert not unusual(LOW, 940.0, slow)
    assert unusual(LOW, 800.0, slow), "fifteen times the usual gain"
    assert not unusual(LOW, 800.0, slow[:3]), "too little is known to call a gain unusual"
    assert unusual(LOW, 400.0, slow[:1]), "more than a factor of two is unusual at any time"
    assert not unusual(LOW, 100.0, []), "there is nothing to be better than"
    assert not unusual(LOW, 2000.0, slow), "worse is never unusual"
    fallen = [*slow[:5], 2000.0, 950.0]  # a best that did not stand is no gain
    assert unusual(LOW, 800.0, fallen)
    assert unusual(HIGH, 3.0, [1.0, 1.1, 1.2]) and not unusual(HIGH, 1.3, [1.0, 1.1, 1.2])


def test_the_worst_and_the_outcome_by_scores() -> None:
    assert worst(LOW, 3.0) == 3.0
    assert worst(LOW, 3.0, 5.0, 4.0) == 5.0 and worst(HIGH, 3.0, 5.0, 2.0) == 2.0
    assert [compared(LOW, score, 5.0) for score in (4.0, 5.0, 6.0)] == ["improved", "equal", "worse"]
    assert compared(HIGH, 6.0, 5.0) == "improved"


def test_timed_scores_that_leave_it_open() -> None:
    assert not undecided((1.0, 1.1), (1.2, 1.3)) and not undecided((1.2, 1.3), (1.0, 1.1))
    assert undecided((1.0, 1.1), (1.12, 1.3)) and undecided((1.12, 1.3), (1.0, 1.1)), "too near for two occasions"
    assert undecided((1.0, 1.2), (1.2, 1.3)) and undecided((1.0, 2.0), (1.2, 1.3)) and undecided((1.25, 1.26), (1, 2))
    assert undecided(None, (1.0, 1.1)) and undecided((1.0, 1.1), None)


def test_a_duel_decides_or_nothing_is_shown() -> None:
    assert timed(Duel(1.1, 1.05, 1.15, 64)) == "improved"
    assert timed(Duel(0.9, 0.85, 0.95, 64)) == "worse"
    assert timed(Duel(1.0, 0.97, 1.03, 64)) == "equal"
    assert timed(None) == "equal"
