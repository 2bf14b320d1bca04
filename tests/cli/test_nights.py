"""What a person sees of a night with agents: who waits until when, kept sessions, incidents, bills, transcripts."""

from __future__ import annotations

import hashlib
import json
import re
import time
import tracemalloc
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from kernelfactory.agents.prices import LIST
from kernelfactory.cli import nights, telling
from kernelfactory.model import Choice, Tokens, Usage, Work
from kernelfactory.record import ClaimRow, Crew, Kept, Reader, Record, Start
from kernelfactory.transcript import Event

STREAM = [
    {"type": "system", "subtype": "init", "session_id": "7c7e6aa8-3ae4-4c03-81bf-e40d9f2471d8", "model": "opus"},
    {"type": "assistant", "message": {"id": "m1", "role": "assistant", "model": "opus", "content": [
        {"type": "text", "text": "I look first.\x1b[2J\u202e\n= end: not really"},
        {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "kf measure --quick"}}],
        "usage": {"input_tokens": 1000, "output_tokens": 50, "cache_read_input_tokens": 5000,
                  "cache_creation_input_tokens": 200}}},
    {"type": "user", "message": {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "t1", "content": "\n".join(f"line {i}" for i in range(90)),
         "is_error": True}]}},
    {"type": "result", "subtype": "success", "is_error": False, "result": "Done.", "total_cost_usd": 0.5,
     "session_id": "7c7e6aa8-3ae4-4c03-81bf-e40d9f2471d8"},
]  # fmt: skip


def claimed(record: Record, run: int, **more: Any) -> int:
    number = record.next_attempt()
    at = time.time()
    row = ClaimRow(number, Choice(0, 1, "because"), f"t{number}", at, at + 99, "claude", "slot 1", "bubblewrap", "opus")
    record.claim(replace(row, run=run, parent_score=100.0, **more))
    return number


@pytest.fixture
def night(experiment: Path) -> Path:
    """The experiment, resumed with three agents: one waits for its window, one for a person; a session is kept."""
    crew = (
        Crew("claude", "opus", 2, True, True),
        Crew("claude", "sonnet", 1, True, True),
        Crew("codex", None, 1, True, True),
        Crew("mutator", None, 2),
    )
    now = time.time()
    with Record.open(experiment) as record:
        run = record.start_run(Start(60.0, "bubblewrap", "judged", "c", "sha256:9f2b11aa", crew=crew), now)
        record.pause(run, [("claude", "opus"), ("claude", "sonnet")], now + 7380.0, "at its usage limit\x1b[31m")
        record.pause(run, [("codex", None)], None, "not logged in")
        first = claimed(record, run)
        record.lent(first, workspace="/lent/4")
        record.session(first, "7c7e6aa8")
        models = {"opus": Tokens(1000, 50, 5000, 200), "ha\x1b[2Jiku": Tokens(7, 1)}
        record.bill(first, Usage(60.0, 6258, 0.5, models), now)
        record.incident("limit", "out of extra usage \u202e resets 3am", now, run=run, attempt=first)
        record.incident("parked", "until its window opens", now, run=run, agent="claude")
        record.abandon(first, Work(None, "", Usage(61.0, 6258, 0.5, models), "limit"), now)
        record.keep(first, now + 86400.0)
        claimed(record, run, continues=first, agent="a-name-that-is-longer-than-forty-characters-all-told")
    folder = experiment / "attempts" / f"{first:06}"
    folder.mkdir()
    (folder / "transcript.jsonl").write_text("".join(json.dumps(line) + "\n" for line in STREAM) + "{cut sh")
    return experiment


UTC = {"TZ": "UTC"}


def test_status_says_who_waits_until_when_and_why(kf: Any, night: Path) -> None:
    done = kf("status", "made", env=UTC)
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()
    head = next(i for i, row in enumerate(rows) if row.startswith("agent "))
    assert rows[head].split() == ["agent", "model", "slots", "busy", "paused", "until", "why"]
    when = r"\w{3} \d\d \w{3} \d\d:\d\d \(in 2 h [23] min\)"
    for row, model in zip(rows[head + 1 : head + 3], ("opus", "sonnet"), strict=True):
        assert re.fullmatch(rf"claude +{model} +\d +0  {when} +at its usage limit\[31m", row), row
    assert re.fullmatch(r"codex +1 +0  a person sees to it +not logged in", rows[head + 3])
    assert re.fullmatch(r"mutator +2 +0", rows[head + 4])
    assert "  incidents     1 limit, 1 parked" in rows
    first = rows[rows.index(next(row for row in rows if row.startswith("when "))) + 1]
    assert re.search(r" 4 +claude +limit +out of extra usage resets 3am$", first), first
    assert rows[-1].endswith("parked    until its window opens")
    assert "\x1b" not in done.stdout and "\u202e" not in done.stdout


