"""A process that takes one prompt and ends with its turn: the next is a new one. Refuses a word in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kernelfactory.transcript import Event, Parser


class OneTurn:
    """A session.Dialogue: `prompt` is all that its stdin gets; `parser` reads what it prints; `late`: see there."""

    can_say = False

    def __init__(
        self, argv: Sequence[str], env: Mapping[str, str], prompt: str, parser: Parser, *, late: bool = False
    ) -> None:
        self.argv, self.env, self.late = argv, env, late
        self._parser = parser
        self._words = prompt.encode()

    @property
    def session(self) -> str | None:
        return self._parser.session

    def line(self, text: str) -> Sequence[Event]:
        return self._parser.line(text)

    def error(self, text: str) -> Sequence[Event]:
        return self._parser.error(text)

    def end(self, returncode: int) -> Sequence[Event]:
        return self._parser.end(returncode)

    def say(self, text: str) -> None:
        raise NotImplementedError("it cannot be said to: see can_say")

    def interrupt(self) -> None:
        raise NotImplementedError("it cannot be told to stop: see can_say")

    def words(self) -> bytes:
        words, self._words = self._words, b""
        return words

    def hung_up(self) -> bool:
        return not self._words  # it waits for the end of its prompt
