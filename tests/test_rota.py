"""Who works in a slot: windows, back-off, breaker and switching as one fold, on a clock that is a number."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import cycle, pairwise, permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelfactory import rota
from kernelfactory.model import Trouble
from kernelfactory.rota import (
    AFTER_RESET,
    ASK,
    ASK_MOST,
    BACK_OFF_MOST,
    FAILURES,
    GUESS,
    GUESS_MOST,
    HOUR,
    MINUTE,
    PERSON,
    SERVICE,
    TRIAL,
    Ending,
    Said,
    Standing,
    Wait,
    ended,
    free,
    free_at,
    pick,
    span,
    started,
    waits,
)

NOW = 1_795_000_000.0
NEW = Standing("claude")


def ending(trouble: Trouble | None = None, until: float | None = None, **more: Any) -> Ending:
    return Ending(trouble, until, **{"at": NOW, "seconds": 100.0, "worked": False} | more)


def again(standing: Standing, what: Ending, times: int) -> Iterator[Said]:
    """The same end again and again, each of an attempt that began as soon as it might."""
    for _ in range(times):
        at = free_at(standing, what.at)
        said = ended(started(standing, at).standing, what._replace(at=at + what.seconds), 0.0)
        standing, what = said.standing, what._replace(at=at + what.seconds)
        yield said


# ── one agent ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_a_stated_reset_is_waited_for_and_not_much_longer(chance: float) -> None:
    said = ended(NEW, ending("usage_limit", NOW + 4 * HOUR), chance)
    assert said.incident == "parked" and said.text == "claude is at its usage limit: parked for 4 h"
    assert said.standing.until is not None
    assert AFTER_RESET[0] <= said.standing.until - (NOW + 4 * HOUR) <= AFTER_RESET[1] < MINUTE
    assert not free(said.standing, NOW + 4 * HOUR) and free(said.standing, NOW + 4 * HOUR + AFTER_RESET[1])
    assert (
        waits(said.standing, NOW) == "at its usage limit, 4 h more" and waits(said.standing, said.standing.until) == ""
    )


def test_a_limit_that_does_not_say_until_when_doubles() -> None:
    waited = [said.standing.until - said.standing.since for said in again(NEW, ending("usage_limit"), 6)]
    assert waited == [min(GUESS_MOST, GUESS * 2**n) + AFTER_RESET[0] for n in range(6)]
    assert "it does not say until when; parked for 30 min" in ended(NEW, ending("usage_limit"), 0.0).text


@pytest.mark.parametrize("lie", [math.nan, math.inf, -math.inf, NOW + 36 * rota.DAY])
def test_a_reset_that_can_be_none_is_a_guess(lie: float) -> None:
    assert ended(NEW, ending("usage_limit", lie), 0.0) == ended(NEW, ending("usage_limit"), 0.0)


@pytest.mark.parametrize("off", [-1e9, -1.0, 0.0, 0.5])
def test_a_reset_that_is_over_is_no_hot_loop(off: float) -> None:
    standing, at, waited = NEW, NOW, []
    for _ in range(9):
        standing = ended(
            started(standing, at).standing, ending("usage_limit", at + off, at=at, seconds=1.0), 0.0
        ).standing
        waited.append(free_at(standing, at) - at)
        at = free_at(standing, at) + 1.0
    assert waited[0] <= MINUTE and waited == sorted(waited) and waited[-1] == 0.75 * BACK_OFF_MOST


def test_work_in_between_begins_a_new_row() -> None:
    *_, third = again(NEW, ending("usage_limit"), 3)
    assert third.standing.limits == 3
    at = free_at(third.standing, NOW)
    worked = ended(third.standing, ending("usage_limit", at=at + 200.0, worked=True), 0.0).standing
    assert worked.limits == 1
    short = ended(third.standing, ending("usage_limit", at=at + 5.0, seconds=5.0, worked=True), 0.0).standing
    assert short.limits == 4, "a word said in five seconds hides a hot loop"


@pytest.mark.parametrize("trouble", SERVICE)
def test_a_service_in_trouble_is_left_alone_for_longer_and_longer(trouble: Trouble) -> None:
    for chance in (0.0, 1.0):
        assert 5.0 <= free_at(ended(NEW, ending(trouble), chance).standing, NOW) - NOW <= 10.0
    all_said = list(again(NEW, ending(trouble), 40))
    waited = [said.standing.until - said.standing.since for said in all_said]
    assert waited == sorted(waited) and 5.0 <= waited[0] <= 10.0 and waited[-1] <= BACK_OFF_MOST
    assert all(said.incident == "backoff" and not said.standing.needs_person for said in all_said)
    assert all_said[0].text == f"claude: {SERVICE[trouble]}; it waits 8 s"


def test_a_service_that_says_when_is_believed() -> None:
    said = ended(NEW, ending("rate_limit", NOW + HOUR), 0.0)
    assert said.standing.until == NOW + HOUR + AFTER_RESET[0] and said.incident == "backoff"
    assert ended(NEW, ending("rate_limit", NOW - HOUR), 0.0).standing.until == NOW + 7.5


@pytest.mark.parametrize("trouble", PERSON)
def test_what_a_person_must_see_to_pauses_and_says_what_to_do(trouble: Trouble) -> None:
    why, advice = PERSON[trouble]
    all_said = list(again(NEW, ending(trouble, seconds=1.0), 5))
    assert [said.standing.until - said.standing.since for said in all_said] == [
        ASK, 2 * ASK, 4 * ASK, ASK_MOST, ASK_MOST
    ]  # fmt: skip
    assert all(said.incident == "broken" and said.standing.needs_person for said in all_said)
    assert all_said[0].text == f"claude is paused: {why}; {advice}; it is tried again in 1 h"


@pytest.mark.parametrize("trouble", ["error", "denied"])
def test_one_that_dies_at_once_again_and_again_is_given_up_for_a_while(trouble: Trouble) -> None:
    all_said = list(again(NEW, ending(trouble, seconds=0.1), FAILURES + 1))
    assert [said.incident for said in all_said] == [None] * (FAILURES - 1) + ["broken", "broken"]
    assert all_said[FAILURES - 1].text == (
        "claude is paused: it died at once 5 times in a row; "
        "see the last attempts/*/agent.log, and kf doctor; it is tried again in 1 h"
    )
    assert all_said[-1].standing.until - all_said[-1].standing.since == 2 * ASK, "once more is enough to stay out"


def test_one_that_ends_well_at_once_and_does_nothing_is_no_worker_either() -> None:
    all_said = list(again(NEW, ending(seconds=0.1), rota.EMPTY))
    assert [said.incident for said in all_said[:-1]] == [None] * (rota.EMPTY - 1)
    assert "it ended at once 20 times in a row" in all_said[-1].text
    assert list(again(NEW, ending(seconds=60.0), 30))[-1].standing == NEW
    assert list(again(NEW, ending(seconds=0.1, worked=True), 30))[-1].standing == NEW


@pytest.mark.parametrize("trouble", ["error", "denied", "stalled"])
def test_one_that_fails_slowly_backs_off(trouble: Trouble) -> None:
    assert ended(NEW, ending(trouble, seconds=rota.AT_ONCE + 0.1), 0.0).incident == "backoff"
    assert ended(NEW, ending("stalled", seconds=1.0), 0.0).incident == "backoff"


@pytest.mark.parametrize(
    "what",
    [
        ending(worked=True),
        ending("error", worked=True),
        ending("stalled", worked=True),
        ending("cancelled", worked=True),
        ending("context"),
        ending("turns", seconds=1.0),
        ending("looping"),
    ],
)
def test_an_agent_that_works_has_a_clean_slate(what: Ending) -> None:
    soiled = replace(NEW, limits=3, failures=4, troubles=5, asked=2, tried=NOW - 100.0)
    assert ended(soiled, what, 0.0) == Said(NEW)


@pytest.mark.parametrize("trouble", ["cancelled", "budget"])
def test_one_that_was_ended_says_nothing(trouble: Trouble) -> None:
    soiled = replace(NEW, limits=3, failures=4)
    assert ended(soiled, ending(trouble, seconds=1.0), 0.0) == Said(soiled)


# ── several slots of one agent ───────────────────────────────────────────────────────────────────


def late(trouble: Trouble | None, until: float | None = None, **more: Any) -> Ending:
    """Of an attempt that began long before, a moment after the one that made the agent wait."""
    return ending(trouble, until, **{"at": NOW + 1.0, "seconds": 500.0} | more)


@pytest.mark.parametrize("reset", [None, NOW + HOUR])
def test_the_same_limit_from_every_slot_parks_once(reset: float | None) -> None:
    first = ended(NEW, ending("usage_limit", reset), 1.0).standing
    standing = first
    for n in range(20):
        said = ended(standing, late("usage_limit", reset, at=NOW + n), n / 20)
        assert said == Said(first)
        standing = said.standing


def test_a_limit_that_each_slot_counts_from_its_own_moment_is_told_once() -> None:
    """ "in 1 h", said by eight slots in the same few seconds."""
    standing = ended(NEW, ending("usage_limit", NOW + HOUR), 0.0).standing
    for n in range(1, 8):
        said = ended(standing, late("usage_limit", NOW + HOUR + n, at=NOW + n), 0.0)
        assert (said.incident, said.text, said.standing.reset) == (None, "", NOW + HOUR + n)
        standing = said.standing
    assert ended(standing, late("usage_limit", NOW + 2 * HOUR), 0.0).incident == "parked"
    guessed = ended(NEW, ending("usage_limit"), 0.0).standing
    assert ended(guessed, late("usage_limit", NOW + 5 * MINUTE), 0.0).incident == "parked", "it is over far sooner"


@pytest.mark.parametrize("order", [*permutations([None, NOW + HOUR, NOW + 5 * HOUR])])
def test_the_latest_reset_holds_in_whatever_order_it_is_heard(order: Sequence[float | None]) -> None:
    standing, told = ended(NEW, ending("usage_limit", order[0]), 0.0).standing, 1
    for reset in order[1:]:
        said = ended(standing, late("usage_limit", reset), 0.0)
        standing, told = said.standing, told + (said.incident == "parked")
    assert (standing.until, standing.reset, standing.limits) == (NOW + 5 * HOUR + 1.0, NOW + 5 * HOUR, 1)
    assert told <= 3


def test_a_stated_reset_beats_a_guess_both_ways() -> None:
    soon = NOW + 5 * MINUTE
    guessed = ended(NEW, ending("usage_limit"), 0.0).standing
    assert ended(guessed, late("usage_limit", soon), 0.0).standing.until == soon + 1.0
    stated = ended(NEW, ending("usage_limit", soon), 0.0).standing
    assert ended(stated, late("usage_limit"), 0.0).standing == stated
    over = ended(guessed, late("usage_limit", NOW - 1.0), 0.0)
    assert over == Said(guessed), "a reset that is over tells nothing"


LATE = [
    late(None, worked=True),
    late(None, seconds=600.0),
    late("error", worked=True),
    late("error", at=NOW + 1.0, seconds=1.5),
    late("network"),
    late("cancelled"),
    late("looping"),
]


@pytest.mark.parametrize("what", LATE)
@pytest.mark.parametrize("trouble", ["usage_limit", "auth"])
def test_a_late_result_ends_no_wait(trouble: Trouble, what: Ending) -> None:
    standing = ended(NEW, ending(trouble), 0.0).standing
    assert ended(standing, what, 0.0) == Said(standing)
    careless = rota._after(standing, late(None, worked=True), 0.0).standing  # the fault: lateness not looked at
    assert free(careless, NOW + 1.0)


def test_of_two_matters_the_longer_wait_holds() -> None:
    busy = ended(replace(NEW, troubles=2, failures=3), ending("overloaded"), 0.0).standing
    out = ended(busy, late("auth"), 0.0)
    assert out.incident == "broken" and out.standing.needs_person and free_at(out.standing, NOW) == NOW + 1.0 + ASK
    assert (out.standing.troubles, out.standing.failures, out.standing.asked) == (3, 3, 1)
    assert ended(out.standing, late("billing"), 0.0) == Said(out.standing)
    assert ended(out.standing, late("usage_limit", NOW + 60.0), 0.0) == Said(out.standing)
    week = ended(out.standing, late("usage_limit", NOW + 100 * HOUR), 0.0).standing
    assert not week.needs_person and week.until == NOW + 100 * HOUR + 1.0
    assert ended(busy, late("server"), 1.0) == Said(busy), "trouble that all slots are in counts once"
    assert ended(busy, late("rate_limit", NOW + HOUR), 0.0).standing.until == NOW + HOUR + 1.0
    assert ended(busy, late("rate_limit", NOW + 2.0), 0.0) == Said(busy)
    retry = ended(NEW, ending("rate_limit", NOW + HOUR), 0.0).standing
    assert ended(retry, late("rate_limit", NOW + 2 * HOUR), 0.0).standing.until == NOW + 2 * HOUR + 1.0
    assert ended(retry, late("overloaded"), 0.0) == Said(retry)


def test_after_the_wait_results_count_again() -> None:
    standing = ended(NEW, ending("network"), 0.0).standing
    assert ended(standing, late(None, at=NOW + 300.0, seconds=900.0, worked=True), 0.0).standing == NEW
    forced = ended(NEW, ending("auth"), 0.0).standing  # begun during the wait, by somebody who knew better
    assert ended(forced, ending(at=NOW + 90.0, seconds=80.0, worked=True), 0.0).standing == NEW


# ── beginning again ──────────────────────────────────────────────────────────────────────────────


def test_after_a_stated_reset_all_slots_begin_and_after_a_guess_one_tries() -> None:
    known = ended(NEW, ending("usage_limit", NOW + HOUR), 0.0).standing
    assert started(known, NOW) == Said(known), "not over yet"
    said = started(known, NOW + HOUR + 1.0)
    assert (
        said.incident == "opened" and said.text.startswith("claude works again") and free(said.standing, NOW + HOUR + 1)
    )
    guess = ended(NEW, ending("auth"), 0.0).standing
    then = NOW + ASK
    said = started(guess, then)
    assert said.text == "claude is tried again" and not said.standing.needs_person
    assert free_at(said.standing, then) == then + TRIAL and free(said.standing, then + TRIAL)
    assert waits(said.standing, then) == "one attempt tries whether it works again, 30 s more"
    assert free(said.standing, then - 9.0), "a clock that went back must not park it"
    assert started(said.standing, then + 1.0) == Said(said.standing)
    assert free(ended(said.standing, ending(at=then + 2, seconds=2.0, worked=True), 0.0).standing, then + 2)


# ── who works ────────────────────────────────────────────────────────────────────────────────────

PARKED = ended(Standing("a"), ending("usage_limit", NOW + HOUR), 0.0).standing
OUT = ended(Standing("b"), ending("auth"), 0.0).standing


@pytest.mark.parametrize(
    ("standings", "busy", "switching", "expected"),
    [
        ({}, {"a": 9}, True, "a"),
        ({"a": PARKED}, {"b": 3, "c": 1}, True, "c"),
        ({"a": PARKED}, {}, True, "b"),
        ({"a": PARKED, "b": OUT}, {"c": 7}, True, "c"),
        ({"a": PARKED}, {}, False, Wait(PARKED.until, "a: at its usage limit, 1 h more")),
        ({"b": OUT}, {}, False, "a"),
        (
            {"a": PARKED, "b": OUT, "c": replace(PARKED, name="c", until=NOW + 60.0)},
            {},
            True,
            Wait(
                NOW + 60.0,
                "a: at its usage limit, 1 h more; b: not logged in, or its key is refused, 1 h more; "
                "c: at its usage limit, 1 min more",
            ),
        ),
    ],
)
def test_who_works(standings: Mapping[str, Standing], busy: Mapping[str, int], switching: bool, expected: Any) -> None:
    assert pick("a", ["a", "b", "c"], standings, busy, NOW, switching) == expected


def test_nobody_is_left_when_only_a_person_can_help_and_nothing_runs() -> None:
    out = {name: replace(OUT, name=name) for name in "ab"}
    why = "a: not logged in, or its key is refused, 1 h more; b: not logged in, or its key is refused, 1 h more"
    assert pick("a", "ab", out, {}, NOW, True) == Wait(None, why)
    assert pick("a", "ab", out, {"b": 1}, NOW, True) == Wait(NOW + ASK, why), (
        "one that still runs may show that it works"
    )
    assert pick("a", "ab", out, {"b": 1}, NOW, False) == Wait(None, why.split(";", maxsplit=1)[0])
    assert pick("a", "ab", out, {}, NOW + ASK, True) == "a", "it is tried again"
    assert pick("a", [], {}, {}, NOW, True) == pick("a", ["b"], {}, {}, NOW, False) == Wait(None, "no agent may work")
    assert pick("a", ["b"], {}, {}, NOW, True) == "b", "its own agent has reached its cap"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (3725, "1 h 2 min"),
        (15_120, "4 h 12 min"),
        (90_000, "1 d 1 h"),
        (12 * 86400, "12 d"),
    ],
)
def test_a_span_in_words(seconds: float, words: str) -> None:
    assert span(seconds) == words


# ── many slots, many hours ───────────────────────────────────────────────────────────────────────

Fate = Callable[[str, float], tuple[Trouble | None, float | None, float, bool]]
"""What becomes of an attempt of an agent that begins then: trouble, reset, seconds, worked."""

Fold = Callable[[Standing, Ending, float], Standing]


def fold(standing: Standing, what: Ending, chance: float) -> Standing:
    return ended(standing, what, chance).standing


class Shop:
    """Slots that follow the rota on a clock that is a number; what must hold is looked at wherever it can break."""

    def __init__(
        self,
        fate: Fate,
        slots: Mapping[str, int],
        fold: Fold = fold,
        switching: bool = True,
        choose: Callable[..., str | Wait] = pick,
    ) -> None:
        self.fate, self.fold, self.switching, self.choose = fate, fold, switching, choose
        self.slots = [name for name, count in slots.items() for _ in range(count)]
        self.crew = list(slots)
        self.standings = {name: Standing(name) for name in slots}
        self.busy: Counter[str] = Counter()
        self.begun: list[tuple[str, float]] = []
        self.chances = cycle([0.0, 0.7, 0.3, 1.0])

    def play(self, hours: float, most: int = 2000) -> Shop:
        """Until so many hours or attempts are over, or nobody is left."""
        running: list[tuple[float, int, str, Ending]] = []
        waiting = dict.fromkeys(range(len(self.slots)), NOW)
        while (running or waiting) and len(self.begun) < most:
            now = min([*waiting.values(), *(item[0] for item in running[:1])])
            if now >= NOW + hours * HOUR:
                break
            while running and running[0][0] <= now:
                _, slot, name, what = heapq.heappop(running)
                self.end(name, what)
                waiting = dict.fromkeys([slot, *waiting], now)  # whoever waits looks again
            for slot in [slot for slot, until in waiting.items() if until <= now]:
                said = self.choose(self.slots[slot], self.crew, self.standings, self.busy, now, self.switching)
                del waiting[slot]
                if not isinstance(said, Wait):
                    what = self.begin(said, now)
                    heapq.heappush(running, (what.at, slot, said, what))
                elif said.until is not None:
                    assert said.until > now, "a slot that looks again at once"
                    assert not any(free(self.standings[name], now) for name in self.crew if self.switching), "idle"
                    waiting[slot] = said.until
        return self

    def begin(self, name: str, now: float) -> Ending:
        assert free(self.standings[name], now)
        self.standings[name] = started(self.standings[name], now).standing
        self.busy[name] += 1
        self.begun.append((name, now))
        trouble, until, seconds, worked = self.fate(name, now)
        return Ending(trouble, until, now + seconds, seconds, worked)

    def end(self, name: str, what: Ending) -> None:
        self.busy[name] -= 1
        self.standings[name] = self.fold(self.standings[name], what, next(self.chances))

    def starts(self, name: str) -> list[float]:
        return [at for who, at in self.begun if who == name]


def most_in_an_hour(starts: Sequence[float]) -> int:
    """`starts` in order of time."""
    return max((bisect_left(starts, low + HOUR) - n for n, low in enumerate(starts)), default=0)


def never_better(trouble: Trouble, until: float | None, seconds: float) -> Fate:
    return lambda name, now: (trouble, None if until is None else now + until, seconds, False)


def heedless(standing: Standing, what: Ending, chance: float) -> Standing:
    """The fault: the end of an attempt changes nothing."""
    return standing


def lonely(own: str, *known: Any) -> str | Wait:
    """The fault: nobody is switched to."""
    return pick(own, *known[:-1], False)


def early(standing: Standing, what: Ending, chance: float) -> Standing:
    """The fault: a reset that is waited for, but for a minute."""
    after = fold(standing, what, chance)
    return after if after.until is None else replace(after, until=min(after.until, what.at + MINUTE))


def careless(standing: Standing, what: Ending, chance: float) -> Standing:
    """The fault: an end is an end, however long ago its attempt began."""
    return rota._after(standing, what, chance).standing


FOR_EVER: list[tuple[Trouble, float | None, float]] = [
    ("usage_limit", None, 1.0),
    ("usage_limit", 0.0, 1.0),
    ("usage_limit", -HOUR, 0.0),
    ("usage_limit", 0.5, 0.1),
    *((trouble, None, 0.5) for trouble in (*SERVICE, *PERSON, "error", "denied", "stalled")),
    ("rate_limit", 1.0, 0.1),
    ("error", None, 6.0),
]


@pytest.mark.parametrize("trouble", PERSON)
def test_one_that_nobody_sees_to_is_tried_now_and_then_while_others_work(trouble: Trouble) -> None:
    def fate(name: str, now: float) -> tuple[Trouble | None, float | None, float, bool]:
        return (trouble, None, 3.0, False) if name == "a" else (None, None, 1200.0, True)

    starts = Shop(fate, {"a": 4, "b": 1}).play(24.0).starts("a")
    assert starts[:4] == [NOW] * 4 and 4 <= len(starts) - 4 <= 5  # after 1, 2, 4, 8 and 8 hours, one alone
    assert all(late - soon >= ASK for soon, late in pairwise(starts[3:]))


@pytest.mark.parametrize(("trouble", "until", "seconds"), FOR_EVER)
def test_trouble_for_ever_is_no_hot_loop(trouble: Trouble, until: float | None, seconds: float) -> None:
    fate = never_better(trouble, until, seconds)
    slots = 4
    for switching in (True, False):
        shop = Shop(fate, {"a": slots, "b": slots}, switching=switching).play(24.0)
        for name in "ab":  # first every slot at once, then one tries at a time
            assert most_in_an_hour(shop.starts(name)) <= FAILURES + 4 * slots
            assert len(shop.starts(name)) <= 24 * 4 * slots
    assert most_in_an_hour(Shop(fate, {"a": slots}, heedless).play(1.0, 200).starts("a")) >= 100


def windows(name: str, now: float) -> tuple[Trouble | None, float | None, float, bool]:
    """Works half an hour at a time, four of every five hours; what is running when the window closes is cut short."""
    since = (now - NOW) % (5 * HOUR)
    closes = 4 * HOUR
    reset = now - since + 5 * HOUR
    if since >= closes:
        return "usage_limit", reset, 2.0, False
    if since + 1800.0 > closes:
        return "usage_limit", reset, closes - since, True
    return None, None, 1800.0, True


def test_windows_are_kept_to_the_minute() -> None:
    def broken(shop: Shop) -> list[str]:
        resets = [NOW + 5 * HOUR * n for n in range(1, 8)]
        faults = []
        for reset in resets:
            first = min((at for at in shop.starts("a") if at > reset - HOUR), default=math.inf)
            faults += [f"began {reset - first} s too early"] * (first < reset)
            faults += [f"began {first - reset} s after its reset"] * (first > reset + MINUTE)
        return faults

    shop = Shop(windows, {"a": 3}).play(36.0)
    assert broken(shop) == []
    assert len(shop.begun) >= 7 * 3 * 8 and all(standing.limits <= 1 for standing in shop.standings.values())
    assert broken(Shop(windows, {"a": 3}, early).play(36.0)) != []


def test_no_slot_is_idle_while_another_agent_is_free() -> None:
    def fate(name: str, now: float) -> tuple[Trouble | None, float | None, float, bool]:
        return windows(name, now) if name == "a" else (None, None, 1200.0, True)

    def in_the_fifth_hour(shop: Shop) -> int:
        return sum(1 for at in shop.starts("b") if (at - NOW) % (5 * HOUR) >= 4 * HOUR)

    assert in_the_fifth_hour(Shop(fate, {"a": 3, "b": 1}).play(24.0)) >= 4 * 3 * 3
    with pytest.raises(AssertionError, match="idle"):
        Shop(fate, {"a": 3, "b": 1}, choose=lonely).play(24.0)
    kept = Shop(fate, {"a": 3, "b": 1}, switching=False).play(24.0)
    assert in_the_fifth_hour(kept) == 4 * 3 and len(kept.starts("b")) == 24 * 3


def test_a_late_result_does_not_wake_the_others() -> None:
    def fate(name: str, now: float) -> tuple[Trouble | None, float | None, float, bool]:
        if now > NOW:
            return "usage_limit", NOW + 5 * HOUR, 1.0, False
        fate.turn = getattr(fate, "turn", 0) + 1
        return ("usage_limit", NOW + 5 * HOUR, 60.0, True) if fate.turn % 3 == 1 else (None, None, 90.0, True)

    # of three that begin together one meets the limit and two end well a moment later
    assert len([at for at in Shop(fate, {"a": 3}).play(5.0).starts("a") if at < NOW + 5 * HOUR]) == 3
    assert len([at for at in Shop(fate, {"a": 3}, careless).play(5.0).starts("a") if at < NOW + 5 * HOUR]) > 3


fates = st.tuples(
    st.sampled_from(
        [None, None, None, "usage_limit", "usage_limit", *SERVICE, *PERSON, "error", "stalled", "cancelled"]
    ),
    st.sampled_from([None, -60.0, 0.0, 3.0, HOUR, 5 * HOUR, 100 * HOUR]),
    st.sampled_from([0.0, 0.5, 4.0, 60.0, 1800.0]),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(fates, min_size=1, max_size=30), st.integers(1, 3), st.integers(0, 2), st.booleans())
def test_whatever_becomes_of_attempts(drawn: list[Any], a: int, b: int, switching: bool) -> None:
    def play() -> Shop:
        ahead = cycle(drawn)

        def fate(name: str, now: float) -> tuple[Trouble | None, float | None, float, bool]:
            trouble, until, seconds, worked = next(ahead)
            return trouble, None if until is None else now + until, seconds, worked

        def watched(standing: Standing, what: Ending, chance: float) -> Standing:
            after = fold(standing, what, chance)
            if what.trouble == "usage_limit" and what.until is not None and what.until > what.at:
                assert not free(after, what.until - 0.001), "free before its reset"
                ahead_of = standing.until is None or standing.until <= what.at
                if ahead_of and after.limits == 1:
                    assert free(after, what.until + MINUTE), "not free a minute after its reset"
            return after

        return Shop(fate, {"a": a, "b": b}, watched, switching).play(48.0, 300)

    one, two = play(), play()
    assert one.begun == two.begun and one.standings == two.standings, "the fold is not the same twice"
