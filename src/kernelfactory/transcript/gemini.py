"""Gemini CLI's `-o stream-json`, read, and its stderr, where alone it says that it waits. Knows no prices."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kernelfactory.model import Tokens, Trouble
from kernelfactory.transcript import limits
from kernelfactory.transcript.form import Event, Reset
from kernelfactory.transcript.loose import SHORT, TEXT, at, brief, count, name, plain, record, table, text, words
from kernelfactory.transcript.spend import Spend
from kernelfactory.transcript.turn import Turn

_WAIT = re.compile(r"Retrying after (\d{1,12})ms")
_ATTEMPT = re.compile(r"Attempt \d{1,6} failed")
_LONG = 120.0
"""Seconds of waiting after which the account counts as used up: it would wait for hours, and say nothing."""
_CODES: Mapping[int, Trouble] = {
    41: "auth",
    42: "config",
    52: "config",
    53: "turns",
    55: "config",
    144: "error",
    147: "auth",
    173: "rate_limit",
    244: "server",
    247: "overloaded",
}
"""What its exit statuses mean; an HTTP status is cut to a byte (429: 173)."""


class Gemini:
    def __init__(self) -> None:
        self.session: str | None = None
        self._turn, self._spend = Turn(holds=True), Spend()
        self._said: list[str] = []
        self._failed = ""

    def line(self, line: str) -> Sequence[Event]:
        event = record(line)
        match at(event, "type"):
            case "init":
                self.session = name(event, "session_id") or self.session
            case "message" if at(event, "role") == "assistant":
                return self._message(text(event, "content", cap=TEXT), at(event, "delta") is True)
            case "tool_use":
                called = brief(at(event, "parameters"))
                return self._sign(
                    Event("call", text=called, name=text(event, "tool_name"), call=text(event, "tool_id"))
                )
            case "tool_result":
                return self._sign(_result(event))
            case "error":
                said = text(event, "message")
                return (Event("error", text=said, trouble=limits.trouble(said)),)
            case "result":
                return self._result(event)
        return ()

    def error(self, line: str) -> Sequence[Event]:
        """`Attempt 1 failed: ... Retrying after 5978ms...`, also over several lines."""
        self._turn.noise(line)
        found = _ATTEMPT.search(line[:SHORT])
        self._failed = (line[found.start() :] if found else f"{self._failed} {line}" if self._failed else "")[:SHORT]
        waits = _WAIT.search(self._failed)
        if waits is not None:
            return self._waits(self._failed, float(waits[1]) / 1000)
        if found is not None and "Retrying with" in line:
            return self._turn.wrong(
                Event("error", text=self._take(), trouble=limits.trouble(line) or "error"), aside=True
            )
        return ()

    def end(self, returncode: int) -> Sequence[Event]:
        told = self._flush()
        if not self._turn.ended and self._turn.trouble is None and (found := _CODES.get(returncode)) is not None:
            return (*told, *self._by_code(found))
        return (*told, *self._turn.gone(returncode, clean="cancelled"))

    def _by_code(self, found: Trouble) -> Sequence[Event]:
        (event,) = self._turn.gone(1)
        trouble = found if event.trouble in ("error", "network") else event.trouble
        return (self._turn.end(trouble, event.text, event.reset),)

    def _message(self, said: str, more: bool) -> Sequence[Event]:
        self._said.append(said)
        if more and sum(map(len, self._said)) < TEXT:
            self._turn.goes_on()
            return ()
        return self._flush()

    def _flush(self) -> Sequence[Event]:
        said, self._said = "".join(self._said)[:TEXT], []
        if not said:
            return ()
        self._turn.goes_on(said)
        return (Event("message", text=said),)

    def _sign(self, event: Event) -> Sequence[Event]:
        told = self._flush()
        self._turn.goes_on()
        return (*told, event)

    def _waits(self, said: str, seconds: float) -> Sequence[Event]:
        self._take()
        if seconds > _LONG:  # the program adds up to a fifth to what the service said
            opens = limits.reset(_WAIT.sub("", said)) or Reset(after=seconds)
            return self._turn.wrong(Event("limit", text=said, trouble="usage_limit", reset=opens), aside=True)
        trouble = limits.trouble(said) or "error"
        return self._turn.wrong(Event("error", text=said, trouble=trouble, reset=Reset(after=seconds)), aside=True)

    def _take(self) -> str:
        said, self._failed = self._failed, ""
        return said

    def _result(self, event: dict[str, object]) -> Sequence[Event]:
        told = self._flush()
        self._spend.total({plain(model, 200): _tokens(used) for model, used in table(event, "stats", "models").items()})
        if at(event, "status") == "success":
            return (*told, *self._spend.tell(), self._turn.end(None))
        said = text(event, "error", "message")
        trouble = limits.trouble(f"{text(event, 'error', 'type')} {said}") or "error"
        return (*told, *self._spend.tell(), self._turn.end(trouble, said, limits.waits(trouble, said)))


def _result(event: dict[str, object]) -> Event:
    said = words(at(event, "output")) or text(event, "error", "message")
    return Event("result", text=said, call=text(event, "tool_id"), failed=at(event, "status") == "error")


def _tokens(used: object) -> Tokens:
    """`input_tokens` with the cached ones; what else is in the total was thought, which costs as output does."""
    given, cached = count(used, "input_tokens"), count(used, "cached")
    output = max(count(used, "output_tokens"), count(used, "total_tokens") - given)
    return Tokens(max(given - cached, 0), output, cached)
