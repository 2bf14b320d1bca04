"""What a real agent must come through, on a model that plays a script: the contract of all agents, each check in the
run that shows more of the same, and what those are asked that stream and take words. A kind of agent fills in how it
is made, and what its model is like."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from atwork import Lent, Office
from kernelfactory.agents import Agent, Workplace, finding
from kernelfactory.jail import Jail, Landlock
from kernelfactory.model import AgentFailed, BadInput, Limits, Tokens, Usage, UsageLimit
from kernelfactory.testing.agent import HOSTILE, AgentContract, assert_sound, holding, pays
from stubs import Fault, Stub, Turn, night

EDIT = "echo 7 > number.txt"
NIGHT = night(f"{EDIT}; env > env.txt")
DONE = Turn("Done.")
AGAIN = [Turn("goes on", [f"echo {n} > number.txt"]) for n in range(40)]


def unhurried() -> float:
    """How many times as long things may take here: this machine may be busy."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


class Kept:
    """An agent of which it is kept how its work ended; it works on `brief`, if one is given here."""

    def __init__(self, agent: Agent, brief: str) -> None:
        self._agent, self.brief = agent, brief
        self.failed: AgentFailed | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._agent, name)

    def work(self, workplace: Workplace, brief: str, limits: Limits) -> Usage:
        try:
            return self._agent.work(workplace, self.brief or brief, limits)
        except AgentFailed as failed:
            self.failed = failed
            raise


