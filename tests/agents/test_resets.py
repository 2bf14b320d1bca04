"""When an account opens again: zones, daylight saving, what is left out, and what is not to be believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelfactory.agents.resets import MOST, until
from kernelfactory.transcript import Clock, Reset, limits


def at(text: str) -> float:
    """Epoch seconds of an ISO time; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


NOW = at("2026-11-23T00:30:00")


@pytest.mark.parametrize(
    "clock, expected",
    [
        (Clock(1, 40), "2026-11-23T01:40"),
        (Clock(0, 20), "2026-11-24T00:20"),
        (Clock(0, 30), "2026-11-23T00:30"),
        (Clock(0, 29), "2026-11-23T00:30"),  # a minute ago: the seconds were left out
        (Clock(0, 0), "2026-11-24T00:00"),
        (Clock(15, 0, zone="Europe/Rome"), "2026-11-23T14:00"),
        (Clock(1, 0, zone="Europe/Rome"), "2026-11-24T00:00"),
        (Clock(21, 0, zone="America/New_York"), "2026-11-23T02:00"),
        (Clock(0, 0, zone="America/Los_Angeles"), "2026-11-23T08:00"),
        (Clock(1, 40, 23, 11, 2026), "2026-11-23T01:40"),
        (Clock(15, 41, 27, 11, 2026), "2026-11-27T15:41"),
        (Clock(21, 0, 30, 11), "2026-11-30T21:00"),
        (Clock(9, 0, 1, 1), "2027-01-01T09:00"),
        (Clock(9, 0, 1), "2026-12-01T09:00"),
        (Clock(9, 0, 22, 11), None),  # yesterday, or next year
        (Clock(9, 0, 22, 11, 2026), None),
        (Clock(9, 0, 24, 11, 2027), None),
        (Clock(9, 0, 31, 2), None),
        (Clock(24, 0), None),
        (Clock(0, 60), None),
        (Clock(-1), None),
        (Clock(15, 0, zone="Not/A_Zone"), "2026-11-23T15:00"),
        (Clock(15, 0, zone="../../etc/passwd"), "2026-11-23T15:00"),
        (Clock(15, 0, zone="Europe"), "2026-11-23T15:00"),
        (Clock(15, 0, zone="x" * 5000), "2026-11-23T15:00"),
        (Clock(15, 0, zone="\ud800\x00"), "2026-11-23T15:00"),
        (Clock(15, 0, zone="gmt"), "2026-11-23T15:00"),
    ],
)
def test_clocks(clock: Clock, expected: str | None) -> None:
    assert until(Reset(clock=clock), NOW) == (None if expected is None else at(expected))


@pytest.mark.parametrize(
    "reset, expected",
    [
        (Reset(epoch=NOW + 5.0), NOW + 5.0),
        (Reset(epoch=NOW - 60.0), NOW),
        (Reset(epoch=NOW - 121.0), None),
        (Reset(epoch=NOW + MOST + 1), None),
        (Reset(epoch=(NOW + 60) * 1000), None),
        (Reset(epoch=float("nan")), None),
        (Reset(after=3600.0), NOW + 3600.0),
        (Reset(after=0.0), NOW),
        (Reset(after=41 * 86400.0), None),
        (Reset(after=float("inf")), None),
        (Reset(after=-5000.0), None),
        (Reset(), None),
    ],
)
def test_moments(reset: Reset, expected: float | None) -> None:
    assert until(reset, NOW) == expected


def test_where_no_zone_is_said_it_is_here() -> None:
    assert until(Reset(clock=Clock(1, 40)), NOW, "Europe/Rome") == at("2026-11-23T01:40+01:00")
    assert until(Reset(clock=Clock(1, 40, zone="Moon/Base")), NOW, "Europe/Rome") == at("2026-11-23T01:40+01:00")
    assert until(Reset(clock=Clock(1, 40)), NOW, "Moon/Base") == at("2026-11-23T01:40")


def test_daylight_saving() -> None:
    rome = "Europe/Rome"
    # put forward on 2026-03-29: 02:30 is skipped, and counts as the moment when it would have been
    night = at("2026-03-29T00:00+01:00")
    assert until(Reset(clock=Clock(2, 30, zone=rome)), night) == at("2026-03-29T03:30+02:00")
    assert until(Reset(clock=Clock(5, 0, zone=rome)), night) == at("2026-03-29T05:00+02:00")
    # put back on 2026-10-25: 02:30 is twice
    night = at("2026-10-25T00:00+02:00")
    assert until(Reset(clock=Clock(2, 30, zone=rome)), night) == at("2026-10-25T02:30+02:00")
    between = at("2026-10-25T02:45+02:00")
    assert until(Reset(clock=Clock(2, 30, zone=rome)), between) == at("2026-10-25T02:30+01:00")


ZONES = [
    "UTC",
    "Europe/Rome",
    "America/New_York",
    "Asia/Kolkata",
    "Pacific/Apia",
    "America/St_Johns",
    "Australia/Lord_Howe",
]


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1_700_000_000, 1_900_000_000), st.integers(0, 23), st.integers(0, 59), st.sampled_from(ZONES)
)  # fmt: skip
def test_a_clock_alone_is_within_a_day_and_shows_that_time(now: int, hour: int, minute: int, zone: str) -> None:
    moment = until(Reset(clock=Clock(hour, minute, zone=zone)), float(now))
    assert moment is not None and now <= moment <= now + 49 * 3600  # where a day is skipped or put back: two
    shown = datetime.fromtimestamp(moment, ZoneInfo(zone))
    if moment > now and (shown.hour, shown.minute) != (hour, minute):  # then there is no such time that day
        assert (shown - timedelta(hours=3)).utcoffset() != (shown + timedelta(hours=3)).utcoffset()


@settings(max_examples=300, deadline=None)
@given(
    st.floats(), st.floats(), st.tuples(*[st.integers(-10, 100)] * 4, st.integers(-5, 12000)), st.text(max_size=30)
)  # fmt: skip
def test_nothing_that_is_said_raises(epoch: float, after: float, numbers: tuple[int, ...], zone: str) -> None:
    hour, minute, day, month, year = numbers
    for reset in (Reset(epoch=epoch), Reset(after=after), Reset(clock=Clock(hour, minute, day, month, year, zone))):
        moment = until(reset, NOW, zone)
        assert moment is None or NOW <= moment <= NOW + MOST


@pytest.mark.parametrize(
    "said, expected",
    [
        ("You've hit your session limit · resets 2:35am (UTC)", "2026-11-23T02:35"),
        ("You've hit your limit · resets 4:50am (Europe/Rome)", "2026-11-23T03:50"),
        ("You’ve hit your usage limit. Try again at Nov 27th, 2026 3:41 PM.", "2026-11-27T15:41"),
        ("or try again in 2 days 17 hours 14 minutes.", "2026-11-25T17:44"),
        ("resets in 3 h 12 m", "2026-11-23T03:42"),
        ("Claude AI usage limit reached|1795401340", "2026-11-23T02:35:40"),
        ("resets May 5 at 9pm (America/New_York)", None),
    ],
)
def test_from_an_agents_words_to_the_moment(said: str, expected: str | None) -> None:
    reset = limits.reset(said)
    assert reset is not None and until(reset, NOW) == (None if expected is None else at(expected))


def test_the_checks_above_see_a_clock_that_is_an_hour_off() -> None:
    wrong = at("2026-11-23T01:40") + timedelta(hours=1).total_seconds()
    assert until(Reset(clock=Clock(1, 40)), NOW) != wrong
