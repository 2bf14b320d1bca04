"""An agent that merely prints, read: each line is a message, the exit status its end. Knows no tokens."""

from __future__ import annotations

from collections.abc import Sequence

from kernelfactory.transcript.form import Event
from kernelfactory.transcript.loose import plain
from kernelfactory.transcript.turn import Turn


class Lines:
    def __init__(self) -> None:
        self.session: str | None = None
        self._turn = Turn()

    def line(self, line: str) -> Sequence[Event]:
        said = plain(line.rstrip("\r\n"))
        if not said.strip():
            return ()
        self._turn.noise(said)
        self._turn.goes_on(said)
        return (Event("message", text=said),)

    def error(self, line: str) -> Sequence[Event]:
        self._turn.noise(line)
        return ()

    def end(self, returncode: int) -> Sequence[Event]:
        if returncode == 0 and not self._turn.ended:
            return (self._turn.end(None),)
        return self._turn.gone(returncode)
