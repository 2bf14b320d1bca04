"""Rules over what an agent does: silence, circles, retries, time that ends or is left over. Refuses to know a clock or
which agent it is, and does nothing about it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from functools import lru_cache

from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from kernelfactory.model import Goal, Trouble
from kernelfactory.transcript.form import Event

PATIENCE = 4.0
"""While a tool runs, silence may last so many times as long."""

WARN, ENOUGH = 5, 10
"""The same call with the same result, with nothing new in between: so often is worth a word, so often is the end."""

RETRIES = 300.0
FORGIVEN = 600.0
"""Seconds of retrying that are enough; a service that has answered for FORGIVEN seconds begins with a clean slate."""

RETRIED = ("rate_limit", "overloaded", "server", "network")

SHARE, LEAST, MOST, SHORT = 0.2, 180.0, 600.0, 1 / 3
"""When the end is announced: a share of the time before it, at least and at most so many seconds, and never more than a
third of a short time."""

SPENT = 0.8
"""An attempt that has used so much of any other cap is not sent on."""

KEPT, SHOWN = 32, 100
"""Different calls, running ones and past ones, that are remembered, and characters of one that a person is shown."""

EDITS = ("edit", "write", "patch", "replace", "create", "insert", "filechange", "file_change")
NO_EDITS = ("todo", "stdin")
"""What the names of tools that change files have in them, and names that only look like it."""

POLLS = ("output", "stdin", "wait", "sleep", "poll")
_POLLING = re.compile(r"""(?:^|[\s;&|('"`])(?:sleep|wait)\b""")
"""Tools and commands that wait for something: however often, that is no circle."""

_PASSING = re.compile(r"\b\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?\b|\b0x[0-9a-fA-F]+\b|\bin \d+(?:\.\d+)? ?s\b|\bpid \d+\b")
"""What differs in the output of the same command when nothing has changed. No other figure is taken out: what looks
like noise may be what is measured."""


@dataclass(frozen=True, slots=True)
class Running:
    """A tool call that is not over: what it is called, a digest of what is called with what, the start of that for a
    person; does it change files, and does it wait for something?"""

    call: str
    digest: str
    shown: str
    edits: bool
    waits: bool


@dataclass(frozen=True, slots=True)
class Watched:
    """What the events of one process come to. Times in seconds of one clock that never goes back.

    `at`: its last sign of life, at first when it began. `late`: it shows a tool only when that is over. `running`:
    calls that are not over. `known`: lately, calls with their results, and how often each since something was new.
    `again`: that of the last, `shown` what it was. `since`: it retries its service since then, because of `trouble`;
    `retried`: seconds of that before; `answered`: when the service last answered after one."""

    at: float
    late: bool = False
    running: tuple[Running, ...] = ()
    known: tuple[tuple[str, int], ...] = ()
    again: int = 0
    shown: str = ""
    since: float | None = None
    trouble: Trouble | None = None
    retried: float = 0.0
    answered: float | None = None


def seen(watched: Watched, event: Event, now: float) -> Watched:
    """One more event."""
    alive = replace(watched, at=now)
    if event.kind == "error" and event.trouble in RETRIED:
        return _retries(alive, event.trouble, now)
    if event.kind == "result":
        return _result(alive, event)
    if event.kind in ("message", "reasoning", "call", "usage", "end"):
        alive = _answered(alive, now)
    if event.kind == "call":
        return _call(alive, event)
    return replace(alive, running=()) if event.kind == "end" else alive


def judged(watched: Watched, now: float) -> Watched:
    """It waits for the judge: neither silence, nor what it repeats meanwhile, says anything of it."""
    return replace(watched, at=now, known=(), again=0)


def _retries(watched: Watched, trouble: Trouble | None, now: float) -> Watched:
    if watched.since is not None:
        return replace(watched, trouble=trouble)
    long_ago = watched.answered is not None and now - watched.answered >= FORGIVEN
    return replace(watched, since=now, trouble=trouble, retried=0.0 if long_ago else watched.retried)


def _answered(watched: Watched, now: float) -> Watched:
    if watched.since is None:
        return watched
    return replace(watched, since=None, trouble=None, retried=watched.retried + now - watched.since, answered=now)


def _call(watched: Watched, event: Event) -> Watched:
    name, text = event.name.lower(), " ".join(event.text.split())
    called = Running(
        call=event.call,
        digest=_digest(event.name, text),
        shown=ascii(f"{event.name} {text}".strip()[:SHOWN])[1:-1],
        edits=_any(name, EDITS) and not _any(name, NO_EDITS),
        waits=_any(name, POLLS) or bool(_POLLING.search(text)),
    )
    others = [one for one in watched.running if not event.call or one.call != event.call]
    return replace(watched, running=(*others, called)[-KEPT:])


def _result(watched: Watched, event: Event) -> Watched:
    over = next((one for one in watched.running if one.call == event.call), None)
    if over is None:
        return watched
    watched = replace(watched, running=tuple(one for one in watched.running if one is not over))
    if over.edits and not event.failed:
        return replace(watched, known=(), again=0)
    if over.waits:
        return watched
    output = " ".join(_PASSING.sub("", event.text).split())
    digest, known = _digest(over.digest, str(event.failed), output), dict(watched.known)
    if digest not in known:  # something new: whatever was repeated before led somewhere
        known = dict.fromkeys([*known, digest][-KEPT:], 1)
    else:
        known[digest] += 1
    return replace(watched, known=tuple(known.items()), again=known[digest], shown=over.shown)


def _any(name: str, parts: tuple[str, ...]) -> bool:
    return any(part in name for part in parts)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:32]


# ── while it works ───────────────────────────────────────────────────────────────────────────────


def stalled(watched: Watched, now: float, silence: float) -> str | None:
    """Why it counts as hung, or None: no event for `silence` seconds, PATIENCE times as long while a tool runs (always,
    where a tool is shown only when it is over). The attempt's own time limit bounds both."""
    silent = now - watched.at
    if silent < silence * (PATIENCE if watched.late or watched.running else 1.0):
        return None
    what = f" while this runs: {watched.running[-1].shown}" if watched.running else ""
    return f"no sign of life for {_minutes(silent)}{what}"


def looping(watched: Watched, times: int = ENOUGH) -> str | None:
    """Why it counts as going in circles: the same call with the same result `times` times (WARN: worth a word) while
    nothing was edited and nothing new came of anything; None: it does not."""
    if watched.again < times:
        return None
    return f"{watched.again} times the same with the same result, and nothing new in between: {watched.shown}"


def retrying(watched: Watched, now: float) -> str | None:
    """Why it is ended: it has retried its service for more than RETRIES seconds in all and still does (for
    `watched.trouble`); None: it may go on."""
    if watched.since is None:
        return None
    seconds = watched.retried + now - watched.since
    return f"it has retried its service for {_minutes(seconds)} ({watched.trouble})" if seconds > RETRIES else None


def lead(seconds: float) -> float:
    """How long before the end of so many seconds an agent is told."""
    return min(max(SHARE * seconds, LEAST), MOST, SHORT * seconds)


def wind_down(elapsed: float, seconds: float, said: bool) -> str | None:
    """Why it is told now that its time ends, once; None: not now."""
    left = seconds - elapsed
    return f"{_minutes(left)} of {_minutes(seconds)} are left" if not said and 0 < left <= lead(seconds) else None


# ── after it has stopped by itself ───────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Turn:
    """How it stands when an agent stops. `nudged` of `nudges`: how often it was sent on, and may be; `measured`: its
    measurements; `best` of them (None: no valid one) by `goal`, from `parent_score`. `ended_well`: it stopped by itself
    and without trouble. `used`: the largest share of another cap (measurements, dollars, tokens) that it has used."""

    elapsed: float
    seconds: float
    nudged: int
    nudges: int
    measured: int
    best: float | None
    parent_score: float
    goal: Goal
    ended_well: bool = True
    used: float = 0.0

    @property
    def improved(self) -> bool:
        if self.best is None:
            return False
        return self.best < self.parent_score if self.goal == "min" else self.best > self.parent_score


def after_turn(turn: Turn) -> str | None:
    """Why it is sent on; None: it may end. What it says of itself, that it is done or that nothing is left, is no
    reason to end; neither is a gain."""
    left = turn.seconds - turn.elapsed
    if not turn.ended_well or turn.nudged >= turn.nudges or left <= lead(turn.seconds) or turn.used >= SPENT:
        return None
    found = "improved" if turn.improved else "not improved" if turn.measured else "nothing measured"
    stopped = f"it stopped after {_minutes(turn.elapsed)} of {_minutes(turn.seconds)}, {found}"
    return f"{stopped}: sent on, {turn.nudged + 1} of {turn.nudges}"


# ── what it is told ──────────────────────────────────────────────────────────────────────────────


def notice(template: str, elapsed: float, seconds: float) -> str:
    """The word before the end, from `wind-down.md`."""
    return _fill(template, left=_minutes(seconds - elapsed))


def nudge(template: str, turn: Turn) -> str:
    """The word that sends it on, from `nudge.md`."""
    return _fill(
        template,
        elapsed=_minutes(turn.elapsed),
        left=_minutes(turn.seconds - turn.elapsed),
        measured=turn.measured,
        improved=turn.improved,
        best=None if turn.best is None else _figure(turn.best),
        parent=_figure(turn.parent_score),
    )


def warning(template: str, watched: Watched) -> str:
    """The word to one that goes in circles, from `loop.md`."""
    return _fill(template, times=watched.again, most=ENOUGH, shown=watched.shown)


def revival(template: str, silent: float) -> str:
    """The word to one whose last turn was ended because it was silent for so many seconds, from `stall.md`."""
    return _fill(template, silent=_minutes(silent))


def _fill(template: str, **facts: object) -> str:
    text: str = _world().from_string(template).render(facts)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


@lru_cache(maxsize=1)
def _world() -> SandboxedEnvironment:
    return SandboxedEnvironment(undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True)


def _figure(score: float) -> str:
    return f"{score:,.10g}"


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 0.0):.0f} s"
    return f"{seconds / 60:,.0f} min"
