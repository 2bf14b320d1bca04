"""OpenCode's `run --format json`, read, and the log on its stderr, where alone it says that it waits. No prices."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kernelfactory.model import Tokens, Trouble
from kernelfactory.transcript import limits
from kernelfactory.transcript.form import Event, Reset
from kernelfactory.transcript.loose import (
    SHORT,
    TEXT,
    at,
    brief,
    count,
    name,
    number,
    plain,
    record,
    table,
    text,
    words,
)
from kernelfactory.transcript.spend import Spend
from kernelfactory.transcript.turn import Turn

_NAMES: Mapping[str, Trouble] = {
    "ProviderAuthError": "auth",
    "ContextOverflowError": "context",
    "MessageAbortedError": "cancelled",
    "ProviderModelNotFoundError": "model",
}
_NO_MODEL = re.compile(r"ProviderModelNotFoundError: ([^\"\\]{0,300})")
"""In its log alone: its stream has an unknown error then."""


class OpenCode:
    """`model`: whose tokens they are; the stream does not say."""

    def __init__(self, model: str = "") -> None:
        self.session: str | None = None
        self._model, self._turn, self._spend = model, Turn(holds=True), Spend()
        self._dollars, self._steps = 0.0, 0
        self._priced = True
        self._no_model: Event | None = None

    def line(self, line: str) -> Sequence[Event]:
        event = record(line)
        self.session = name(event, "sessionID") or self.session
        part = table(event, "part")
        match at(event, "type"):
            case "step_start":
                self._turn.goes_on()
            case "text":
                said = text(part, "text", cap=TEXT)
                self._turn.goes_on(said)
                return (Event("message", text=said),)
            case "reasoning":
                return (Event("reasoning", text=text(part, "text", cap=TEXT)),)
            case "tool_use":
                return self._tool(part)
            case "step_finish":
                return self._finish(part)
            case "error":
                error = _error(table(event, "error"))
                return self._turn.wrong(self._no_model if error.trouble == "error" and self._no_model else error)
        return ()

    def error(self, line: str) -> Sequence[Event]:
        self._turn.noise(line)
        if "level=ERROR" not in line:
            return ()
        if (found := _NO_MODEL.search(line[:SHORT])) is not None:
            self._no_model = Event("error", text=plain(found[1]), trouble="model")
            return self._turn.wrong(self._no_model, aside=True)
        if "stream error" not in line:
            return ()
        said = plain(line[line.find("error.error=") :] if "error.error=" in line else line, SHORT)
        trouble = limits.trouble(said) or "error"
        event = Event("error", text=said, trouble=trouble, reset=limits.waits(trouble, said))
        if trouble == "usage_limit":
            event = Event("limit", text=said, trouble=trouble, reset=event.reset)
        return self._turn.wrong(event, aside=True)

    def end(self, returncode: int) -> Sequence[Event]:
        return self._turn.gone(returncode)

    def _tool(self, part: dict[str, object]) -> Sequence[Event]:
        """A tool is told of once, when it is over."""
        self._turn.goes_on()
        call, state = text(part, "callID"), table(part, "state")
        code = at(state, "metadata", "exit")
        failed = at(state, "status") == "error" or code not in (0, None)
        said = words(at(state, "output")) or text(state, "error")
        return (
            Event("call", text=brief(at(state, "input")), name=text(part, "tool"), call=call),
            Event("result", text=said, call=call, failed=failed),
        )

    def _finish(self, part: dict[str, object]) -> Sequence[Event]:
        tokens, cost = _tokens(table(part, "tokens")), number(part, "cost") or 0.0
        self._steps += 1
        self._spend.part(str(self._steps), self._model, tokens)
        self._dollars += cost
        self._priced = self._priced and (cost > 0 or not tokens.all)  # it says 0 for a price that it does not know
        self._spend.total({}, self._dollars if self._priced else None)
        if at(part, "reason") == "stop":
            return (*self._spend.tell(), self._turn.end(None))
        self._turn.goes_on()
        return self._spend.tell()


def _error(error: dict[str, object]) -> Event:
    data = table(error, "data")
    said, body = text(data, "message") or text(error, "name"), text(data, "responseBody")
    headers = {key.lower(): value for key, value in table(data, "responseHeaders").items()}
    if text(headers, "anthropic-ratelimit-unified-status") == "rejected" or limits.trouble(body) == "usage_limit":
        stamp = text(headers, "anthropic-ratelimit-unified-reset")
        reset = limits.reset(f"reset: {stamp}") or limits.reset(body)
        return Event("limit", text=said, trouble="usage_limit", reset=reset)
    status = number(data, "statusCode")
    trouble = _NAMES.get(text(error, "name")) or _why(said, body, status)
    return Event("error", text=said, trouble=trouble, reset=_after(trouble, headers))


def _why(said: str, body: str, status: float | None) -> Trouble:
    by_status = limits.of_status(status)
    found = limits.trouble(f"{said} {body}") or "error"
    return found if by_status is None or found == "billing" else by_status


def _after(trouble: Trouble, headers: Mapping[str, object]) -> Reset | None:
    return limits.reset(f"retry-after: {text(headers, 'retry-after')}") if trouble == "rate_limit" else None


def _tokens(told: dict[str, object]) -> Tokens:
    """What was thought may be beside the output or, by the total alone, be seen to be missing from it."""
    given, read, wrote = count(told, "input"), count(told, "cache", "read"), count(told, "cache", "write")
    output = max(count(told, "output") + count(told, "reasoning"), count(told, "total") - given - read - wrote)
    return Tokens(given, output, read, wrote)
