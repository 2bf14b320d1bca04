"""Claude Code's `--output-format stream-json`, read. Refuses to take the end of a turn for the end of the process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kernelfactory.model import Tokens, Trouble
from kernelfactory.transcript import limits
from kernelfactory.transcript.form import Event, Reset
from kernelfactory.transcript.loose import (
    TEXT,
    at,
    brief,
    count,
    items,
    name,
    number,
    plain,
    record,
    table,
    text,
    true,
    words,
)
from kernelfactory.transcript.spend import Spend
from kernelfactory.transcript.turn import Turn

_KINDS: Mapping[str, Trouble] = {
    "authentication_failed": "auth",
    "oauth_org_not_allowed": "auth",
    "account_on_hold": "auth",
    "verification_required": "auth",
    "cloud_credential_error": "auth",
    "billing_error": "billing",
    "model_not_found": "model",
    "rate_limit": "rate_limit",
    "overloaded": "overloaded",
}
_SUBTYPES: Mapping[str, Trouble] = {
    "error_max_turns": "turns",
    "error_max_budget_usd": "budget",
    "aborted_streaming": "cancelled",
    "aborted_tools": "cancelled",
    "prompt_too_long": "context",
    "max_turns": "turns",
    "budget_exhausted": "budget",
}


class Claude:
    """`before`, `dollars`: what the session that is resumed had spent: modelUsage and total_cost_usd hold it too."""

    def __init__(self, before: Mapping[str, Tokens] | None = None, dollars: float = 0.0) -> None:
        self.session: str | None = None
        self._turn, self._spend = Turn(), Spend(before, dollars)
        self._kind = self._model = self._message = ""
        self._status: float | None = None
        self._limit: Reset | None = None
        self._worked = False
        self._takes: Mapping[str, Callable[[dict[str, object]], Sequence[Event]]] = {
            "assistant": self._assistant,
            "user": self._user,
            "system": self._system,
            "stream_event": self._partial,
            "rate_limit_event": self._window,
            "result": self._result,
        }

    def line(self, line: str) -> Sequence[Event]:
        event = record(line)
        self.session = name(event, "session_id") or self.session
        take = self._takes.get(text(event, "type"))
        return () if take is None else take(event)

    def error(self, line: str) -> Sequence[Event]:
        self._turn.noise(line)
        return ()

    def end(self, returncode: int) -> Sequence[Event]:
        return self._turn.gone(returncode)

    def _assistant(self, event: dict[str, object]) -> Sequence[Event]:
        message = table(event, "message")
        if at(message, "model") == "<synthetic>":
            return self._synthetic(event, words(at(message, "content")))
        found = [told for block in items(message, "content") if (told := _block(block)) is not None]
        said = [told.text for told in found if told.kind == "message"]
        self._kind, self._status = "", None
        self._turn.goes_on(said[-1] if said else "")
        self._spend.part(text(message, "id"), text(message, "model") or self._model, _tokens(at(message, "usage")))
        return (*found, *self._spend.tell())

    def _synthetic(self, event: dict[str, object], said: str) -> Sequence[Event]:
        """What the program itself says in the model's place: mostly an error."""
        kind, status = text(event, "error"), number(event, "api_error_status")
        used_up = at(event, "api_error") == "usage_limit_reached" or limits.trouble(said) == "usage_limit"
        if not used_up and not kind and not true(event, "is_api_error_message"):
            self._turn.goes_on(said)
            return (Event("message", text=said),)
        self._kind, self._status = kind, status
        if used_up:
            return self._used_up(
                _reset(table(event, "api_error_params", "rate_limit_info")) or limits.reset(said), said
            )
        trouble = why(kind, status, said)
        return self._turn.wrong(Event("error", text=said, trouble=trouble, reset=limits.waits(trouble, said)))

    def _user(self, event: dict[str, object]) -> Sequence[Event]:
        found = []
        for block in items(event, "message", "content"):
            if at(block, "type") == "tool_result":
                failed = true(block, "is_error")
                self._worked = self._worked or not failed
                found.append(_result(block, failed))
        self._turn.goes_on()
        return found

    def _system(self, event: dict[str, object]) -> Sequence[Event]:
        match at(event, "subtype"):
            case "init":
                self._model = text(event, "model")
            case "api_retry":
                trouble = why(text(event, "error"), number(event, "error_status"), "")
                said = f"{text(event, 'error')}: try {count(event, 'attempt')} of {count(event, 'max_retries')}"
                delay = number(event, "retry_delay_ms")
                reset = Reset(after=delay / 1000) if delay is not None else None
                return self._turn.wrong(Event("error", text=said, trouble=trouble, reset=reset))
            case "model_fallback":
                return self._turn.wrong(Event("error", text=text(event, "content"), trouble="overloaded"))
        return ()

    def _partial(self, event: dict[str, object]) -> Sequence[Event]:
        """With --include-partial-messages: the only place where a message's tokens are told before the end."""
        part = table(event, "event")
        if at(part, "type") == "message_start":
            self._message, self._model = text(part, "message", "id"), text(part, "message", "model") or self._model
        usage = table(part, "message", "usage") or table(part, "usage")
        if not usage or not self._message:
            return ()
        self._spend.part(self._message, self._model, _tokens(usage))
        return self._spend.tell()

    def _window(self, told: dict[str, object]) -> Sequence[Event]:
        event = window(table(told, "rate_limit_info"))
        if event is None:
            return ()
        return (event,) if event.trouble is None else self._used_up(event.reset, event.text)

    def _used_up(self, reset: Reset | None, said: str) -> Sequence[Event]:
        self._limit = self._limit or reset
        return self._turn.wrong(Event("limit", text=said, trouble="usage_limit", reset=reset))

    def _result(self, event: dict[str, object]) -> Sequence[Event]:
        models = {plain(model, 200): _used(used) for model, used in table(event, "modelUsage").items()}
        self._spend.total(models, number(event, "total_cost_usd"))
        said = text(event, "result", cap=TEXT) or words([{"text": part} for part in items(event, "errors")])
        trouble, reset = self._outcome(event, said)
        self._limit, self._kind, self._status = None, "", None
        return (*self._spend.tell(), self._turn.end(trouble, said, reset))

    def _outcome(self, event: dict[str, object], said: str) -> tuple[Trouble | None, Reset | None]:
        if not true(event, "is_error"):
            return ("denied" if at(event, "permission_denials") and not self._worked else None), None
        pending = self._turn.trouble
        told = pending is not None and pending.trouble == "usage_limit"
        if told or at(event, "api_error") == "usage_limit_reached" or limits.trouble(said) == "usage_limit":
            return "usage_limit", self._limit or limits.reset(said)
        for key in ("subtype", "terminal_reason"):
            if (found := _SUBTYPES.get(text(event, key))) is not None:
                return found, None
        status = number(event, "api_error_status")
        trouble = why(self._kind, self._status if status is None else status, said)
        return trouble, limits.waits(trouble, said)


