"""One driver for every command line that prints its events: watches, sends on, ends. Refuses to know which it is."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Protocol

from kernelfactory import signs
from kernelfactory.agents import Workplace, resets
from kernelfactory.agents.tally import WORK, Tally
from kernelfactory.model import AgentFailed, Limits, Trouble, Usage, UsageLimit
from kernelfactory.process import Finished
from kernelfactory.transcript import Event

EVERY = 0.5
"""Seconds between two looks at the clock."""

GRACE = 3.0
"""Seconds from a word that a turn should stop to the end of its process."""

FINAL = 2.0
"""The same when a cap is reached: for what it has spent, all told."""

LEAVE = 10.0
"""Seconds that a process may take to go when its last turn is over."""

PARTING = 60.0
"""Seconds that an agent may go on for when it has handed in: nothing that it does counts any more."""

SLEEPS = 5.0
"""Seconds after which an agent that says its account is used up, and does nothing more, waits for it to open."""

UNREAD = 4 << 20
"""Bytes that are held for a process that does not read what it is told; it gets no more."""

TEXT, WARNINGS = 300, 20
"""Characters of what an agent says that are told, and how many of its warnings."""

_LOGIN = re.compile(r"not logged in|run /login|log in again|sign in again|invalid api key", re.IGNORECASE)


class Dialogue(Protocol):
    """How one process of one command line is talked to; it has the prompt that it was made with. Used by one thread.

    `argv`, `env`: what to start. `session`: what it calls its session, once it has said so. `can_say`: does it take a
    further prompt while it lives? Otherwise a prompt needs a new process that resumes the session. `late`: does it show
    a tool call only when that is over? All that it prints is hostile, and nothing of it raises."""

    argv: Sequence[str]
    env: Mapping[str, str]
    can_say: bool
    late: bool

    @property
    def session(self) -> str | None: ...

    def line(self, text: str) -> Sequence[Event]:
        """A line of stdout; may make words (an answer that the protocol asks for)."""
        ...

    def error(self, text: str) -> Sequence[Event]:
        """A line of stderr."""
        ...

    def end(self, returncode: int) -> Sequence[Event]:
        """The process is gone; as `transcript.Parser.end`."""
        ...

    def say(self, text: str) -> None:
        """A further prompt: in a running turn it is put in, after one it begins the next. Only when `can_say`."""
        ...

    def interrupt(self) -> None:
        """Ask the running turn to stop; the process is killed a moment later in any case. Only when `can_say`."""
        ...

    def words(self) -> bytes:
        """What to write to its stdin now, once each; the prompt too, unless it is in `argv`."""
        ...

    def hung_up(self) -> bool:
        """Is there nothing more to say to it, so that its stdin is closed? The driver hangs up after the last turn."""
        ...


Make = Callable[[str, str | None], Dialogue]
"""A new process for a prompt; with a session: one that resumes it (in the same home and folder)."""


@dataclass(frozen=True, slots=True)
class Time:
    """The clocks that the driver goes by: one that never goes back, and the wall's (epoch seconds)."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


CLOCKS = Time()


def converse(workplace: Workplace, make: Make, brief: str, limits: Limits, clocks: Time = CLOCKS) -> Usage:
    """Have an agent work on `brief` in `workplace`: `make(brief, workplace.resumes)` first, then, as often as `limits`
    allows, the same process or a new one on the same session with a word to go on. Raises as `Agent.work` does:
    UsageLimit, AgentFailed, with what was spent."""
    whole = _Whole(workplace, brief, limits, clocks)
    ahead: _Ahead | None = _Ahead(brief, workplace.resumes)
    while ahead is not None:
        ahead = _Talk(whole, make(ahead.prompt, ahead.session), resumes=ahead.session is not None).run()
    return whole.usage()


# ── the conversation, over all its processes ─────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Ahead:
    """The next process: what it is told, and which session it resumes."""

    prompt: str
    session: str | None


