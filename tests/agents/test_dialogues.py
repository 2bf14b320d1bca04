"""How Claude Code and Codex are talked to, line by line: what a real run reaches only by chance."""

from __future__ import annotations

import json
from typing import Any

from kernelfactory.agents.claude import Dialogue as Claude
from kernelfactory.agents.codex import Dialogue as Codex
from kernelfactory.agents.session import UNREAD
from kernelfactory.model import Tokens

THREAD = {"cwd": "/w", "model": "gpt-5.5", "threadId": None}


def said(dialogue: Claude | Codex) -> list[dict[str, Any]]:
    return [json.loads(line) for line in dialogue.words().splitlines()]


def heard(dialogue: Claude | Codex, **message: Any) -> Any:
    return dialogue.line(json.dumps(message, separators=(",", ":")))


def begun(resumes: str | None = None) -> Codex:
    """One whose thread is there, and whose first turn is being asked for."""
    codex = Codex(("codex",), {}, "the brief", {**THREAD, "threadId": resumes})
    [first] = said(codex)
    assert first["method"] == "initialize"
    heard(codex, id=first["id"], result={})
    ready, second = said(codex)
    assert ready == {"method": "initialized"}
    assert second["method"] == ("thread/resume" if resumes else "thread/start")
    assert second["params"].get("threadId") == resumes
    heard(codex, id=second["id"], result={"thread": {"id": "t1"}, "model": "gpt-5.5"})
    return codex


def turn(codex: Codex, method: str, name: str, thread: str = "t1") -> Any:
    return heard(codex, method=method, params={"threadId": thread, "turn": {"id": name, "status": "completed"}})


def test_codex_begins_a_turn_and_steers_the_one_that_runs() -> None:
    codex = begun()
    [start] = said(codex)
    assert (start["method"], start["params"]["input"][0]["text"]) == ("turn/start", "the brief")
    codex.say("a second word")
    assert said(codex) == [], "its first turn is only being begun"
    codex.interrupt()
    assert said(codex) == []
    turn(codex, "turn/started", "u1")
    [steer] = said(codex)
    assert (steer["method"], steer["params"]["expectedTurnId"]) == ("turn/steer", "u1")
    codex.interrupt()
    assert said(codex)[0]["params"] == {"threadId": "t1", "turnId": "u1"}
    turn(codex, "turn/completed", "of an agent that it began itself", "t2")
    codex.say("a third")
    assert said(codex)[0]["method"] == "turn/steer"
    turn(codex, "turn/completed", "u1")
    codex.say("a fourth")
    assert said(codex)[0]["method"] == "turn/start"


def test_a_word_that_came_too_late_for_its_turn_begins_the_next() -> None:
    codex = begun()
    said(codex)
    turn(codex, "turn/started", "u1")
    codex.say("too late")
    [steer] = said(codex)
    heard(codex, id=3, result={})
    assert heard(codex, id=steer["id"], error={"code": -1, "message": "no such turn"}) == ()
    [start] = said(codex)
    assert (start["method"], start["params"]["input"][0]["text"]) == ("turn/start", "too late")


def test_codex_that_cannot_begin_says_why_once() -> None:
    codex = Codex(("codex",), {}, "the brief", {**THREAD, "threadId": "gone"})
    heard(codex, id=1, result={})
    [event] = heard(codex, id=2, error={"code": -1, "message": "no rollout found"})
    assert (event.kind, event.trouble, event.text) == ("end", "config", "no rollout found")
    assert codex.end(0) == ()


def test_codex_may_do_what_it_asks_for_and_has_nobody_to_ask() -> None:
    codex = begun()
    said(codex)
    heard(codex, id="a", method="item/commandExecution/requestApproval", params={})
    heard(codex, id="b", method="account/chatgptAuthTokens/refresh", params={})
    allowed, refused = said(codex)
    assert allowed == {"id": "a", "result": {"decision": "acceptForSession"}}
    assert refused["id"] == "b" and refused["error"]["code"] == -32601


