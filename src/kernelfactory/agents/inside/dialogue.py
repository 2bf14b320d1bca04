"""How the factory talks with a program of this package in a cage: words as lines in, events as lines out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from kernelfactory.transcript import Event
from kernelfactory.transcript.inside import Inside


class Dialogue:
    """One process of it. Prompts are lines of its stdin, also in a running turn; it ends when its stdin does."""

    can_say = True
    late = False

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], prompt: str) -> None:
        self.argv, self.env = argv, env
        self._parser = Inside()
        self._words = bytearray()
        self.say(prompt)

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
        self._write({"prompt": text})

    def interrupt(self) -> None:
        self._write({"interrupt": True})

    def words(self) -> bytes:
        words, self._words = bytes(self._words), bytearray()
        return words

    def hung_up(self) -> bool:
        return False

    def _write(self, word: Mapping[str, object]) -> None:
        self._words += json.dumps(word).encode() + b"\n"
