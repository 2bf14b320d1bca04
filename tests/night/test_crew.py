"""Who works in which slot, on a fake clock: agents at caps of their own, at limits, without a login, with faults. Real
floor, record, git and judge."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from clock import FakeClock

from kernelfactory import jail, problem, workers
from kernelfactory.agents import EMBEDDED, Readiness, Workplace
from kernelfactory.agents.config import NOTHING, Entry
from kernelfactory.budget import Caps
from kernelfactory.experiment import Settings
from kernelfactory.model import AgentFailed, Choice, Limits, Tokens, Usage, UsageLimit
from kernelfactory.record import Attempt, ClaimRow, Crew, Reader, Record, Start
from kernelfactory.rota import Wait
from kernelfactory.shifts import HELD_SECONDS, Shift, Shifts
from kernelfactory.workers import Ending, Plan, Progress, World

TINY = Path(__file__).parent.parent / "problems" / "tiny_number"
START = 1_795_000_000.0

Work = Callable[["Fake", Workplace, Limits], Usage]


class Fake:
    """An agent that does what it is made with."""

    counts_tokens = in_process = streams = True
    needs = shares = routes = hosts = ()
    secrets: MappingProxyType[str, str] = MappingProxyType({})

    def __init__(self, name: str, does: Work, entry: Entry = NOTHING, **more: Any) -> None:
        self.name, self.does, self.entry = name, does, entry
        self.model: str | None = more.get("model")
        self.resumes: bool = more.get("resumes", True)
        self.costs_money: bool = more.get("costs_money", True)
        self.clock: FakeClock

    def state(self) -> Readiness:
        return EMBEDDED

    def work(self, workplace: Workplace, brief: str, limits: Limits) -> Usage:
        return self.does(self, workplace, limits)


class House:
    """One experiment, and its runs."""

    def __init__(self, base: Path) -> None:
        self.folder, self.scratch = base / "x", base / "scratch"
        self.clock = FakeClock(START)
        self.said: list[str] = []
        self.watch: Callable[[Progress], None] = lambda progress: None
        workers.make(self.folder, problem.load(TINY), Settings(), unprotected=True, scratch=self.scratch)

    def run(self, caps: Caps, *crew: tuple[Fake, int], **more: Any) -> Ending:
        for agent, _ in crew:
            agent.clock = self.clock
        names = {
            f"{agent.name}{'' if agent.model is None else number}": agent for number, (agent, _) in enumerate(crew)
        }
        specs = tuple(f"{name}:{slots}" for name, (_, slots) in zip(names, crew, strict=True))
        plan = Plan(specs, caps, scratch=self.scratch, unprotected=True, **more)
        world = World(self.clock, self.clock.wait, jail=jail.find(unprotected=True), agents=names)  # type: ignore[arg-type]
        return workers.run(self.folder, plan, on_progress=self.watch, on_message=self.said.append, world=world)

    def rows(self) -> list[Attempt]:
        with Reader.open(self.folder) as reader:
            return reader.attempts()

    def incidents(self, kind: str) -> list[str]:
        with Reader.open(self.folder) as reader:
            return [told.text for told in reader.incidents() if told.kind == kind]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    yield House(tmp_path)


def usage(dollars: float) -> Usage:
    return Usage(1.0, 1000, dollars, {"a model": Tokens(input=1000)})


def works(seconds: float, dollars: float = 0.1) -> Work:
    def does(me: Fake, workplace: Workplace, limits: Limits) -> Usage:
        workplace.session(workplace.resumes or f"session {workplace.assignment.attempt}")
        me.clock.sleep(seconds)
        Path(workplace.folder, "number.txt").write_text(str(900 - workplace.assignment.attempt))
        workplace.measure()
        workplace.spent(usage(dollars))
        return usage(dollars)

    return does


def logged_out(me: Fake, workplace: Workplace, limits: Limits) -> Usage:
    raise AgentFailed("Not logged in", trouble="auth")


def used_up(me: Fake, workplace: Workplace, limits: Limits) -> Usage:
    me.clock.sleep(3.0)
    raise UsageLimit("used up", until=me.clock() + 3600.0)


# ── caps of one agent ────────────────────────────────────────────────────────────────────────────


def test_what_an_agent_may_not_have_now_it_is_asked_for_again_a_moment_later(house: House) -> None:
    """Its cap has room for one attempt at a time; nobody else can work: no slot may take that for the end, or wait for
    the clock of another one."""
    day = Fake("day", works(60.0), Entry(name="day", dollars=0.55))
    ending = house.run(Caps(attempts=60), (day, 2), (Fake("out", logged_out), 2))
    assert ending.exit_code == 3 and "the cap of $0.55 is reached ($0.60 spent)" in ending.why
    assert "not logged in" in ending.why
    mine = sorted(row.started_at for row in house.rows() if row.agent == "day")
    assert len(mine) == 6
    assert sum(at - mine[0] <= 61.0 for at in mine) == 5, "a slot waited longer than what was held"


def test_the_cap_of_each_attempt_stays_until_another_one_is_given(house: House) -> None:
    given: list[float | None] = []

    def looks(me: Fake, workplace: Workplace, limits: Limits) -> Usage:
        given.append(limits.dollars)
        return works(60.0)(me, workplace, limits)

    day = Fake("day", looks, Entry(name="day", attempt_dollars=3.0))
    house.run(Caps(attempts=1), (day, 1), attempt_dollars=0.05)
    house.run(Caps(attempts=2), (day, 1))
    house.run(Caps(attempts=3), (day, 1), attempt_dollars=8.0)
    assert [row.end for row in house.rows()] == ["budget", "budget", "finished"]
    assert given == [0.05, 0.05, 3.0], "of the run's and the agent's the smaller one holds"
    with Reader.open(house.folder) as reader:
        assert [run.cap_attempt_dollars for run in reader.runs()] == [0.05, 0.05, 8.0]


def test_what_is_held_is_not_held_for_ever_when_nothing_runs(house: House) -> None:
    """The last attempt that ran may be over before its slot's neighbour takes note that there was no room beside it."""
    clock, day = house.clock, Fake("day", works(60.0))
    with Record.open(house.folder) as record:
        run = record.start_run(Start(60.0, "none", "judged", "c", "x", crew=(Crew("day", None, 1, True),)), START)
        shifts = Shifts(SimpleNamespace(record=record, clock=clock), run, {"day": day}, True, {})  # type: ignore[arg-type, dict-item]
        shifts.capped("day", "no room", for_good=False)
        waits = shifts.next("day")
        assert isinstance(waits, Wait) and waits == (START + HELD_SECONDS, "no room")
        clock.sleep(HELD_SECONDS)
        assert isinstance(shifts.next("day"), Shift)
        shifts.capped("day", "all is spent", for_good=True)
        clock.sleep(HELD_SECONDS)
        assert shifts.next("day") == Wait(None, "all is spent")