def test_what_a_resumed_thread_had_used_is_not_counted_again() -> None:
    codex = begun("t1")
    used = {"inputTokens": 100, "cachedInputTokens": 40, "cacheWriteInputTokens": 0, "outputTokens": 10}
    more = {"inputTokens": 150, "cachedInputTokens": 40, "cacheWriteInputTokens": 0, "outputTokens": 15}

    def told(total: dict[str, int]) -> Any:
        return heard(
            codex, method="thread/tokenUsage/updated", params={"threadId": "t1", "tokenUsage": {"total": total}}
        )

    assert [event.models for event in told(used)] in ([], [{}])
    turn(codex, "turn/started", "u2")
    [event] = told(more)
    assert event.models == {"gpt-5.5": Tokens(input=50, output=5)}
    assert codex.session == "t1"


def test_hostile_lines_make_no_difference() -> None:
    for codex in (begun(), begun("t1")):
        said(codex)
        for line in (
            "",
            "null",
            "[]",
            "{",
            '{"id": {}}',
            '{"id": 1e9, "result": 5}',
            '{"method": 5, "id": []}',
            "[" * 9999,
        ):
            codex.line(line)
        heard(codex, id=99, error=5)
        heard(codex, method="turn/started", params=[])
        heard(codex, method="turn/started", params={"threadId": "t1", "turn": 5})
        assert said(codex) == []
    claude = Claude(("claude",), {}, "the brief", "a-session")
    for line in ("", "null", '{"type":"user"', '{"type":"user","message":5}', "[" * 9999):
        claude.line(line)
    heard(claude, type="control_response", response=5)
    assert [message["type"] for message in said(claude)] == ["control_request", "user"], "its prompt comes all the same"


def answer(dollars: object, tokens: object) -> dict[str, Any]:
    used = {"claude-opus-4-8": {"inputTokens": tokens, "outputTokens": 1}}
    return {"response": {"session": {"total_cost_usd": dollars, "model_usage": used}}}


def test_claude_is_asked_what_it_spent_after_each_tool_one_question_at_a_time() -> None:
    claude = Claude(("claude",), {}, "the brief")
    assert [message["type"] for message in said(claude)] == ["user"]
    heard(claude, type="user", message={})
    heard(claude, type="user", message={})
    [asked] = said(claude)
    assert asked["request"] == {"subtype": "get_usage"}
    [event] = heard(claude, type="control_response", response=answer(1.5, 100))
    assert (event.dollars, event.models["claude-opus-4-8"]) == (1.5, Tokens(input=100, output=1))
    heard(claude, type="user", message={})
    assert len(said(claude)) == 1


def test_claude_that_resumes_is_asked_first_and_told_then() -> None:
    claude = Claude(("claude",), {}, "go on", "a-session")
    [asked] = said(claude)
    assert asked["request"] == {"subtype": "get_usage"}
    assert heard(claude, type="control_response", response=answer(1.5, 100)) == ()
    [told] = said(claude)
    assert told["message"]["content"][0]["text"] == "go on"
    heard(claude, type="user", message={})
    [event] = heard(claude, type="control_response", response=answer(2.0, 130))
    assert (event.dollars, event.models["claude-opus-4-8"].input) == (0.5, 30)
    claude.interrupt()
    assert said(claude)[-1]["request"] == {"subtype": "interrupt"}
    assert heard(claude, type="control_response", response={"response": {"still_queued": []}}) == ()


def test_a_claude_that_does_not_know_the_question_is_told_its_prompt() -> None:
    claude = Claude(("claude",), {}, "go on", "a-session")
    said(claude)
    heard(claude, type="control_response", response={"subtype": "error", "error": "unknown subtype"})
    assert [message["type"] for message in said(claude)] == ["user"]


def test_who_asks_and_does_not_read_fills_no_memory() -> None:
    codex, name = begun(), "n" * 10_000
    for _ in range(2 * UNREAD // len(name)):
        heard(codex, id=name, method="item/commandExecution/requestApproval", params={"threadId": "t1"})
    assert UNREAD <= len(codex.words()) < UNREAD + 2 * len(name)
    heard(codex, id=1000, method="item/commandExecution/requestApproval", params={"threadId": "t1"})
    assert said(codex), "it reads again, so it is answered"
    claude = Claude(("claude",), {}, "x" * UNREAD)
    heard(claude, type="user", message={"content": []})
    assert len(claude.words().splitlines()) == 1
