"""Whatever a cage prints: no parser raises, and what it yields is sound. Captured streams, broken in every way."""

from __future__ import annotations

import json
import math
import random
import re
import tracemalloc
from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelfactory.model import Tokens, Trouble
from kernelfactory.transcript import Event, Kind, Parser, parser
from kernelfactory.transcript.acp import Acp
from kernelfactory.transcript.loose import SHORT, TEXT

SAMPLES = Path(__file__).with_name("samples")
KINDS = ("claude", "codex", "gemini", "opencode", "mini", "command")
NASTY: list[Any] = [
    None, True, -1, 0, 1, 10**30, -(10**400), 1e308, "", "x", "\ud800", "\x00\x1b[2J", "-" * 9, "9" * 5000, [], {},
    [[]], {"": {}}, [None] * 9, {"type": "text", "text": 3}, [{"type": "tool_result"}, 5], "<synthetic>",
    {"a": "\udfff"}, "You've hit your limit · resets 25:99", "usage limit reached|9999999999999",
    "resets 99 weeks 99 weeks",
]  # fmt: skip


@cache
def captured() -> dict[str, list[str]]:
    """Every line of every kind of agent, those of the ACP agents too."""
    found: dict[str, list[str]] = {}
    for path in sorted(SAMPLES.glob("*.jsonl")) + sorted(SAMPLES.glob("*.stderr")):
        kind = next((kind for kind in ("acp", "claude", "codex", "gemini", "opencode") if kind in path.name), "codex")
        found.setdefault(kind, []).extend(path.read_text(encoding="utf-8").splitlines())
    return found


def sound(event: Event) -> None:
    assert event.kind in get_args(Kind)
    assert event.trouble is None or event.trouble in get_args(Trouble)
    assert len(event.text) <= TEXT and len(event.name) <= 2 * SHORT and len(event.call) <= SHORT
    for text in (event.text, event.name, event.call, *event.models):
        text.encode()
    assert len(event.models) <= 130 and isinstance(event.failed, bool)
    for tokens in event.models.values():
        assert all(isinstance(n, int) and 0 <= n <= 10**17 for n in (tokens.input, tokens.output))
        assert all(isinstance(n, int) and 0 <= n <= 10**17 for n in (tokens.cache_read, tokens.cache_write))
    assert event.dollars is None or (math.isfinite(event.dollars) and event.dollars >= 0)
    if event.reset is not None:
        assert all(n is None or (math.isfinite(n) and n >= 0) for n in (event.reset.epoch, event.reset.after))


def check(agent: Parser, lines: Sequence[str], returncode: int) -> None:
    """All that has to hold of a parser, whatever it is told."""
    events = []
    for number, line in enumerate(lines):
        events += [*agent.line(line), *(agent.error(line) if number % 3 == 0 else ())]
        assert agent.session is None or re.fullmatch(r"[A-Za-z0-9][\w.:@+-]{0,199}", agent.session)
    events += (ending := list(agent.end(returncode)))
    for event in events:
        sound(event)
    assert [event.kind for event in ending] in ([], ["end"], ["message", "end"])
    assert "end" in [event.kind for event in events] and not agent.end(returncode)


def mangle(line: str, dice: random.Random) -> str:
    """A line as a crash, a bad writer or an enemy might leave it."""
    match dice.randrange(6):
        case 0:
            return line[: dice.randrange(len(line) + 1)]
        case 1:
            cut = dice.randrange(len(line) + 1)
            return line[cut:] + line[:cut]
        case 2:
            return line.replace(dice.choice('{}[]",:0') or "{", dice.choice(["", '"', "NaN", "1e999", "[" * 2000]), 2)
        case 3:
            return line
    try:
        value = json.loads(line)
    except ValueError:
        return line[::-1]
    for _ in range(dice.randrange(1, 4)):
        poison(value, dice)
    return json.dumps(value)


def poison(value: Any, dice: random.Random) -> None:
    """Put something nasty anywhere in it."""
    while isinstance(value, dict | list) and value:
        key = dice.choice(list(value)) if isinstance(value, dict) else dice.randrange(len(value))
        inner = value[key]
        if not isinstance(inner, dict | list) or not inner or dice.random() < 0.2:
            value[key] = deepcopy(dice.choice(NASTY))
            return
        value = inner


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(sorted(captured())), st.sampled_from(KINDS), st.integers(0, 2**32), st.integers(-20, 260))
def test_broken_streams(source: str, kind: str, seed: int, returncode: int) -> None:
    dice, lines = random.Random(seed), captured()[source]
    start = dice.randrange(len(lines))
    told = [mangle(line, dice) for line in lines[start : start + dice.randrange(1, 25)]]
    dice.shuffle(told) if dice.random() < 0.3 else None
    before = {"gpt-5.5": Tokens(10**6, 10**6), "claude-sonnet-4-5": Tokens(5, 5, 5, 5)}
    check(
        parser(kind if dice.random() < 0.3 else {"acp": "mini"}.get(source, source), "m", before, 0.5), told, returncode
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(captured())), min_size=2, max_size=4), st.integers(0, 2**32))
def test_interleaved_streams(sources: list[str], seed: int) -> None:
    dice = random.Random(seed)
    told = [dice.choice(captured()[dice.choice(sources)]) for _ in range(40)]
    torn = [piece for line in told for piece in (line[:9], line[9:])] if dice.random() < 0.5 else told
    for kind in KINDS:
        check(parser(kind, "m"), torn, dice.choice([0, 1, -9, 173]))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(NASTY),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(JSON, st.sampled_from(sorted(captured())), st.integers(0, 2**32))
