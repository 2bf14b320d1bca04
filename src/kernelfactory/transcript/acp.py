"""The Agent Client Protocol, read: updates, a prompt's answer or failure, with what agents add to it. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kernelfactory.model import Tokens, Trouble
from kernelfactory.transcript import claude, codex, limits
from kernelfactory.transcript.form import Event, Kind, Reset
from kernelfactory.transcript.loose import TEXT, at, brief, count, items, number, table, text, words
from kernelfactory.transcript.spend import Spend, less

_STOPS: Mapping[str, Trouble | None] = {
    "end_turn": None,
    "cancelled": "cancelled",
    "max_tokens": "context",
    "max_turn_requests": "turns",
    "refusal": "denied",
}
_CATEGORIES: Mapping[str, Trouble] = {
    "connection": "network",
    "access": "auth",
    "limit": "rate_limit",
    "service": "server",
}
_SAID: Mapping[str, Kind] = {"agent_message_chunk": "message", "agent_thought_chunk": "reasoning"}
_RUNS = ("in_progress", "completed", "failed")
_OPEN = 4096


class Acp:
    """One session. `model`: whose tokens they are, where it is not said. `dollars`: what the session that is resumed
    had cost, for the agent says what the session costs. What it is given is the JSON as it came: hostile."""

    def __init__(self, model: str = "", dollars: float = 0.0) -> None:
        self._model, self._spend = model, Spend(dollars=dollars)
        self._said: list[str] = []
        self._kind: Kind = "message"
        self._last = ""
        self._open: dict[str, tuple[str, bool]] = {}
        self._limit: Reset | None = None
        self._used: dict[str, Tokens] = {}
        self._turns = 0
        self._dollars: float | None = None

    def update(self, params: object) -> Sequence[Event]:
        """The params of a session/update."""
        update = table(params, "update")
        kind = text(update, "sessionUpdate")
        match kind:
            case "agent_message_chunk" | "agent_thought_chunk":
                return self._chunk(_SAID[kind], text(update, "content", "text", cap=TEXT))
            case "tool_call" | "tool_call_update":
                return self._tool(update)
            case "usage_update":
                return self._cost(update)
            case "session_info_update":
                return _retry(table(update, "_meta"))
        return ()

    def answer(self, result: object) -> Sequence[Event]:
        """The answer to a session/prompt."""
        told = self._flush()
        self._count(table(result, "usage"), items(result, "_meta", "quota", "model_usage"))
        if self._dollars is not None:
            self._spend.total({}, self._dollars)
        failure = _failure(table(result, "_meta"))
        if failure is not None and failure[2] == "error":
            end = self._end(failure[0], failure[1])
        else:
            end = Event("end", text=self._last, trouble=_STOPS.get(text(result, "stopReason"), "error"))
        return (*told, *self._spend.tell(), end)

    def failed(self, error: object) -> Sequence[Event]:
        """The error that came instead of an answer."""
        told = self._flush()
        said = text(error, "message").removeprefix("Internal error: ")
        data, code = table(error, "data"), at(error, "code")
        if at(data, "codexErrorInfo") is not None:
            trouble, said = codex.why(data)
        elif limits.trouble(said) == "usage_limit":
            trouble = "usage_limit"
        elif code == -32000:
            trouble = "auth"
        else:
            trouble = claude.why(text(data, "errorKind"), number(error, "code"), said)
        return (*told, self._end(trouble, said))

    def _end(self, trouble: Trouble, said: str) -> Event:
        reset = self._limit if trouble == "usage_limit" else None
        return Event("end", text=said, trouble=trouble, reset=reset or limits.waits(trouble, said))

    def _chunk(self, kind: Kind, said: str) -> Sequence[Event]:
        told = self._flush() if kind != self._kind or sum(map(len, self._said)) > TEXT else ()
        self._kind = kind
        self._said.append(said)
        return told

    def _flush(self) -> Sequence[Event]:
        said, self._said = "".join(self._said)[:TEXT], []
        if not said:
            return ()
        if self._kind == "message":
            self._last = said
        return (Event(self._kind, text=said),)

    def _tool(self, update: dict[str, object]) -> Sequence[Event]:
        """A call is told of when it is known what with, or runs; some agents say first that there will be one."""
        told, call = list(self._flush()), text(update, "toolCallId")
        title, status, given = text(update, "title"), text(update, "status"), table(update, "rawInput")
        named, known = self._open.get(call, ("", False))
        named = text(update, "name") or named or text(update, "kind") or "tool"
        if not known and (given.keys() - {"cwd"} or status in _RUNS):
            known = True
            told.append(Event("call", text=brief(given) if given.keys() - {"cwd"} else title, name=named, call=call))
        self._open[call] = named, known
        if status in ("completed", "failed"):
            del self._open[call]
            told.append(_result(update, call))
        if len(self._open) > _OPEN:
            del self._open[next(iter(self._open))]
        return told

    def _cost(self, update: dict[str, object]) -> Sequence[Event]:
        event = claude.window(table(update, "_meta", "_claude/rateLimit"))
        if event is not None and event.trouble is not None:
            self._limit = event.reset or self._limit
        amount = number(update, "cost", "amount")
        if amount and text(update, "cost", "currency") in ("", "USD"):  # 0: a price that it does not know
            self._dollars = amount
            self._spend.total({}, amount)
        return (*((event,) if event is not None else ()), *self._spend.tell())

    def _count(self, usage: dict[str, object], by_model: Sequence[object]) -> None:
        """The tokens of a turn. Those by model may be the session's: then they have grown by at least this turn's."""
        turn = _tokens(usage)
        told = {text(each, "model") or self._model: _tokens(table(each, "token_count")) for each in by_model}
        told = told or {self._model: turn}
        grown = _grown(told, self._used) if self._turns else None
        if grown is None or sum(each.all for each in grown.values()) < max(turn.all, 1):
            grown = told
        self._used, self._turns = told, self._turns + 1
        for model, each in grown.items():
            self._spend.part(f"{self._turns} {model}", model, each)


def _grown(new: Mapping[str, Tokens], old: Mapping[str, Tokens]) -> Mapping[str, Tokens] | None:
    """By how much each model's tokens have grown; None when any have not."""
    found = {model: less(used, old.get(model, Tokens())) for model, used in new.items()}
    whole = all(min(each.input, each.output, each.cache_read, each.cache_write) >= 0 for each in found.values())
    return found if whole else None


