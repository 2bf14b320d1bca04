"""The driver over scripted processes on a clock of their own: what it hears, does about it, and makes of the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from kernelfactory.agents import Standing, session
from kernelfactory.agents.session import Time, converse
from kernelfactory.agents.tally import Tally
from kernelfactory.model import AgentFailed, Assignment, Limits, Tokens, Usage, UsageLimit
from kernelfactory.pipes import Talk
from kernelfactory.process import Finished
from kernelfactory.transcript import Event, Reset

NOW = 1_800_000_000.0
HOUR = Limits(seconds=3600.0, nudges=0)
NUDGED = Limits(seconds=3600.0, nudges=2)
MODEL = "claude-sonnet-4-5"

SAYS = Event("message", text="I work")
CALL = Event("call", text="kf measure", name="Bash", call="1")
DONE = Event("end", text="done")


def spent(tokens: int, dollars: float | None = None) -> Event:
    return Event("usage", models={MODEL: Tokens(input=tokens)}, dollars=dollars)


def result(text: str = "", failed: bool = False) -> Event:
    return Event("result", call="1", text=text, failed=failed)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    @property
    def clocks(self) -> Time:
        return Time(monotonic=lambda: self.now, wall=lambda: NOW + self.now)


class Quiet(float):
    """So many seconds in which nothing is printed."""


Step = Event | Quiet | Callable[["Script"], None]


@dataclass
class Script:
    """One process as it will be: a session.Dialogue, and what is played by it. `code`: what it ends with once its
    steps are over and its stdin is closed; a process that `stays` does not go by itself."""

    steps: Sequence[Step] = ()
    can_say: bool = True
    late: bool = False
    code: int = 0
    stays: bool = False
    own: str | None = "a-session"
    answers: bool = True
    argv: Sequence[str] = ("agent",)
    env: Mapping[str, str] = field(default_factory=dict)
    prompt: str = ""
    resumed: str | None = None
    said: list[str] = field(default_factory=list)
    interrupted: float | None = None
    closed: bool = False
    killed: bool = False
    ended: bool = False
    clock: Clock = field(default_factory=Clock)

    @property
    def session(self) -> str | None:
        return self.own

    @property
    def gives_in(self) -> bool:
        return self.interrupted is not None and self.answers and not self.ended

    def line(self, text: str) -> Sequence[Event]:
        step = self.steps[int(text)]
        assert isinstance(step, Event)
        self.ended = step.kind == "end"
        return [step]

    def error(self, text: str) -> Sequence[Event]:
        return ()

    def end(self, returncode: int) -> Sequence[Event]:
        return () if self.ended else [Event("end", text=f"it ended with {returncode}", trouble="error")]

    def say(self, text: str) -> None:
        self.said.append(text)

    def interrupt(self) -> None:
        self.interrupted = self.clock.now

    def words(self) -> bytes:
        return b""

    def hung_up(self) -> bool:
        return False


class Place:
    """A Workplace whose processes are the scripts, one after the other."""

    folder, cage, home, gateway, web = "/nowhere", "none", "/home", "", True

    def __init__(self, clock: Clock, *scripts: Script, resumes: str | None = None) -> None:
        self.clock, self.scripts, self.resumes = clock, list(scripts), resumes
        self.assignment = Assignment(1, "t", 0, 0, 9.0, 9.0, "brief", {}, HOUR, "select", "")
        self.told: list[Usage] = []
        self.log: list[tuple[str, str]] = []
        self.named: list[str] = []
        self.cap: float = float("inf")
        self.stands = Standing()
        self.made: list[Script] = []

    def make(self, prompt: str, resumed: str | None) -> Script:
        script = self.scripts.pop(0)
        script.prompt, script.resumed, script.clock = prompt, resumed, self.clock
        self.made.append(script)
        return script

    def run(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, talk: Talk, **_: Any) -> Finished:
        script, begun = self.made[-1], self.clock.now
        code: int | None = None
        for number, step in enumerate(script.steps):
            if isinstance(step, Quiet):
                self._pass(step, talk)
            elif isinstance(step, Event):
                talk.line(str(number))
            else:
                step(script)
            if talk.over():
                break
        while not talk.over():  # it waits for more to do, or for the end of its stdin
            if talk.hung_up() and not script.stays:
                code = script.code
                break
            if self.clock.now - begun > 7200:
                raise AssertionError("it would have run for ever")
            if script.gives_in:
                script.steps = [*script.steps, Event("end", trouble="cancelled")]
                talk.line(str(len(script.steps) - 1))
            self._pass(Quiet(0.5), talk)
        script.closed, script.killed = talk.hung_up(), code is None
        return Finished(-9 if code is None else code, b"", b"", self.clock.now - begun, dismissed=code is None)

    def _pass(self, seconds: float, talk: Talk) -> None:
        until = self.clock.now + seconds
        while self.clock.now < until and not talk.over() and not self.made[-1].gives_in:
            self.clock.now = min(until, self.clock.now + talk.every)
            talk.tick()

    def measure(self, quick: bool = False) -> dict[str, Any]:
        raise NotImplementedError

    def put(self, name: str, data: bytes) -> None:
        raise NotImplementedError

    def transcribe(self, line: str) -> None:
        raise NotImplementedError

    def spent(self, usage: Usage) -> bool:
        self.told.append(usage)
        return usage.tokens < self.cap

    def say(self, kind: str, text: str) -> None:
        self.log.append((kind, text))

    def session(self, name: str) -> None:
        self.named.append(name)

    def standing(self) -> Standing:
        return self.stands

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.log]


def played(*scripts: Script, limits: Limits = HOUR, **more: Any) -> tuple[Place, Usage]:
    clock = Clock()
    place = Place(clock, *scripts)
    for name, value in more.items():
        setattr(place, name, value)
    return place, converse(place, place.make, "the brief", limits, clock.clocks)


def failing(*scripts: Script, limits: Limits = HOUR, **more: Any) -> tuple[Place, AgentFailed]:
    clock = Clock()
    place = Place(clock, *scripts)
    for name, value in more.items():
        setattr(place, name, value)
    with pytest.raises(AgentFailed) as raised:
        converse(place, place.make, "the brief", limits, clock.clocks)
    return place, raised.value


# ── what it makes of the end ─────────────────────────────────────────────────────────────────────


def test_a_turn_that_ends_well_is_the_end() -> None:
    place, usage = played(Script([SAYS, CALL, result(), spent(10, 0.5), DONE]))
    assert (usage.tokens, usage.dollars, usage.models) == (10, 0.5, {MODEL: Tokens(input=10)})
    assert place.made[0].prompt == "the brief" and place.made[0].resumed is None
    assert place.named == ["a-session"] and [told.tokens for told in place.told] == [0, 10]
    assert place.made[0].closed and not place.made[0].killed
    assert place.log == []


def test_what_did_not_end_well_is_told_with_what_it_cost() -> None:
    place, failed = failing(Script([spent(10, 0.5), Event("end", text="a\x1b[31m\nb" * 400, trouble="overloaded")]))
    assert (failed.trouble, failed.usage.dollars) == ("overloaded", 0.5)
    assert str(failed).startswith("a [31m b") and len(str(failed)) <= 300
    assert place.made[0].closed


def test_a_usage_limit_says_until_when() -> None:
    _, failed = failing(Script([Event("end", text="used up", trouble="usage_limit", reset=Reset(after=600.0))]))
    assert isinstance(failed, UsageLimit) and failed.until == NOW + 600.0
    _, failed = failing(Script([Event("limit", text="used up", trouble="usage_limit", reset=Reset(epoch=NOW + 60))]))
    assert isinstance(failed, UsageLimit) and failed.until == NOW + 60.0, "the limit's own word counts too"
    _, failed = failing(Script([Event("end", text="used up", trouble="usage_limit")]))
    assert isinstance(failed, UsageLimit) and failed.until is None


def test_one_that_waits_for_its_limit_is_not_waited_for() -> None:
    place, failed = failing(Script([Event("limit", trouble="usage_limit", reset=Reset(after=9e5)), Quiet(7000.0)]))
    assert isinstance(failed, UsageLimit) and failed.until == NOW + 9e5
    assert place.clock.now < 10.0 and place.made[0].interrupted == session.SLEEPS
    assert place.kinds() == ["limit"]


def test_a_limit_that_it_works_on_through_is_none() -> None:
    limit = Event("limit", text="90 % used", trouble="usage_limit", reset=Reset(after=9e5))
    place, _ = played(Script([limit, SAYS, Quiet(30.0), SAYS, DONE]))
    assert place.made[0].interrupted is None


def test_warnings_are_told_but_not_without_end() -> None:
    place, _ = played(Script([*[Event("limit", text=f"{n} % used") for n in range(100)], DONE]))
    assert place.log[0] == ("limit", "0 % used") and len(place.log) == session.WARNINGS


@pytest.mark.parametrize("text", ["Not logged in · Please run /login", "Invalid API key", "please log in again"])
def test_a_lost_login_is_never_a_success(text: str) -> None:
    _, failed = failing(Script([Event("message", text=text), Event("end", text=text)]))
    assert failed.trouble == "auth"


def test_what_it_says_of_logins_after_work_is_its_own_affair() -> None:
    played(Script([SAYS, spent(10), Event("end", text="The server says: not logged in")]))


def test_one_that_ends_without_a_word_has_failed() -> None:
    _, failed = failing(Script([SAYS, lambda script: setattr(script, "ended", True)]), limits=Limits(seconds=60.0))
    assert failed.trouble == "stalled", "nothing is heard of it until it is silent for too long"
    silent = Script([lambda script: setattr(script, "ended", True)])
    silent.hung_up = lambda: True  # type: ignore[method-assign]
    _, failed = failing(silent)
    assert (failed.trouble, str(failed)) == ("error", "it ended without a word")


def test_what_cannot_be_started_is_a_matter_of_configuration() -> None:
    class Absent(Place):
        fault: OSError = FileNotFoundError(2, "No such file or directory")

        def run(self, *_: Any, **__: Any) -> Finished:
            raise self.fault

    place = Absent(Clock(), Script(), Script())
    with pytest.raises(AgentFailed, match="cannot be started: No such file") as raised:
        converse(place, place.make, "the brief", HOUR)
    assert raised.value.trouble == "config"
    place.fault = OSError(12, "Cannot allocate memory")
    with pytest.raises(AgentFailed, match="cannot be started: Cannot allocate") as raised:
        converse(place, place.make, "the brief", HOUR)
    assert raised.value.trouble == "error", "it would be paused until a person sees to its settings"


def test_a_process_that_does_not_go_is_made_to() -> None:
    place, _ = played(Script([DONE], stays=True))
    assert place.made[0].killed and place.clock.now == session.LEAVE


def test_work_after_the_end_is_waited_for() -> None:
    place, usage = played(Script([DONE, SAYS, Quiet(60.0), spent(7), DONE], stays=True))
    assert usage.tokens == 7 and place.clock.now == 60.0 + session.LEAVE


# ── sending on ───────────────────────────────────────────────────────────────────────────────────


def test_one_that_stops_early_is_sent_on_so_often_and_no_more() -> None:
    place, usage = played(Script([DONE, spent(1), DONE, spent(2), DONE]), limits=NUDGED)
    assert len(place.made) == 1 and usage.tokens == 2
    assert place.kinds() == ["nudge", "nudge"]
    assert all("are left for this attempt. Go on." in said for said in place.made[0].said)


def test_one_that_takes_no_further_word_is_begun_anew_with_its_session() -> None:
    scripts = [Script([spent(n, 1.0), DONE], can_say=False) for n in (1, 2, 3)]
    place, usage = played(*scripts, limits=NUDGED)
    assert [made.resumed for made in place.made] == [None, "a-session", "a-session"]
    assert "Go on." in place.made[1].prompt
    assert (usage.tokens, usage.dollars) == (6, 3.0), "all processes together"
    assert place.kinds() == ["nudge", "nudge"] and place.named == ["a-session"]


def test_without_a_session_it_may_end() -> None:
    place, _ = played(Script([DONE], can_say=False, own=None), limits=NUDGED)
    assert len(place.made) == 1


@pytest.mark.parametrize(
    "stop",
    [
        {"stands": Standing(handed=True)},
        {"stands": Standing(measured=900, best=5.0)},
        {"cap": 0},
    ],
)
def test_what_is_done_is_not_sent_on(stop: Mapping[str, Any]) -> None:
    place, _ = played(Script([DONE]), limits=NUDGED, **stop)
    assert "nudge" not in place.kinds() and place.made[0].said == []


def test_one_that_failed_is_not_sent_on() -> None:
    place, _ = failing(Script([Event("end", trouble="context")]), limits=NUDGED)
    assert place.kinds() == []


# ── silence, circles, retries ────────────────────────────────────────────────────────────────────


def test_a_stalled_one_is_interrupted_killed_and_begun_anew() -> None:
    silent = Script([SAYS, spent(5, 1.0), Quiet(7000.0)], answers=False)
    place, usage = played(silent, Script([spent(3, 1.0), DONE, DONE]), limits=NUDGED)
    assert silent.interrupted == 600.0 and silent.killed
    assert place.clock.now == 600.0 + session.GRACE, "killed after its grace, and the next one begins at once"
    assert place.made[1].resumed == "a-session" and "Nothing was heard of you for 10 min" in place.made[1].prompt
    assert place.kinds() == ["stall", "nudge", "nudge"]
    assert (usage.tokens, usage.dollars) == (8, 2.0)


def test_one_that_takes_no_word_is_ended_at_once() -> None:
    silent = Script([SAYS, Quiet(7000.0)], can_say=False, answers=False)
    place, failed = failing(silent)
    assert failed.trouble == "stalled" and silent.interrupted is None
    assert silent.killed and place.clock.now == 600.0


def test_a_stalled_one_without_nudges_left_has_failed() -> None:
    place, failed = failing(Script([SAYS, Quiet(7000.0)]))
    assert failed.trouble == "stalled" and "no sign of life" in str(failed)
    assert place.clock.now <= 601.0, "it answered to the interrupt"


def test_one_that_was_never_heard_of_gets_the_whole_brief_again() -> None:
    place, _ = played(Script([Quiet(7000.0)], own=None), Script([DONE]), limits=Limits(seconds=3600.0, nudges=1))
    assert (place.made[1].prompt, place.made[1].resumed) == ("the brief", None)


def test_a_running_tool_may_take_its_time() -> None:
    played(Script([CALL, Quiet(2000.0), result(), DONE]))
    played(Script([SAYS, Quiet(2000.0), DONE], late=True))
    failing(Script([CALL, Quiet(3000.0), result(), DONE]))


def test_waiting_for_the_judge_is_neither_silence_nor_a_circle() -> None:
    """A measurement waits for its turn; the agent's own patience is shorter, and it asks again and again."""
    busy = Standing(measuring=True)
    place, _ = played(Script([CALL, Quiet(3000.0), result(), DONE]), stands=busy)
    assert place.kinds() == ["wind-down"]
    circle: list[Step] = [step for _ in range(15) for step in (CALL, result("still running: wait"), Quiet(1.0))]
    place, _ = played(Script([*circle, DONE]), stands=busy)
    assert place.log == []


