"""How the turn of one process goes: what is wrong and has not passed, whether an end stands. Knows no agent's words."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from kernelfactory.model import Trouble
from kernelfactory.transcript import limits
from kernelfactory.transcript.form import Event, Reset
from kernelfactory.transcript.loose import SHORT, plain

_KILLED = (130, 137, 143)


class Turn:
    """`said`: its last message. `ended`: an end stands, and nothing has come since that makes it doubtful. `holds`: a
    limit is told of on another pipe than the rest, so that a sign of life may be older, and does not lift it."""

    def __init__(self, holds: bool = False) -> None:
        self.said = ""
        self._holds = holds
        self.ended = False
        self._trouble: Event | None = None
        self._tail: deque[str] = deque(maxlen=20)

    @property
    def trouble(self) -> Event | None:
        """What went wrong, while nothing shows that it has passed."""
        return self._trouble

    def goes_on(self, said: str = "") -> None:
        """It works (again), and said this."""
        self.ended, self.said = False, said or self.said
        if not self._holds or self._trouble is None or self._trouble.kind != "limit":
            self._trouble = None

    def wrong(self, event: Event, aside: bool = False) -> Sequence[Event]:
        """A `limit` or an `error`, that may pass yet. A limit that was told of is not told again. `aside`: told of on
        another pipe, so that it may be older than an end that stands, which it leaves alone."""
        if aside and self.ended:
            return (event,)
        told, self.ended = self._trouble, False
        if told is not None and told.trouble == "usage_limit" == event.trouble:
            self._trouble = told if told.reset is not None else event
            return () if told.kind == event.kind and (told.reset is not None or event.reset is None) else (event,)
        self._trouble = event
        return (event,)

    def noise(self, line: str) -> None:
        """A line of stderr that says nothing by itself; the last few count when there is no other word."""
        if line.strip():
            self._tail.append(plain(line, SHORT // 8))

    def end(self, trouble: Trouble | None, text: str = "", reset: Reset | None = None) -> Event:
        self.ended, self._trouble = True, None
        return Event("end", text=text or self.said, trouble=trouble, reset=reset)

    def gone(self, returncode: int, clean: Trouble = "error") -> Sequence[Event]:
        """The process is gone: the `end`, unless one stands. `clean`: why it would end with 0 and without a word."""
        if self.ended:
            return ()
        if (event := self._trouble) is not None:
            return (self.end(event.trouble or "error", event.text, event.reset),)
        if returncode < 0 or returncode in _KILLED:
            return (self.end("cancelled"),)
        if returncode == 0:
            return (self.end(clean, self._last() or "it ended without a result"),)
        said = next((line for line in reversed(self._tail) if limits.trouble(line)), "") or self._last()
        trouble = limits.trouble(said) or "error"
        return (self.end(trouble, said or f"it ended with {returncode}", limits.waits(trouble, said)),)

    def _last(self) -> str:
        return "\n".join(self._tail)[-SHORT:]