@pytest.mark.parametrize("caps", [Caps(attempts=2), Caps(dollars=0.2), Caps(tokens=2000)])
def test_at_a_cap_nobody_is_waited_for(house: House, caps: Caps) -> None:
    """The last attempt that there was room for has come to its usage limit: the run is over, and not in an hour."""

    def both(me: Fake, workplace: Workplace, limits: Limits) -> Usage:
        works(60.0)(me, workplace, limits)
        if workplace.assignment.attempt == 2:
            raise UsageLimit("used up", until=me.clock() + 3600.0, usage=usage(0.1))
        return usage(0.1)

    ending = house.run(caps, (Fake("day", both), 1))
    assert ending.exit_code == (0 if caps.attempts else 3) and len(house.rows()) == 2
    assert house.clock() < START + 600.0, "it waited for the account"


def test_when_the_first_that_tries_comes_through_the_others_wait_no_longer(house: House) -> None:
    """The wait was a guess: one slot tries, for ten seconds, and the other ones were to give it thirty."""

    def does(me: Fake, workplace: Workplace, limits: Limits) -> Usage:
        if workplace.assignment.attempt <= 3:
            me.clock.sleep(5.0)
            raise UsageLimit("used up")
        return works(10.0)(me, workplace, limits)

    house.run(Caps(attempts=8), (Fake("day", does), 3))
    first, *others = sorted(row.started_at for row in house.rows()[3:])
    assert [at - first for at in others[:3]] == pytest.approx([10.0, 10.0, 10.0], abs=1.0)


def test_an_attempt_that_outlives_its_lease_is_settled_before_the_run_ends(house: House) -> None:
    """The machine slept: the last attempt hands in when its claim is over."""

    def sleeps(me: Fake, workplace: Workplace, limits: Limits) -> Usage:
        done = works(60.0)(me, workplace, limits)
        assert told.wait(60.0)
        me.clock.sleep(limits.seconds + 10_000.0)
        return done

    def busy(progress: Progress) -> None:
        """Whoever watches has seen that the time is up, and sees nothing more before the slot is done."""
        if progress.draining:
            told.set()
            for thread in threading.enumerate():
                if thread.name.startswith("slot "):
                    thread.join(60.0)

    told, house.watch = threading.Event(), busy
    house.run(Caps(seconds=30.0), (Fake("day", sleeps), 1))
    (row,) = house.rows()
    assert (row.state, row.end, row.outcome, row.dollars) == ("judged", "interrupted", "improved", 0.1)


# ── agents with faults ───────────────────────────────────────────────────────────────────────────


