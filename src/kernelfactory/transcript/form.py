"""The one form that every agent's own event stream is brought to. Refuses to know which agent it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from kernelfactory.model import Tokens, Trouble

Kind = Literal["message", "reasoning", "call", "result", "usage", "limit", "error", "end"]


@dataclass(frozen=True, slots=True)
class Clock:
    """A wall-clock time as an agent wrote it: what was left out is None. `zone` is an IANA name, None: not said.
    `month` from 1; `hour` of 24."""

    hour: int
    minute: int = 0
    day: int | None = None
    month: int | None = None
    year: int | None = None
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Reset:
    """When an account can be used again, as it was said: epoch seconds, or seconds from now, or a clock's time."""

    epoch: float | None = None
    after: float | None = None
    clock: Clock | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that an agent did or said. All text is hostile.

    message, reasoning: `text`. call: a tool `name` was called, `text` what with (a shell's command as it is), `call`
    its number. result: of `call`, `text` its output, `failed`. usage: `models` and `dollars` are totals of this process
    so far, what a resumed session had spent before is not in them; `dollars` None: the agent does not say. limit: a
    word about its usage limit, `reset`; `trouble` "usage_limit" when it is reached, None for a warning. error:
    `trouble` (None: a mere warning) may be tried again by the agent itself, at `reset`. end: the turn is over:
    `trouble` None when it went well, else why (`reset` with a usage_limit or rate_limit), `text` its last message or
    what went wrong."""

    kind: Kind
    text: str = ""
    name: str = ""
    call: str = ""
    failed: bool = False
    models: Mapping[str, Tokens] = field(default_factory=dict)
    dollars: float | None = None
    trouble: Trouble | None = None
    reset: Reset | None = None


class Parser(Protocol):
    """Reads one process's output, line by line. Pure: no clock, no file; a line it cannot read yields nothing, and no
    line whatever raises. `session` is what the agent calls the session, once it has said so."""

    session: str | None

    def line(self, text: str) -> Sequence[Event]:
        """A line of stdout."""
        ...

    def error(self, text: str) -> Sequence[Event]:
        """A line of stderr."""
        ...

    def end(self, returncode: int) -> Sequence[Event]:
        """The process is gone; yields an `end` where none stands that still holds. `returncode` is negative for a
        signal."""
        ...
