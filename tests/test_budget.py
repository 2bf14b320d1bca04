"""Budgets: caps are checked, N slots do not pass a cap N-fold, and an estimate says when caps are too small."""

from __future__ import annotations

import math

import pytest

from kernelfactory.budget import (
    NOTHING,
    TYPICAL,
    BadCaps,
    Caps,
    Reserved,
    Spend,
    Typical,
    estimate,
    exhausted,
    needs_cap,
    renewed,
    reserve,
)
from kernelfactory.model import BadInput, Usage


@pytest.mark.parametrize("name", ["attempts", "seconds", "dollars", "tokens"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, -math.inf])
def test_bad_caps_are_bad_input(name: str, value: float) -> None:
    with pytest.raises(BadCaps, match=f"a cap on {name} must be a number above 0, not "):
        Caps(**{name: value})
    assert issubclass(BadCaps, BadInput)


def test_caps_given_replace_the_old_but_money_stays_capped() -> None:
    old = Caps(attempts=20, seconds=60.0, dollars=50.0, tokens=7)
    assert renewed(old, Caps()) == old
    assert renewed(old, Caps(seconds=90.0)) == Caps(seconds=90.0, dollars=50.0, tokens=7)
    assert renewed(old, Caps(dollars=80.0, tokens=9)) == Caps(dollars=80.0, tokens=9)


def test_spend_adds_up_and_an_unknown_price_is_not_zero() -> None:
    spend = Spend().plus(Usage(10.0, 100, 2.0)).plus(Usage(20.0, 50, None)).plus(Usage(5.0, 0, 0.0))
    assert spend == Spend(3, 0.0, 2.0, 150, 1, 35.0, 2.0, 100)
    assert spend.charged() == 4.0
    assert Spend().plus(Usage(1.0, 1, None)).charged() == TYPICAL.dollars


def test_nothing_is_exhausted_without_caps() -> None:
    assert exhausted(Caps(), Spend(10**6, 1e9, 1e9, 10**12)) is None


@pytest.mark.parametrize(
    ("caps", "spend", "why", "code"),
    [
        (Caps(attempts=5), Spend(attempts=5), "all 5 attempts are made", 0),
        (Caps(attempts=1), Spend(attempts=1), "the one attempt is made", 0),
        (
            Caps(attempts=2),
            Spend(attempts=15),
            "15 attempts are made, and a cap of 2 is a total of the experiment; give a larger one",
            0,
        ),
        (Caps(seconds=60), Spend(seconds=61.0), "the time is up (61 of 60 s)", 0),
        (Caps(dollars=10), Spend(dollars=10.0), "the cap of $10.00 is reached ($10.00 spent)", 3),
        (Caps(tokens=1000), Spend(tokens=1500), "the cap of 1,000 tokens is reached (1,500 spent)", 3),
        (Caps(attempts=5, dollars=10), Spend(attempts=5, dollars=11), "all 5 attempts are made", 0),
    ],
)
def test_which_cap_ends_it_and_how(caps: Caps, spend: Spend, why: str, code: int) -> None:
    assert exhausted(caps, spend) == (why, code)


def test_just_below_every_cap_goes_on() -> None:
    caps = Caps(attempts=5, seconds=60, dollars=10, tokens=1000)
    assert exhausted(caps, Spend(attempts=4, seconds=59.9, dollars=9.99, tokens=999)) is None


def test_running_attempts_count_for_the_attempts() -> None:
    assert exhausted(Caps(attempts=5), Spend(attempts=3), Reserved(attempts=1)) is None
    assert exhausted(Caps(attempts=5), Spend(attempts=3), Reserved(attempts=2)) == ("all 5 attempts are made", 0)


def test_the_reserve_is_the_dearest_so_far_or_typical() -> None:
    assert reserve(Spend(), 3, 2) == Reserved(3, 2, 2 * TYPICAL.dollars, 2 * TYPICAL.tokens)
    spend = Spend().plus(Usage(1.0, 10, 3.0)).plus(Usage(1.0, 40, 1.0))
    assert reserve(spend, 2, 2) == Reserved(2, 2, 6.0, 80)
    assert reserve(spend, 4, 0) == Reserved(4)
    assert Reserved() == NOTHING


def test_free_attempts_do_not_wait_for_money() -> None:
    assert exhausted(Caps(dollars=1.0), Spend(), reserve(Spend(), 8, 0)) is None


