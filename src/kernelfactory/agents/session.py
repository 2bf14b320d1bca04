"""One driver for every command line that prints its events: watches, sends on, ends. Refuses to know which it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kernelfactory.agents import Workplace
from kernelfactory.model import Limits, Usage
from kernelfactory.transcript import Event


class Dialogue(Protocol):
    """How one process of one command line is talked to; it has the prompt that it was made with. Used by one thread.

    `argv`, `env`: what to start. `session`: what it calls its session, once it has said so. `can_say`: does it take a
    further prompt while it lives? Otherwise a prompt needs a new process that resumes the session. All that it prints
    is hostile, and nothing of it raises."""

    argv: Sequence[str]
    env: Mapping[str, str]
    can_say: bool

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
        """Ask the running turn to stop, where that can be said; the process is killed a moment later in any case."""
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
    raise NotImplementedError