def test_any_value_anywhere(value: Any, source: str, seed: int) -> None:
    dice = random.Random(seed)
    line = dice.choice(captured()[source])
    try:
        told = json.loads(line)
    except ValueError:
        told = {}
    if isinstance(told, dict) and told:
        told[dice.choice(list(told))] = value
    for kind in KINDS:
        check(parser(kind), [json.dumps(told), json.dumps(value), line], 1)


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 2**32), JSON)
def test_acp_that_lies(seed: int, value: Any) -> None:
    dice, session, events = random.Random(seed), Acp("m", 0.5), []
    for _ in range(12):
        message = json.loads(dice.choice(captured()["acp"]))
        poison(message, dice)
        for part in (message, value):
            params, result = (part.get(key) if isinstance(part, dict) else part for key in ("params", "result"))
            events += [*session.update(params), *session.answer(result), *session.failed(value), *session.failed(part)]
    for event in events:
        sound(event)


@pytest.mark.parametrize("kind", KINDS)
def test_deep_and_huge_lines(kind: str) -> None:
    deep = '{"type":"assistant","item":' + '{"a":[' * 50_000 + "1" + "]}" * 50_000 + "}"
    shell = {
        "type": "assistant",
        "message": {"content": [{"type": "tool_use", "input": "x" * 10**6, "name": "n" * 10**6}]},
    }
    text = json.dumps({"type": "text", "part": {"text": "y" * 10**6}})
    digits = '{"type":"result","total_cost_usd":' + "9" * 10_000 + "}"
    check(parser(kind), [deep, json.dumps(shell), text, digits, "[" * 10**6, "z" * 10**6, "\ud800" * 99, "\x00"], 0)


def test_long_error_texts_are_read_in_no_time() -> None:
    """No pattern goes back and forth over what is repeated: such a test would not end."""
    for piece in (
        "resets 1 d ",
        "try again in 1",
        "retry 9 9 9 ",
        "You've hit your ",
        "Nov 1 at ",
        " " * 50,
        "a/" * 50,
        "1h",
    ):
        told = piece * (400_000 // len(piece))
        for kind in ("claude", "codex", "gemini", "opencode", "command"):
            agent = parser(kind)
            agent.error(f"Attempt 1 failed level=ERROR stream error {told}")
            agent.line(json.dumps({"type": "result", "is_error": True, "result": told}))
            agent.line(json.dumps({"type": "turn.failed", "error": {"message": told}}))
            assert not agent.end(1) or agent.end(1) == ()


# ── the checks themselves ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("part", ["{},", "[],", "0,", '"%d":{"input":1},'])
def test_a_line_of_nothing_but_values_takes_no_more_memory_than_its_text(part: str) -> None:
    """A hundred times as much, else: a few agents at once would end a night. What is long and a text is read."""
    size = 2 << 20
    many = "".join(part % n if "%" in part else part for n in range(size // len(part)))
    whole = (
        f'{{"kind": "usage", "models": {{{many}"a":{{}}}}}}' if "%" in part else f'{{"kind": "call", "a": [{many}0]}}'
    )
    tracemalloc.start()
    try:
        assert parser("mini").line(whole) == ()
        assert tracemalloc.get_traced_memory()[1] < size
        value = json.loads(whole)
        assert tracemalloc.get_traced_memory()[1] > 2 * size, "the injected fault: it is read"
    finally:
        tracemalloc.stop()
    del value
    text = json.dumps({"kind": "result", "text": "a, [b], {c}" * (1 << 14) + "x" * (2 << 20)})
    assert len(parser("mini").line(text)) == 1


class Trusting:
    """Believes what it is told: what the checks are there for."""

    def __init__(self, fault: str) -> None:
        self.fault, self.session, self.ended = fault, None, False

    def line(self, text: str) -> Sequence[Event]:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            if self.fault == "raises":
                raise
            return ()
        told = value if isinstance(value, dict) else {}
        if self.fault == "session":
            self.session = told.get("session_id", self.session)
        if self.fault == "text":
            return (Event("message", text=str(told.get("text", ""))),)
        if self.fault == "tokens":
            return (Event("usage", models={"m": Tokens(told.get("tokens", 0))}),)
        return ()

    def error(self, text: str) -> Sequence[Event]:
        return ()

    def end(self, returncode: int) -> Sequence[Event]:
        if self.fault == "end":
            return ()
        ended, self.ended = self.ended, True
        return () if ended and self.fault != "twice" else (Event("end"),)


@pytest.mark.parametrize("fault", ["raises", "session", "text", "tokens", "end", "twice"])
def test_a_trusting_parser_is_found_out(fault: str) -> None:
    lines = ["{", '{"session_id": "--yes"}', '{"text": "\\ud800"}', '{"tokens": -5}']
    check(Trusting("none"), lines, 0)
    with pytest.raises((AssertionError, ValueError)):
        check(Trusting(fault), lines, 0)
