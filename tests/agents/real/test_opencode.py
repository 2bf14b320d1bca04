"""OpenCode itself, in a cage, on a model that plays a script: two runs, for it is heavy."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from atwork import Office
from kernelfactory.agents import finding
from kernelfactory.agents.config import Entry
from kernelfactory.agents.opencode import OpenCode
from kernelfactory.model import Tokens, UsageLimit
from stubs import Anthropic, Fault, Turn, night

KEY = "sk-ant-a-key-that-no-cage-may-see"
EDIT = "echo 7 > number.txt"


@pytest.fixture(autouse=True)
def _there(program: Callable[[str], finding.Program], monkeypatch: pytest.MonkeyPatch) -> None:
    program("opencode")
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)


def agent(model: Anthropic) -> OpenCode:
    return OpenCode("anthropic/claude-sonnet-4-5", Entry(name="opencode", upstream=f"{model.url}/v1"))


def test_it_edits_measures_notes_and_finishes(office: Office) -> None:
    with Anthropic(night(f"{EDIT}; env > env.txt"), key=KEY) as model:
        place = office.lend(agent(model))
        place.web = False
        done = office.work(agent(model), lent=place)
        assert done.failed is None
        assert done.file("number.txt") == "7\n"
        assert '"score": 7.0' in done.file("measured.json")
        assert done.file("progress.md") == "what I tried: the script\n"
        assert done.usage.models == {"claude-sonnet-4-5": Tokens(4000, 200, 20000, 800)}
        assert done.usage.dollars == pytest.approx(0.024)
        assert [usage.tokens for usage in done.place.spends] == [0, 6250, 12500, 18750, 25000]
        assert done.left == []
        assert KEY not in done.file("env.txt")
        assert "kept-outside" in done.file("env.txt")
        assert not {"webfetch", "websearch"} & {tool["name"] for tool in model.wait()[0].body["tools"]}


def test_a_limit_is_told_at_once_with_all_that_it_started_gone(office: Office) -> None:
    play = [Turn("left behind", [f"{EDIT}; setsid sleep 900 >/dev/null 2>&1 &"]), Turn("never said")]
    with Anthropic(play, Fault("usage", turn=1, reset_at=time.time() + 7200), key=KEY) as model:
        done = office.work(agent(model))
        assert isinstance(done.failed, UsageLimit)
        assert done.failed.until == pytest.approx(time.time() + 7200, abs=120)
        assert done.file("number.txt") == "7\n"
        assert done.left == []
