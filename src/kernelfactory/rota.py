"""Who works in a slot now, and until when an agent waits. Refuses to know a clock, dice, or what attempts are about."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from kernelfactory.model import Incident, Trouble

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

AFTER_RESET = (1.0, 5.0)
"""Seconds between a stated reset and the first attempt after it: never before it, and not all at the same moment."""

GUESS, GUESS_MOST = 30 * MINUTE, 5 * HOUR
"""The wait at a usage limit that does not say until when: the first, and the longest after doubling."""

BACK_OFF, BACK_OFF_MOST = 10.0, 10 * MINUTE
"""The wait while a service is in trouble; the last quarter of it is by chance."""

ASK, ASK_MOST = HOUR, 8 * HOUR
"""The wait where a person must see to it: somebody may have."""

AT_ONCE = 5.0
FAILURES, EMPTY = 5, 20
"""An agent that dies within AT_ONCE seconds, with nothing done, FAILURES times in a row is given up for a while; so is
one that ends well that fast with nothing done, EMPTY times in a row."""

TRIAL = 30.0
"""After a wait that was a guess one attempt begins; the others wait so many seconds for what becomes of it."""

FARTHEST = 35 * DAY
"""A reset further away than this is not believed."""

LIMIT = "at its usage limit"

SERVICE: Mapping[Trouble | None, str] = {
    "rate_limit": "its service is asked too often",
    "overloaded": "its service is overloaded",
    "server": "its service has a fault",
    "network": "its service cannot be reached",
}
UNFIT: Mapping[Trouble | None, str] = {
    "stalled": "it did not answer",
    "error": "it could not work",
    "denied": "it was refused what it needs",
}
"""Why it backs off; UNFIT: only when it had done nothing."""

PERSON: Mapping[Trouble | None, tuple[str, str]] = {
    "auth": ("not logged in, or its key is refused", "log in, or give it a key (kf doctor says how)"),
    "billing": ("its account does not pay for this", "see to its credit or plan"),
    "model": ("its model is not known to its service", "check the name after @, or its model in agents.toml"),
    "config": ("its settings are refused", "see the last attempts/*/agent.log, and agents.toml"),
}
"""What is wrong where only a person can help, and what to do."""

ANSWERED = ("context", "turns", "looping")
"""What stops an agent whose model does answer."""

ENDED = ("cancelled", "budget")
"""When it was ended before it did anything: that says nothing of it."""

QUICK = ("error", "denied", None)
"""How an attempt ends at once."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one agent (its account). Times are epoch seconds.

    `until`: it waits until then, `why`, in words; None: it does not. `reset`: what was stated, None: a guess. `since`:
    the end of the attempt that the wait came from. `limits`, `troubles`, `failures`, `asked`: how often in a row it
    ended at its usage limit, in trouble of its service, at once, and for a person to see to. `needs_person`: it waits
    for that. `tried`: when its first attempt after a guessed wait began."""

    name: str
    until: float | None = None
    why: str = ""
    limits: int = 0
    failures: int = 0
    troubles: int = 0
    needs_person: bool = False
    asked: int = 0
    reset: float | None = None
    since: float = 0.0
    tried: float | None = None


class Ending(NamedTuple):
    """How an attempt of an agent ended. `trouble` None: well. `until`: when its account can be used again, as it was
    said. `at`: when it ended, `seconds` after it began. `worked`: its model answered, it changed a file or measured."""

    trouble: Trouble | None
    until: float | None
    at: float
    seconds: float
    worked: bool


class Said(NamedTuple):
    """What is known now, what is to be put on record (None: nothing), and one line for a person."""

    standing: Standing
    incident: Incident | None = None
    text: str = ""


class Wait(NamedTuple):
    """Nobody is free: look again at `until` (None: nobody is left, only a person can help), or when one ends."""

    until: float | None
    why: str


# ── who ──────────────────────────────────────────────────────────────────────────────────────────


def free_at(standing: Standing, now: float) -> float:
    """When an attempt of it may begin: `now`, or later."""
    if standing.until is not None and standing.until > now:
        return standing.until
    if standing.tried is not None and standing.tried <= now < standing.tried + TRIAL:
        return standing.tried + TRIAL
    return now


def free(standing: Standing, now: float) -> bool:
    return free_at(standing, now) <= now


def pick(
    own: str,
    crew: Sequence[str],
    standings: Mapping[str, Standing],
    busy: Mapping[str, int],
    now: float,
    switching: bool,
) -> str | Wait:
    """Who works in a slot of `own` now: itself when it is free, else, when `switching`, the free one of the crew with
    the fewest `busy` slots. `crew`: those that may work at all; `standings`: of those of whom anything is known."""
    known = [standings.get(name, Standing(name)) for name in crew if switching or name == own]
    ready = [standing for standing in known if free(standing, now)]
    if ready:
        return min(ready, key=lambda standing: (standing.name != own, busy.get(standing.name, 0))).name
    why = "; ".join(f"{standing.name}: {waits(standing, now)}" for standing in known) or "no agent may work"
    running = any(busy.get(standing.name, 0) > 0 for standing in known)  # what they come to may change everything
    if all(standing.needs_person for standing in known) and not running:
        return Wait(None, why)
    return Wait(min(free_at(standing, now) for standing in known), why)


def waits(standing: Standing, now: float) -> str:
    """Why it waits and how long still, in words; "" when it does not."""
    left = free_at(standing, now) - now
    if left <= 0:
        return ""
    return f"{standing.why or 'one attempt tries whether it works again'}, {span(left)} more"


def started(standing: Standing, now: float) -> Said:
    """An attempt of it begins, which may be the first after a wait."""
    if standing.until is None or standing.until > now:
        return Said(standing)
    heard = standing.limits if standing.why == LIMIT else standing.troubles
    guessed = standing.reset is None or heard > 1  # what was said before was not true either
    opened = replace(standing, until=None, why="", needs_person=False, tried=now if guessed else None)
    how = "is tried again" if guessed else "works again: the time that it was to wait is over"
    return Said(opened, "opened", f"{standing.name} {how}")


# ── what an attempt's end says of its agent ──────────────────────────────────────────────────────


def ended(standing: Standing, ending: Ending, chance: float) -> Said:
    """What is known after an attempt of it has ended; `chance` from 0 to 1. One that began before the wait can make the
    wait longer, but neither end it nor count once more."""
    waiting = standing.until is not None and standing.until > ending.at
    if not waiting or ending.at - ending.seconds > standing.since:
        return _after(standing, ending, chance)
    said = _after(Standing(standing.name), ending, chance)
    until, before = said.standing.until, standing.until
    if until is None or before is None or not _stronger(said.standing, standing):
        return Said(standing)
    # the same, said by each slot, is told once
    told = abs(until - before) >= MINUTE or said.standing.why != standing.why
    return said._replace(
        incident=said.incident if told else None,
        text=said.text if told else "",
        standing=replace(
            said.standing,
            limits=max(standing.limits, said.standing.limits),
            failures=standing.failures,
            troubles=max(standing.troubles, said.standing.troubles),
            asked=max(standing.asked, said.standing.asked),
        ),
    )


def _stronger(late: Standing, standing: Standing) -> bool:
    """Does the wait that a late result asks for replace the one that holds? The same thing said twice does not; a reset
    that was stated beats a guess; of two different matters the longer wait holds."""
    longer = late.until is not None and standing.until is not None and late.until > standing.until
    if late.needs_person or standing.needs_person or (late.why == LIMIT) != (standing.why == LIMIT):
        return longer and not (late.needs_person and standing.needs_person)
    mine, theirs = _ahead(late), _ahead(standing)
    if mine is None:
        return False
    return theirs is None or mine > theirs if late.why == LIMIT else longer


def _ahead(standing: Standing) -> float | None:
    """The reset that was stated, unless it was over by then."""
    return standing.reset if standing.reset is not None and standing.reset > standing.since else None


def _after(standing: Standing, ending: Ending, chance: float) -> Said:
    trouble = ending.trouble
    idle = not ending.worked and trouble not in ANSWERED
    quick = idle and trouble in QUICK and ending.seconds <= AT_ONCE
    if trouble == "usage_limit":
        return _limit(standing, ending, chance)
    if trouble in PERSON:
        return _person(standing, ending, *PERSON[trouble])
    if quick:
        return _at_once(standing, ending, FAILURES if trouble is not None else EMPTY)
    if trouble in SERVICE or (idle and trouble in UNFIT):
        return _service(standing, ending, chance)
    return Said(standing if idle and trouble in ENDED else Standing(standing.name))


def _limit(standing: Standing, ending: Ending, chance: float) -> Said:
    count = _count(standing.limits, ending)
    reset = _stated(ending)
    if reset is None:
        until = ending.at + _grown(GUESS, GUESS_MOST, count) + _jitter(chance)
        how = f"it does not say until when; parked for {span(until - ending.at)}"
    else:  # a reset that is over, or that is said again and again and never true, must not be a hot loop
        until = max(reset + _jitter(chance), ending.at + _back_off(count, chance))
        how = f"parked for {span(until - ending.at)}"
    waiting = _wait(standing, ending, until, LIMIT)
    return Said(replace(waiting, limits=count, failures=0, reset=reset), "parked", f"{standing.name} is {LIMIT}: {how}")


def _service(standing: Standing, ending: Ending, chance: float) -> Said:
    count, reset = _count(standing.troubles, ending), _stated(ending)
    until = ending.at + _back_off(count, chance)
    if reset is not None:
        until = max(until, reset + _jitter(chance))
    why = SERVICE.get(ending.trouble) or UNFIT[ending.trouble]
    waiting = replace(_wait(standing, ending, until, why), troubles=count, reset=reset)
    return Said(waiting, "backoff", f"{standing.name}: {why}; it waits {span(until - ending.at)}")


def _at_once(standing: Standing, ending: Ending, most: int) -> Said:
    """One more end within seconds, with nothing done."""
    count = standing.failures + 1
    counted = replace(standing, failures=count)
    if count < most:
        return Said(counted)
    what = "died" if ending.trouble is not None else "ended"
    why = f"it {what} at once {count} times in a row"
    return _person(counted, ending, why, "see the last attempts/*/agent.log, and kf doctor")


def _person(standing: Standing, ending: Ending, why: str, advice: str) -> Said:
    count = _count(standing.asked, ending)
    wait = _grown(ASK, ASK_MOST, count)
    waiting = replace(_wait(standing, ending, ending.at + wait, why), needs_person=True, asked=count)
    return Said(waiting, "broken", f"{standing.name} is paused: {why}; {advice}; it is tried again in {span(wait)}")


def _wait(standing: Standing, ending: Ending, until: float, why: str) -> Standing:
    """The counts as they are, and a new wait."""
    base = Standing(standing.name) if _between(ending) else standing
    return replace(base, until=until, why=why, reset=None, since=ending.at, needs_person=False, tried=None)


def _count(before: int, ending: Ending) -> int:
    """One more in a row; work in between begins a new row."""
    return 1 if _between(ending) else before + 1


def _between(ending: Ending) -> bool:
    """Did it work for long enough that what stopped it is something new?"""
    return ending.worked and ending.seconds >= MINUTE


def _stated(ending: Ending) -> float | None:
    """The reset that was said, if it can be one."""
    until = ending.until
    if until is None or not math.isfinite(until) or until - ending.at > FARTHEST:
        return None
    return until


def _grown(first: float, most: float, count: int) -> float:
    return min(most, first * 2.0 ** min(count - 1, 30))


def _back_off(count: int, chance: float) -> float:
    return _grown(BACK_OFF, BACK_OFF_MOST, count) * (0.75 + 0.25 * chance)


def _jitter(chance: float) -> float:
    return AFTER_RESET[0] + (AFTER_RESET[1] - AFTER_RESET[0]) * chance


def span(seconds: float) -> str:
    """ "4 h 12 min", two units at most."""
    whole = max(1, round(seconds))
    for size, unit, small, small_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{whole} s"
