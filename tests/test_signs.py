"""Signs: an agent that hangs, goes in circles or retries for ever is seen; one that works is left alone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kernelfactory
from kernelfactory import signs
from kernelfactory.model import Goal, Trouble
from kernelfactory.signs import (
    ENOUGH,
    FORGIVEN,
    KEPT,
    PATIENCE,
    RETRIED,
    RETRIES,
    WARN,
    Turn,
    Watched,
    after_turn,
    lead,
    looping,
    notice,
    nudge,
    retrying,
    revival,
    seen,
    stalled,
    warning,
    wind_down,
)
from kernelfactory.transcript.form import Event

SILENCE = 600.0
PROMPTS = Path(kernelfactory.__file__).parent / "prompts"
numbers = itertools.count()


def ran(text: str, output: str = "", name: str = "Bash", failed: bool = False) -> tuple[Event, Event]:
    """A tool call and its result."""
    call = f"c{next(numbers)}"
    return Event("call", text, name, call), Event("result", output, call=call, failed=failed)


NEW = Watched(0.0)


def after(events: Iterable[Event], step: float = 1.0, watched: Watched = NEW) -> Watched:
    """One event every `step` seconds."""
    for event in events:
        watched = seen(watched, event, watched.at + step)
    return watched


def flat(pairs: Iterable[tuple[Event, Event]]) -> list[Event]:
    return [event for pair in pairs for event in pair]


# ── silence ──────────────────────────────────────────────────────────────────────────────────────

CALL, RESULT = Event("call", "make", "Bash", "1"), Event("result", "ok", call="1")


@pytest.mark.parametrize(
    ("events", "late", "bound"),
    [
        ([], False, SILENCE),
        ([Event("message", "hello")], False, SILENCE),
        ([CALL], False, PATIENCE * SILENCE),
        ([CALL, RESULT], False, SILENCE),
        ([CALL, Event("call", "make", "Bash", "2"), RESULT], False, PATIENCE * SILENCE),
        ([CALL, Event("end")], False, SILENCE),
        ([CALL, Event("result", "ok", call="another")], False, PATIENCE * SILENCE),
        ([CALL, CALL, RESULT], False, SILENCE),  # the same call, told twice
        ([Event("call", "make", "Bash"), Event("result", "ok")], False, SILENCE),  # calls without numbers
        ([Event("call", "a", "Bash"), Event("call", "b", "Bash"), Event("result")], False, PATIENCE * SILENCE),
        ([Event("limit", "90 % used")], False, SILENCE),
        ([CALL, RESULT], True, PATIENCE * SILENCE),
        ([], True, PATIENCE * SILENCE),
    ],
)
def test_silence_is_borne_for_longer_while_a_tool_runs(events: list[Event], late: bool, bound: float) -> None:
    watched = after(events, watched=Watched(5.0, late=late))
    assert watched.at == 5.0 + len(events)
    assert stalled(watched, watched.at + bound - 0.1, SILENCE) is None
    assert stalled(watched, watched.at + bound, SILENCE) is not None


def test_a_stall_says_what_hangs() -> None:
    assert stalled(Watched(0.0), 600.0, SILENCE) == "no sign of life for 10 min"
    said = stalled(after([Event("call", "make \x1b[31m 'x'\nall", "Bash", "1")]), 2401.0, SILENCE)
    assert said == "no sign of life for 40 min while this runs: Bash make \\x1b[31m 'x' all"
    assert stalled(Watched(100.0), 0.0, 0.1) is None, "a clock that goes back"


def test_while_it_waits_for_the_judge_nothing_is_held_against_it() -> None:
    again = after(flat(repeated(ENOUGH, ("kf measure", "still running"))))
    asked = replace(again, running=after(ran("kf measure")[:1]).running)
    assert looping(asked) is not None and stalled(asked, 1e6, 1.0) is not None
    waits = signs.judged(asked, 1e6)
    assert looping(waits, 1) is None and stalled(waits, 1e6, 1.0) is None
    assert waits.running == asked.running, "the call that waits is not over"


@pytest.mark.parametrize("event", [Event("reasoning"), Event("usage"), Event("error", trouble="overloaded"), RESULT])
def test_every_event_is_a_sign_of_life(event: Event) -> None:
    assert seen(Watched(0.0), event, 599.0).at == 599.0
    assert stalled(seen(Watched(0.0), event, 599.0), 1198.0, SILENCE) is None


# ── circles ──────────────────────────────────────────────────────────────────────────────────────


def test_the_same_with_the_same_result_is_a_circle() -> None:
    pairs = [ran("python test.py", "FAILED (1 of 3)", failed=True) for _ in range(ENOUGH)]
    for n in range(1, ENOUGH + 1):
        watched = after(flat(pairs[:n]))
        assert (looping(watched, WARN) is not None) == (n >= WARN) and (looping(watched) is not None) == (n >= ENOUGH)
    assert looping(after(flat(pairs))) == (
        "10 times the same with the same result, and nothing new in between: Bash python test.py"
    )


def circles(*pairs: tuple[Event, Event]) -> bool:
    return looping(after(flat(pairs))) is not None


def repeated(times: int, *what: tuple[str, str]) -> list[tuple[Event, Event]]:
    return [ran(text, output) for _ in range(times) for text, output in what]


@pytest.mark.parametrize(
    "pairs",
    [
        repeated(10, ("ls", "a"), ("cat a", "text")),
        repeated(10, ("ls", "a"), ("cat a", "text"), ("pytest", "failed")),
        [ran(f"make  {' ' * n}test\n", f"ok in {n}.{n:02} s") for n in range(10)],
        [ran("ls -l", f"11-23 10:{n:02} kernel.py, 10:00:{n:02}.123") for n in range(10)],
        [ran("run", f"object at 0x{n:012x}\n killed pid {n}") for n in range(10)],
        [ran("x = 1", "no match", "Edit", failed=True) for _ in range(10)],
        [ran("{}", "text", "Read") for _ in range(10)],
        [ran("kf measure", "accepted: 500 cycles") for _ in range(10)],
        [ran("k", "r", "TodoWrite") for _ in range(10)],
    ],
    ids=[
        "two in turn",
        "three in turn",
        "spaces",
        "clocks",
        "addresses",
        "edits that fail",
        "reading",
        "measuring",
        "todo",
    ],
)
def test_circles(pairs: list[tuple[Event, Event]]) -> None:
    assert circles(*pairs) and not circles(*pairs[: len(pairs) * 9 // 10])


@pytest.mark.parametrize(
    "pairs",
    [
        [ran("kf measure", f"accepted: {900 - n} cycles") for n in range(40)],
        [ran("{}", f'{{"score": {900 - n}}}', "mcp__kernelfactory__measure") for n in range(40)],
        [ran("python bench.py", f"{n}.31 ms") for n in range(40)],
        repeated(40, ("sleep 60; cat log", "epoch 1")),
        repeated(40, ("(sleep 5)", ""), ("bash -lc 'wait'", "")),
        [ran("b1", "still running", "BashOutput") for _ in range(40)],
        [ran("7", "", "write_stdin") for _ in range(40)],
        [pair for n in range(40) for pair in (ran("pytest", "failed"), ran("x", "done", "Edit"))],
        [pair for n in range(40) for pair in (ran("pytest", "failed"), ran(f"sed -i s/a/{n}/ kernel.py"))],
        [pair for n in range(40) for pair in (ran("kf measure", "500"), ran("k", "ok", "apply_patch"))],
        [pair for n in range(40) for pair in (ran("kf measure", "500"), ran("a; wait", "ok", "Write"))],
        [ran(f"cat file{n}", "") for n in range(40)],
        [ran("git diff", f"{n}") for n in range(40)],
        repeated(ENOUGH - 1, ("pytest", "failed")),
    ],
    ids=[
        "scores", "scores of a tool", "noise", "sleep", "wait", "background", "stdin", "edits", "shell edits",
        "edits, measured", "edits that wait", "many files", "results differ", "nine",
    ],
)  # fmt: skip
def test_no_circles(pairs: list[tuple[Event, Event]]) -> None:
    assert not circles(*pairs)


def test_the_rule_without_results_would_end_honest_work() -> None:
    """The fault: only what is called is looked at, not what came of it."""
    honest = flat(ran("kf measure", f"accepted: {900 - n} cycles") for n in range(40))
    assert looping(after(replace(event, text="") if event.kind == "result" else event for event in honest)) is not None


def test_what_is_remembered_is_bounded() -> None:
    hostile = after(Event("call", "x" * 10_000, "y" * 10_000, f"{n}") for n in range(500))
    assert len(hostile.running) == KEPT and all(len(one.shown) <= signs.SHOWN for one in hostile.running)
    assert len(after(flat(ran(f"{n}") for n in range(500))).known) == KEPT
    lone = after(flat(ran("\ud800") for _ in range(2)))
    assert lone.again == 2 and lone.shown == "Bash \\ud800"


# ── retries ──────────────────────────────────────────────────────────────────────────────────────


def retry(trouble: Trouble = "overloaded") -> Event:
    return Event("error", "again in 30 s", trouble=trouble)


@pytest.mark.parametrize("trouble", RETRIED)
def test_retries_that_do_not_end_are_enough_after_a_while(trouble: Trouble) -> None:
    watched = after([retry(trouble)] * 10, 30.0)  # from 30 to 300 s
    assert retrying(watched, 30.0 + RETRIES) is None
    assert retrying(watched, 31.0 + RETRIES) == f"it has retried its service for 5 min ({trouble})"
    assert retrying(seen(watched, Event("message", "here I am"), 310.0), 9999.0) is None, "it goes on"


def test_retries_add_up_until_the_service_has_answered_for_long() -> None:
    watched, now = Watched(0.0), 0.0
    for _ in range(3):  # a minute and a half of retrying, a minute of work
        watched = seen(watched, retry(), now)
        watched = seen(watched, Event("usage"), now + 90.0)
        now += 150.0
    watched = seen(watched, retry("server"), now)
    assert watched.retried == 270.0
    assert retrying(watched, now + 31.0) == "it has retried its service for 5 min (server)"
    rested = seen(seen(watched, CALL, now + 10.0), retry(), now + 10.0 + FORGIVEN)
    assert rested.retried == 0.0 and retrying(rested, now + 10.0 + FORGIVEN + RETRIES) is None


@pytest.mark.parametrize("trouble", [None, "error", "auth", "config"])
def test_what_is_no_trouble_of_the_service_is_no_retry(trouble: Trouble | None) -> None:
    assert retrying(after([Event("error", "hm", trouble=trouble)] * 20, 60.0), 1e6) is None
    assert retrying(after([retry(), Event("result", call="1")]), 1e3) is not None, (
        "a tool's result is not the service's"
    )


# ── the end of the time ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("minutes", "told_before"),
    [(480, 10), (60, 10), (30, 6), (20, 4), (15, 3), (12, 3), (9, 3), (6, 2), (3, 1), (0.5, 1 / 6)],
)
def test_when_the_end_is_announced(minutes: float, told_before: float) -> None:
    seconds = 60.0 * minutes
    assert lead(seconds) == pytest.approx(60.0 * told_before)
    assert wind_down(seconds - lead(seconds) - 0.1, seconds, False) is None
    assert wind_down(seconds - lead(seconds) + 0.1, seconds, False) is not None
    assert wind_down(seconds - lead(seconds) + 0.1, seconds, True) is None, "once"
    assert wind_down(seconds, seconds, False) is None, "too late"


@given(st.floats(0.1, 1e6))
def test_an_announcement_leaves_time_for_work_and_for_the_end(seconds: float) -> None:
    assert 0 < lead(seconds) <= seconds / 2 and lead(seconds) <= 600.0


# ── sent on ──────────────────────────────────────────────────────────────────────────────────────


def turn(**more: Any) -> Turn:
    """29 of 480 minutes."""
    return Turn(**{
        "elapsed": 1740.0, "seconds": 28_800.0, "nudged": 0, "nudges": 2, "measured": 3, "best": 500.0,
        "parent_score": 600.0, "goal": "min",
    } | more)  # fmt: skip


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, "it stopped after 29 min of 480 min, improved: sent on, 1 of 2"),
        ({"elapsed": 2880.0}, "it stopped after 48 min of 480 min, improved: sent on, 1 of 2"),
        ({"best": 600.0, "nudged": 1}, "it stopped after 29 min of 480 min, not improved: sent on, 2 of 2"),
        ({"best": None}, "it stopped after 29 min of 480 min, not improved: sent on, 1 of 2"),
        ({"measured": 0, "best": None}, "it stopped after 29 min of 480 min, nothing measured: sent on, 1 of 2"),
        ({"elapsed": 5.0}, "it stopped after 5 s of 480 min, improved: sent on, 1 of 2"),
        ({"elapsed": 28_199.0}, "it stopped after 470 min of 480 min, improved: sent on, 1 of 2"),
        ({"elapsed": 28_201.0}, None),
        ({"elapsed": 28_900.0}, None),
        ({"nudged": 2}, None),
        ({"nudges": 0}, None),
        ({"ended_well": False}, None),
        ({"used": 0.79}, "it stopped after 29 min of 480 min, improved: sent on, 1 of 2"),
        ({"used": 0.8}, None),
    ],
)
def test_who_is_sent_on(how: dict[str, Any], said: str | None) -> None:
    assert after_turn(turn(**how)) == said


def test_nudges_end() -> None:
    """One that stops again at once is sent on no more than so many times; the fault: nobody counts."""

    def sent(counts: bool) -> int:
        now = turn()
        for n in range(100):
            if after_turn(now) is None:
                return n
            now = replace(now, nudged=now.nudged + counts, elapsed=now.elapsed + 1.0)
        return 100

    assert sent(True) == 2 and sent(False) == 100


@pytest.mark.parametrize(
    ("goal", "best", "improved"),
    [("min", 599.0, True), ("min", 601.0, False), ("max", 601.0, True), ("max", 599.0, False), ("max", None, False)],
)
def test_what_is_a_gain(goal: Goal, best: float | None, improved: bool) -> None:
    assert turn(goal=goal, best=best).improved is improved


# ── what is told ─────────────────────────────────────────────────────────────────────────────────


def shipped(name: str) -> str:
    return (PROMPTS / f"{name}.md").read_text(encoding="utf-8")


def test_the_shipped_texts_say_what_they_must() -> None:
    assert notice(shipped("wind-down"), 1440.0, 1800.0).startswith("6 min are left for this attempt.")
    assert "`progress.md`" in notice(shipped("wind-down"), 0.0, 60.0)
    said = warning(shipped("loop"), after(flat(repeated(6, ("ls  -l\x1b[1m", "a")))))
    assert (
        "6 times" in said
        and "result; at 10 times this attempt is ended. Stop" in said
        and "\n    Bash ls -l\\x1b[1m\n" in said
    )
    over = warning(shipped("loop"), after(flat(repeated(10, ("ls", "a")))))
    assert "result. Your last turn was ended for it; the next time the attempt is. Stop" in over
    assert "for 12 min" in revival(shipped("stall"), 700.0)


@pytest.mark.parametrize(
    ("how", "has", "has_not"),
    [
        ({}, "Your best measurement is 500; you started at 600.", "not measured anything"),
        ({"best": 600.0}, "better than where you started, 600.", "best measurement"),
        ({"measured": 0, "best": None}, "You have not measured anything: `kf measure`", "None"),
        ({"best": 12_345.678}, "None of your", "best measurement"),
    ],
)
def test_a_nudge_says_how_it_stands(how: dict[str, Any], has: str, has_not: str) -> None:
    text = nudge(shipped("nudge"), turn(**how))
    assert has in text and has_not not in text and "{" not in text and "\n\n\n" not in text
    assert text.startswith("You stopped after 29 min, and 451 min are left") and text.endswith("up to date.\n")


def test_a_faulty_template_is_a_fault() -> None:
    with pytest.raises(jinja2.UndefinedError):
        notice("{{ lft }}", 0.0, 60.0)


def test_a_time_in_words() -> None:
    assert [signs._minutes(x) for x in (-1.0, 0.4, 89.0, 90.0, 3600.0, 1e6)] == [
        "0 s", "0 s", "89 s", "2 min", "60 min", "16,667 min"
    ]  # fmt: skip


# ── hostile streams ──────────────────────────────────────────────────────────────────────────────

KINDS = ("message", "reasoning", "call", "result", "usage", "limit", "error", "end")
events = st.builds(
    Event,
    kind=st.sampled_from(KINDS),
    text=st.sampled_from(["", "ls", "sleep 1", "\x00\u202e", "in 0.1 s"]),
    name=st.sampled_from(["", "Bash", "Edit", "Wait"]),
    call=st.sampled_from(["", "1", "2"]),
    failed=st.booleans(),
    trouble=st.sampled_from([None, "server", "auth"]),
)


@given(st.lists(st.tuples(events, st.floats(0, 400)), max_size=60))
def test_no_stream_whatever_breaks_the_rules(stream: list[tuple[Event, float]]) -> None:
    watched = Watched(0.0)
    now = 0.0
    for event, step in stream:
        now += step
        watched = seen(watched, event, now)
        assert watched.at == now and 0.0 <= watched.retried <= now
        assert len(watched.running) <= KEPT and len(watched.known) <= KEPT
        assert looping(watched, 1) is None or watched.shown.isascii()
        assert retrying(watched, now) is None or now >= RETRIES
        assert stalled(watched, now, SILENCE) is None
    assert re.fullmatch(r"[ -~]*", watched.shown)