def test_one_that_has_handed_in_and_goes_on_is_ended() -> None:
    handed = [SAYS, lambda script: setattr(place, "stands", Standing(handed=True))]
    place = Place(Clock(), Script([*handed, *[step for _ in range(99) for step in (Quiet(9.0), SAYS, spent(5))]]))
    usage = converse(place, place.make, "the brief", NUDGED, place.clock.clocks)
    assert place.clock.now <= session.PARTING + 10.0 and place.made[0].interrupted is not None
    assert usage.tokens == 5 and place.log == [] and len(place.made) == 1
    place = Place(Clock(), Script([*handed, Quiet(session.PARTING - 1), SAYS, DONE]))
    converse(place, place.make, "the brief", NUDGED, place.clock.clocks)
    assert place.made[0].interrupted is None, "it may say goodbye"


def test_circles_are_warned_of_and_then_ended() -> None:
    circle: list[Step] = []
    for _ in range(10):
        circle += [CALL, result("the same"), Quiet(1.0)]
    place, failed = failing(Script([*circle, DONE]), limits=NUDGED)
    assert failed.trouble == "looping" and place.kinds() == ["loop", "loop"]
    assert "5 times" in place.made[0].said[0]
    place, _ = played(Script([*circle, DONE], can_say=False), Script([DONE]), limits=Limits(seconds=3600.0, nudges=1))
    assert place.kinds() == ["loop", "nudge"] and "10 times" in place.made[1].prompt, "it was never warned"


