"""A whole night on a fake clock: 500 attempts by two agents with windows of five hours, crashes, hangs, logouts,
outages and a reboot. Real floor, record, git and judge; the agents and the clock are not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from kernelfactory import problem, workers
from kernelfactory.experiment import Settings
from kernelfactory.record import Attempt, Reader
from kernelfactory.rota import TRIAL

TINY = Path(__file__).parent.parent / "problems" / "tiny_number"
WORLD = Path(__file__).with_name("world.py")
START = 1_795_000_000.0
HOUR, WINDOW, REQUEST = 3600.0, 5 * 3600.0, 0.125
SLOTS = 4
REBOOT = 600.0

PLAN: dict[str, Any] = {
    "seed": 7,
    "start": START,
    "now": START,
    "accounts": {
        "day": {"quota": 300, "away": [[7.0, 9.5]], "down": [[1.0, 1.4], [16.0, 16.2]]},
        "dusk": {"quota": 220, "away": [[20.0, 20.5]], "down": [[1.2, 1.3]]},
    },
    "resume": ["day"],
    "entries": {},
    "crew": ["day:2", "dusk:2"],
    "caps": {"attempts": 500},
    "switching": True,
    "reboot_after": 250,
}


@dataclass
class Morning:
    """What a night left."""

    folder: Path
    rows: list[Attempt]
    incidents: list[Any]
    said: list[dict[str, Any]]

    def spent(self) -> float:
        return sum(row.dollars or 0.0 for row in self.rows)


def night(base: Path, **changed: Any) -> Morning:
    """Run a night to its end, a reboot of ten minutes included."""
    plan, said = {**PLAN, **changed}, []
    base.mkdir()
    workers.make(base / "x", problem.load(TINY), Settings(), unprotected=True, scratch=base / "scratch")
    while True:
        (base / "plan.json").write_text(json.dumps(plan))
        done = subprocess.run(
            [sys.executable, str(WORLD), str(base), str(base / "plan.json")],
            capture_output=True,
            check=False,
            text=True,
            timeout=400,
        )
        if done.returncode != -9:
            assert done.returncode in (0, 3), done.stderr[-3000:]
            said.append(json.loads(done.stdout))
            break
        with Reader.open(base / "x") as reader:
            rows = reader.attempts()
            last = max(max(row.started_at, row.ended_at or 0.0) for row in rows)
        plan |= {"now": last + REBOOT, "reboot_after": -1}
    with Reader.open(base / "x") as reader:
        return Morning(base / "x", reader.attempts(), reader.incidents(), said)


def idle(morning: Morning, slack: float = 75.0) -> list[tuple[str, float, float]]:
    """Gaps of more than `slack` seconds between two attempts of a slot in which some agent was free: (slot, from, hours
    into the night)."""
    found = []
    for slot in sorted({row.worker for row in morning.rows}):
        mine = sorted((row for row in morning.rows if row.worker == slot), key=lambda row: row.started_at)
        for before, after in pairwise(mine):
            low, high = before.ended_at or after.started_at, after.started_at
            at = low + slack
            while at < high:
                if not all(waits(morning, name, at) for name in PLAN["accounts"]):
                    found.append((slot, at, (at - START) / HOUR))
                    break
                at += 30.0
    return found


LONGEST = {"parked": WINDOW + 60.0, "backoff": 600.0, "broken": 8 * HOUR}
"""How long an agent may wait, by why."""


def waits(morning: Morning, name: str, at: float) -> bool:
    """Did this agent wait at that time, as the record has it? After a guessed wait one attempt tries it first."""
    kinds = (*LONGEST, "opened")
    last = [told for told in morning.incidents if told.agent == name and told.at <= at and told.kind in kinds]
    if not last or last[-1].kind != "opened":
        return bool(last) and at - last[-1].at <= LONGEST[last[-1].kind]
    return "tried again" in last[-1].text and at - last[-1].at <= TRIAL


def late(morning: Morning) -> list[tuple[str, float, float]]:
    """Agents that began again before their reset, or whose own slot was given to another one more than a minute after
    it: (agent, reset, when). A slot that was given away finishes what it has begun; `idle` sees that none waits."""
    found = []
    known = json.loads((morning.folder.parent / "world.json").read_text())["accounts"]
    for name, said, reset in [(name, *limit) for name, account in known.items() for limit in account["limits"]]:
        later = sorted((row for row in morning.rows if row.started_at > said), key=lambda row: row.started_at)
        begun = min((row.started_at for row in later if row.agent == name), default=float("inf"))
        if begun < reset:
            found.append((name, reset, begun))
        given = [row for row in later if row.worker in OWN[name] and reset + 60.0 < row.started_at < begun]
        found += [(name, reset, row.started_at) for row in given[:1]]
    return found


OWN = {"day": ("slot 0", "slot 1"), "dusk": ("slot 2", "slot 3")}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In memory where there is such a folder: a night is written to the disk some ten thousand times."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path_factory.mktemp("night")) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def morning(base: Path) -> Morning:
    return night(base / "night")


def test_no_attempt_is_lost(morning: Morning) -> None:
    assert [row.attempt for row in morning.rows] == list(range(1, 501))
    assert {row.state for row in morning.rows} <= {"judged", "abandoned"}
    cut = [row for row in morning.rows if row.end == "interrupted"]
    assert 1 <= len(cut) <= SLOTS, "the reboot cut short what ran, and nothing else"
    assert {"limit", "failed", "finished"} <= {row.end for row in morning.rows}


def test_no_slot_is_idle_while_an_agent_is_free(morning: Morning) -> None:
    assert idle(morning) == []


def test_the_search_for_idle_slots_finds_one(morning: Morning) -> None:
    gone = [
        row for row in morning.rows if not (row.worker == "slot 0" and 0.2 * HOUR < row.started_at - START < 0.9 * HOUR)
    ]
    assert idle(Morning(morning.folder, gone, morning.incidents, [])) != []


def test_parked_agents_begin_again_within_a_minute_of_their_reset(morning: Morning) -> None:
    parked = [told for told in morning.incidents if told.kind == "parked"]
    assert len(parked) >= 4 and {told.agent for told in parked} == {"day", "dusk"}
    assert late(morning) == []
    others = [replace(row, agent="dusk") for row in morning.rows]
    assert late(Morning(morning.folder, others, [], [])) != [], "the test of late ones cannot fail"


def test_what_was_cut_short_goes_on(morning: Morning) -> None:
    limited = [row.attempt for row in morning.rows if row.end == "limit" and row.agent == "day"]
    going_on = [row for row in morning.rows if row.continues is not None]
    assert going_on and {row.continues for row in going_on} <= set(limited)
    assert len({row.continues for row in going_on}) == len(going_on), "a session went on twice"
    assert {row.agent for row in going_on} == {"day"}, "dusk cannot resume"
    resumed = {told.attempt for told in morning.incidents if told.kind == "resumed"}
    assert resumed == {row.attempt for row in going_on}


def test_a_cap_in_dollars_is_never_passed_by_more_than_a_request_for_each_slot(base: Path) -> None:
    morning = night(base / "dollars", caps={"dollars": 40.0}, reboot_after=-1, entries={"dusk": {"dollars": 6.0}})
    assert morning.said[-1]["exit_code"] == 3 and "$40" in morning.said[-1]["why"]
    assert 38.0 < morning.spent() <= 40.0 + SLOTS * REQUEST
    dusk = sum(row.dollars or 0.0 for row in morning.rows if row.agent == "dusk")
    assert 5.0 < dusk <= 6.0 + SLOTS * REQUEST


def test_without_switching_slots_wait_for_their_own_agent(base: Path) -> None:
    morning = night(base / "waiting", caps={"attempts": 120}, reboot_after=-1, switching=False)
    assert {(row.worker, row.agent) for row in morning.rows} == {
        ("slot 0", "day"), ("slot 1", "day"), ("slot 2", "dusk"), ("slot 3", "dusk"),
    }  # fmt: skip
    assert idle(morning) != [], "the test of idle slots cannot fail"
