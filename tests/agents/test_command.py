"""Any command as an agent: what it is given, what it may say in our own words, and how it ends."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from atwork import Office
from kernelfactory.agents.command import Command, Script
from kernelfactory.agents.config import Entry
from kernelfactory.agents.upstreams import MODEL_HOSTS
from kernelfactory.model import AgentFailed, BadInput, Files, Limits, Tokens, UsageLimit
from kernelfactory.transcript import Event

USAGE = json.dumps({"kind": "usage", "models": {"gpt-5.5": {"input": 100, "output": 10}}, "dollars": 0.5})


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with ExitStack() as stack:
        yield Office(tmp_path / "scratch", stack)


def test_it_gets_the_brief_and_measures(office: Office) -> None:
    does = (
        "cat > brief.copy; echo 7 > number.txt; kf measure --json > answer.json; echo $KF_BRIEF; exec sleep 30 & exit 0"
    )
    done = office.work(Command(does), brief="the brief\n")
    assert done.failed is None and done.left == []
    assert done.file("brief.copy") == "the brief\n" and '"score": 7.0' in done.file("answer.json")
    assert done.usage.dollars is None and done.usage.tokens == 0, "nobody knows what a command costs"


def test_what_cannot_be_read_is_not_handed_in(office: Office) -> None:
    does = (
        "ln -sf /etc/passwd number.txt; kf submit > first.txt 2>&1; echo $? >> first.txt; rm number.txt;"
        "echo 7 > number.txt; kf measure > second.txt; kf submit > third.txt; echo 9 > number.txt"
    )
    done = office.work(Command(does))
    assert "number.txt" in done.file("first.txt") and done.file("first.txt").splitlines()[-1] == "2"
    assert "accepted" in done.file("second.txt"), "it was handed in, so nothing more is measured"
    assert done.file("third.txt") == "handed in: attempt 1\n"
    files, fault = done.place.collect()
    assert (files["number.txt"], fault) == (b"7\n", None)


def test_waiting_for_the_judge_is_no_silence(office: Office) -> None:
    """The judge is busy with others for far longer than the agent may be silent; then it is silent by itself."""
    agent = Command("kf measure; sleep 60", Entry(name="command", silence=0.5))
    place, asked, free = office.lend(agent), threading.Event(), threading.Event()
    answer = place.desk.measure

    def slow(token: str, files: Files, quick: bool = False) -> dict[str, Any]:
        asked.set()
        assert place.standing().measuring
        free.wait(5 * 4 * 0.5)  # a tool may run for four times as long
        return answer(token, files, quick)

    place.desk.measure = slow  # type: ignore[method-assign]
    began = time.monotonic()
    done = office.work(agent, Limits(seconds=120.0, silence=0.5, nudges=0), lent=place)
    assert asked.is_set() and done.trouble == "stalled" and not place.standing().measuring
    assert time.monotonic() - began > 5 * 4 * 0.5, "it was ended while it waited"


def test_silence_costs_what_nobody_knows(office: Office) -> None:
    assert office.work(Command("true")).usage.dollars is None
    failed = office.work(Command("exit 3"))
    assert failed.failed is not None and "exit code 3" in str(failed.failed)
    assert failed.usage.dollars is None and failed.usage.seconds > 0


def test_its_last_words_are_told_when_it_fails(office: Office) -> None:
    done = office.work(Command("echo working; echo the disk is gone >&2; exit 1"))
    assert done.trouble == "error" and "exit code 1" in str(done.failed) and "the disk is gone" in str(done.failed)


def test_usage_that_it_prints_is_known_and_capped(office: Office) -> None:
    done = office.work(Command(f"echo '{USAGE}'"))
    assert done.usage.models == {"gpt-5.5": Tokens(100, 10)} and done.usage.dollars == 0.5
    capped = Command(f"while :; do echo '{USAGE}'; sleep 0.05; done")
    place = office.lend(capped)
    place.affords = lambda usage: (usage.dollars or 0.0) < 0.4
    done = office.work(capped, lent=place)
    assert done.failed is None and done.left == [] and done.usage.dollars == 0.5


def test_a_limit_that_it_tells_is_one(office: Office) -> None:
    told = json.dumps({"kind": "end", "trouble": "usage_limit", "text": "used up", "reset": {"after": 3600}})
    done = office.work(Command(f"echo '{told}'; exit 0"))
    assert isinstance(done.failed, UsageLimit)
    assert done.failed.until == pytest.approx(time.time() + 3600, abs=60)


def test_secrets_are_handed_on_by_name(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "a-key-of-mine")
    monkeypatch.setenv("MY_OTHER", "another")
    entry = Entry(name="mine", path="/bin/sh", flags=("-c", "env > env.txt"), secrets=("MY_KEY",), env={"A": "1"})
    agent = Command("large", entry)
    assert agent.secrets == {"MY_KEY": "a-key-of-mine"} and agent.name == "mine" and agent.model == "large"
    env = office.work(agent).file("env.txt").splitlines()
    assert {"MY_KEY=a-key-of-mine", "A=1", "KF_MODEL=large"} <= set(env)
    assert not any("another" in line for line in env)


def test_a_secret_that_is_not_set_is_a_matter_for_a_person() -> None:
    agent = Command("true", Entry(name="mine", secrets=("NO_SUCH_VARIABLE",)))
    assert not agent.state().ready and agent.state().advice == "set NO_SUCH_VARIABLE"
    with pytest.raises(AgentFailed) as failure:
        agent.work(None, "", Limits(seconds=1.0))  # type: ignore[arg-type]
    assert failure.value.trouble == "auth"


def test_it_reaches_models_and_what_is_named() -> None:
    assert Command("true", Entry(name="c", hosts=("example.org",))).hosts == (*MODEL_HOSTS, "example.org")
    assert Command("true").state().ready


@pytest.mark.parametrize(
    ("model", "entry", "said"),
    [
        (None, {}, "say which"),
        ("./no/such/file --x", {}, "not there, or not executable"),
        ("true", {"effort": "high"}, "effort means nothing to the agent command"),
    ],
)
def test_bad_specs_say_what_to_do(model: str | None, entry: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Command(model, Entry(name="c", **entry))


# ── what is read of its output ───────────────────────────────────────────────────────────────────


def read(*lines: str, code: int = 0) -> list[Event]:
    script = Script()
    return [event for line in lines for event in script.line(line)] + list(script.end(code))


def test_lines_are_messages_unless_they_are_ours() -> None:
    kinds = [event.kind for event in read("hello", USAGE, '{"a": 1}', '{"kind": "nonsense"}', '{"kind":', "")]
    assert kinds == ["message", "usage", "message", "end"]


@pytest.mark.parametrize(
    ("lines", "code", "trouble"),
    [
        ((), 0, None),
        ((), 2, "error"),
        (("Error: connection refused",), 0, None),
        (('{"kind": "end", "trouble": "auth"}',), 0, "auth"),
        (('{"kind": "limit", "trouble": "usage_limit"}',), 1, "usage_limit"),
        (('{"kind": "limit"}',), 0, None),
    ],
)
def test_its_exit_code_decides_unless_it_has_said_why(lines: tuple[str, ...], code: int, trouble: str | None) -> None:
    ends = [event.trouble for event in read(*lines, code=code) if event.kind == "end"]
    assert ends[-1:] == [trouble]