def test_retries_without_end_are_ended_for_what_they_are() -> None:
    again: list[Step] = [Event("error", text="busy", trouble="overloaded"), Quiet(60.0)]
    _, failed = failing(Script(again * 60), limits=NUDGED)
    assert failed.trouble == "overloaded" and "retried its service" in str(failed)


# ── caps and time ────────────────────────────────────────────────────────────────────────────────


def test_at_a_cap_it_is_asked_to_stop_and_its_last_word_counts() -> None:
    over = Script([spent(10), spent(100), SAYS, spent(110), Quiet(7000.0)], answers=False)
    place, usage = played(over, limits=NUDGED, cap=100)
    assert over.interrupted == 0.0 and over.killed and place.clock.now == session.FINAL
    assert usage.tokens == 110 and "nudge" not in place.kinds()


def test_at_a_cap_nothing_is_begun_anew() -> None:
    place, _ = failing(Script([Quiet(601.0), spent(100), Quiet(7000.0)], answers=False), limits=NUDGED, cap=100)
    assert len(place.made) == 1


def test_what_is_told_again_is_not_passed_on_again() -> None:
    place, _ = played(Script([spent(10), spent(10), SAYS, spent(10), DONE]))
    assert [told.tokens for told in place.told] == [10]


def test_the_end_is_announced_once() -> None:
    place, _ = played(Script([SAYS, *[step for _ in range(20) for step in (Quiet(170.0), SAYS)], DONE]))
    assert place.kinds() == ["wind-down"]
    assert len(place.made[0].said) == 1 and place.made[0].said[0].startswith("10 min are left")


