"""Codex, read: the events of `codex exec --json` and the JSON-RPC of `codex app-server`. Answers nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kernelfactory.model import Tokens, Trouble
from kernelfactory.transcript import limits
from kernelfactory.transcript.form import Event, Kind, Reset
from kernelfactory.transcript.loose import TEXT, at, brief, count, items, name, number, record, table, text, words
from kernelfactory.transcript.spend import Spend
from kernelfactory.transcript.turn import Turn

_INFO: Mapping[str, Trouble] = {
    "usageLimitExceeded": "usage_limit",
    "rateLimitExceeded": "rate_limit",
    "serverOverloaded": "overloaded",
    "flexUnavailable": "overloaded",
    "policyCapacityUnavailable": "overloaded",
    "modelNotFound": "model",
    "contextWindowExceeded": "context",
    "sessionBudgetExceeded": "budget",
    "unauthorized": "auth",
    "internalServerError": "server",
    "sandboxError": "config",
    "tooManyDenials": "denied",
}
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_CALLS = (
    "command_execution",
    "file_change",
    "mcp_tool_call",
    "web_search",
    "dynamic_tool_call",
    "collab_agent_tool_call",
)
_NEAR = 90.0
_OPEN = 4096


class Codex:
    """`model`: whose tokens they are, where the stream does not say. `before`: what the thread that is resumed had
    used: the totals hold it too."""

    def __init__(self, model: str = "", before: Mapping[str, Tokens] | None = None) -> None:
        self.session: str | None = None
        self._model, self._turn, self._spend = model, Turn(), Spend(before)
        self._open: dict[str, None] = {}
        self._threads: dict[str, Tokens] = {}
        self._windows: dict[str, tuple[float, Reset | None]] = {}

    def line(self, line: str) -> Sequence[Event]:
        event = record(line)
        kind = text(event, "type")
        if kind.startswith("item."):
            return self._item(table(event, "item"), kind == "item.completed")
        match kind:
            case "thread.started":
                self.session = name(event, "thread_id") or self.session
            case "turn.started":
                self._turn.goes_on()
            case "turn.completed":
                return self._completed(table(event, "usage"))
            case "turn.failed":
                return (self._failed(table(event, "error")),)
            case "error":
                return self._wrong(event)
            case "":
                return self._rpc(event)
        return ()

    def error(self, line: str) -> Sequence[Event]:
        self._turn.noise(line)
        return ()

    def end(self, returncode: int) -> Sequence[Event]:
        return self._turn.gone(returncode)

    # ── both ─────────────────────────────────────────────────────────────────────────────────────

    def _item(self, item: dict[str, object], done: bool) -> Sequence[Event]:
        kind = _snake(text(item, "type"))
        if kind in _CALLS:
            return self._call(kind, item, done)
        if not done:
            return ()
        match kind:
            case "agent_message" | "plan":
                said = text(item, "text", cap=TEXT)
                self._turn.goes_on(said)
                return (Event("message", text=said),)
            case "reasoning":
                parts = [*items(item, "summary"), *items(item, "content")]
                thought = text(item, "text", cap=TEXT) or words([{"text": part} for part in parts])
                return (Event("reasoning", text=thought),) if thought else ()
            case "error":
                return (Event("error", text=text(item, "message")),)
        return ()

    def _call(self, kind: str, item: dict[str, object], done: bool) -> Sequence[Event]:
        self._turn.goes_on()
        call, found = text(item, "id"), []
        if call not in self._open:
            what = at(item, "arguments") or at(item, "changes") or at(item, "query") or at(item, "prompt")
            says = text(item, "command") if kind == "command_execution" else brief(what)
            named = ".".join(part for part in (text(item, "server"), text(item, "tool")) if part) or kind
            found.append(Event("call", text=says, name=named, call=call))
            self._open[call] = None
            if len(self._open) > _OPEN:
                del self._open[next(iter(self._open))]
        if done:
            self._open.pop(call, None)
            found.append(_result(item, call))
        return found

    def _wrong(self, error: dict[str, object]) -> Sequence[Event]:
        """An error that the program may get over by itself."""
        trouble, said, reset = self._why(error)
        kind: Kind = "limit" if trouble == "usage_limit" else "error"
        return self._turn.wrong(Event(kind, text=said, trouble=trouble, reset=reset))

    def _failed(self, error: dict[str, object]) -> Event:
        trouble, said, reset = self._why(error)
        return self._turn.end(trouble, said, reset)

    def _why(self, error: dict[str, object]) -> tuple[Trouble, str, Reset | None]:
        trouble, said = why(error)
        full = self._full() if trouble == "usage_limit" else None
        return trouble, said, full or limits.waits(trouble, said)

    # ── exec ─────────────────────────────────────────────────────────────────────────────────────

    def _completed(self, usage: dict[str, object]) -> Sequence[Event]:
        used = _tokens(usage, "input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens")
        self._spend.total({self._model: used})
        return (*self._spend.tell(), self._turn.end(None))

    # ── app-server ───────────────────────────────────────────────────────────────────────────────

    def _rpc(self, event: dict[str, object]) -> Sequence[Event]:
        params, method = table(event, "params"), text(event, "method")
        if not method:
            return self._answer(event)
        if method in ("item/started", "item/completed"):
            return self._item(table(params, "item"), method == "item/completed")
        if method == "thread/tokenUsage/updated":
            return self._used(params)
        if method == "account/rateLimits/updated":
            return self._limits(table(params, "rateLimits"))
        return self._course(method, params) if self._ours(params) else ()

    def _course(self, method: str, params: dict[str, object]) -> Sequence[Event]:
        match method:
            case "error":
                return self._wrong(table(params, "error"))
            case "turn/started":
                self._turn.goes_on()
            case "turn/completed":
                return self._turned(table(params, "turn"))
        return ()

    def _answer(self, event: dict[str, object]) -> Sequence[Event]:
        thread = table(event, "result", "thread")
        if thread:
            self.session = name(thread, "id") or self.session
            self._model = text(thread, "model") or text(event, "result", "model") or self._model
        if (refused := text(event, "error", "message")) != "":
            self._turn.noise(refused)
            return (Event("error", text=refused),)
        return ()

    def _ours(self, params: dict[str, object]) -> bool:
        """Is it of the thread that was begun here, not of one that its agents began?"""
        thread = name(params, "threadId")
        return self.session is None or thread is None or thread == self.session

    def _used(self, params: dict[str, object]) -> Sequence[Event]:
        thread, total = text(params, "threadId"), table(params, "tokenUsage", "total")
        if total and (thread in self._threads or len(self._threads) < 256):
            keys = ("inputTokens", "cachedInputTokens", "cacheWriteInputTokens", "outputTokens")
            self._threads[thread] = _tokens(total, *keys)
        used = Tokens()
        for each in self._threads.values():
            used = used.plus(each)
        self._spend.total({self._model: used})
        return self._spend.tell()

    def _limits(self, told: dict[str, object]) -> Sequence[Event]:
        found = []
        for key in ("primary", "secondary"):
            share, resets = number(told, key, "usedPercent"), number(told, key, "resetsAt")
            if share is None:
                continue
            reset = Reset(epoch=resets) if resets else None
            if share >= _NEAR and self._windows.get(key) != (share, reset):
                found.append(Event("limit", text=f"{key} window: {share:.0f} % used", reset=reset))
            self._windows[key] = share, reset
        return found

    def _full(self) -> Reset | None:
        """When the last of the windows that are used up opens."""
        ends = [reset.epoch for share, reset in self._windows.values() if share >= 100 and reset and reset.epoch]
        return Reset(epoch=max(ends)) if ends else None

    def _turned(self, turn: dict[str, object]) -> Sequence[Event]:
        match at(turn, "status"):
            case "completed":
                return (self._turn.end(None),)
            case "interrupted":
                return (self._turn.end("cancelled"),)
        return (self._failed(table(turn, "error")),)


def why(error: dict[str, object]) -> tuple[Trouble, str]:
    """What an error with `codexErrorInfo` is, and its text. A plan used up and a bill unpaid look alike there."""
    message, more, info = text(error, "message"), text(error, "additionalDetails"), at(error, "codexErrorInfo")
    said = f"{message}: {more}" if more else message
    by_text = limits.trouble(said)
    trouble = _INFO.get(info) if isinstance(info, str) else _status(info)
    if trouble is None or by_text == "billing":
        trouble = by_text or trouble or ("network" if isinstance(info, dict) else "error")
    return trouble, said


def _status(info: object) -> Trouble | None:
    """The trouble behind {"httpConnectionFailed": {"httpStatusCode": 401}} and the like."""
    for inner in (info if isinstance(info, dict) else {}).values():
        return limits.of_status(number(inner, "httpStatusCode"))
    return None


def _snake(kind: str) -> str:
    return _CAMEL.sub("_", kind).lower()


def _result(item: dict[str, object], call: str) -> Event:
    output = at(item, "aggregated_output") or at(item, "aggregatedOutput")
    error = text(item, "error", "message")
    said = words(output) or error or words(at(item, "result", "content")) or words(at(item, "contentItems"))
    code = at(item, "exit_code") or at(item, "exitCode")
    failed = bool(error) or code not in (0, None) or at(item, "status") in ("failed", "declined")
    return Event("result", text=said, call=call, failed=failed)


def _tokens(usage: object, given: str, cached: str, written: str, output: str) -> Tokens:
    read, wrote = count(usage, cached), count(usage, written)
    return Tokens(max(count(usage, given) - read - wrote, 0), count(usage, output), read, wrote)
