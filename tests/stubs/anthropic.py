"""The Messages API of Anthropic, streamed or whole. Refuses batches, files and everything else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from uuid import uuid4

from stubs.play import Call, Fault, Said, Turn, inputs
from stubs.serving import Answer, Event, Request, Stub, closed, silent, words

RATE = "This request would exceed your organization's rate limit of 50 requests per minute. Please try again later."
ACCOUNT = "This request would exceed your account's rate limit. Please try again later."
CREDIT = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade."
PING: Event = ("ping", {"type": "ping"})

ERRORS: Mapping[str, tuple[int, str, str]] = {
    "bare": (429, "rate_limit_error", "Error"),
    "overload": (529, "overloaded_error", "Overloaded"),
    "server": (500, "api_error", "Internal server error"),
    "unavailable": (503, "api_error", "Service unavailable"),
    "auth": (401, "authentication_error", "invalid x-api-key"),
    "expired": (401, "authentication_error", "OAuth token has expired. Please obtain a new token."),
    "forbidden": (403, "permission_error", "Your account does not have access. Please contact your administrator."),
    "credit": (400, "invalid_request_error", CREDIT),
    "context": (400, "invalid_request_error", "prompt is too long: 205123 tokens > 200000 maximum"),
    "model": (404, "not_found_error", "model: no such model"),
}
"""Faults that are one plain answer; the others: usage, weekly (a login's limit), usage-key (an API key's), rate, stall,
ping, cut, overload-stream, silent, closed."""


class Anthropic(Stub):
    """`POST /v1/messages` and `/count_tokens`. What has no tools is beside the conversation (a title, a probe)."""

    probes: ClassVar = {"/v1/models": {"data": [], "has_more": False, "first_id": None, "last_id": None}}

    def answer(self, request: Request) -> Answer:
        path = request.path.split("?")[0]
        if path.endswith("/count_tokens"):
            self.note(request)
            return Answer(200, {"input_tokens": 1234})
        if not path.endswith("/messages"):
            self.note(request)
            return _error(404, "not_found_error", "no such path")
        offered = [str(tool.get("name")) for tool in request.body.get("tools") or []]
        turn, fault = self.begin(request, _said(request.body.get("messages") or []) if offered else None)
        if not offered:
            turn = Turn("a title")
        if fault is not None and (answer := _failing(fault)) is not None:
            return answer
        message = self._message(request.body, turn, turn.played(offered))
        headers = _unified("allowed_warning", "five_hour", time.time() + 4000, 0.93) if self.warning else {}
        if not request.body.get("stream"):
            return Answer(200, message, headers)
        return _streamed(list(_events(message)), headers, "" if fault is None else fault.kind)

    def refusal(self) -> Answer:
        return _error(*ERRORS["auth"])

    def _message(self, body: Mapping[str, Any], turn: Turn, calls: Sequence[Call]) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        if turn.thinking:
            content.append({"type": "thinking", "thinking": turn.thinking, "signature": "c3R1Yg=="})
        if turn.text:
            content.append({"type": "text", "text": turn.text})
        for call in calls:
            content.append(
                {"type": "tool_use", "id": f"toolu_{uuid4().hex[:20]}", "name": call.name, "input": call.input}
            )
        spent = self.spent
        return {
            "id": f"msg_{uuid4().hex[:20]}",
            "type": "message",
            "role": "assistant",
            "model": body.get("model"),
            "content": content,
            "stop_reason": "tool_use" if calls else "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": spent.input,
                "cache_creation_input_tokens": spent.cache_write,
                "cache_read_input_tokens": spent.cache_read,
                "output_tokens": spent.output,
                "service_tier": "standard",
            },
        }


def _said(messages: Sequence[Mapping[str, Any]]) -> list[Said]:
    found = []
    for message in messages:
        if message.get("role") != "assistant":
            continue
        content = message.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        said = Said(" ".join(block.get("text", "") for block in blocks if block.get("type") == "text"))
        for block in blocks:
            if block.get("type") == "tool_use":
                said.inputs += inputs(block.get("input"))
        found.append(said)
    return found


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────


def _failing(fault: Fault) -> Answer | None:
    """The whole answer of a fault; None where it is in the stream."""
    kind, now = fault.kind, time.time()
    if kind in ERRORS:
        return _error(*ERRORS[kind], {"x-should-retry": "true" if ERRORS[kind][0] >= 500 else "false"})
    if kind in ("usage", "weekly"):
        reset = fault.reset_at or now + 7200
        headers = _unified("rejected", "five_hour" if kind == "usage" else "seven_day", reset, 1.0)
        wait = {"retry-after": str(max(1, int(reset - now))), "x-should-retry": "true"}
        return _error(429, "rate_limit_error", ACCOUNT, {**headers, **wait})
    if kind == "usage-key":
        day = time.strftime("%Y-%m-%d at %H:%M UTC", time.gmtime(fault.reset_at or now + 86400))
        text = f"You have reached your specified API usage limits. You will regain access on {day}."
        return _error(400, "invalid_request_error", text)
    if kind == "rate":
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + fault.retry_after))
        left = {"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": until}
        return _error(429, "rate_limit_error", RATE, {"retry-after": f"{fault.retry_after:g}", **left})
    if kind in ("silent", "closed"):
        return silent() if kind == "silent" else closed()
    return None


def _error(code: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": f"req_{uuid4().hex[:12]}"}
    return Answer(code, body, headers or {})


def _unified(status: str, claim: str, reset: float, used: float) -> dict[str, str]:
    """How near a login is to its limits, as the service says with every answer."""
    prefix, now = "anthropic-ratelimit-unified", int(time.time())
    headers = {f"{prefix}-status": status, f"{prefix}-reset": str(int(reset)), f"{prefix}-representative-claim": claim}
    for name, window, later in (("5h", "five_hour", 9000), ("7d", "seven_day", 400_000)):
        mine = window == claim
        headers[f"{prefix}-{name}-status"] = status if mine else "allowed"
        headers[f"{prefix}-{name}-reset"] = str(int(reset) if mine else now + later)
        headers[f"{prefix}-{name}-utilization"] = str(used if mine else 0.22)
        if mine and status == "allowed_warning":
            headers[f"{prefix}-{name}-surpassed-threshold"] = "0.9"
    headers[f"{prefix}-overage-status"] = "rejected"
    return headers


# ── the stream ───────────────────────────────────────────────────────────────────────────────────


def _streamed(events: list[Event], headers: Mapping[str, str], kind: str) -> Answer:
    if kind in ("stall", "ping"):
        return Answer(200, None, headers, events[:3], hang=True, ping=PING if kind == "ping" else None)
    if kind == "cut":
        return Answer(200, None, headers, events[: max(3, len(events) // 2)], cut=True)
    if kind == "overload-stream":
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        return Answer(200, None, headers, [*events[:4], ("error", error)])
    return Answer(200, None, headers, events)


def _events(message: Mapping[str, Any]) -> Iterator[Event]:
    opening = {**message, "content": [], "stop_reason": None, "usage": {**message["usage"], "output_tokens": 1}}
    yield "message_start", {"type": "message_start", "message": opening}
    yield PING
    for index, block in enumerate(message["content"]):
        empty, deltas = _block(block)
        yield "content_block_start", {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}
        yield "content_block_stop", {"type": "content_block_stop", "index": index}
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield "message_delta", {"type": "message_delta", "delta": delta, "usage": message["usage"]}
    yield "message_stop", {"type": "message_stop"}


def _block(block: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block of content as its stream opens it, and the pieces that fill it."""
    if block["type"] == "text":
        return {**block, "text": ""}, [{"type": "text_delta", "text": piece} for piece in words(block["text"])]
    if block["type"] == "thinking":
        signed = {"type": "signature_delta", "signature": block["signature"]}
        return {**block, "thinking": "", "signature": ""}, [
            {"type": "thinking_delta", "thinking": block["thinking"]},
            signed,
        ]
    text = json.dumps(block["input"])
    pieces = [text[at : at + 40] for at in range(0, len(text), 40)]
    return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
