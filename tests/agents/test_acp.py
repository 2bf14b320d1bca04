"""Any ACP agent, in a cage with its client, as an agent of this house."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from atwork import Office, Worked
from kernelfactory import process
from kernelfactory.agents.acp import Acp
from kernelfactory.agents.config import Entry
from kernelfactory.agents.inside import program
from kernelfactory.agents.inside.dialogue import Dialogue
from kernelfactory.model import BadInput, Tokens, UsageLimit
from kernelfactory.transcript import Event

STUB = str(Path(__file__).with_name("acp_stub.py"))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with ExitStack() as stack:
        yield Office(tmp_path / "scratch", stack)


def agent(*faults: str, **said: Any) -> Acp:
    return Acp(None, Entry(**{"name": "toy", "path": sys.executable, "flags": ("-S", STUB, *faults), **said}))


def log(folder: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(folder, "log.jsonl").read_text().splitlines()]


def logged(done: Worked, key: str) -> list[Any]:
    return [line[key] for line in log(done.place.folder) if key in line]


def test_it_edits_measures_notes_and_finishes(office: Office) -> None:
    done = office.work(agent(model="large"))
    assert done.failed is None and done.left == []
    assert done.file("number.txt") == "7\n" and '"score": 7.0' in done.file("measured.json")
    assert done.usage.models == {"large": Tokens(100, 50)} and done.usage.dollars == 0.25
    assert done.place.named == ["s-1"]
    assert logged(done, "option") == [["model", "large"]]
    assert logged(done, "prompt") == ["Make the number smaller."]
    ((tool,),) = [new["mcpServers"] for new in logged(done, "new")]
    assert "kernelfactory.agents.inside.measure_mcp" in tool["args"]


def test_a_limit_is_told_and_its_session_goes_on_without_what_it_had_cost(office: Office) -> None:
    parked = office.work(agent("usage"))
    assert isinstance(parked.failed, UsageLimit) and parked.file("number.txt") == "7\n"
    assert parked.failed.until == pytest.approx(time.time() + 7200, abs=120)
    Path(parked.place._lent.home, ".kf-acp").mkdir(exist_ok=True)  # as it was kept after a turn that cost something
    parked.place.put(".kf-acp/s-1.json", b"0.25")
    parked.place.resumes = "s-1"
    done = office.work(agent("usage"), lent=parked.place)
    assert done.failed is None and logged(done, "loaded") == ["s-1"]
    assert done.usage.dollars == 0.25, "not the 0.5 that the session has cost"


def test_a_cap_stops_it(office: Office) -> None:
    toy = agent("spend")
    place = office.lend(toy)
    place.affords = lambda usage: (usage.dollars or 0.0) < 0.1
    done = office.work(toy, lent=place)
    assert done.failed is None and logged(done, "cancelled") == [True]
    assert done.usage.dollars is not None and done.usage.dollars >= 0.1


def test_its_key_may_stay_outside(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_KEY", "a-key-of-a-toy")
    for upstream in (None, "https://api.anthropic.com"):
        toy = agent(secrets=("TOY_KEY",), upstream=upstream, env={"TOY_URL": "{upstream}/v1"})
        assert toy.secrets == {"TOY_KEY": "a-key-of-a-toy"}
        env = office.work(toy).file("env.txt")
        assert ("a-key-of-a-toy" in env) is (upstream is None)
        if upstream is not None:
            assert "TOY_URL=http://127.0.0.1:" in env and "/upstream/v1" in env
            assert toy.routes[0].headers == {"x-api-key": "a-key-of-a-toy"} and toy.hosts == ()


# ── the client by itself ─────────────────────────────────────────────────────────────────────────


class Told:
    """A conversation without the driver: `after` says, for each event, a word to put in."""

    every = 0.1

    def __init__(self, dialogue: Dialogue, after: dict[str, str | None]) -> None:
        self.dialogue, self.after = dialogue, after
        self.events: list[Event] = []

    def line(self, text: str) -> None:
        for event in self.dialogue.line(text):
            self.events.append(event)
            for word in (self.after.pop(event.kind, ""),):
                if word is None:
                    self.dialogue.interrupt()
                elif word:
                    self.dialogue.say(word)

    def error(self, text: str) -> None:
        self.dialogue.error(text)

    def tick(self) -> None:
        """Nothing is to be done about time."""

    def words(self) -> bytes:
        return self.dialogue.words()

    def hung_up(self) -> bool:
        return self.events[-1:] != [] and self.events[-1].kind == "end"

    def over(self) -> bool:
        return False

    def run(self, folder: Path) -> list[Event]:
        env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), **self.dialogue.env}
        options = process.Options(cwd=str(folder), output_bytes=1 << 24, talk=self)
        done = process.run(self.dialogue.argv, env=env, seconds=60.0, options=options)
        assert not done.timed_out, done.stderr.decode()[-2000:]
        self.events += self.dialogue.end(done.returncode)
        return self.events


def talk(folder: Path, *faults: str, after: dict[str, str | None] | None = None, options: tuple[str, ...] = ()) -> Told:
    argv = program("acp_client", *options, "--", sys.executable, "-S", STUB, *faults)
    told = Told(Dialogue(argv, {}, "the task"), dict(after or {}))
    told.run(folder)
    return told


def test_chunks_become_messages_and_calls_have_results(tmp_path: Path) -> None:
    kinds = [event.kind for event in talk(tmp_path).events]
    assert kinds == ["message", "call", "result", "usage", "message", "usage", "end"]


def test_a_word_in_a_running_turn_stops_it_and_is_heard_next(tmp_path: Path) -> None:
    told = talk(tmp_path, "long", after={"result": "time is short"})
    assert [line for line in log(tmp_path) if "new" not in line] == [
        {"prompt": "the task"},
        {"cancelled": True},
        {"prompt": "time is short"},
    ]
    ends = [event.trouble for event in told.events if event.kind == "end"]
    assert ends == [None], "the turn that was stopped for the word is no end"


def test_an_interrupt_ends_it(tmp_path: Path) -> None:
    told = talk(tmp_path, "long", after={"result": None})
    assert [event.trouble for event in told.events if event.kind == "end"] == ["cancelled"]


def test_a_key_is_used_where_a_login_is_asked_for_and_never_a_browser(tmp_path: Path) -> None:
    told = talk(tmp_path, "auth")
    assert {"authenticated": "api-key"} in log(tmp_path)
    assert told.events[-1].trouble is None


def test_one_that_cannot_load_a_session_begins_anew(tmp_path: Path) -> None:
    told = talk(tmp_path, "no-load", options=("--session=s-0",))
    assert told.dialogue.session == "s-1" and told.events[-1].trouble is None


@pytest.mark.parametrize(
    ("faults", "options", "trouble", "said"),
    [
        (("die",), (), "network", "connection refused by the model"),
        ((), ("--effort=high",), "config", "offers no choice of thought level"),
    ],
)
def test_what_goes_wrong_is_told(
    tmp_path: Path, faults: tuple[str, ...], options: tuple[str, ...], trouble: str, said: str
) -> None:
    end = talk(tmp_path, *faults, options=options).events[-1]
    assert end.kind == "end" and end.trouble == trouble and said in end.text


def test_garbage_of_an_agent_is_no_matter(tmp_path: Path) -> None:
    assert talk(tmp_path, "flood").events[-1].trouble is None


def test_an_agent_that_is_no_program_is_told(tmp_path: Path) -> None:
    told = Told(Dialogue(program("acp_client", "--", "/no/such/agent"), {}, "the task"), {})
    end = told.run(tmp_path)[-1]
    assert (end.kind, end.trouble) == ("end", "config") and "/no/such/agent cannot be started" in end.text


# ── what is asked for ────────────────────────────────────────────────────────────────────────────


def test_a_command_is_taken_apart_and_its_files_are_shown() -> None:
    toy = Acp(f"{sys.executable} -S '{os.path.relpath(STUB)}' --x")
    assert toy._argv[-3:] == ("-S", STUB, "--x") and STUB in toy.needs
    assert toy.model is not None and toy._model is None
    assert toy.state().ready


def test_one_that_is_not_there_is_not_ready() -> None:
    state = Acp("no-such-agent-anywhere --acp").state()
    assert not state.ready and "is not there" in state.advice


@pytest.mark.parametrize(
    ("model", "entry", "said"),
    [
        (None, {}, "say which command starts it"),
        ("a 'b", {}, "No closing quotation"),
        ("/no/such/agent", {}, "not there, or not executable"),
        (None, {"path": "/no/such/agent"}, "not there, or not executable"),
        ("x", {"login": "/tmp"}, "login means nothing to the agent acp"),
    ],
)
def test_bad_specs_say_what_to_do(model: str | None, entry: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Acp(model, Entry(name="toy", **entry))