class _Whole:
    """What is so for all processes of one attempt."""

    def __init__(self, workplace: Workplace, brief: str, limits: Limits, clocks: Time) -> None:
        self.workplace, self.brief, self.limits, self.clocks = workplace, brief, limits, clocks
        self.begun = clocks.monotonic()
        self.tally = Tally()
        self.nudged = self.warnings = 0
        self.noticed = self.circled = self.broke = False
        self.session: str | None = None
        self._told: tuple[int, float | None] | None = None

    @property
    def elapsed(self) -> float:
        return self.clocks.monotonic() - self.begun

    def usage(self) -> Usage:
        return self.tally.usage(self.elapsed)

    def affords(self) -> bool:
        """Tell what was spent, if that changed; False: a cap is reached."""
        usage = self.usage()
        if (usage.tokens, usage.dollars) == self._told:
            return True
        self._told = usage.tokens, usage.dollars
        self.broke = not self.workplace.spent(usage) or self.broke
        return not self.broke

    def named(self, session: str | None) -> None:
        if session is not None and session != self.session:
            self.session = session
            self.workplace.session(session)

    def warned(self, text: str) -> None:
        self.warnings += 1
        if self.warnings <= WARNINGS:
            self.workplace.say("limit", _plain(text))

    def nudge(self) -> str | None:
        """The word that sends it on after a turn that ended well; None: it may end."""
        standing = self.workplace.standing()
        turn = signs.Turn(
            elapsed=self.elapsed,
            seconds=self.limits.seconds,
            nudged=self.nudged,
            nudges=self.limits.nudges,
            measured=standing.measured,
            best=standing.best,
            parent_score=self.workplace.assignment.parent_score,
            goal=standing.goal,
            used=self._used(standing.measured),
        )
        why = None if standing.handed else signs.after_turn(turn)
        if why is None:
            return None
        self.sent_on(why)
        return signs.nudge(_template("nudge"), turn)

    def _used(self, measured: int) -> float:
        usage, limits = self.usage(), self.limits
        pairs = ((measured, limits.measurements), (usage.dollars or 0.0, limits.dollars), (usage.tokens, limits.tokens))
        return max((some / cap for some, cap in pairs if cap), default=0.0)

    def revive(self, word: str) -> _Ahead | None:
        """A new process after one that was ended, told `word`; None when it is not to be sent on any more."""
        left = self.limits.seconds - self.elapsed
        if self.nudged >= self.limits.nudges or left <= signs.lead(self.limits.seconds) or self.broke:
            return None
        self.sent_on(f"begun anew, {self.nudged + 1} of {self.limits.nudges}")
        return _Ahead(self.brief if self.session is None else word, self.session)

    def sent_on(self, why: str) -> None:
        self.nudged += 1
        self.workplace.say("nudge", why)


@cache
def _template(name: str) -> str:
    return files("kernelfactory").joinpath("prompts", f"{name}.md").read_text("utf-8")