def test_one_that_takes_no_word_is_told_nothing() -> None:
    place, _ = played(Script([SAYS, *[step for _ in range(20) for step in (Quiet(170.0), SAYS)], DONE], can_say=False))
    assert place.kinds() == []


@pytest.mark.parametrize("how", [{"stopped": True}, {"timed_out": True}])
def test_one_that_was_stopped_has_not_failed(how: Mapping[str, bool]) -> None:
    class Stopping(Place):
        def run(self, argv: Sequence[str], *, talk: Talk, **_: Any) -> Finished:
            talk.line("0")
            return Finished(-9, b"", b"", 1.0, **how)

    place = Stopping(Clock(), Script([spent(5)]))
    assert converse(place, place.make, "the brief", NUDGED).tokens == 5


# ── resuming what an earlier attempt began ───────────────────────────────────────────────────────


def test_a_session_of_an_earlier_attempt_is_gone_on_with() -> None:
    place, _ = played(Script([SAYS, DONE]), resumes="an-old-one")
    assert place.made[0].resumed == "an-old-one" and place.made[0].prompt == "the brief"


def test_a_session_that_is_not_there_any_more_is_begun_anew_once() -> None:
    gone = Event("end", text="no such session", trouble="config")
    place, _ = played(Script([gone]), Script([SAYS, DONE]), resumes="an-old-one")
    assert [made.resumed for made in place.made] == ["an-old-one", None]
    place, failed = failing(Script([gone]), Script([gone]), resumes="an-old-one")
    assert failed.trouble == "config" and len(place.made) == 2