def test_a_fault_in_one_agent_ends_neither_the_night_nor_another_s_work(house: House) -> None:
    def faulty(me: Fake, workplace: Workplace, limits: Limits) -> Usage:
        works(60.0)(me, workplace, limits)
        raise ValueError("unheard of\x1b[31m")

    ending = house.run(Caps(attempts=6), (Fake("day", works(60.0)), 1), (Fake("odd", faulty), 1))
    assert ending.exit_code == 0 and len(house.rows()) == 6
    odd = [row for row in house.rows() if row.agent == "odd"]
    assert {(row.state, row.end, row.dollars) for row in odd} == {("judged", "failed", 0.1)}
    assert all(row.score is not None for row in odd), "what it had measured is lost"
    assert all("a fault in the agent: ValueError('unheard of" in (row.fault or "") for row in odd)


@pytest.mark.parametrize("until", [float("inf"), float("nan"), -1.0, 1e300])
def test_a_reset_that_can_be_none_is_none_anywhere(house: House, until: float) -> None:
    def odd(me: Fake, workplace: Workplace, limits: Limits) -> Usage:
        workplace.session("one")
        raise UsageLimit("used up", until=until)

    assert house.run(Caps(attempts=1), (Fake("day", odd), 1)).exit_code == 0
    with Reader.open(house.folder) as reader:
        (kept,) = reader.kept(START)
        assert kept.until == pytest.approx(START + 24 * 3600.0, abs=60.0)
        assert json.loads(json.dumps(reader.status(START)))["kept"][0]["session"] == "one"


# ── slots that are given away ────────────────────────────────────────────────────────────────────


def test_that_a_slot_was_given_away_is_told_once_not_with_each_attempt(house: House) -> None:
    quick = Fake("quick", works(8.0), costs_money=False)
    house.run(Caps(attempts=40), (Fake("day", used_up), 2), (quick, 1))
    assert len([row for row in house.rows() if row.agent == "quick" and row.worker != "slot 2"]) > 20
    told = [text for text in house.said if "works in a slot of" in text]
    assert told == ["quick works in a slot of day (at its usage limit)"] * 2 == house.incidents("switched")


def test_programs_that_go_by_one_name_have_accounts_of_their_own(house: House) -> None:
    """The models of one login wait together; two programs of `command` do not."""
    kind = Entry(name="command", agent="command")
    mine, other = (Fake("command", used_up, kind, model="./a"), Fake("command", works(60.0), kind, model="./b"))
    house.run(Caps(attempts=9), (mine, 1), (other, 1), switching=False)
    assert [row.model for row in house.rows()].count("./a") == 1
    assert [row.model for row in house.rows()].count("./b") == 8
    mine, other = (Fake("day", used_up, model="large"), Fake("day", works(60.0), model="small"))
    house.clock.sleep(3600.0)
    house.run(Caps(attempts=12), (mine, 1), (other, 1), switching=False)
    day = [row for row in house.rows() if row.agent == "day"]
    soon = sorted(row.model or "" for row in day if row.started_at - day[0].started_at < 3600.0)
    assert len(day) == 3 and soon == ["large", "small"], "it ran already; the next one waits for the window"


def test_who_waits_when_a_run_ends_goes_on_waiting_and_nobody_else(house: House) -> None:
    kind = Entry(name="command", agent="command")
    login, mine = Fake("day", used_up, model="large"), Fake("command", used_up, kind, model="./a")
    house.run(Caps(attempts=2), (login, 1), (mine, 1), switching=False)
    now = house.clock()
    other, free = Fake("day", works(60.0), model="small"), Fake("command", works(60.0), kind, model="./b")
    house.run(Caps(attempts=9), (free, 1), (other, 1), (mine, 1), switching=False)
    later = house.rows()[2:]
    assert {row.model for row in later if row.started_at < now + 3500.0} == {"./b"}, "it was never at a limit"
    with Reader.open(house.folder) as reader:
        assert reader.parked().keys() == {("command", "./a"), ("day", "small")}, "another model of the same login waits"


def test_sessions_that_cannot_be_gone_on_with_are_not_kept_over_a_kill(house: House) -> None:
    """A run was killed between a claim and its workspace, or before what was kept was on record."""

    def cut(me: Fake, workplace: Workplace, limits: Limits) -> Usage:
        workplace.session(f"session {workplace.assignment.attempt}")
        me.clock.sleep(3.0)
        raise UsageLimit("used up", until=me.clock() + 9 * 3600.0)

    house.run(Caps(attempts=3), (Fake("day", cut), 3))
    first, second, third = house.rows()
    bases = {row.attempt: Path(str(row.workspace)).parent for row in (first, second, third)}
    with Record.open(house.folder) as record:
        record.keep(second.attempt, None)
        row = ClaimRow(4, Choice(0, 0, "x"), "t", house.clock(), house.clock(), "day", "w", "none", None, 1, 1000.0)
        record.claim(replace(row, continues=first.attempt))
    assert house.run(Caps(attempts=4), (Fake("day", cut), 1)).exit_code == 0
    assert [attempt for attempt, base in bases.items() if base.exists()] == [third.attempt]
    with Reader.open(house.folder) as reader:
        assert [kept.attempt for kept in reader.kept(house.clock())] == [*reader.homes()] == [third.attempt]