def _plain(text: str) -> str:
    """One line that may be shown: what an agent says is hostile."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * TEXT]).split())[:TEXT]


# ── one process of it ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Stop:
    """Why we end the process (a trouble of its own, a cap, or that it is handed in), in words; when it is killed; what
    it is told if it is begun anew."""

    why: Trouble
    text: str
    deadline: float
    word: str = ""


class _Talk:
    """pipes.Talk with one process: hears its events, applies the rules, and says what follows."""

    every = EVERY

    def __init__(self, whole: _Whole, dialogue: Dialogue, resumes: bool) -> None:
        self._whole, self._dialogue, self._resumes = whole, dialogue, resumes
        self._watched = signs.Watched(at=self._now(), late=dialogue.late)
        self._stop: _Stop | None = None
        self._ended: Event | None = None
        self._leaves: float | None = None
        self._closed = False
        self._limit: tuple[str, float] | None = None
        self._opens: float | None = None
        self._handed: float | None = None

    def run(self) -> _Ahead | None:
        """The whole of it, and what comes next. Raises UsageLimit, AgentFailed."""
        try:
            done = self._whole.workplace.run(self._dialogue.argv, env=self._dialogue.env, talk=self)
        except OSError as error:
            why = f"it cannot be started: {error.strerror or error}"
            absent = isinstance(error, (FileNotFoundError, PermissionError)) or error.errno == errno.ENOEXEC
            raise AgentFailed(why, self._whole.usage(), "config" if absent else "error") from error
        self._take(self._dialogue.end(done.returncode), last=True)
        idle = not self._whole.tally.worked
        self._whole.tally.gone()
        return self._after(done, idle)

    # ── pipes.Talk ──

    def line(self, text: str) -> None:
        self._take(self._dialogue.line(text))
        self._whole.named(self._dialogue.session)

    def error(self, text: str) -> None:
        self._take(self._dialogue.error(text))

    def words(self) -> bytes:
        return self._dialogue.words()

    def hung_up(self) -> bool:
        return self._closed or self._dialogue.hung_up()

    def over(self) -> bool:
        deadline = self._stop.deadline if self._stop is not None else self._leaves
        return deadline is not None and self._now() >= deadline

    def tick(self) -> None:
        if self._stop is not None or self._ended is not None:
            return
        now, whole = self._now(), self._whole
        if self._parts(now):
            self._end_it("cancelled", "it is handed in")
        elif self._limit is not None and now - self._limit[1] >= SLEEPS:
            self._end_it("usage_limit", self._limit[0])
        elif why := signs.stalled(self._watched, now, whole.limits.silence):
            whole.workplace.say("stall", why)
            self._end_it("stalled", why, signs.revival(_template("stall"), now - self._watched.at))
        elif why := signs.retrying(self._watched, now):
            self._end_it(self._watched.trouble or "network", why)
        elif why := signs.looping(self._watched):
            whole.workplace.say("loop", why)
            self._end_it("looping", why, "" if whole.circled else signs.warning(_template("loop"), self._watched))
            whole.circled = True
        elif self._dialogue.can_say and not self._closed:
            self._tell()

    def _parts(self, now: float) -> bool:
        """How does it stand with the judge: is what it goes on with long handed in?"""
        standing = self._whole.workplace.standing()
        if standing.measuring:
            self._watched = signs.judged(self._watched, now)
        if standing.handed and self._handed is None:
            self._handed = now
        return self._handed is not None and now - self._handed >= PARTING

    # ── what it hears ──

    def _take(self, events: Sequence[Event], last: bool = False) -> None:
        for event in events:
            self._watched = signs.seen(self._watched, event, self._now())
            self._whole.tally.heard(event)
            if not self._whole.affords() and self._stop is None:
                self._end_it("budget", "a cap is reached")
            if event.reset is not None and event.trouble == "usage_limit":
                self._opens = resets.until(event.reset, self._whole.clocks.wall())
            if event.kind in WORK:
                self._limit = self._leaves = None
                self._ended = self._ended if self._stop is not None else None  # it goes on, whatever it said
            elif event.kind == "limit":
                self._warned(event)
            elif event.kind == "end":
                self._turned(event, last)

    def _warned(self, event: Event) -> None:
        self._whole.warned(event.text)
        if event.trouble == "usage_limit" and self._limit is None:
            self._limit = event.text, self._now()

    def _turned(self, event: Event, last: bool) -> None:
        """Its turn is over, and with it the process, unless it is sent on."""
        if event.trouble is None and not self._whole.usage().tokens and _LOGIN.search(event.text):
            event = replace(event, trouble="auth")  # an agent's word for a lost login is not always an error
        self._ended = event
        open_ = self._dialogue.can_say and not (self._closed or last) and self._stop is None
        if open_ and event.trouble is None and (word := self._whole.nudge()) is not None:
            self._dialogue.say(word)
            self._ended = None
        else:
            self._closed, self._leaves = True, self._now() + LEAVE

    # ── what it does about it ──

    def _tell(self) -> None:
        """A word in between: that its time ends, or that it goes in circles."""
        whole = self._whole
        elapsed, seconds = whole.elapsed, whole.limits.seconds
        if why := signs.wind_down(elapsed, seconds, whole.noticed):
            whole.noticed = True
            whole.workplace.say("wind-down", why)
            self._dialogue.say(signs.notice(_template("wind-down"), elapsed, seconds))
        elif not whole.circled and (why := signs.looping(self._watched, signs.WARN)):
            whole.circled = True
            whole.workplace.say("loop", why)
            self._dialogue.say(signs.warning(_template("loop"), self._watched))

    def _end_it(self, why: Trouble, text: str, word: str = "") -> None:
        grace = FINAL if why == "budget" else GRACE
        self._stop = _Stop(why, text, self._now() + (grace if self._dialogue.can_say else 0.0), word)
        if self._dialogue.can_say:
            self._dialogue.interrupt()

    def _after(self, done: Finished, idle: bool) -> _Ahead | None:
        whole, stop = self._whole, self._stop
        if done.stopped or done.timed_out or (stop is not None and stop.why in ("budget", "cancelled")):
            return None
        if stop is not None and stop.word and (ahead := whole.revive(stop.word)) is not None:
            return ahead
        end = self._ended or Event("end", text="it ended without a word", trouble="error")
        if stop is not None:
            end = replace(end, text=stop.text, trouble=stop.why)
        if end.trouble is None:
            word = whole.nudge() if whole.session is not None else None
            return None if word is None else _Ahead(word, whole.session)
        if self._resumes and idle and end.trouble in ("config", "error"):
            return _Ahead(whole.brief, None)  # its session is not there any more
        raise self._failed(end, end.trouble)

    def _failed(self, end: Event, trouble: Trouble) -> AgentFailed:
        usage, text = self._whole.usage(), _plain(end.text) or trouble
        if trouble != "usage_limit":
            return AgentFailed(text, usage, trouble)
        return UsageLimit(text, self._opens, usage)

    def _now(self) -> float:
        return self._whole.clocks.monotonic()