def test_status_as_json_says_the_same(kf: Any, night: Path) -> None:
    now = json.loads(kf("status", "made", "--json").stdout)
    shown = {(item["agent"], item["model"]): item for item in now["agents"]}
    assert shown["claude", "sonnet"]["paused_until"].startswith("20")
    assert shown["claude", "sonnet"]["paused_why"].startswith("at its usage limit")
    assert (shown["codex", None]["paused_until"], shown["codex", None]["paused_why"]) == (None, "not logged in")
    assert (now["incidents"], now["kept"]) == ({"limit": 1, "parked": 1}, [])


def test_kept_sessions_are_listed_until_they_are_gone_on_with(kf: Any, night: Path) -> None:
    assert "home kept until" not in kf("status", "made").stdout, "gone on with"
    with Record.open(night) as record:
        run = record.runs()[-1].run
        again = claimed(record, run)
        record.lent(again, workspace="/lent/6")
        record.session(again, "another")
        record.abandon(again, Work(None, "", Usage(1.0), "interrupted"), time.time())
        record.keep(again, time.time() + 3630.0)
    out = kf("status", "made", env=UTC).stdout
    assert re.search(r"\nkept  agent +model +score  home kept until +session\n", out)
    assert re.search(rf"\n +{again}  claude +opus +-  .* \(in (1 h|59 min.*)\) +another\n", out), out
    assert [k["attempt"] for k in json.loads(kf("status", "made", "--json").stdout)["kept"]] == [again]


def test_nobody_waits_any_more_when_the_time_is_over(night: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Reader.open(night) as reader:
        agents, parked = reader.agents(), {("claude", "opus"): (5000.0, "x")}
    nights.crew(agents, parked, 4999.0)
    assert "why" in capsys.readouterr().out
    nights.crew(agents, parked, 5000.0)
    assert "why" not in capsys.readouterr().out
    nights.kept([Kept(1, "a", None, "s", "/w", 10.0, None)], 20.0)
    assert "(now)" in capsys.readouterr().out


def test_show_tells_the_bill_the_session_and_what_was_done(kf: Any, night: Path) -> None:
    out = kf("show", "made", "4", env=UTC).stdout
    assert "  session   7c7e6aa8\n" in out
    assert "ended: limit" in out and "$0.50" in out
    bill = out[out.index("\nmodel ") :].split("\n")[1:4]
    assert [line.split() for line in bill] == [
        ["model", "input", "output", "cache", "read", "cache", "written", "list", "price,", LIST.date],
        ["ha[2Jiku", "7", "1", "0", "0", "price", "unknown"],
        ["opus", "1,000", "50", "5,000", "200", "price", "unknown"],
    ]
    assert re.search(r" 4  claude  limit +out of extra usage resets 3am\n", out)
    assert "parked" not in out, "that was not in this attempt"
    assert "  continues attempt 4, in a new session\n" in kf("show", "made", "5").stdout
    with Record.open(night) as record:
        record.session(5, "7c7e6aa8")
    assert "  continues attempt 4, whose session it went on with\n" in kf("show", "made", "5").stdout
    shown = json.loads(kf("show", "made", "4", "--json").stdout)
    tokens = {"input": 1000, "output": 50, "cache_read": 5000, "cache_write": 200}
    assert shown["bill"]["opus"] == {**tokens, "list_dollars": None}, "a price that nobody knows is no price of 0"
    assert [(i["kind"], i["agent"]) for i in shown["incidents"]] == [("limit", "claude")]
    assert (shown["session"], shown["continues"], shown["transcript_digest"]) == ("7c7e6aa8", None, None)
    assert json.loads(kf("show", "made", "5", "--json").stdout)["continues"] == 4


def test_a_transcript_is_shown_in_its_normal_form_and_harmless(kf: Any, night: Path) -> None:
    done = kf("show", "made", "4", "--transcript")
    assert done.returncode == 0, done.stderr
    told = done.stdout.partition("── transcript")[2].splitlines()[1:]
    assert told[:4] == ["  I look first.[2J", "  = end: not really", "", "> Bash: kf measure --quick"]
    assert "| failed: line 0" in told and "| line 39" in told and "| line 40" not in told
    assert "| … 50 more lines" in told
    assert told[-1] == "= end: Done."
    assert "\x1b" not in done.stdout and "\u202e" not in done.stdout
    found = json.loads(kf("show", "made", "4", "--transcript", "--json").stdout)["transcript"]
    kinds = [event["kind"] for event in found]
    assert [kind for kind in kinds if kind != "usage"] == ["message", "call", "result", "end"]
    result = found[kinds.index("result")]
    assert result["failed"] is True and result["text"].count("\n") == 89
    assert found[kinds.index("usage")]["models"]["opus"]["cache_read"] == 5000


def test_a_transcript_that_was_changed_says_so(kf: Any, night: Path) -> None:
    path = night / "attempts" / "000004" / "transcript.jsonl"
    with Record.open(night) as record:
        record.transcript(4, f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}")
    assert "not the one that was recorded" not in kf("show", "made", "4", "--transcript").stdout
    path.write_bytes(path.read_bytes() + b"\n")
    assert "(this file is not the one that was recorded)" in kf("show", "made", "4", "--transcript").stdout
    path.unlink()
    with Reader.open(night) as reader:
        assert telling.changed(reader, 4) and not telling.changed(reader, 5)


def test_without_a_stream_a_transcript_is_what_was_printed(kf: Any, night: Path) -> None:
    assert kf("show", "made", "1", "--transcript").stdout.rstrip().endswith("(empty)")
    (night / "attempts" / "000001" / "agent.log").write_bytes(b"hello\x1b[2J\n\nthere \xff\n")
    assert kf("show", "made", "1", "--transcript").stdout.endswith("hello[2J\n\nthere \ufffd\n")
    found = json.loads(kf("show", "made", "1", "--transcript", "--json").stdout)["transcript"]
    assert [event["text"] for event in found] == ["hello\x1b[2J", "there \ufffd"]


def test_a_transcript_is_shown_as_it_is_read(night: Path) -> None:
    """An agent that prints a line a microsecond fills no terminal's memory."""
    path = night / "attempts" / "000001" / "transcript.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x\n" * (telling.EVENTS + 1000))
    with Reader.open(night) as reader:
        shown = telling.told(reader, 1)
        first = list(islice(shown, 100))
        tracemalloc.start()
        rest = sum(1 for _ in shown)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(first) + rest > telling.EVENTS and peak < 1 << 20
        assert len(telling.data(reader, 1)) == telling.EVENTS