class Real(AgentContract):
    """`variable`: what holds its key; `limited`: that of an account whose limit says when it opens; `refused`, `used`:
    what its model says when the key is none, and when the account is used up; `model`, `all`: whose tokens all of a
    night are, and how many."""

    seconds = 300.0
    name: str
    variable: str
    limited: str
    refused = Fault("auth")
    used = "usage"
    model: str
    all: Tokens
    api: type[Stub]

    def agent(self, stub: Stub, **entry: Any) -> Agent:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _there(self, program: Callable[[str], finding.Program], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        program(self.name)
        self.secret = f"sk-{self.name}-a-key-that-no-cage-may-see"
        self.variables = monkeypatch
        for name in (self.variable, self.limited):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(self.variable, self.secret)
        with ExitStack() as self.stack:
            yield

    def stub(self, play: Sequence[Turn], *faults: Fault) -> Stub:
        return self.api(play, *faults, key=self.secret)

    def made(self, play: Sequence[Turn], *faults: Fault, brief: str = "") -> Kept:
        self.asked = self.stack.enter_context(self.stub(play, *faults))
        self.kept = Kept(self.agent(self.asked), brief)
        return self.kept

    @property
    def requests(self) -> int:
        return len([request for request in self.asked.log if request.main])

    # ── the contract ──

    def make_agent(self, tmp_path: Path) -> Any:
        return self.made(NIGHT)

    def make_failing(self, tmp_path: Path) -> Any:
        return self.made(NIGHT, self.refused)

    def make_spender(self, tmp_path: Path) -> Any:
        return self.made(AGAIN)

    def make_limited(self, tmp_path: Path) -> Any:
        self.variables.delenv(self.variable)
        self.variables.setenv(self.limited, self.secret)
        self.opens = float(int(time.time()) + 7200)
        return self.made(NIGHT, Fault(self.used, turn=1, reset_at=self.opens))

    def make_workplace(self, tmp_path: Path, agent: Agent) -> Any:
        self.place: Lent = Office(tmp_path / "scratch", self.stack).lend(agent)
        self.place.web = False
        return self.place

    def file(self, name: str) -> str:
        return Path(self.place.folder, name).read_text("utf-8")

    def assert_no_text_was_run(self) -> None:
        assert not Path(self.place.folder, "owned").exists(), "text of the brief was run"

    def test_it_works(self, tmp_path: Path) -> None:
        super().test_it_works(tmp_path)
        place, usage = self.place, self.place.spends[-1]
        assert self.kept.failed is None and place.left() == [] and place.said == []
        assert (self.file("number.txt"), self.file("progress.md")) == ("7\n", "what I tried: the script\n")
        assert '"score": 7.0' in self.file("measured.json")
        assert usage.models == {self.model: self.all} and self.requests == 4
        assert len(set(place.named)) == 1
        assert "Done: " in str(place.lines), "its transcript is kept"
        assert {request.key for request in self.asked.log} == {self.secret}
        assert "kept-outside-the-cage" in self.file("env.txt") and self.secret not in self.file("env.txt")
        self.tools(self.asked.wait()[0].body)
        Path(place.folder, "leak").write_text(f"key={self.secret}")  # injected fault
        assert [os.path.basename(path) for path in holding(tmp_path, self.secret)] == ["leak"]

    def tools(self, asked: Mapping[str, Any]) -> None:
        """It was offered a shell, and nothing that looks things up or asks a person."""
        raise NotImplementedError

    def test_it_fails_with_what_it_spent(self, tmp_path: Path) -> None:
        super().test_it_fails_with_what_it_spent(tmp_path)
        assert self.kept.failed is not None and self.kept.failed.trouble == "auth", "a matter for a person"
        assert self.kept.failed.usage.tokens == 0 and self.place.left() == []

    def test_it_tells_a_limit(self, tmp_path: Path) -> None:
        super().test_it_tells_a_limit(tmp_path)
        if not pays(self.kept):
            return
        assert isinstance(self.kept.failed, UsageLimit) and self.kept.failed.until == pytest.approx(self.opens, abs=120)
        assert self.file("number.txt") == "7\n" and self.kept.failed.usage.tokens == 6250
        assert {kind for kind, _ in self.place.said} == {"limit"} and self.place.left() == []

    def test_it_stops_at_a_cap(self, tmp_path: Path) -> None:
        super().test_it_stops_at_a_cap(tmp_path)
        if not pays(self.kept):
            return
        assert self.kept.failed is None and self.place.left() == []
        tokens = self.place.spends[-1].tokens
        assert 6250 <= tokens <= 2 * 6250 and self.requests <= 2, "one request more at most"


class Heavy(Real):
    """Of those that take long to begin: the brief of their night is hostile, so that one run is enough."""

    def make_agent(self, tmp_path: Path) -> Any:
        return self.made(NIGHT, brief=HOSTILE)

    def test_it_works(self, tmp_path: Path) -> None:
        super().test_it_works(tmp_path)
        self.assert_no_text_was_run()

    def test_it_survives_a_hostile_brief(self, tmp_path: Path) -> None:
        """It does in test_it_works."""
        assert self.make_agent(tmp_path).brief == HOSTILE


class Nights(Real):
    """Of those whose process takes words while it works; `dollars`: what all of a night costs."""

    dollars: float

    def test_it_works(self, tmp_path: Path) -> None:
        super().test_it_works(tmp_path)
        assert self.place.spends[-1].dollars == pytest.approx(self.dollars)
        tokens = {usage.tokens for usage in self.place.spends}
        assert tokens >= {6250, 12500, 18750, 25000}, "told after each request"

    def test_it_survives_a_hostile_brief(self, tmp_path: Path) -> None:
        """Also sent on when it stops early, so often and no more."""
        agent = self.made([Turn("edits", [EDIT]), Turn("I am done.")])
        place = self.make_workplace(tmp_path, agent)
        usage = agent.work(place, HOSTILE, Limits(seconds=900.0, nudges=2))
        assert_sound(usage)
        self.assert_no_text_was_run()
        assert [kind for kind, _ in place.said] == ["nudge", "nudge"]
        assert self.requests == 4 and usage.tokens == 4 * 6250
        assert str(self.asked.log[-1].body).count("are left for this attempt. Go on.") >= 2

    def test_a_service_that_is_overloaded_is_that(self, office: Office) -> None:
        with self.stub(NIGHT, Fault("overload", turn=1)) as stub:
            done = office.work(self.agent(stub))
            assert done.trouble == "overloaded" and done.file("number.txt") == "7\n"

    def test_a_stalled_stream_is_ended_and_its_session_gone_on_with(self, office: Office) -> None:
        limits = Limits(seconds=900.0, silence=2.5 * unhurried(), nudges=1)
        with self.stub([Turn("edits", [EDIT]), DONE], Fault("stall", turn=1, times=1)) as stub:
            done = office.work(self.agent(stub), limits)
            assert done.failed is None and len(done.place.named) == 1
            assert [kind for kind, _ in done.place.said] == ["stall", "nudge"]
            assert done.usage.models.keys() == {self.model} and done.left == []
            assert "Nothing was heard of you" in str(stub.log[-1].body)

    def test_the_end_is_announced_while_it_works(self, office: Office) -> None:
        play = [Turn(f"waits {n}", [f"sleep 1; echo {n}"]) for n in range(300)]
        with self.stub(play) as stub:
            done = office.work(self.agent(stub), Limits(seconds=6.0 * unhurried(), nudges=0))
            assert [kind for kind, _ in done.place.said] == ["wind-down"]
            assert "Begin nothing that takes longer" in str(stub.log[-1].body)
            assert done.left == []

    # ── in other jails than the best ──

    def in_jail(self, held: Jail, tmp_path: Path) -> None:
        play = [Turn("edits, measures", [f"{EDIT}; kf measure --json > measured.json; env > env.txt"]), DONE]
        with ExitStack() as stack, self.stub(play) as stub:
            done = Office(tmp_path / "scratch", stack, held=held).work(self.agent(stub))
            assert done.failed is None and done.place.cage == (held.name if held.holds else "none")
            assert done.file("number.txt") == "7\n" and '"score": 7.0' in done.file("measured.json")
            assert done.usage.tokens == 2 * 6250 and done.left == []
            assert {request.key for request in stub.log} == {self.secret}
            assert [*holding(done.place.base, self.secret)] == []

    def test_it_works_in_landlock_too(self, tmp_path: Path) -> None:
        try:
            held = Landlock()
        except BadInput as lacks:
            pytest.skip(str(lacks))
        self.in_jail(held, tmp_path)
