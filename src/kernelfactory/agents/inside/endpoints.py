"""Two ways to ask a model over HTTP, by their vendors' libraries: a history in, a reply out. Refuses to run a tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from kernelfactory.model import Tokens, Trouble
from kernelfactory.transcript import Event, Reset, limits, loose

Message = dict[str, Any]
LONG = 120.0
"""Seconds to wait from which on it is no matter of going slower."""

SILENCE, WHOLE = 300.0, 3600.0
"""Seconds in which a server must say something, and for an answer that comes whole, where whoever watches is sooner."""

TOOL = "bash"
WHAT = "Run a command with bash; answers what it prints and its exit code. Nothing that it started goes on afterwards."
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {
        "command": {"type": "string"},
        "seconds": {"type": "number", "description": "when to give up, 120 if not given"},
    },
    "required": ["command"],
}


@dataclass(frozen=True)
class Asked:
    """A tool that the model called: `arguments` as they came, which may be anything."""

    call: str
    name: str
    arguments: Any


@dataclass(frozen=True)
class Reply:
    """One answer. `message`: as it goes into the history; `cut`: it was too long to be whole."""

    message: Message
    text: str = ""
    reasoning: str = ""
    calls: Sequence[Asked] = ()
    tokens: Tokens = field(default_factory=Tokens)
    cut: bool = False


@dataclass(frozen=True)
class How:
    """How to ask: `base` is where the API begins, `output` tokens that one answer may have."""

    base: str
    model: str
    effort: str | None = None
    output: int = 32_000


class Endpoint(Protocol):
    def ask(self, history: Sequence[Message]) -> Reply:
        """Raises what `failure` reads."""
        ...

    def user(self, text: str) -> Message: ...

    def results(self, outputs: Sequence[tuple[Asked, str]]) -> list[Message]:
        """What was called and what came of it, as messages."""
        ...


class OpenAI:
    """Chat Completions, as every OpenAI-compatible server has them; an answer comes whole."""

    def __init__(self, how: How, system: str) -> None:
        import openai

        self._how, self._system = how, {"role": "system", "content": system}
        self._client = openai.OpenAI(
            api_key="none",  # the door adds the real one
            base_url=how.base,
            max_retries=0,
            timeout=openai.Timeout(WHOLE, connect=30.0),
            http_client=openai.DefaultHttpxClient(trust_env=False),
        )

    def ask(self, history: Sequence[Message]) -> Reply:
        more: Message = {} if self._how.effort is None else {"reasoning_effort": self._how.effort}
        tool = {"type": "function", "function": {"name": TOOL, "description": WHAT, "parameters": SCHEMA}}
        got = self._client.chat.completions.create(
            model=self._how.model,
            messages=[self._system, *history],  # type: ignore[list-item]
            tools=[tool],  # type: ignore[list-item]
            **more,
        )
        answer = got.model_dump(exclude_none=True)
        choice = loose.items(answer, "choices")[:1]
        message = loose.table(choice[0] if choice else None, "message")
        calls = [_called(call) for call in loose.items(message, "tool_calls")]
        kept: Message = {key: message[key] for key in ("content", "tool_calls") if key in message}
        return Reply(
            message={"role": "assistant", "content": "", **kept},
            text=loose.text(message, "content", cap=loose.TEXT),
            reasoning=loose.text(message, "reasoning_content", cap=loose.TEXT),
            calls=calls,
            tokens=_spent(answer.get("usage")),
            cut=bool(choice) and loose.at(choice[0], "finish_reason") == "length",
        )

    def user(self, text: str) -> Message:
        return {"role": "user", "content": text}

    def results(self, outputs: Sequence[tuple[Asked, str]]) -> list[Message]:
        return [{"role": "tool", "tool_call_id": asked.call, "content": output} for asked, output in outputs]


def _called(call: object) -> Asked:
    arguments = loose.text(call, "function", "arguments", cap=1 << 24)
    return Asked(loose.text(call, "id"), loose.text(call, "function", "name"), loose.record(arguments) or arguments)


def _spent(usage: object) -> Tokens:
    read = loose.count(usage, "prompt_tokens_details", "cached_tokens")
    return Tokens(
        input=max(0, loose.count(usage, "prompt_tokens") - read),
        output=loose.count(usage, "completion_tokens"),
        cache_read=read,
    )


class Anthropic:
    """The Messages API, streamed, its prompt cache in use."""

    def __init__(self, how: How, system: str) -> None:
        import anthropic

        self._how, self._system = how, system
        self._client = anthropic.Anthropic(
            api_key="none",
            base_url=how.base,
            max_retries=0,
            timeout=SILENCE,
            http_client=anthropic.DefaultHttpxClient(trust_env=False),
        )

    def ask(self, history: Sequence[Message]) -> Reply:
        more: Message = {} if self._how.effort is None else {"output_config": {"effort": self._how.effort}}
        with self._client.messages.stream(
            model=self._how.model,
            max_tokens=self._how.output,
            system=self._system,
            messages=list(history),  # type: ignore[arg-type]
            tools=[{"name": TOOL, "description": WHAT, "input_schema": SCHEMA}],
            cache_control={"type": "ephemeral"},
            **more,
        ) as stream:
            answer = stream.get_final_message().model_dump(exclude_none=True)
        content = loose.items(answer, "content")
        kinds = {kind: [block for block in content if loose.at(block, "type") == kind] for kind in _BLOCKS}
        return Reply(
            message={"role": "assistant", "content": [_sent(block) for block in content]},
            text=loose.words(kinds["text"]),
            reasoning="\n".join(loose.text(block, "thinking", cap=loose.TEXT) for block in kinds["thinking"]),
            calls=[
                Asked(loose.text(block, "id"), loose.text(block, "name"), loose.at(block, "input"))
                for block in kinds["tool_use"]
            ],
            tokens=Tokens(
                loose.count(answer, "usage", "input_tokens"),
                loose.count(answer, "usage", "output_tokens"),
                loose.count(answer, "usage", "cache_read_input_tokens"),
                loose.count(answer, "usage", "cache_creation_input_tokens"),
            ),
            cut=answer.get("stop_reason") == "max_tokens",
        )

    def user(self, text: str) -> Message:
        return {"role": "user", "content": text}

    def results(self, outputs: Sequence[tuple[Asked, str]]) -> list[Message]:
        blocks = [{"type": "tool_result", "tool_use_id": asked.call, "content": output} for asked, output in outputs]
        return [{"role": "user", "content": blocks}]


_BLOCKS = ("text", "thinking", "tool_use")
_FIELDS = {
    "text": ("text",),
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
    "tool_use": ("id", "name", "input"),
}


def _sent(block: object) -> Message:
    """A block of an answer as it may be sent back."""
    kind = loose.text(block, "type")
    return {"type": kind, **{key: loose.at(block, key) for key in _FIELDS.get(kind, ())}}


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────


def failure(error: Exception) -> Event:
    """The `end` that an error of either library means."""
    response = getattr(error, "response", None)
    headers: Mapping[str, str] = {} if response is None else {k.lower(): v for k, v in response.headers.items()}
    status = None if response is None else float(response.status_code)
    body = getattr(error, "body", None)
    told = loose.text(body, "error", "message") or loose.text(body, "message") or loose.plain(str(error), loose.SHORT)
    every = told if body is None else f"{told} {loose.brief(body)}"
    trouble = limits.trouble(every, status) or ("network" if response is None else "error")
    reset = _reset(headers) or limits.waits(trouble, every)
    text = told if status is None else f"{status:.0f}: {told}"
    return Event("end", trouble=_used_up(trouble, headers, reset), text=text, reset=reset)


def _used_up(trouble: Trouble, headers: Mapping[str, str], reset: Reset | None) -> Trouble:
    """Too many requests now, or none for long?"""
    if trouble == "rate_limit" and (
        headers.get("anthropic-ratelimit-unified-status") == "rejected"
        or (reset is not None and reset.after is not None and reset.after > LONG)
    ):
        return "usage_limit"
    return trouble


def _reset(headers: Mapping[str, str]) -> Reset | None:
    """When it can be tried again, by the headers of a refusal."""
    told = loose.number(_number(headers.get("anthropic-ratelimit-unified-reset", "")))
    if told is not None and headers.get("anthropic-ratelimit-unified-status") == "rejected":
        return Reset(epoch=told)
    after = loose.number(_number(headers.get("retry-after", "")))
    return None if after is None else Reset(after=after)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