def test_what_a_session_had_spent_before_is_not_told_again(night: Path) -> None:
    """Attempt 5 goes on with attempt 4: in its session, whose totals go on, or in a new one, that begins at nothing."""
    (night / "agents.toml").write_text('[a-name-that-is-longer-than-forty-characters-all-told]\nagent = "claude"\n')
    path = night / "attempts" / "000005" / "transcript.jsonl"
    path.parent.mkdir()
    large = {"inputTokens": 1300, "outputTokens": 50, "cacheReadInputTokens": 5000, "cacheCreationInputTokens": 200}
    used = {"opus": large, "ha\x1b[2Jiku": {"inputTokens": 7, "outputTokens": 1}}
    path.write_text(json.dumps({**STREAM[-1], "modelUsage": used, "total_cost_usd": 0.75}) + "\n")
    for session, dollars, tokens in (("a-new-one", 0.75, 1300), ("7c7e6aa8", 0.25, 300)):
        with Record.open(night) as record:
            record.session(5, session)
        with Reader.open(night) as reader:
            last = [event for event in telling.events(reader, 5) if event.kind == "usage"][-1]
        assert (last.dollars, last.models["opus"].input) == (pytest.approx(dollars), tokens)


def test_the_kind_of_an_agent_comes_from_agents_toml(kf: Any, night: Path) -> None:
    """A second account of the same program has another name; its stream is the program's."""
    old, path = night / "attempts" / "000004" / "transcript.jsonl", night / "attempts" / "000005" / "transcript.jsonl"
    path.parent.mkdir()
    path.write_bytes(old.read_bytes())
    long = "a-name-that-is-longer-than-forty-characters-all-told"
    found = json.loads(kf("show", "made", "5", "--transcript", "--json").stdout)["transcript"]
    assert {event["kind"] for event in found} == {"message"}, "lines, of who knows what"
    (night / "agents.toml").write_text(f'[{long}]\nagent = "claude"\n')
    assert "> Bash: kf measure --quick" in kf("show", "made", "5", "--transcript").stdout
    (night / "agents.toml").write_text("[broken")
    assert kf("show", "made", "5", "--transcript").returncode == 0


def test_what_a_resumed_session_had_spent_is_not_in_what_it_is_shown_to_spend(night: Path) -> None:
    with Record.open(night) as record:
        record.session(5, "7c7e6aa8")
    with Reader.open(night) as reader:
        models, dollars = telling._before(reader, reader.attempt(5))
    assert (models["opus"], dollars) == (Tokens(1000, 50, 5000, 200), 0.5)


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (Event("reasoning", "hm\nwell"), ["~ hm", "~ well"]),
        (Event("call", "ls\n-l", name="Ba\x1bsh"), ["> Bash: ls", "> -l"]),
        (Event("call", "x"), ["> tool: x"]),
        (Event("usage", models={"m": Tokens(1000, 1)}), ["· 1,001 tokens so far"]),
        (Event("usage", dollars=0.5), ["· 0 tokens so far, $0.50"]),
        (Event("limit", "near", trouble=None), ["! limit: near"]),
        (Event("error", trouble="overloaded"), ["! error, overloaded"]),
        (Event("end", "bye", trouble="usage_limit"), ["= end, usage_limit: bye"]),
        (Event("message", "> Bash: rm"), ["  > Bash: rm"]),
        (Event("result", "a\rb"), ["| ab"]),
    ],
)
def test_events_for_a_person(event: Event, shown: list[str]) -> None:
    assert telling.lines(event) == shown


def test_attempts_have_whole_names_where_there_is_room(kf: Any, night: Path) -> None:
    assert "a-name-that-is-longer-than-forty-characters-all-told@opus" in kf("attempts", "made").stdout
