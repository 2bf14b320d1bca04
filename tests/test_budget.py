"""Budgets: caps are checked, N slots do not pass a cap N-fold, and an estimate says when caps are too small."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelfactory.budget import (
    FREE,
    NOTHING,
    REQUEST,
    TYPICAL,
    Account,
    Amount,
    AttemptCaps,
    BadCaps,
    Caps,
    Ledger,
    Reserved,
    Running,
    Spend,
    barred,
    bound,
    estimate,
    exhausted,
    full,
    needs_cap,
    overshoot,
    passed,
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
    assert exhausted(caps, spend) == (why, code, "experiment")


def test_just_below_every_cap_goes_on() -> None:
    caps = Caps(attempts=5, seconds=60, dollars=10, tokens=1000)
    assert exhausted(caps, Spend(attempts=4, seconds=59.9, dollars=9.99, tokens=999)) is None


def test_running_attempts_count_for_the_attempts() -> None:
    assert exhausted(Caps(attempts=5), Spend(attempts=3), Reserved(attempts=1)) is None
    stop = exhausted(Caps(attempts=5), Spend(attempts=3), Reserved(attempts=2))
    assert stop == ("all 5 attempts are made", 0, "experiment")


# ── reserves ─────────────────────────────────────────────────────────────────────────────────────


def running(n: int, agent: str = "a", **more: Any) -> tuple[Running, ...]:
    return tuple(Running(i, agent, **more) for i in range(1, n + 1))


def test_the_reserve_is_the_dearest_so_far_or_typical() -> None:
    assert reserve(Ledger(running=running(2))) == Reserved(2, 2, 20.0, 4_000_000, Amount(10.0, 2_000_000))
    spend = Spend().plus(Usage(1.0, 10, 3.0)).plus(Usage(1.0, 40, 1.0))
    known = Ledger(accounts={"a": Account(spend)}, running=running(2))
    assert reserve(known) == Reserved(2, 2, 6.0, 80, Amount(3.0, 40))
    assert reserve(replace(known, running=running(4, costs_money=False))) == Reserved(4)
    assert reserve(known, "b").next == Amount(10.0, 2_000_000), "nothing is known of this one"
    assert reserve(Ledger()) == Reserved() == NOTHING


def test_what_it_has_taken_is_held_no_more_where_that_is_known() -> None:
    ledger = Ledger(accounts={"a": Account(Spend().plus(Usage(1.0, 1_000_000, 8.0)))})
    asked = Running(1, "a", dollars=3.0, tokens=400_000, streams=True)
    assert ledger.held(asked) == Amount(5.0, 600_000)
    assert ledger.held(replace(asked, dollars=7.5, tokens=999_999)) == REQUEST, "never less than a request"
    assert ledger.held(replace(asked, dollars=50.0, tokens=9_000_000)) == REQUEST
    assert ledger.held(replace(asked, streams=False)) == Amount(8.0, 1_000_000), "who says nothing holds all of it"
    assert ledger.held(replace(asked, costs_money=False)) == FREE
    cheap = Ledger(accounts={"a": Account(Spend().plus(Usage(1.0, 900, 0.05)))})
    assert cheap.held(replace(asked, dollars=0.04, tokens=1)) == Amount(0.05, 900), "no request is dearer than that"


def test_what_is_handed_in_holds_nothing_while_it_is_judged() -> None:
    """Its cost is among what is spent already: held as well, it would end others before their cap."""
    judged, loud = Running(1, "a", dollars=9.0, tokens=10, told=True), Running(2, "b", dollars=1.0, streams=True)
    ledger = Ledger(Caps(dollars=20.0), Spend(dollars=10.0), running=(judged, loud))
    assert ledger.held(judged) == FREE and passed(ledger, 2) is None
    assert passed(replace(ledger, running=(replace(judged, told=False), loud)), 2) is not None
    assert reserve(ledger, "a", only="a") == Reserved(1, 0, next=Amount(10.0, 2_000_000))
    assert barred(replace(ledger, running=(judged,)), "a") is None, "nothing is left to wait for"
    unknown = replace(judged, dollars=None)
    assert ledger.settled(Spend(unpriced=1), [unknown]).charged() == 10.0, "it is an attempt of unknown price now"


def test_the_cap_of_one_attempt_bounds_what_it_holds() -> None:
    ledger = Ledger(accounts={"a": Account(each=AttemptCaps(4.0, 500_000), streams=True)})
    assert ledger.whole("a") == Amount(4.0, 500_000)
    assert ledger.held(Running(1, "a", dollars=1.0, tokens=100, streams=True)) == Amount(3.0, 499_900)
    assert Ledger(accounts={"a": Account(each=AttemptCaps(40.0))}).whole("a").dollars == TYPICAL.dollars
    assert Ledger(accounts={"a": Account(costs_money=False)}).whole("a") == FREE
    assert AttemptCaps(3.0).within(AttemptCaps(4.0, 9)) == AttemptCaps(3.0, 9)
    with pytest.raises(BadCaps, match="a cap on tokens of an attempt must be a number above 0"):
        AttemptCaps(tokens=0)


def test_an_attempt_of_unknown_price_is_charged_by_its_tokens() -> None:
    spend = Spend(dollars=6.0, top_dollars=6.0, top_tokens=6_000_000, unpriced=3, attempts=2)
    ledger = Ledger(accounts={"a": Account(spend, streams=True)}, spend=spend)
    odd = Running(1, "a", dollars=None, tokens=1_500_000, streams=True)
    assert ledger.taken(odd) == Amount(1.5, 1_500_000)
    assert ledger.held(odd) == Amount(4.5, 4_500_000)
    assert ledger.settled(spend, [odd]).charged() == 6.0 + 1.5 + 2 * 6.0
    guess = passed(replace(ledger, accounts={"a": Account(spend, each=AttemptCaps(1.5))}, running=(odd,)), 1)
    assert guess == ("the cap of $1.50 for one attempt is reached ($1.50 spent, its price a guess)", 3, "attempt")


def test_what_is_used_up_is_so_for_whoever_comes() -> None:
    ledger = Ledger(Caps(attempts=3, dollars=15.0), Spend(attempts=1, dollars=6.0), running=running(1))
    assert full(ledger) is None and barred(ledger, "a") is not None, "what is held may come back"
    assert full(replace(ledger, running=running(2))) == ("all 3 attempts are made", 0, "experiment")
    assert full(replace(ledger, spend=Spend(attempts=1, dollars=15.0))) is not None
    unknown = replace(ledger, spend=Spend(dollars=6.0, unpriced=1), running=running(1, dollars=None))
    assert full(unknown) is None, "it has not ended yet"


def test_free_attempts_do_not_wait_for_money() -> None:
    ledger = Ledger(Caps(dollars=1.0), accounts={"m": Account(costs_money=False)})
    assert barred(replace(ledger, running=running(8, "m", costs_money=False)), "m") is None
    assert barred(replace(ledger, running=running(8, "a")), "m") is None
    assert barred(replace(ledger, spend=Spend(dollars=1.0)), "m") is not None


def test_what_is_held_is_said() -> None:
    stop = exhausted(Caps(dollars=25), Spend(), Reserved(2, 2, 20.0, next=Amount(10.0)))
    assert stop is not None and stop.why == "the cap of $25.00 is reached ($0.00 spent, $20 held for running attempts)"
    stop = exhausted(Caps(tokens=25), Spend(), Reserved(2, 2, tokens=20, next=Amount(tokens=10)))
    assert stop is not None and stop.why == "the cap of 25 tokens is reached (0 spent, 20 held for running attempts)"


def test_an_agent_has_caps_of_its_own() -> None:
    mine = Account(Spend(dollars=19.0, attempts=4, top_dollars=6.0, top_tokens=10), Caps(dollars=20.0), streams=True)
    ledger = Ledger(Caps(dollars=100.0), Spend(dollars=19.0), {"a": mine})
    assert barred(ledger, "a") is None and barred(ledger, "b") is None
    busy = replace(ledger, running=running(1, dollars=1.0, streams=True))
    said = "a: the cap of $20.00 is reached ($19.00 spent, $5 held for running attempts)"
    assert barred(busy, "a") == (said, 3, "agent")
    assert barred(busy, "b") is None, "the others go on"
    full = replace(ledger, accounts={"a": replace(mine, spend=Spend(dollars=20.0))}, running=running(1, streams=True))
    assert passed(full, 1) == ("a: the cap of $20.00 is reached ($20.00 spent)", 3, "agent")
    everything = replace(ledger, spend=Spend(dollars=100.0))
    assert barred(everything, "a") == ("the cap of $100.00 is reached ($100.00 spent)", 3, "experiment")


# ── running attempts that reach a cap ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("caps", "spend", "each", "whose"),
    [
        (Caps(dollars=10.0), Spend(dollars=10.0), AttemptCaps(1.0), "experiment"),
        (Caps(tokens=10), Spend(tokens=10), AttemptCaps(1.0), "experiment"),
        (Caps(dollars=10.0, tokens=10), Spend(dollars=9.9, tokens=9), AttemptCaps(), None),
        (Caps(), Spend(dollars=1e6, tokens=10**9), AttemptCaps(), None),
        (Caps(), Spend(dollars=1e6), AttemptCaps(2.0), "attempt"),
        (Caps(), Spend(), AttemptCaps(2.1, 100), "attempt"),
        (Caps(), Spend(), AttemptCaps(2.1, 101), None),
    ],
)
def test_a_running_attempt_ends_at_a_cap(caps: Caps, spend: Spend, each: AttemptCaps, whose: str | None) -> None:
    ledger = Ledger(caps, spend, {"a": Account(each=each)}, running(2, dollars=2.0, tokens=100, streams=True))
    stop = passed(ledger, 2)
    assert (stop and stop.whose) == whose
    assert passed(ledger, 3) is None, "no such attempt runs"


def test_what_silent_attempts_hold_is_theirs() -> None:
    loud, silent = Running(1, "a", dollars=4.0, streams=True), Running(2, "b")
    ledger = Ledger(Caps(dollars=14.0), Spend(dollars=4.0), running=(loud, silent))
    said = "the cap of $14.00 is reached ($4.00 spent, $10 held for running attempts)"
    assert passed(ledger, 1) == (said, 3, "experiment")
    assert passed(replace(ledger, caps=Caps(dollars=14.5)), 1) is None
    assert passed(replace(ledger, caps=Caps(tokens=2_000_000)), 1) is not None
    assert passed(replace(ledger, running=(loud, replace(silent, streams=True))), 1) is None
    assert passed(replace(ledger, running=(loud, replace(silent, costs_money=False))), 1) is None


# ── whole runs ───────────────────────────────────────────────────────────────────────────────────


class Shop:
    """A run on paper: slots that start attempts, whose requests are billed when they are over."""

    def __init__(self, caps: Caps, slots: int, streams: bool, obey: bool = True) -> None:
        self.caps, self.streams, self.obey = caps, streams, obey
        self.slots: list[int | None] = [None] * slots
        self.taken: dict[int, Amount] = {}
        self.promised: dict[int, Amount] = {}
        self.ended = Spend()

    @property
    def total(self) -> Amount:
        run = [self.taken[attempt] for attempt in self.slots if attempt is not None]
        dollars = self.ended.dollars + sum(amount.dollars for amount in run)
        return Amount(dollars, self.ended.tokens + sum(amount.tokens for amount in run))

    def ledger(self) -> Ledger:
        known = [self.taken[a] if self.streams else FREE for a in self.slots if a is not None]
        spend = replace(
            self.ended,
            dollars=self.ended.dollars + sum(amount.dollars for amount in known),
            tokens=self.ended.tokens + sum(amount.tokens for amount in known),
        )
        open_ones = tuple(
            Running(a, "a", True, *(self.taken[a] if self.streams else FREE), self.streams)
            for a in self.slots
            if a is not None
        )
        return Ledger(self.caps, spend, {"a": Account(self.ended, streams=self.streams)}, open_ones)

    def end(self, slot: int) -> None:
        attempt = self.slots[slot]
        assert attempt is not None
        self.slots[slot] = None
        self.ended = self.ended.plus(Usage(1.0, self.taken[attempt].tokens, self.taken[attempt].dollars))

    def step(self, slot: int, part: float, ends: bool) -> None:
        """An idle slot asks for an attempt; a busy one takes `part` of a big request or, where nothing is known before
        its end, of what it holds."""
        attempt = self.slots[slot]
        if attempt is None:
            ledger = self.ledger()
            if not self.obey or barred(ledger, "a") is None:
                attempt = self.slots[slot] = len(self.taken) + 1
                self.taken[attempt], self.promised[attempt] = FREE, ledger.whole("a")
            return
        most, had = REQUEST if self.streams else self.promised[attempt], self.taken[attempt]
        if self.streams:
            self.taken[attempt] = Amount(had.dollars + part * most.dollars, had.tokens + int(part * most.tokens))
        else:
            self.taken[attempt] = Amount(part * most.dollars, int(part * most.tokens))
        if ends or not self.streams or (self.obey and passed(self.ledger(), attempt) is not None):
            self.end(slot)


STEPS = st.lists(st.tuples(st.integers(0, 15), st.floats(0.0, 1.0), st.booleans()), max_size=150)
SLOTS = st.integers(1, 16)
MONEY = st.floats(0.01, 100.0)


@settings(max_examples=150, deadline=None)
@given(slots=SLOTS, cap=MONEY, steps=STEPS)
def test_streamed_attempts_pass_a_cap_by_one_request_a_slot_at_most(
    slots: int, cap: float, steps: list[tuple[int, float, bool]]
) -> None:
    for caps in (Caps(dollars=cap), Caps(tokens=math.ceil(cap * 100_000))):
        shop = Shop(caps, slots, streams=True)
        for slot, part, ends in steps:
            shop.step(slot % slots, part, ends)
            assert shop.total.dollars <= (caps.dollars or math.inf) + slots * REQUEST.dollars + 1e-6
            assert shop.total.tokens <= (caps.tokens or math.inf) + slots * REQUEST.tokens


@settings(max_examples=150, deadline=None)
@given(slots=SLOTS, cap=MONEY, steps=STEPS)
def test_silent_attempts_pass_a_cap_by_what_they_hold_at_most(
    slots: int, cap: float, steps: list[tuple[int, float, bool]]
) -> None:
    shop, most = Shop(Caps(dollars=cap), slots, streams=False), 0.0
    for slot, part, ends in steps:
        shop.step(slot % slots, part, ends)
        most = max(most, sum(shop.promised[a].dollars for a in shop.slots if a is not None))
        assert shop.total.dollars <= cap + most + 1e-6


def worst(slots: int, cap: float, **how: bool) -> float:
    """Dollars at the end, when every slot always takes all it can."""
    shop = Shop(Caps(dollars=cap), slots, **{"streams": True, **how})
    for _ in range(40):
        for slot in range(slots):
            shop.step(slot, 1.0, False)
    return shop.total.dollars


@pytest.mark.parametrize("slots", [1, 4, 16])
def test_slots_do_not_pass_a_cap_together(slots: int) -> None:
    assert 50.0 <= worst(slots, 50.0) <= 50.0 + slots * REQUEST.dollars
    assert worst(slots, 50.0, streams=False) <= 60.0


def test_without_reserves_and_stops_they_would() -> None:
    """The fault: nobody asks."""
    assert worst(16, 50.0, obey=False) > 2 * 50.0 + 16 * REQUEST.dollars
    assert worst(16, 50.0, streams=False, obey=False) > 2 * 60.0


# ── what a person is told ────────────────────────────────────────────────────────────────────────


def test_what_was_passed_is_said() -> None:
    caps = Caps(dollars=10.0, tokens=1000)
    assert overshoot(caps, Spend(dollars=10.0, tokens=1000)) is None
    assert overshoot(Caps(), Spend(dollars=1e9, tokens=10**12)) is None
    assert overshoot(caps, Spend(dollars=10.5)) == "$0.50 over the cap of $10.00"
    both = "$0.50 over the cap of $10.00, 500 tokens over the cap of 1,000, and what 2 attempts of unknown price cost"
    assert overshoot(caps, Spend(dollars=10.5, tokens=1500, unpriced=2)) == both


def test_the_bound_in_words() -> None:
    assert bound(True) == "one model request a slot: about $2.00 or 250,000 tokens"
    assert bound(True, 4).endswith(", so $8.00 or 1,000,000 tokens on 4 slots")
    said = "the reserve of one attempt a slot, because it says what it used only when it ends: about "
    assert bound(False) == f"{said}$10.00 or 2,000,000 tokens"
    ledger = Ledger(accounts={"a": Account(each=AttemptCaps(3.0))})
    assert bound(False, 2, ledger, "a") == f"{said}$3.00 or 2,000,000 tokens, so $6.00 or 4,000,000 tokens on 2 slots"


def test_an_estimate_for_one_agent_goes_by_its_own_attempts() -> None:
    everybody = Spend(attempts=100, dollars=40.0, tokens=10**6, worked=100.0)
    mine = Account(Spend(attempts=4, dollars=8.0, tokens=400_000, worked=4000.0), Caps(dollars=20.0))
    guess = estimate(Caps(dollars=100.0), everybody, account=mine)
    assert (guess.attempts, guess.dollars, guess.tokens, guess.measured) == (6, 2.0, 100_000, True)
    assert estimate(Caps(dollars=44.0), everybody, account=mine).warning is not None
    capped = Account(each=AttemptCaps(2.5, 1000), caps=Caps(tokens=9000))
    guess = estimate(Caps(dollars=100.0), everybody, account=capped)
    assert (guess.attempts, guess.dollars, guess.tokens, guess.measured) == (9, 2.5, 1000, False)


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