def _result(update: dict[str, object], call: str) -> Event:
    meta = table(update, "_meta")
    said = words(at(update, "content")) or text(update, "rawOutput", "output", cap=TEXT)
    said = said or text(meta, "terminal_output_delta", "data", cap=TEXT)
    codes = (at(meta, "terminal_exit", "exit_code"), at(update, "rawOutput", "metadata", "exit"))
    failed = at(update, "status") == "failed" or any(code not in (0, None) for code in codes)
    return Event("result", text=said, call=call, failed=failed)


def _retry(meta: dict[str, object]) -> Sequence[Event]:
    """What the agent is in trouble with and tries again, where it says so."""
    error = table(meta, "codex", "error")
    if error:
        trouble, said = codex.why(error)
        return (Event("error", text=said, trouble=trouble, reset=limits.waits(trouble, said)),)
    failure = _failure(meta)
    return () if failure is None else (Event("error", text=failure[1], trouble=failure[0]),)


def _failure(meta: dict[str, object]) -> tuple[Trouble, str, str] | None:
    """The trouble, text and severity of a sessionFailure."""
    told = table(meta, "jetbrains", "air", "sessionFailure")
    if not told:
        return None
    said, category = f"{text(told, 'title')} {text(told, 'details')}".strip(), text(told, "category")
    return limits.trouble(said) or _CATEGORIES.get(category, "error"), said, text(told, "severity")


def _tokens(told: dict[str, object]) -> Tokens:
    """Any agent's spelling. Gemini's is without the cached ones apart: all of them count as input."""
    if "input_tokens" in told:
        return Tokens(count(told, "input_tokens"), count(told, "output_tokens"))
    read = count(told, "cachedReadTokens") or count(told, "cachedInputTokens")
    wrote = count(told, "cachedWriteTokens") or count(told, "cacheWriteInputTokens")
    return Tokens(count(told, "inputTokens"), count(told, "outputTokens"), read, wrote)
