"""Gemini CLI itself, in a cage, on a model that plays a script."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from atwork import Lent, Office
from kernelfactory.agents import finding
from kernelfactory.agents.config import Entry
from kernelfactory.agents.gemini import Gemini
from kernelfactory.model import Limits, Tokens, UsageLimit
from stubs import Fault, Turn, night
from stubs import Gemini as Model

KEY = "AIza-a-key-that-no-cage-may-see"
EDIT = "echo 7 > number.txt"


@pytest.fixture(autouse=True)
def _there(program: Callable[[str], finding.Program], monkeypatch: pytest.MonkeyPatch) -> None:
    program("gemini")
    monkeypatch.setenv("GEMINI_API_KEY", KEY)


def agent(model: Model, **said: object) -> Gemini:
    return Gemini("gemini-2.5-flash", Entry(name="gemini", upstream=model.url, **said))  # type: ignore[arg-type]


def leaks(place: Lent) -> list[Path]:
    """Files of the attempt that hold the key."""
    files = [path for path in Path(place.folder).parent.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if KEY.encode() in path.read_bytes()]


def test_it_is_sent_on_edits_measures_notes_and_finishes(office: Office) -> None:
    play = [Turn("an early end"), *night(f"{EDIT}; env > env.txt")]
    with Model(play, key=KEY) as model:
        place = office.lend(agent(model))
        place.web = False
        done = office.work(agent(model), Limits(seconds=120.0, nudges=1), lent=place)
        assert done.failed is None
        assert [kind for kind, _ in done.place.said] == ["nudge"]
        assert len(set(done.place.named)) == 1
        assert [request.turn for request in model.wait()] == [0, 1, 2, 3, 4]
        assert done.file("number.txt") == "7\n"
        assert '"score": 7.0' in done.file("measured.json")
        assert done.file("progress.md") == "what I tried: the script\n"
        assert done.usage.models == {"gemini-2.5-flash": Tokens(5 * 1200, 5 * 50, 5 * 5000)}
        assert done.left == leaks(done.place) == []
        offered = {one["name"] for tool in model.wait()[0].body["tools"] for one in tool["functionDeclarations"]}
        assert "run_shell_command" in offered
        assert not offered & {"web_fetch", "google_web_search", "ask_user"}
        Path(done.place.folder, "leak").write_text(f"key={KEY}")
        assert [path.name for path in leaks(done.place)] == ["leak"]


def test_a_limit_is_told_at_once_and_its_session_goes_on_when_that_is_over(office: Office) -> None:
    hours = Fault("capacity", turn=1, times=1, retry_after=31447.0)
    with Model(night(EDIT), hours, key=KEY) as model:
        parked = office.work(agent(model))
        assert isinstance(parked.failed, UsageLimit)
        assert parked.failed.until is not None
        assert 31300 < parked.failed.until - time.time() <= 31447, "as the service said: it adds a fifth by itself"
        assert [kind for kind, _ in parked.place.said] == ["limit"]
        assert parked.file("number.txt") == "7\n"
        assert parked.left == []
        place = parked.place
        place.resumes = place.named[-1]
        done = office.work(agent(model), lent=place)
        assert done.failed is None
        assert done.file("progress.md") == "what I tried: the script\n"
        assert len(set(place.named)) == 1
        assert [request.turn for request in model.wait()] == [0, 1, 1, 2, 3]


def test_a_key_that_is_not_let_in_is_told_as_such(office: Office) -> None:
    with Model(night(EDIT), key="another") as model:
        done = office.work(agent(model))
    assert done.trouble == "auth"
    assert done.file("number.txt") != "7\n"


def test_it_is_ended_in_the_middle_with_all_that_it_started(office: Office) -> None:
    seen: list[int] = []

    def stop(place: Lent) -> None:
        until = time.monotonic() + 60
        while not Path(place.folder, "begun").exists() and time.monotonic() < until:
            time.sleep(0.05)
        seen.extend(place.living())
        place.stop.set()

    play = [Turn("a long one", ["setsid sleep 900 & nohup sleep 901 & touch begun; sleep 902"]), Turn("never said")]
    with Model(play, key=KEY) as model:
        done = office.work(agent(model), meanwhile=stop)
    assert len(seen) > 3
    assert done.left == []
    assert done.failed is None
