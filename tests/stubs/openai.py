"""The Responses API and Chat Completions of OpenAI, streamed or whole. Refuses everything else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from uuid import uuid4

from stubs.play import Call, Fault, Said, Turn, inputs
from stubs.serving import Answer, Event, Request, Stub, closed, silent, words

QUOTA = "You exceeded your current quota, please check your plan and billing details."
CALLS = ("function_call", "custom_tool_call", "local_shell_call")
EARLY = "unsupported call: mcp__"

BUSY = "Our servers are currently overloaded. Please try again later."
LIMIT = "Rate limit reached on tokens per min (TPM): Limit 30000, Used 29000. Please try again in {:g}s."

ERRORS: Mapping[str, tuple[int, str, str | None, str]] = {
    "not-included": (429, "usage_not_included", None, "Usage not included in your plan"),
    "usage-key": (429, "insufficient_quota", "insufficient_quota", QUOTA),
    "credit": (402, "billing_error", "payment_required", "Insufficient credits."),
    "auth": (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: dummy."),
    "forbidden": (403, "permission_error", "forbidden", "You do not have access to this resource."),
    "model": (404, "invalid_request_error", "model_not_found", "The model does not exist."),
    "server": (500, "server_error", None, "The server had an error while processing your request."),
    "overload": (503, "server_error", "server_is_overloaded", BUSY),
}
"""Faults that are one plain answer; the others: usage (a login's limit), rate, stall, cut, silent, closed, and those in
the stream: rate-stream, credit-stream, overload-stream, context."""

STREAMED = {
    "credit-stream": ("insufficient_quota", QUOTA),
    "overload-stream": ("server_is_overloaded", BUSY),
    "context": ("context_length_exceeded", "Your input exceeds the context window of this model."),
}


class OpenAI(Stub):
    """`POST …/responses` (codex) and `…/chat/completions`. `fence`: an agent that offers no tools over Chat gets shell
    commands as a block of this language in the text."""

    probes: ClassVar = {"/models": {"object": "list", "data": [], "models": []}}
    fence = "bash"

    def answer(self, request: Request) -> Answer:
        path = request.path.split("?")[0]
        if path.endswith("/responses"):
            return self._responses(request)
        if path.endswith("/chat/completions"):
            return self._chat(request)
        self.note(request)
        return Answer(404, {"error": {"message": "no such path", "type": "invalid_request_error"}})

    def refusal(self) -> Answer:
        return _error("auth")

    # ── Responses ────────────────────────────────────────────────────────────────────────────────

    def _responses(self, request: Request) -> Answer:
        body = request.body
        given = body.get("input") or []
        items = [] if isinstance(given, str) else given
        turn, fault = self.begin(request, _said(items))
        if fault is not None and (answer := _failing(fault)) is not None:
            return answer
        headers = _windows(93.0, time.time() + 4000) if self.warning else {}
        output = _items(turn, turn.played(_offered(body.get("tools") or [], items)))
        response = {
            "id": f"resp_{uuid4().hex[:20]}",
            "object": "response",
            "created_at": int(time.time()),
            "model": body.get("model"),
            "error": None,
        }
        done = {**response, "status": "completed", "output": output, "usage": self._usage()}
        if not body.get("stream"):
            return Answer(200, done, headers)
        opening: dict[str, Any] = {**response, "status": "in_progress", "output": []}
        events = _numbered(
            [("response.created", {"response": opening}), *_growing(output), ("response.completed", {"response": done})]
        )
        return _streamed(events, fault, headers)

    def _usage(self) -> dict[str, Any]:
        spent = self.spent
        read = spent.input + spent.cache_read + spent.cache_write
        return {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": spent.cache_read},
            "output_tokens": spent.output,
            "output_tokens_details": {"reasoning_tokens": min(10, spent.output)},
            "total_tokens": read + spent.output,
        }

    # ── Chat Completions ─────────────────────────────────────────────────────────────────────────

    def _chat(self, request: Request) -> Answer:
        body = request.body
        offered = [str((tool.get("function") or {}).get("name")) for tool in body.get("tools") or []]
        turn, fault = self.begin(request, _chatted(body.get("messages") or []))
        if fault is not None and (answer := _failing(fault)) is not None:
            return answer
        message: dict[str, Any] = {"role": "assistant", "content": turn.text}
        if offered:
            calls = [
                {
                    "id": f"call_{uuid4().hex[:20]}",
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.dumps(call.input)},
                }
                for call in turn.played(offered)
            ]
            if calls:
                message["tool_calls"] = calls
        elif turn.shell:
            commands = "\n".join(turn.shell)
            message["content"] += f"\n\n```{self.fence}\n{commands}\n```\n"
        why = "tool_calls" if message.get("tool_calls") else "stop"
        base = {"id": f"chatcmpl-{uuid4().hex[:20]}", "created": int(time.time()), "model": body.get("model")}
        if not body.get("stream"):
            if fault is not None:  # nothing to cut short or to leave hanging but all of it
                return closed() if fault.kind == "cut" else silent()
            choice = {"index": 0, "message": message, "finish_reason": why}
            return Answer(200, {**base, "object": "chat.completion", "choices": [choice], "usage": self._spent()})
        apart = (body.get("stream_options") or {}).get("include_usage") is True
        return _streamed(list(_chunks(base, message, why, (self._spent(), apart))), fault, {})

    def _spent(self) -> dict[str, Any]:
        usage = self._usage()
        return {
            "prompt_tokens": usage["input_tokens"],
            "prompt_tokens_details": usage["input_tokens_details"],
            "completion_tokens": usage["output_tokens"],
            "completion_tokens_details": usage["output_tokens_details"],
            "total_tokens": usage["total_tokens"],
        }


def _offered(tools: Sequence[Mapping[str, Any]], items: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of tools; some models get theirs in the conversation."""
    more = [tool for item in items if item.get("type") == "additional_tools" for tool in item.get("tools") or []]
    return [str(tool.get("name") or tool.get("type")) for tool in (*tools, *more)]


def _said(items: Sequence[Mapping[str, Any]]) -> list[Said]:
    """What the model said between one word of the user (or a tool's output) and the next. A tool whose server was not
    there yet was not called: it is called again."""
    found: list[Said] = []
    going = False
    early = {item.get("call_id") for item in items if str(item.get("output")).startswith(EARLY)}
    if items and items[-1].get("call_id") in early:
        time.sleep(0.3)
    for item in (item for item in items if item.get("call_id") is None or item.get("call_id") not in early):
        kind = item.get("type", "message")
        mine = kind in CALLS or kind == "reasoning" or (kind == "message" and item.get("role") == "assistant")
        if mine and not going:
            found.append(Said())
        going = mine
        if kind in CALLS:
            found[-1].inputs += inputs(item.get("arguments") or item.get("input") or item.get("action"))
        elif mine and kind == "message":
            found[-1].text += " ".join(part.get("text", "") for part in item.get("content") or [])
    return found


def _chatted(messages: Sequence[Mapping[str, Any]]) -> list[Said]:
    found = []
    for message in messages:
        if message.get("role") == "assistant":
            content = message.get("content") or ""
            said = Said(content if isinstance(content, str) else " ".join(part.get("text", "") for part in content))
            for call in message.get("tool_calls") or []:
                said.inputs += inputs(call["function"]["arguments"])
            if "```" in said.text:
                said.inputs.append(said.text)
            found.append(said)
    return found


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────


def _failing(fault: Fault) -> Answer | None:
    """The whole answer of a fault; None where it is in the stream."""
    kind, now = fault.kind, time.time()
    if kind in ERRORS:
        return _error(kind)
    if kind == "usage":
        reset = fault.reset_at
        when = {} if reset is None else {"resets_at": int(reset), "resets_in_seconds": int(reset - now)}
        error = {
            "type": "usage_limit_reached",
            "message": "The usage limit has been reached",
            "plan_type": "plus",
            **when,
        }
        return Answer(429, {"error": error}, _windows(100.0, reset or now + 7200))
    if kind == "rate":
        return Answer(429, {"error": _rate(fault)}, {"retry-after": f"{fault.retry_after:g}"})
    if kind in ("silent", "closed"):
        return silent() if kind == "silent" else closed()
    return None


def _error(name: str) -> Answer:
    code, kind, word, message = ERRORS[name]
    return Answer(code, {"error": {"type": kind, "code": word, "param": None, "message": message}})


def _rate(fault: Fault) -> dict[str, str]:
    return {"type": "tokens", "code": "rate_limit_exceeded", "message": LIMIT.format(fault.retry_after)}


def _windows(used: float, reset: float) -> dict[str, str]:
    """How near a login is to its limits, as the service says with every answer."""
    now = time.time()
    headers = {
        "x-codex-plan-type": "plus",
        "x-codex-credits-has-credits": "False",
        "x-codex-credits-unlimited": "False",
    }
    for name, percent, minutes, at in (("primary", used, 300, reset), ("secondary", 22.0, 10080, now + 400_000)):
        headers[f"x-codex-{name}-used-percent"] = str(percent)
        headers[f"x-codex-{name}-window-minutes"] = str(minutes)
        headers[f"x-codex-{name}-reset-after-seconds"] = str(max(0, int(at - now)))
        headers[f"x-codex-{name}-reset-at"] = str(int(at))
    return headers


# ── the streams ──────────────────────────────────────────────────────────────────────────────────


def _streamed(events: list[Event], fault: Fault | None, headers: Mapping[str, str]) -> Answer:
    kind = "" if fault is None else fault.kind
    if kind == "stall":
        return Answer(200, None, headers, events[:1], hang=True)
    if kind == "cut":
        return Answer(200, None, headers, events[:-2], cut=True)
    if fault is not None:
        error = _rate(fault) if kind == "rate-stream" else dict(zip(("code", "message"), STREAMED[kind], strict=True))
        response: dict[str, Any] = {
            "id": "resp_failed",
            "object": "response",
            "status": "failed",
            "error": error,
            "output": [],
            "usage": None,
        }
        return Answer(200, None, headers, [*events[:1], *_numbered([("response.failed", {"response": response})])])
    return Answer(200, None, headers, events)


def _items(turn: Turn, calls: Sequence[Call]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if turn.thinking:
        summary = [{"type": "summary_text", "text": turn.thinking}]
        items.append(
            {"type": "reasoning", "id": f"rs_{uuid4().hex[:16]}", "summary": summary, "encrypted_content": "c3R1Yg=="}
        )
    if turn.text:
        content = [{"type": "output_text", "text": turn.text, "annotations": []}]
        items.append(
            {
                "type": "message",
                "id": f"msg_{uuid4().hex[:16]}",
                "role": "assistant",
                "status": "completed",
                "content": content,
            }
        )
    return [*items, *map(_call, calls)]


def _call(call: Call) -> dict[str, Any]:
    base = {"call_id": f"call_{uuid4().hex[:20]}", "status": "completed"}
    if isinstance(call.input, str):
        return {
            **base,
            "type": "custom_tool_call",
            "id": f"ctc_{uuid4().hex[:16]}",
            "name": call.name,
            "input": call.input,
        }
    if call.name == "local_shell":
        action = {"type": "exec", "command": call.input["command"], "env": {}}
        return {**base, "type": "local_shell_call", "id": f"lsh_{uuid4().hex[:16]}", "action": action}
    namespace, _, name = call.name.rpartition("__")  # mcp__SERVER__TOOL: tools of a server are apart from the others
    named = {"name": name, "namespace": namespace} if namespace.startswith("mcp__") else {"name": call.name}
    arguments = json.dumps(call.input)
    return {**base, "type": "function_call", "id": f"fc_{uuid4().hex[:16]}", **named, "arguments": arguments}


def _growing(output: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for index, item in enumerate(output):
        where = {"output_index": index}
        empty = {**item, "content": []} if item["type"] == "message" else item
        yield "response.output_item.added", {**where, "item": {**empty, "status": "in_progress"}}
        if item["type"] == "message":
            part = {"item_id": item["id"], **where, "content_index": 0}
            text = item["content"][0]["text"]
            yield (
                "response.content_part.added",
                {**part, "part": {"type": "output_text", "text": "", "annotations": []}},
            )
            for piece in words(text):
                yield "response.output_text.delta", {**part, "delta": piece}
            yield "response.output_text.done", {**part, "text": text}
        yield "response.output_item.done", {**where, "item": item}


def _numbered(events: Sequence[tuple[str, dict[str, Any]]]) -> list[Event]:
    return [(name, {"type": name, "sequence_number": number, **data}) for number, (name, data) in enumerate(events)]


def _chunks(
    base: Mapping[str, Any], message: Mapping[str, Any], why: str, spent: tuple[Mapping[str, Any], bool]
) -> Iterator[Event]:
    """`spent`: the usage, and whether it comes in a chunk of its own."""

    def chunk(delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        return {**base, "object": "chat.completion.chunk", "choices": choices}

    usage, apart = spent
    yield "", chunk({"role": "assistant", "content": ""})
    for piece in words(message["content"]):
        yield "", chunk({"content": piece})
    for index, call in enumerate(message.get("tool_calls") or []):
        yield "", chunk({"tool_calls": [{"index": index, **call}]})
    yield "", {**chunk({}, why), **({} if apart else {"usage": usage})}
    if apart:
        yield "", {**base, "object": "chat.completion.chunk", "choices": [], "usage": usage}
    yield "", "[DONE]"
