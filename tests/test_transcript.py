"""Streams of real command lines are brought to one form, and to the right end; each odd line on its own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from kernelfactory.model import Tokens
from kernelfactory.transcript import Clock, Event, Parser, Reset, inside, limits, parser, read
from kernelfactory.transcript.acp import Acp
from kernelfactory.transcript.inside import Inside
from kernelfactory.transcript.loose import SHORT, TEXT, brief, count, number, words
from kernelfactory.transcript.spend import Spend
from kernelfactory.transcript.turn import Turn

SAMPLES = Path(__file__).with_name("transcript") / "samples"
EXPECTED = [line.split(maxsplit=4) for line in (SAMPLES / "expected.txt").read_text().splitlines() if line[0] != "#"]
LETTER = {
    "message": "m",
    "reasoning": "t",
    "call": "c",
    "result": "r",
    "usage": "u",
    "limit": "l",
    "error": "x",
    "end": "e",
}
ONE = Tokens(3000, 150, 15000, 600)
"""What three turns against the stubs use; those that know no cache writes say 3600, 150, 15000."""


def lines(name: str) -> list[str]:
    path = SAMPLES / name
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def play(name: str, parser: Parser, returncode: int, aside_first: bool = False) -> list[Event]:
    out = [(parser.line, line) for line in lines(f"{name}.jsonl")]
    aside = [(parser.error, line) for line in lines(f"{name}.stderr")]
    both = aside + out if aside_first else out + aside
    return [event for take, line in both for event in take(line)] + [*parser.end(returncode)]


def acp(name: str, acp: Acp) -> list[Event]:
    """As a client in a cage hands on what comes."""
    events: list[Event] = []
    for line in lines(f"{name}.jsonl"):
        message = json.loads(line)
        if message.get("method") == "session/update":
            events += acp.update(message["params"])
        elif "error" in message:
            events += acp.failed(message["error"])
        elif "stopReason" in message.get("result", {}):
            events += acp.answer(message["result"])
    return events


def shape(events: Iterable[Event]) -> str:
    said = "".join(LETTER[event.kind] for event in events)
    for n in range(20, 2, -1):
        said = said.replace("x" * n, f"x{n}")
    return said


def when(reset: Reset | None) -> str:
    if reset is None:
        return "-"
    if reset.epoch is not None:
        return f"{reset.epoch:.0f}"
    if reset.after is not None:
        return f"+{reset.after:g}"
    clock = reset.clock
    assert clock is not None
    day = f" {clock.day}.{clock.month}.{clock.year}" if clock.day else ""
    return f"{clock.hour}:{clock.minute:02d}{day}" + (f" {clock.zone}" if clock.zone else "")


def last(events: Sequence[Event], kind: str) -> Event:
    return [event for event in events if event.kind == kind][-1]


def kind_of(name: str) -> str:
    return next(kind for kind in ("claude", "codex", "gemini", "opencode") if kind in name)


def feed(parser: Parser, *told: object) -> list[Event]:
    return [event for each in told for event in parser.line(each if isinstance(each, str) else json.dumps(each))]


# ── whole streams ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("row", EXPECTED, ids=[row[0] for row in EXPECTED])
def test_a_captured_stream_reads_as_expected(row: list[str]) -> None:
    name, returncode, trouble, kinds, reset = row
    events = play(name, parser(kind_of(name), "m"), int(returncode))
    end = last(events, "end")
    assert (end.trouble or "ok", shape(events), when(end.reset)) == (trouble, kinds, reset)


def test_enough_is_captured() -> None:
    assert len(EXPECTED) >= 87 and {row[2] for row in EXPECTED} >= {
        "ok",
        "usage_limit",
        "rate_limit",
        "auth",
        "billing",
    }
    assert sum(path.stat().st_size for path in SAMPLES.iterdir()) < 600_000
    told = b"\n".join(path.read_bytes() for path in SAMPLES.iterdir())
    assert not [word for word in (b"/home/", b"/tmp/pytest", b"registry.", b"sk-ant-") if word in told]


@pytest.mark.parametrize(
    "row", [row for row in EXPECTED if (SAMPLES / f"{row[0]}.stderr").exists()], ids=lambda row: row[0]
)
def test_it_does_not_matter_which_pipe_is_read_first(row: list[str]) -> None:
    name, returncode, trouble, _, reset = row
    end = last(play(name, parser(kind_of(name), "m"), int(returncode), aside_first=True), "end")
    assert (end.trouble or "ok", when(end.reset)) == (trouble, reset)


SAME = {
    "claude": ["claude_ok", "claude_partial"],
    "codex": ["codex_ok", "appserver_ok"],
    "gemini": ["gemini_ok"],
    "opencode": ["opencode_ok"],
    "acp": [f"acp_ok_{each}" for each in ("claude", "codex", "gemini", "opencode", "claudezed", "codexzed")],
}


@pytest.mark.parametrize("kind, name", [(kind, name) for kind, names in SAME.items() for name in names])
def test_the_same_work_reads_the_same_from_every_agent(kind: str, name: str) -> None:
    events = acp(name, Acp("m")) if kind == "acp" else play(name, parser(kind, "m"), 0)
    assert [event.text for event in events if event.kind == "message"] == [
        "I will write the file.",
        "Now I append a line.",
        "Done: hello.txt has two lines.",
    ]
    calls, results = ([event for event in events if event.kind == kind] for kind in ("call", "result"))
    assert ["printf 'hello from" in calls[0].text, "printf 'second line" in calls[1].text] == [True, True]
    assert [event.call for event in calls] == [event.call for event in results] and calls[0].call != calls[1].call
    assert all(event.name for event in calls) and not any(event.failed for event in results)
    if name not in ("acp_ok_gemini", "acp_ok_codexzed"):  # these hand on no output
        assert "second line, turn 2" in results[1].text
    assert (last(events, "end").trouble, last(events, "end").text) == (None, "Done: hello.txt has two lines.")
    if name not in ("acp_ok_claudezed", "acp_ok_codexzed"):
        (tokens,) = last(events, "usage").models.values()
        assert tokens.all >= 6250 and tokens.output in (50, 120, 150, 200)


def test_tokens_and_dollars_while_it_works_and_in_the_end() -> None:
    usages = [event for event in play("claude_ok", parser("claude"), 0) if event.kind == "usage"]
    assert [event.models["claude-sonnet-4-5"].all for event in usages] == [6201, 12402, 18603, 18750]
    assert [event.dollars for event in usages] == [None, None, None, 0.018] and usages[-1].models == {
        "claude-sonnet-4-5": ONE
    }
    partial = [event for event in play("claude_partial", parser("claude"), 0) if event.kind == "usage"]
    assert [event.models["claude-sonnet-4-5"].output for event in partial[:3]] == [1, 50, 51]
    assert last(play("claude_fallback", parser("claude"), 0), "usage").models == {"claude-haiku-4-5": ONE}
    assert last(play("codex_ok", parser("codex", "gpt-x"), 0), "usage").models == {"gpt-x": Tokens(3600, 150, 15000)}
    assert last(play("appserver_ok", parser("codex", "?"), 0), "usage").models == {"gpt-5.5": Tokens(3600, 150, 15000)}
    assert last(play("gemini_ok", parser("gemini"), 0), "usage").models == {
        "gemini-2.5-flash": Tokens(3600, 150, 15000)
    }
    opencode = last(play("opencode_ok", parser("opencode", "p/m"), 0), "usage")
    assert opencode.models == {"p/m": ONE} and opencode.dollars == pytest.approx(0.018)
    mid = last(play("claude_429usage_midrun_oauth", parser("claude"), 1), "usage")
    assert (mid.models["claude-sonnet-4-5"], mid.dollars) == (Tokens(1000, 50, 5000, 200), pytest.approx(0.006))


def test_what_a_resumed_session_had_spent_is_not_counted_again() -> None:
    claude = last(play("claude_resume", parser("claude", before={"claude-sonnet-4-5": ONE}, dollars=0.018), 0), "usage")
    assert (claude.models, claude.dollars) == ({"claude-sonnet-4-5": ONE}, pytest.approx(0.018))
    used = Tokens(3600, 150, 15000)
    assert last(play("codex_sess2", parser("codex", "m", {"m": used}), 0), "usage").models == {"m": used}
    assert last(play("codex_sess2", parser("codex", "m"), 0), "usage").models == {"m": Tokens(7200, 300, 30000)}


def test_a_turn_that_is_over_is_not_the_end_of_the_process() -> None:
    claude, ends = parser("claude"), 0
    for line in lines("claude_background.jsonl"):
        ends += sum(event.kind == "end" for event in claude.line(line))
        if ends == 1 and "message" in [event.kind for event in claude.line(line)]:
            assert last([*claude.end(-9)], "end").trouble == "cancelled"  # woken by its task, and killed
            break
    assert ends == 1


def test_sessions_have_names() -> None:
    for kind, name, starts in [
        ("claude", "claude_ok", "cdade0bc"),
        ("codex", "codex_ok", "01a205a1"),
        ("codex", "appserver_ok", "01a205d3"),
        ("gemini", "gemini_ok", "ad5fa291"),
        ("opencode", "opencode_ok", "ses_dfa5"),
    ]:
        played = parser(kind)
        assert list(read(lines(f"{name}.jsonl"), played)) and (played.session or "").startswith(starts)
    for hostile in ("--dangerous", "a b", "../x", "x" * 201, 7, None, ""):
        claude = parser("claude")
        assert feed(claude, {"type": "system", "session_id": hostile}) == [] and claude.session is None


# ── Claude Code ──────────────────────────────────────────────────────────────────────────────────


def said(*content: Any, **more: Any) -> dict[str, Any]:
    return {"type": "assistant", "message": {"id": "1", "model": "m", "content": list(content)}, **more}


def test_claude_blocks() -> None:
    events = feed(
        parser("claude"),
        said({"type": "thinking", "thinking": "hm"}, {"type": "redacted_thinking", "data": "x"}, 7),
        said({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}),
        said({"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "text", "text": "found"}]}),
        {"type": "user", "message": {"content": "a prompt"}},
        {"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "t", "is_error": True}, 1]}},
        {"type": "system", "subtype": "compact_boundary"},
        {"type": "stream_event", "event": {"type": "content_block_stop"}},
        {"type": "stream_event", "event": {"type": "message_delta", "usage": {"output_tokens": 5}}},
        {"type": "rate_limit_event", "rate_limit_info": {"status": "allowed"}},
        {"type": "who knows"},
        {"type": ["assistant"]},
    )
    assert [(event.kind, event.text, event.call, event.failed) for event in events] == [
        ("reasoning", "hm", "", False),
        ("call", '{"query": "q"}', "s", False),
        ("result", "found", "s", False),
        ("result", "", "t", True),
    ]


def test_claude_says_something_itself() -> None:
    synthetic = {"type": "assistant", "message": {"model": "<synthetic>", "content": [{"type": "text", "text": "No."}]}}
    assert feed(parser("claude"), synthetic) == [Event("message", text="No.")]
    (event,) = feed(parser("claude"), {**synthetic, "is_api_error_message": True})
    assert (event.kind, event.trouble) == ("error", "error")


def test_claude_windows() -> None:
    info: dict[str, Any] = {"status": "rejected", "rateLimitType": "five_hour", "resetsAt": 1795397774}
    paid = {"type": "rate_limit_event", "rate_limit_info": {**info, "isUsingOverage": True, "resetsAt": 0}}
    warned = {"type": "rate_limit_event", "rate_limit_info": {**info, "status": "allowed_warning", "utilization": 0.93}}
    assert feed(parser("claude"), paid) == [Event("limit", text="its five-hour limit is reached")]
    (warning,) = feed(parser("claude"), warned)
    assert (warning.text, warning.trouble, warning.reset) == (
        "its five-hour limit is near: 93% used",
        None,
        Reset(1795397774),
    )
    claude = parser("claude")
    reached = {"type": "rate_limit_event", "rate_limit_info": info}
    assert [event.trouble for event in feed(claude, reached, reached)] == ["usage_limit"]
    assert last([*claude.end(-9)], "end").reset == Reset(epoch=1795397774)
    late = parser("claude")
    first = feed(late, {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected"}}, reached)
    assert [event.reset for event in first] == [None, Reset(epoch=1795397774)]


def test_a_claude_that_works_on_has_no_trouble() -> None:
    claude = parser("claude")
    retry = {"type": "system", "subtype": "api_retry", "attempt": 1, "max_retries": 3, "error_status": 529}
    (event,) = feed(claude, retry)
    assert (event.trouble, event.reset, event.text) == ("overloaded", None, ": try 1 of 3")
    assert last([*claude.end(1)], "end").trouble == "overloaded"
    claude = parser("claude")
    feed(claude, retry, said({"type": "text", "text": "on"}))
    assert last([*claude.end(1)], "end") == Event("end", text="it ended with 1", trouble="error")


@pytest.mark.parametrize(
    "told, trouble",
    [
        ({"subtype": "error_during_execution", "errors": ["huh", 7]}, "error"),
        (
            {"result": "API Error: Server is temporarily limiting requests (not your usage limit) · Rate limited"},
            "rate_limit",
        ),
        ({"result": "You've hit your limit · resets 4:50am (Europe/Rome)"}, "usage_limit"),
        ({"terminal_reason": "budget_exhausted"}, "budget"),
        ({"api_error_status": 502}, "server"),
        ({}, "error"),
    ],
)
def test_claude_results_that_are_errors(told: dict[str, Any], trouble: str) -> None:
    assert last(feed(parser("claude"), {"type": "result", "is_error": True, **told}), "end").trouble == trouble


def test_denied_only_when_nothing_was_allowed() -> None:
    denied = {"type": "result", "is_error": False, "permission_denials": [{"tool_name": "WebFetch"}], "result": "ok"}
    worked = {"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}}
    assert last(feed(parser("claude"), denied), "end").trouble == "denied"
    assert last(feed(parser("claude"), worked, denied), "end").trouble is None


# ── Codex ────────────────────────────────────────────────────────────────────────────────────────


def item(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": "item.completed", "item": {"id": "1", "type": kind, **more}}


def test_codex_items() -> None:
    events = feed(
        parser("codex"),
        item("reasoning", text="hm"),
        item("reasoning"),
        item("web_search", query="q"),
        item("file_change", changes=[{"path": "a", "kind": "add"}], status="failed"),
        item("mcp_tool_call", server="s", tool="t", arguments={"a": 1}, error={"message": "no"}),
        item("todo_list"),
        item("plan", text="first"),
        {"type": "item.updated", "item": {"type": "agent_message", "text": "half"}},
        {"type": "turn.updated"},
    )
    assert [(event.kind, event.name, event.text, event.failed) for event in events] == [
        ("reasoning", "", "hm", False),
        ("call", "web_search", "q", False),
        ("result", "", "", False),
        ("call", "file_change", '[{"path": "a", "kind": "add"}]', False),
        ("result", "", "", True),
        ("call", "s.t", '{"a": 1}', False),
        ("result", "", "no", True),
        ("message", "", "first", False),
    ]
    (call, result) = feed(
        parser("codex"), item("command_execution", command="false", exit_code=1, aggregated_output="x")
    )
    assert (call.text, result.text, result.failed) == ("false", "x", True)


def test_codex_forgets_calls_that_never_end() -> None:
    codex = parser("codex")
    for number_ in range(4200):
        feed(codex, {"type": "item.started", "item": {"id": str(number_), "type": "web_search"}})
    again = {"type": "item.started", "item": {"id": "0", "type": "web_search"}}
    known = {"type": "item.started", "item": {"id": "4199", "type": "web_search"}}
    assert [len(feed(codex, each)) for each in (again, known)] == [1, 0]


def rpc(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


ON = [{"id": 2, "result": {"thread": {"id": "T", "model": "gpt-5.5"}}}, rpc("turn/started", threadId="T")]


def failure(info: object, message: str = "no", details: str | None = None) -> dict[str, Any]:
    error = {"message": message, "codexErrorInfo": info, "additionalDetails": details}
    return rpc("turn/completed", threadId="T", turn={"status": "failed", "error": error})


@pytest.mark.parametrize(
    "told, trouble, reset",
    [
        (failure("usageLimitExceeded", "You’ve hit your usage limit. Try again later."), "usage_limit", None),
        (failure("usageLimitExceeded", "Quota exceeded. Check your plan and billing details."), "billing", None),
        (failure("contextWindowExceeded"), "context", None),
        (failure("serverOverloaded", details="try again in 5 s"), "overloaded", Reset(after=5.0)),
        (failure({"httpConnectionFailed": {"httpStatusCode": 401}}), "auth", None),
        (failure({"responseStreamDisconnected": {"httpStatusCode": None}}), "network", None),
        (failure({}), "network", None),
        (failure("somethingNew"), "error", None),
        (rpc("turn/completed", threadId="T", turn={"status": "interrupted"}), "cancelled", None),
        (rpc("turn/completed", threadId="T", turn={"status": "completed"}), None, None),
    ],
)
def test_codex_server_ends(told: dict[str, Any], trouble: str | None, reset: Reset | None) -> None:
    end = last(feed(parser("codex"), *ON, told), "end")
    assert (end.trouble, end.reset) == (trouble, reset)


def test_codex_server_windows() -> None:
    full = {
        "primary": {"usedPercent": 100, "resetsAt": 1795401260},
        "secondary": {"usedPercent": 100, "resetsAt": 1795794060},
    }
    limited = rpc("account/rateLimits/updated", rateLimits=full)
    near = rpc(
        "account/rateLimits/updated", rateLimits={"primary": {"usedPercent": 93}, "secondary": {"usedPercent": 5}}
    )
    none = rpc("account/rateLimits/updated", rateLimits={"primary": None})
    codex = parser("codex")
    events = feed(codex, *ON, near, near, none, limited, failure("usageLimitExceeded", "try again at 2:34 AM."))
    assert [event.text for event in events] == [
        "primary window: 93 % used",
        "primary window: 100 % used",
        "secondary window: 100 % used",
        "try again at 2:34 AM.",
    ]
    assert last(events, "end").reset == Reset(epoch=1795794060)


def test_codex_server_threads_of_others() -> None:
    def used(thread: str, tokens: int) -> dict[str, Any]:
        return rpc("thread/tokenUsage/updated", threadId=thread, tokenUsage={"total": {"inputTokens": tokens}})

    codex = parser("codex", before={"gpt-5.5": Tokens(1)})
    other = rpc("turn/completed", threadId="U", turn={"status": "completed"})
    events = feed(codex, *ON, used("T", 5), used("U", 7), used("T", 6), other, rpc("thread/tokenUsage/updated"))
    assert [event.models["gpt-5.5"].input for event in events] == [4, 11, 12]
    feed(codex, *(used(f"t{n}", 1) for n in range(300)))
    assert sum(feed(codex, used("t299", 100)) != [] for _ in range(2)) == 0
    assert feed(codex, rpc("error", threadId="U", error={"message": "x"}), rpc("item/reasoning/delta")) == []
    assert feed(codex, rpc("error", threadId="T", willRetry=True, error={"message": "stream disconnected"})) == [
        Event("error", text="stream disconnected", trouble="network")
    ]


def test_codex_server_refuses() -> None:
    codex = parser("codex")
    assert feed(codex, {"id": 2, "error": {"code": -32600, "message": "no rollout found for thread id x"}}) == [
        Event("error", text="no rollout found for thread id x")
    ]
    assert last([*codex.end(1)], "end").trouble == "config"
    assert feed(codex, {"id": 3, "result": {}}) == []


# ── Gemini, OpenCode, plain lines ────────────────────────────────────────────────────────────────


def test_gemini_says_long_things_in_parts() -> None:
    piece = {"type": "message", "role": "assistant", "content": "x" * 40000, "delta": True}
    whole = {"type": "message", "role": "assistant", "content": "all"}
    events = feed(parser("gemini"), {"type": "message", "role": "user", "content": "p"}, piece, piece, whole, piece)
    assert [len(event.text) for event in events] == [TEXT, 3]
    (error,) = feed(parser("gemini"), {"type": "error", "message": "Rate limit"})
    assert (error.kind, error.trouble) == ("error", "rate_limit")


def test_gemini_waits_over_several_lines() -> None:
    gemini = parser("gemini")
    told = [
        "Attempt 1 failed: You exceeded your current quota",
        "Please retry in 3s.",
        "again.. Retrying after 5978ms...",
        "x",
    ]
    assert [len(gemini.error(line)) for line in told] == [0, 0, 1, 0]
    assert last([*gemini.end(1)], "end") == Event(
        "end",
        text="Attempt 1 failed: You exceeded your current quota Please retry in 3s. again.. Retrying after 5978ms...",
        trouble="rate_limit",
        reset=Reset(after=5.978),
    )
    assert [event.trouble for event in parser("gemini").error("Attempt 2 failed. Retrying after 10ms")] == ["error"]
    (limit,) = parser("gemini").error("Attempt 1 failed: no more.. Retrying after 7200000ms...")
    assert (limit.trouble, limit.reset) == ("usage_limit", Reset(after=7200.0)), "nothing else says when"
    assert [event.trouble for event in parser("gemini").error("Attempt 2 failed. Retrying with backoff...")] == [
        "error"
    ]


@pytest.mark.parametrize(
    "code, stderr, trouble",
    [
        (53, "", "turns"),
        (173, "", "rate_limit"),
        (41, "socket hang up", "auth"),
        (144, "API key not valid", "auth"),
        (173, "TerminalQuotaError: You have exhausted your daily quota", "usage_limit"),
        (9, "", "error"),
    ],
)
def test_gemini_codes(code: int, stderr: str, trouble: str) -> None:
    gemini = parser("gemini")
    assert gemini.error(stderr) == () and last([*gemini.end(code)], "end").trouble == trouble


def opencode_error(**data: Any) -> dict[str, Any]:
    return {"type": "error", "error": {"name": "APIError", "data": data}}


@pytest.mark.parametrize(
    "told, trouble, reset",
    [
        (
            opencode_error(
                message="x",
                statusCode=429,
                responseHeaders={
                    "Anthropic-RateLimit-Unified-Status": "rejected",
                    "anthropic-ratelimit-unified-reset": "1795401829",
                },
            ),
            "usage_limit",
            Reset(epoch=1795401829),
        ),
        (
            opencode_error(statusCode=429, responseBody='{"type":"usage_limit_reached","resets_in_seconds":90}'),
            "usage_limit",
            Reset(after=90),
        ),
        (opencode_error(statusCode=429, responseHeaders={"retry-after": "7200"}), "rate_limit", Reset(after=7200)),
        (opencode_error(statusCode=429, responseHeaders=[]), "rate_limit", None),
        (opencode_error(statusCode=429, responseBody="insufficient_quota"), "billing", None),
        ({"type": "error", "error": {"name": "MessageAbortedError"}}, "cancelled", None),
        ({"type": "error"}, "error", None),
    ],
)
def test_opencode_errors(told: dict[str, Any], trouble: str, reset: Reset | None) -> None:
    opencode = parser("opencode")
    assert len(feed(opencode, told)) == 1
    end = last([*opencode.end(1)], "end")
    assert (end.trouble, end.reset) == (trouble, reset)


def step(reason: str, cost: float, **tokens: int) -> dict[str, Any]:
    return {"type": "step_finish", "part": {"reason": reason, "cost": cost, "tokens": tokens}}


def test_opencode_counts_what_is_missing_and_knows_no_price_of_zero() -> None:
    opencode = parser("opencode", "m")
    first = last(feed(opencode, step("tool-calls", 0.5, input=10, output=5, reasoning=3, total=20)), "usage")
    assert (first.models, first.dollars) == ({"m": Tokens(10, 10)}, 0.5)
    assert last(feed(opencode, step("stop", 0, input=1, output=1, reasoning=1)), "usage").dollars is None
    assert opencode.end(0) == ()
    assert feed(parser("opencode"), step("stop", 0)) == [Event("usage", dollars=0.0), Event("end")]


def test_opencode_tools_thoughts_and_its_log() -> None:
    state = {"status": "error", "input": {"command": "x"}, "error": "bad"}
    events = feed(
        parser("opencode"),
        {"type": "reasoning", "part": {"text": "hm"}},
        {"type": "tool_use", "part": {"tool": "bash", "callID": "1", "state": state}},
        {"type": "file"},
    )
    assert [(event.kind, event.text, event.failed) for event in events[1:]] == [
        ("call", "x", False),
        ("result", "bad", True),
    ]
    opencode = parser("opencode")
    log = 'level=ERROR message="stream error" '
    assert opencode.error("level=INFO x") == opencode.error("level=ERROR message=failed") == ()
    assert [event.trouble for event in opencode.error(log)] == ["error"]
    (limit,) = opencode.error(f'{log} error.error="usage limit reached, try again in 2 hours"')
    assert (limit.kind, limit.trouble, limit.reset) == ("limit", "usage_limit", Reset(after=7200))
    feed(opencode, {"type": "step_start"})  # printed before, read after
    assert last([*opencode.end(-9)], "end").trouble == "usage_limit"


@pytest.mark.parametrize("aside_first", [False, True])
def test_opencode_says_in_its_log_alone_that_there_is_no_such_model(aside_first: bool) -> None:
    end = last(play("opencode_nomodel", parser("opencode"), 1, aside_first), "end")
    assert (end.trouble, end.text) == ("model", "Model not found: anthropic/none-such.")


def test_a_word_aside_does_not_undo_an_end() -> None:
    opencode = parser("opencode")
    assert last(feed(opencode, step("stop", 1, input=1)), "end").trouble is None
    assert len(opencode.error('level=ERROR message="stream error" overloaded')) == 1
    assert opencode.end(0) == ()


def test_plain_lines() -> None:
    plain = parser("anything else")
    assert feed(plain, "one\n", "  ", "two") == [Event("message", text="one"), Event("message", text="two")]
    assert [*plain.end(0)] == [Event("end", text="two")] and plain.end(0) == ()
    failed = parser("command")
    feed(failed, "working")
    failed.error("You've hit your usage limit · resets 3pm (Europe/Rome)")
    failed.error("bye")
    (end,) = failed.end(2)
    assert (end.trouble, end.reset) == ("usage_limit", Reset(clock=Clock(15, zone="Europe/Rome")))
    assert [event.trouble for event in parser("command").end(-15)] == ["cancelled"]
    assert [*parser("claude").end(0)] == [Event("end", text="it ended without a result", trouble="error")]


# ── our own programs in the cage ─────────────────────────────────────────────────────────────────

EVENTS = [
    Event("message", text="hö\ud800".replace("\ud800", "?")),
    Event("reasoning", text="hm"),
    Event("call", text="ls", name="bash", call="1"),
    Event("result", text="out", call="1", failed=True),
    Event("usage", models={"m": Tokens(1, 2, 3, 4)}, dollars=0.5),
    Event("usage", dollars=0.0),
    Event("limit", text="near", reset=Reset(epoch=5.0)),
    Event("error", text="again", trouble="overloaded", reset=Reset(after=2.0)),
    Event("error", text="a warning"),
    Event("end", text="used up", trouble="usage_limit", reset=Reset(clock=Clock(3, 4, 5, 6, 2026, "UTC"))),
    Event("end", trouble="usage_limit", reset=Reset(clock=Clock(0))),
]


@pytest.mark.parametrize("event", EVENTS)
def test_what_is_shown_inside_is_read_outside(event: Event) -> None:
    mini = parser("mini")
    assert feed(mini, inside.show(event, "s1")) == [event] and mini.session == "s1"


def test_inside_lines_are_not_believed() -> None:
    mini = Inside()
    assert feed(mini, inside.show(session="-x"), {"kind": "bribe"}, {"kind": ["end"]}, {}, "[]", "noise") == []
    assert mini.session is None
    many = {"kind": "usage", "models": {str(n): {"input": True} for n in range(100)} | {"x": 3}, "dollars": -1}
    (event,) = feed(mini, many)
    assert len(event.models) == 64 and event.dollars is None and event.models["0"] == Tokens()
    (event,) = feed(mini, {"kind": "end", "trouble": "rich", "reset": {"clock": {"hour": "7"}}, "text": 5, "failed": 1})
    assert event == Event("end") and mini.end(1) == ()
    feed(mini, inside.show(Event("limit", trouble="usage_limit")))
    mini.error("bye")
    assert [event.trouble for event in mini.end(0)] == ["usage_limit"]


# ── ACP ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name, trouble, reset, shaped",
    [
        ("acp_airfail_claude", "usage_limit", "1795401195", "mcrluue"),
        ("acp_airfail_codex", "usage_limit", "2:33", "mcrue"),
        ("acp_airretry_claude", None, "-", "mcrxxmcrumue"),
        ("acp_auth_claude", "auth", "-", "me"),
        ("acp_auth_codex", "auth", "-", "e"),
        ("acp_auth_opencode", "auth", "-", "e"),
        ("acp_cancel_claude", "cancelled", "-", "mcruue"),
        ("acp_cancel_codex", "cancelled", "-", "mcue"),
        ("acp_cancel_gemini", "cancelled", "-", "mcre"),
        ("acp_cancel_opencode", "cancelled", "-", "mcre"),
        ("acp_deny_claude", None, "-", "mcrmcrumue"),
        ("acp_key429_claude", "rate_limit", "-", "mcrume"),
        ("acp_meta_claude", "turns", "-", "mcrue"),
        ("acp_mode_claude", None, "-", "mcrmcrumue"),
        ("acp_retry_claude", None, "-", "mcrmcrumue"),
        ("acp_retry_codex", None, "-", "mcrxmcrmue"),
        ("acp_usage_claude", "usage_limit", "1795400932", "mcrlume"),
        ("acp_usage_codex", "usage_limit", "2:29", "mcrme"),
        ("acp_usage_gemini", "usage_limit", "0:00 America/Los_Angeles", "mcre"),
        ("acp_warn_codex", None, "-", "mcrmcrmue"),
    ],
)
def test_acp_sessions(name: str, trouble: str | None, reset: str, shaped: str) -> None:
    events = acp(name, Acp("m"))
    end = last(events, "end")
    assert (end.trouble, when(end.reset), shape(events)) == (trouble, reset, shaped)


def test_acp_every_sample_is_read() -> None:
    for path in SAMPLES.glob("acp_*.jsonl"):
        assert acp(path.stem, Acp("m"))
    assert shape(acp("acp_usage_opencode", Acp("m"))) == "mcr"  # and then it hangs
    claude = last(acp("acp_ok_claude", Acp("m")), "usage")
    assert claude.models == {"claude-sonnet-4-5": Tokens(4000, 200, 20000, 800)} and claude.dollars == pytest.approx(
        0.024
    )
    assert last(acp("acp_ok_gemini", Acp("m")), "usage").models == {"gemini-2.5-flash": Tokens(18600, 120)}


def turn(used: int, by_model: int | None = None) -> dict[str, Any]:
    told = [] if by_model is None else [{"model": "m", "token_count": {"inputTokens": by_model}}]
    return {"stopReason": "end_turn", "usage": {"inputTokens": used}, "_meta": {"quota": {"model_usage": told}}}


@pytest.mark.parametrize(
    "answers, total",
    [
        ([turn(5), turn(7)], 12),  # each turn's own
        ([turn(5, 6), turn(7, 14)], 14),  # the session's so far, with calls on the side
        ([turn(5, 6), turn(7, 8)], 14),  # each turn's own, by model
        ([turn(5, 6), turn(3, 4)], 10),
        ([turn(0), turn(0)], 0),
    ],
)
def test_acp_tokens_over_several_turns(answers: list[dict[str, Any]], total: int) -> None:
    session = Acp("m")
    usages = [event for answer in answers for event in session.answer(answer) if event.kind == "usage"]
    assert (usages[-1].models["m"].input if usages else 0) == total


def update(what: str, **more: Any) -> dict[str, Any]:
    return {"sessionId": "s", "update": {"sessionUpdate": what, **more}}


def chunk(kind: str, said: str) -> dict[str, Any]:
    return update(f"agent_{kind}_chunk", content={"type": "text", "text": said})


def test_acp_chunks_and_tools() -> None:
    session = Acp()
    told = [
        chunk("message", "a"),
        chunk("message", "b"),
        chunk("thought", "c"),
        update("tool_call", toolCallId="1", title="Terminal", kind="execute", status="pending", rawInput={"cwd": "/"}),
        update("tool_call_update", toolCallId="1", status="in_progress"),
        update("tool_call_update", toolCallId="1", status="failed", rawOutput={"output": "no"}),
        update("tool_call_update", toolCallId="2", status="completed", _meta={"terminal_exit": {"exit_code": 1}}),
        update("plan"),
        update("session_info_update", title="t"),
        {"update": 7},
        *[chunk("message", "x" * 40000)] * 3,
    ]
    events = [event for each in told for event in session.update(each)]
    assert [(event.kind, event.text[:9], event.name, event.failed) for event in events] == [
        ("message", "ab", "", False),
        ("reasoning", "c", "", False),
        ("call", "", "execute", False),
        ("result", "no", "", True),
        ("call", "", "tool", False),
        ("result", "", "", True),
        ("message", "xxxxxxxxx", "", False),
    ]
    for number_ in range(4200):
        session.update(update("tool_call", toolCallId=str(number_), kind="read"))
    (call,) = session.update(update("tool_call_update", toolCallId="0", status="in_progress", title="r"))
    assert (call.name, call.text) == ("tool", "r")


@pytest.mark.parametrize(
    "told, trouble",
    [
        ({"stopReason": "max_tokens"}, "context"),
        ({"stopReason": "refusal"}, "denied"),
        ({"stopReason": 5}, "error"),
        ({"_meta": {"jetbrains": {"air": {"sessionFailure": {"category": "service", "severity": "error"}}}}}, "server"),
        ({"_meta": {"jetbrains": {"air": {"sessionFailure": {"title": "hm", "severity": "error"}}}}}, "error"),
        (
            {"stopReason": "end_turn", "_meta": {"jetbrains": {"air": {"sessionFailure": {"severity": "warning"}}}}},
            None,
        ),
    ],
)
def test_acp_answers(told: dict[str, Any], trouble: str | None) -> None:
    assert last([*Acp().answer(told)], "end").trouble == trouble


def test_acp_costs() -> None:
    session = Acp(dollars=1.0)
    free = update("usage_update", cost={"amount": 0, "currency": "USD"})
    euros = update("usage_update", cost={"amount": 9, "currency": "EUR"})
    warned = {"status": "allowed_warning", "resetsAt": 5}
    events = [
        *session.update(free),
        *session.update(euros),
        *session.update(update("usage_update", cost={"amount": 1.5})),
    ]
    assert events == [Event("usage", dollars=0.5)]
    (limit,) = session.update(update("usage_update", _meta={"_claude/rateLimit": warned}))
    assert (limit.kind, limit.trouble, limit.reset) == ("limit", None, Reset(epoch=5.0))
    assert last([*session.failed({"code": 429, "message": "You've hit your limit"})], "end").reset is None


# ── what errors say ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "said, trouble",
    [
        ("You've hit your 5-hour limit · resets 1:36am (UTC)", "usage_limit"),
        ("You’ve hit your usage limit. Try again later.", "usage_limit"),
        ("You've reached your weekly limit", "usage_limit"),
        ("You have reached your specified API usage limits. You will regain access on 2026-12-01.", "usage_limit"),
        ("You're out of usage credits", "usage_limit"),
        ("You're out of extra usage · resets 3pm", "usage_limit"),
        ("Your org is out of usage · ask an admin", "usage_limit"),
        ("Your seat type doesn't include usage", "usage_limit"),
        ("Your usage allocation has been disabled by your admin", "usage_limit"),
        ("Your group's usage limit is set to $0", "usage_limit"),
        ("Fable 5 requires usage credits", "usage_limit"),
        ("Claude AI usage limit reached|1795401340", "usage_limit"),
        ("5-hour limit reached ∙ resets 2pm", "usage_limit"),
        ("To use Codex with your ChatGPT plan, upgrade to Plus: https://chatgpt.com/explore/plus.", "usage_limit"),
        ("API Error: Server is temporarily limiting requests (not your usage limit) · Rate limited", "rate_limit"),
        ("limit reached by the server (not your usage limit), weekly limit reached: no", "rate_limit"),
        ("You've used 90% of your weekly limit", None),
        ("You're close to your usage limit", None),
        ("You exceeded your current quota, please check your plan and billing details.", "billing"),
        ("This request would exceed your account's rate limit. Please try again later.", "rate_limit"),
        ("Internal error: terminated", "network"),
        ("Internal error", "server"),
        ("all is well", None),
    ],
)
def test_troubles(said: str, trouble: str | None) -> None:
    assert limits.trouble(said) == trouble
    if trouble is None:
        assert [limits.trouble(said, status) for status in (429, 529, 500, 418)] == [
            "rate_limit",
            "overloaded",
            "server",
            None,
        ]


@pytest.mark.parametrize(
    "said, reset",
    [
        ("You will regain access on 2026-12-01 at 00:30 UTC.", Reset(epoch=1796085000)),
        ("reached|1795401340", Reset(epoch=1795401340)),
        ('{"resets_at": 1795401340}', Reset(epoch=1795401340)),
        ('"next":1795401829171}', Reset(epoch=1795401829)),
        ("limit will reset at 1795401340", Reset(epoch=1795401340)),
        ("try again in 2 days 17 hours 14 minutes.", Reset(after=2 * 86400 + 17 * 3600 + 14 * 60)),
        ("resets in 3 h 12 m", Reset(after=3 * 3600 + 12 * 60)),
        ("Your quota will reset after 8h44m7s.", Reset(after=8 * 3600 + 44 * 60 + 7)),
        ("Please try again in 3s. Visit", Reset(after=3)),
        ("try again in 1.5 hours, 2 minutes and 10 seconds", Reset(after=5400 + 130)),
        ("Please try again in 250ms", Reset(after=0.25)),
        ("available in 1 week", Reset(after=604800)),
        ("retry-after: 7200", Reset(after=7200)),
        ("resets 3pm (Europe/Rome)", Reset(clock=Clock(15, zone="Europe/Rome"))),
        ("resets 12:50am (America/Los_Angeles)", Reset(clock=Clock(0, 50, zone="America/Los_Angeles"))),
        ("resets May 5 at 9pm (America/New_York)", Reset(clock=Clock(21, 0, 5, 5, None, "America/New_York"))),
        ("resets 12pm", Reset(clock=Clock(12))),
        ("try again at Nov 23rd, 2026 1:40 AM.", Reset(clock=Clock(1, 40, 23, 11, 2026))),
        ("Your limit will reset at 7pm (America/Chicago).", Reset(clock=Clock(19, zone="America/Chicago"))),
        ("resets at 14:30 UTC", Reset(clock=Clock(14, 30, zone="UTC"))),
        ("unavailable until 2026-11-23T01:40:05Z", Reset(epoch=1795398005)),
        ("until 2026-11-23T03:40:05.123+02:00", Reset(epoch=1795398005)),
        ("until 2026-11-22 20:10:05 -0530", Reset(epoch=1795398005)),
        ("until 2026-11-23T01:40", Reset(clock=Clock(1, 40, 23, 11, 2026))),
        ("until 2026-02-30T01:40Z", None),
        ("resets 3 May", None),
        ("resets 7", None),
        ("resets 99:99", None),
        ("resets 17pm", Reset(clock=Clock(17))),
        ("try again later", None),
        ("try again in 5 million years", None),
    ],
)
def test_times(said: str, reset: Reset | None) -> None:
    assert limits.reset(said) == reset
    assert limits.waits("usage_limit", said) == reset and limits.waits("auth", said) is None


# ── values, counts, turns ────────────────────────────────────────────────────────────────────────


def test_values_of_the_wrong_type_are_none() -> None:
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    assert (
        brief(nested) == "" and brief(None) == "" and brief("ls") == "ls" and brief({"command": ["a", 1, "b"]}) == "a b"
    )
    assert [number({"n": n}, "n") for n in (True, "1", -1, 10**400, float("inf"), 3)] == [None] * 5 + [3.0]
    assert [count(n) for n in (10**13, 2.9, None)] == [10**12, 2, 0]
    assert words(7) == "" and words(["a", {"text": "b"}, {"content": {"text": "c"}}]) == "b\nc"
    assert len(brief("x" * 9999)) == SHORT
    assert inside.record("x" * (1 << 24) + "y") == {} and inside.record("[" * 200_000) == {}
    assert inside.record('{"a": NaN, "b": "\\ud800"}') == {"a": None, "b": "\ud800"}
    assert inside.text({"a": "\ud800"}, "a") == "?"


def test_spending() -> None:
    spend = Spend()
    assert spend.tell() == ()
    for number_ in range(5000):
        spend.part(str(number_), f"m{number_ % 100}", Tokens(1))
    (event,) = spend.tell()
    assert len(event.models) == 65 and sum(each.input for each in event.models.values()) == 5000 and spend.tell() == ()
    spend = Spend({"m": Tokens(10)}, 5.0)
    spend.part("1", "m", Tokens(3))
    spend.total({"m": Tokens(14)}, 7.0)
    assert spend.tell() == (Event("usage", models={"m": Tokens(4)}, dollars=2.0),)
    spend.total({"m": Tokens(4)}, 1.0)  # it had begun to count anew
    assert spend.tell() == (Event("usage", models={"m": Tokens(4)}, dollars=1.0),)
    spend.total({"m": Tokens(11)}, 7.0)  # it had forgotten some: what was seen counts, the price is not believed
    assert spend.tell() == (Event("usage", models={"m": Tokens(3)}),)
    spend.total({}, 6.0)
    assert spend.tell() == (Event("usage", models={"m": Tokens(3)}, dollars=1.0),)


def test_a_limit_that_is_told_of_twice() -> None:
    turn_, bare = Turn(), Event("limit", trouble="usage_limit")
    timed = Event("limit", trouble="usage_limit", reset=Reset(epoch=5.0))
    assert [turn_.wrong(each) for each in (bare, bare, timed, bare)] == [(bare,), (), (timed,), ()]
    assert turn_.gone(0) == (Event("end", trouble="usage_limit", reset=Reset(epoch=5.0)),)
