"""When an account opens again: what an agent said of it, as a moment. Asks no clock."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from kernelfactory.transcript import Clock, Reset

MOST = 40 * 86400.0
"""Seconds: what is further off is not believed; the longest window known is a month."""
_GRACE = 120.0
"""Seconds by which a time may be past and still mean now: clocks differ, and agents leave out the seconds."""


def until(reset: Reset, now: float, zone: str = "UTC") -> float | None:
    """The moment in epoch seconds, at least `now`; None when `reset` says none that can be believed. `zone`: the IANA
    name of where a clock's time is meant that names no zone, or none that is known."""
    if reset.epoch is not None:
        moment: float | None = reset.epoch
    elif reset.after is not None:
        moment = now + reset.after
    else:
        moment = None if reset.clock is None else _next(reset.clock, now, _zone(reset.clock.zone) or _zone(zone))
    if moment is None or not math.isfinite(moment) or not now - _GRACE <= moment <= now + MOST:
        return None
    return max(moment, now)


def _next(clock: Clock, now: float, zone: tzinfo | None) -> float | None:
    """The next moment at which a clock there shows this: one day after the other is asked, as far as is believed."""
    zone = zone or UTC
    if not (0 <= clock.hour < 24 and 0 <= clock.minute < 60):
        return None
    day = datetime.fromtimestamp(now, zone).date() - timedelta(1)
    for _ in range(int(MOST // 86400) + 3):
        if clock.year in (None, day.year) and clock.month in (None, day.month) and clock.day in (None, day.day):
            for moment in _moments(datetime(day.year, day.month, day.day, clock.hour, clock.minute), zone):
                if moment >= now - _GRACE:
                    return moment
        day += timedelta(1)
    return None


def _moments(shown: datetime, zone: tzinfo) -> list[float]:
    """When a clock there shows it: once; twice when it is put back; when it is put forward over it, at its new time."""
    both = sorted({shown.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1)})
    real = [moment for moment in both if datetime.fromtimestamp(moment, zone).replace(tzinfo=None) == shown]
    return real or both[-1:]


def _zone(name: str | None) -> tzinfo | None:
    """None for what is no zone here; names are hostile."""
    if not name:
        return None
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