def window(info: dict[str, object]) -> Event | None:
    """The `limit` that a rate_limit_info tells of: a warning, or that it is reached and nothing is paid beyond it."""
    status, reset, share = text(info, "status"), _reset(info), number(info, "utilization")
    how = {"rejected": "is reached", "allowed_warning": "is near"}.get(status, status)
    said = f"its {text(info, 'rateLimitType').replace('_', '-')} limit {how}" + (
        "" if share is None else f": {share:.0%} used"
    )
    if status == "rejected" and not true(info, "isUsingOverage"):
        return Event("limit", text=said, trouble="usage_limit", reset=reset)
    return Event("limit", text=said, reset=reset) if status in ("allowed_warning", "rejected") else None


def why(kind: str, status: float | None, said: str) -> Trouble:
    """A trouble from the program's own word for it, the HTTP status and the text, in this order of trust."""
    found = _KINDS.get(kind) or limits.of_status(status) or limits.trouble(said)
    return found or ("network" if kind in ("unknown", "server_error") else "error")


def _block(block: object) -> Event | None:
    match at(block, "type"):
        case "text":
            return Event("message", text=text(block, "text", cap=TEXT))
        case "thinking":
            return Event("reasoning", text=text(block, "thinking", cap=TEXT))
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            return Event("call", text=brief(at(block, "input")), name=text(block, "name"), call=text(block, "id"))
        case str(kind) if kind.endswith("tool_result"):
            return _result(block, true(block, "is_error"))
    return None


def _result(block: object, failed: bool) -> Event:
    return Event("result", text=words(at(block, "content")), call=text(block, "tool_use_id"), failed=failed)


def _reset(info: dict[str, object]) -> Reset | None:
    at_ = number(info, "resetsAt")
    return Reset(epoch=at_) if at_ else None


def _tokens(usage: object) -> Tokens:
    return Tokens(
        count(usage, "input_tokens"),
        count(usage, "output_tokens"),
        count(usage, "cache_read_input_tokens"),
        count(usage, "cache_creation_input_tokens"),
    )


def _used(usage: object) -> Tokens:
    return Tokens(
        count(usage, "inputTokens"),
        count(usage, "outputTokens"),
        count(usage, "cacheReadInputTokens"),
        count(usage, "cacheCreationInputTokens"),
    )
