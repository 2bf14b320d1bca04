"""The generateContent API of Google, streamed or whole. Refuses everything else."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from stubs.play import Fault, Said, Turn, inputs
from stubs.serving import Answer, Event, Request, Stub, closed, silent, words

QUOTA = "You exceeded your current quota, please check your plan and billing details."
LOGIN = "You have exhausted your capacity on this model. Your quota will reset after {}."

ERRORS: Mapping[str, tuple[int, str, str]] = {
    "bare": (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    "overload": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "server": (500, "INTERNAL", "An internal error has occurred. Please retry."),
    "auth": (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    "forbidden": (403, "PERMISSION_DENIED", "Your API key was reported as leaked. Please use another API key."),
    "credit": (402, "FAILED_PRECONDITION", "Your prepayment credits are depleted."),
    "model": (404, "NOT_FOUND", "models/none is not found for API version v1beta."),
}
"""Faults that are one plain answer; the others: usage (a key's day), capacity (a login's limit), rate, stall, cut,
silent, closed."""

SIDE: Sequence[tuple[str, Mapping[str, Any]]] = (
    ("next_speaker", {"reasoning": "as the script says", "next_speaker": "user"}),
    ("model_choice", {"reasoning": "as the script says", "model_choice": "flash"}),
    ("complexity_score", {"complexity_reasoning": "as the script says", "complexity_score": 10}),
)
"""What is answered beside the conversation, by a word of the form that is asked for."""


class Gemini(Stub):
    """`POST …/models/NAME:generateContent`, `:streamGenerateContent` and `:countTokens`."""

    def answer(self, request: Request) -> Answer:
        found = re.search(r"/models/(?P<model>[^:/?]+):(?P<verb>\w+)", request.path)
        if found is None or found["verb"] == "countTokens":
            self.note(request)
            return _error(404, "NOT_FOUND", "no such path") if found is None else Answer(200, {"totalTokens": 1234})
        body = request.body
        offered = [
            str(one.get("name")) for tool in body.get("tools") or [] for one in tool.get("functionDeclarations") or []
        ]
        turn, fault = self.begin(request, _said(body.get("contents") or []) if offered else None)
        if not offered:
            turn = Turn(_aside(body.get("generationConfig") or {}))
        if fault is not None and (answer := _failing(fault, found["model"])) is not None:
            return answer
        chunks = self._chunks(turn, offered, found["model"])
        if found["verb"] == "streamGenerateContent":
            return _streamed([("", chunk) for chunk in chunks], "" if fault is None else fault.kind)
        parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
        chunks[-1]["candidates"][0]["content"]["parts"] = parts
        return Answer(200, chunks[-1])

    def refusal(self) -> Answer:
        return _failing(Fault("auth"), "") or closed()

    def _chunks(self, turn: Turn, offered: Sequence[str], model: str) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = [{"text": piece} for piece in words(turn.text)]
        if turn.thinking:
            parts.insert(0, {"text": turn.thinking, "thought": True})
        for call in turn.played(offered):
            parts.append({"functionCall": {"name": call.name, "args": call.input}, "thoughtSignature": "c3R1Yg=="})
        spent, base = self.spent, {"modelVersion": model, "responseId": uuid4().hex[:12]}
        read = spent.input + spent.cache_read + spent.cache_write
        usage = {
            "promptTokenCount": read,
            "cachedContentTokenCount": spent.cache_read,
            "candidatesTokenCount": spent.output,
            "totalTokenCount": read + spent.output,
        }
        last = {"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [{"text": ""}]}}
        return [
            *({**base, "candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}}]} for part in parts),
            {**base, "candidates": [last], "usageMetadata": usage},
        ]


def _said(contents: Sequence[Mapping[str, Any]]) -> list[Said]:
    found: list[Said] = []
    going = False
    for content in contents:
        mine = content.get("role") == "model"
        if mine and not going:
            found.append(Said())
        going = mine
        for part in content.get("parts") or [] if mine else []:
            found[-1].text += part.get("text", "")
            if "functionCall" in part:
                found[-1].inputs += inputs(part["functionCall"].get("args"))
    return found


def _aside(config: Mapping[str, Any]) -> str:
    schema = json.dumps(config.get("responseJsonSchema") or config.get("responseSchema") or {})
    if schema == "{}" and config.get("responseMimeType") != "application/json":
        return "beside the conversation"
    return json.dumps(next((answer for word, answer in SIDE if word in schema), {}))


def _streamed(events: list[Event], kind: str) -> Answer:
    if kind in ("stall", "cut"):
        return Answer(200, events=events[:1], hang=kind == "stall", cut=kind == "cut")
    return Answer(200, events=events)


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────


def _failing(fault: Fault, model: str) -> Answer | None:
    """The whole answer of a fault; None where it is in the stream."""
    kind, wait = fault.kind, fault.retry_after
    if kind == "auth":
        return _error(
            *ERRORS[kind],
            [_info("API_KEY_INVALID", "googleapis.com", {"service": "generativelanguage.googleapis.com"})],
        )
    if kind in ERRORS:
        return _error(*ERRORS[kind])
    if kind == "usage":
        return _error(
            429, "RESOURCE_EXHAUSTED", f"{QUOTA}\nPlease retry in 34.5s.", [*_quota("Day", "50", model), _retry(34.0)]
        )
    if kind == "rate":
        return _error(
            429,
            "RESOURCE_EXHAUSTED",
            f"{QUOTA}\nPlease retry in {wait:g}s.",
            [*_quota("Minute", "10", model), _retry(wait)],
        )
    if kind == "capacity":
        hours, minutes, seconds = int(wait // 3600), int(wait % 3600 // 60), int(wait % 60)
        info = _info(
            "QUOTA_EXHAUSTED", "cloudcode-pa.googleapis.com", {"model": model, "quotaResetDelay": f"{wait:g}s"}
        )
        return _error(429, "RESOURCE_EXHAUSTED", LOGIN.format(f"{hours}h{minutes}m{seconds}s"), [info, _retry(wait)])
    if kind in ("silent", "closed"):
        return silent() if kind == "silent" else closed()
    return None


def _error(code: int, status: str, message: str, details: Sequence[Mapping[str, Any]] = ()) -> Answer:
    more = {"details": details} if details else {}
    return Answer(code, {"error": {"code": code, "message": message, "status": status, **more}})


def _info(reason: str, domain: str, metadata: Mapping[str, str]) -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": domain,
        "metadata": metadata,
    }


def _quota(per: str, value: str, model: str) -> list[dict[str, Any]]:
    violation = {
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
        "quotaId": f"GenerateRequestsPer{per}PerProjectPerModel-FreeTier",
        "quotaDimensions": {"location": "global", "model": model},
        "quotaValue": value,
    }
    return [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}]


def _retry(seconds: float) -> dict[str, str]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{seconds:g}s"}