# ── what it costs ────────────────────────────────────────────────────────────────────────────────


def test_its_own_dollars_win_over_list_prices() -> None:
    tally = Tally()
    tally.heard(spent(1_000_000))
    assert tally.usage(1.0).dollars == 3.0, "by the list"
    tally.heard(spent(1_000_000, 2.5))
    assert tally.usage(1.0).dollars == 2.5


def test_what_was_said_to_be_spent_is_never_unsaid() -> None:
    tally = Tally()
    tally.heard(spent(1_000_000, 3.5))
    for less in (spent(5, 0.01), Event("usage", dollars=0.0), spent(1_000_000, 0.01), spent(1_000_000)):
        tally.heard(less)
        assert (tally.usage(1.0).tokens, tally.usage(1.0).dollars) == (1_000_000, 3.5)
    tally.gone()
    tally.heard(spent(5, 0.5))
    assert (tally.usage(1.0).tokens, tally.usage(1.0).dollars) == (1_000_005, 4.0), "another process"


def test_what_is_not_known_is_not_nothing() -> None:
    tally = Tally()
    assert tally.usage(0.0).dollars == 0.0, "it never worked"
    tally.heard(SAYS)
    assert tally.usage(0.0).dollars is None, "it worked, and told nothing"
    tally.gone()
    tally.heard(spent(5, 1.0))
    assert tally.usage(0.0).dollars is None and tally.usage(0.0).tokens == 5
    tally = Tally()
    tally.heard(Event("usage", models={"nobody-knows": Tokens(input=5)}))
    assert tally.usage(0.0).dollars is None