def spent_with(slots: int, cap: float, each: float, reserving: bool = True) -> float:
    """Dollars at the end of a run on `slots` slots whose attempts all cost `each`."""
    spend, running = Spend(), 0
    typical = Typical(dollars=each)
    while True:
        held = reserve(spend, running, running, typical) if reserving else NOTHING
        while running < slots and exhausted(Caps(dollars=cap), spend, held, typical) is None:
            running += 1
            held = reserve(spend, running, running, typical) if reserving else NOTHING
        if not running:
            return spend.dollars
        spend = spend.plus(Usage(dollars=each))
        running -= 1


@pytest.mark.parametrize("slots", [1, 4, 16])
@pytest.mark.parametrize("each", [0.7, 10.0, 60.0])
def test_slots_do_not_pass_a_cap_together(slots: int, each: float) -> None:
    assert spent_with(slots, 50.0, each) <= 50.0 + each


def test_without_reserves_they_would() -> None:
    assert spent_with(16, 50.0, 10.0, reserving=False) > 2 * 50.0


def test_what_is_held_is_said() -> None:
    stop = exhausted(Caps(dollars=25), Spend(), Reserved(2, 2, 20.0))
    assert stop == ("the cap of $25.00 is reached ($0.00 spent, $20 held for running attempts)", 3)
    stop = exhausted(Caps(tokens=25), Spend(), Reserved(2, 2, tokens=20))
    assert stop == ("the cap of 25 tokens is reached (0 spent, 20 held for running attempts)", 3)


def test_an_estimate_before_anything_ran() -> None:
    assert estimate(Caps(dollars=5), Spend()).line().startswith("not one whole attempt, each about $10.00")
    guess = estimate(Caps(dollars=100), Spend())
    assert (guess.attempts, guess.measured, guess.warning) == (10, False, None)
    assert guess.line() == "about 10 attempts, each about $10.00 and 2,000,000 tokens (a guess)"
    assert estimate(Caps(seconds=3600), Spend(), slots=4).attempts == 8
    assert estimate(Caps(), Spend()).line().startswith("no cap on attempts, each about $10.00")


def test_an_estimate_from_what_was_measured_takes_the_tightest_cap() -> None:
    spend = Spend(seconds=30.0).plus(Usage(60.0, 1000, 2.0)).plus(Usage(60.0, 3000, 4.0))
    caps = Caps(attempts=50, seconds=630, dollars=36, tokens=100_000)
    guess = estimate(caps, spend, slots=2)
    assert (guess.attempts, guess.dollars, guess.tokens, guess.measured) == (10, 3.0, 2000, True)
    assert guess.line().endswith("$3.00 and 2,000 tokens (measured here)")


def test_too_small_to_be_a_search() -> None:
    assert "leave about 2 attempts" in str(estimate(Caps(dollars=25), Spend()).warning)
    assert estimate(Caps(dollars=50), Spend()).warning is None
    assert "leave about 0" in str(estimate(Caps(dollars=1), Spend(dollars=5.0, attempts=1, top_dollars=5.0)).warning)


def test_agents_that_cost_nothing_are_not_bound_by_guesses() -> None:
    guess = estimate(Caps(seconds=30, dollars=1, tokens=1), Spend(), costs_money=False)
    assert (guess.attempts, guess.dollars, guess.tokens, guess.warning) == (None, 0.0, 0, None)


def test_an_agent_that_costs_money_needs_a_cap() -> None:
    said = needs_cap("claude@opus:3", True, Caps())
    assert said is not None and "\n" not in said
    assert "kf run PROBLEM --agent claude@opus:3 --attempts 20 --dollars 50" in said
    assert needs_cap("claude", True, Caps(tokens=1)) is None
    assert needs_cap("mutator", False, Caps()) is None
    assert needs_cap("command", True, Caps(tokens=1, attempts=5), counts_tokens=False) is None
    said = needs_cap("command", True, Caps(tokens=1), counts_tokens=False)
    assert said is not None and "--tokens alone cannot stop it" in said


def test_unknown_prices_are_said_to_be_guesses() -> None:
    stop = exhausted(Caps(dollars=25.0), Spend(attempts=3, unpriced=3))
    assert stop is not None and "3 attempts of unknown price taken for $30.00" in stop.why
    assert stop.why.startswith("the cap of $25.00 is reached ($0.00 spent")
