"""What a real agent that streams must come through, on a model that plays a script. A kind of agent fills in how it is
made, and what its model is like."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from atwork import Lent, Office, Worked
from kernelfactory.agents import Agent, finding
from kernelfactory.jail import Jail, Landlock
from kernelfactory.model import BadInput, Limits, Tokens, Usage, UsageLimit
from stubs import Fault, Stub, Turn, night

EDIT = "echo 7 > number.txt"
LEFT = "setsid sleep 871 >/dev/null 2>&1 & (setsid nohup sleep 872 >/dev/null 2>&1 &); touch begun; sleep 873"
DONE = Turn("Done.")


def holding(folder: Path, word: str) -> list[str]:
    """The files below a folder in which `word` stands."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [str(path) for path in files if word.encode() in path.read_bytes()]


def wait(place: Lent, name: str, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not Path(place.folder, name).exists():
        assert time.monotonic() < until, f"{name} never came"
        time.sleep(0.02)


class Nights:
    """`variable`: what holds its key, `key`; `limited`: the variable of a login whose limit says when it opens."""

    name: str
    variable: str
    limited: str
    model: str
    all: Tokens
    dollars: float
    api: type[Stub]

    def agent(self, stub: Stub, **entry: Any) -> Agent:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _there(self, program: Callable[[str], finding.Program], monkeypatch: pytest.MonkeyPatch) -> None:
        program(self.name)
        self.key = f"sk-{self.name}-a-key-that-no-cage-may-see"
        for name in (self.variable, self.limited):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(self.variable, self.key)

    def stub(self, play: Sequence[Turn], *faults: Fault) -> Stub:
        return self.api(play, *faults, key=self.key)

    # ── the whole of it ──

    def test_it_edits_measures_notes_and_finishes(self, office: Office) -> None:
        with self.stub(night(f"{EDIT}; env > env.txt")) as stub:
            agent = self.agent(stub)
            place = office.lend(agent)
            place.web = False
            done = office.work(agent, lent=place)
            assert done.failed is None
            assert done.file("number.txt") == "7\n"
            assert '"score": 7.0' in done.file("measured.json")
            assert done.file("progress.md") == "what I tried: the script\n"
            assert done.usage.models == {self.model: self.all}
            assert done.usage.dollars == pytest.approx(self.dollars)
            tokens = {usage.tokens for usage in done.place.spends}
            assert tokens >= {6250, 12500, 18750, 25000}, "told after each request"
            assert len(done.place.named) == 1 and done.place.named[0].count("-") == 4
            assert done.left == [] and done.place.said == []
            assert "Done: the program is edited" in str(done.place.lines), "its transcript is kept"
            self.no_key(done, stub)
            self.tools(stub.wait()[0].body)

    def in_jail(self, held: Jail, tmp_path: Path) -> None:
        play = [Turn("edits, measures", [f"{EDIT}; kf measure --json > measured.json; env > env.txt"]), DONE]
        with ExitStack() as stack, self.stub(play) as stub:
            done = Office(tmp_path / "scratch", stack, held=held).work(self.agent(stub))
            assert done.failed is None and done.place.cage == (held.name if held.holds else "none")
            assert done.file("number.txt") == "7\n" and '"score": 7.0' in done.file("measured.json")
            assert done.usage.tokens == 2 * 6250 and done.left == []
            self.no_key(done, stub)

    def test_it_works_in_landlock_too(self, tmp_path: Path) -> None:
        try:
            held = Landlock()
        except BadInput as lacks:
            pytest.skip(str(lacks))
        self.in_jail(held, tmp_path)

    def tools(self, asked: Mapping[str, Any]) -> None:
        """It was offered the tool that measures, and none that looks things up."""
        raise NotImplementedError

    def no_key(self, done: Worked, stub: Stub) -> None:
        """Its model saw the key, and nothing that it left holds it."""
        assert {request.key for request in stub.log} == {self.key}
        assert "kept-outside-the-cage" in done.file("env.txt")
        assert holding(Path(done.place.folder).parent, self.key) == []

    # ── when it cannot go on ──

    def test_a_limit_in_the_middle_says_until_when_and_keeps_the_work(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv(self.variable)
        monkeypatch.setenv(self.limited, self.key)
        opens = float(int(time.time()) + 7200)
        with self.stub(night(EDIT), Fault("usage", turn=1, reset_at=opens)) as stub:
            done = office.work(self.agent(stub))
            assert isinstance(done.failed, UsageLimit) and done.failed.until == opens
            assert done.file("number.txt") == "7\n" and done.usage.tokens == 6250
            assert {kind for kind, _ in done.place.said} == {"limit"}
            assert done.left == []

    def test_a_service_that_is_overloaded_is_that(self, office: Office) -> None:
        with self.stub(night(EDIT), Fault("overload", turn=1)) as stub:
            done = office.work(self.agent(stub))
            assert done.trouble == "overloaded" and done.file("number.txt") == "7\n"

    def test_a_key_that_is_refused_is_a_matter_for_a_person(self, office: Office) -> None:
        with self.stub(night(EDIT), Fault("auth")) as stub:
            done = office.work(self.agent(stub))
            assert done.trouble == "auth" and done.usage == Usage(seconds=done.usage.seconds)

    # ── when it has to be ended ──

    def test_a_stalled_stream_is_ended_and_its_session_gone_on_with(self, office: Office) -> None:
        limits = Limits(seconds=900.0, silence=2.5, nudges=1)
        with self.stub([Turn("edits", [EDIT]), DONE], Fault("stall", turn=1, times=1)) as stub:
            done = office.work(self.agent(stub), limits)
            assert done.failed is None and len(done.place.named) == 1
            assert [kind for kind, _ in done.place.said] == ["stall", "nudge"]
            assert done.usage.models.keys() == {self.model} and done.left == []
            assert "Nothing was heard of you" in str(stub.log[-1].body)

    def test_killed_in_the_middle_nothing_of_it_lives(self, office: Office) -> None:
        def kill(place: Lent) -> None:
            wait(place, "begun")
            assert len(place.living()) >= 4, "there is something to kill"
            place.stop.set()

        with self.stub([Turn("leaves things behind", [LEFT]), DONE]) as stub:
            done = office.work(self.agent(stub), meanwhile=kill)
            assert done.failed is None and done.left == []

    def test_a_cap_ends_it_with_all_that_it_spent(self, office: Office) -> None:
        with self.stub([Turn("goes on", [f"echo {n} > number.txt"]) for n in range(40)]) as stub:
            agent = self.agent(stub)
            place = office.lend(agent)
            place.affords = lambda usage: usage.tokens < 15_000
            done = office.work(agent, lent=place)
            assert done.failed is None and done.left == []
            asked = len([request for request in stub.log if request.main])
            assert 18_750 <= done.usage.tokens <= 18_750 + 6250, "one request more at most"
            assert asked <= 4

    # ── sent on, and told of the end ──

    def test_one_that_stops_early_is_sent_on_so_often_and_no_more(self, office: Office) -> None:
        with self.stub([Turn("edits", [EDIT]), Turn("I am done.")]) as stub:
            done = office.work(self.agent(stub), Limits(seconds=900.0, nudges=2))
            assert [kind for kind, _ in done.place.said] == ["nudge", "nudge"]
            assert len([request for request in stub.log if request.main]) == 4
            assert done.usage.tokens == 4 * 6250
            assert str(stub.log[-1].body).count("are left for this attempt. Go on.") >= 2

    def test_the_end_is_announced_while_it_works(self, office: Office) -> None:
        play = [Turn(f"waits {n}", [f"sleep 1; echo {n}"]) for n in range(30)]
        with self.stub(play) as stub:
            done = office.work(self.agent(stub), Limits(seconds=6.0, nudges=0))
            assert [kind for kind, _ in done.place.said] == ["wind-down"]
            assert "Begin nothing that takes longer" in str(stub.log[-1].body)
            assert done.left == []
