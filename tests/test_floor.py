"""Runs and their ends: caps, targets, deadlines, agents that fail, hang or reach a limit; real, with small agents."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from kernelfactory import problem, workers
from kernelfactory.budget import Caps
from kernelfactory.experiment import Settings
from kernelfactory.model import BadInput
from kernelfactory.record import Attempt, Reader
from kernelfactory.workers import Ending, Plan, Progress

TINY = Path(__file__).parent / "problems" / "tiny_number"


class House:
    """One experiment and the agents that tests need."""

    def __init__(self, base: Path) -> None:
        self.base, self.folder = base, base / "x"
        workers.make(self.folder, problem.load(TINY), Settings(), unprotected=True)

    def scripted(self, *steps: dict[str, Any], slots: int = 1) -> str:
        path = self.base / f"steps-{len(list(self.base.iterdir()))}.json"
        path.write_text(json.dumps(steps))
        return f"scripted@{path}:{slots}"

    def script(self, text: str) -> str:
        path = self.base / f"agent-{len(list(self.base.iterdir()))}.sh"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return f"command@{path}"

    def run(self, spec: str, caps: Caps, **more: Any) -> Ending:
        plan = Plan((spec,), caps, scratch=self.base / "scratch", unprotected=True, **more)
        self.seen: list[Progress] = []
        self.said: list[str] = []
        return workers.run(self.folder, plan, on_progress=self.seen.append, on_message=self.said.append)

    def rows(self) -> list[Attempt]:
        with Reader.open(self.folder) as reader:
            return reader.attempts()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


WRITE = {"write": {"number.txt": "9{attempt}"}}


@pytest.mark.parametrize("slots", [1, 3])
def test_a_cap_on_attempts_is_exact(house: House, slots: int) -> None:
    ending = house.run(house.scripted(WRITE, slots=slots), Caps(attempts=7))
    assert (ending.state, ending.exit_code, len(house.rows())) == ("finished", 0, 7)
    assert house.seen[-1].attempts == 7 and house.seen[-1].improved == sum(
        r.outcome == "improved" for r in house.rows()
    )


def test_a_resume_that_has_nothing_to_do_says_so(house: House) -> None:
    spec = house.scripted(WRITE)
    house.run(spec, Caps(attempts=3))
    measured = sum(row.measurements for row in house.rows())
    ending = house.run(spec, Caps(attempts=2))
    assert ending.exit_code == 0 and "nothing was left to do" in ending.why
    assert sum(row.measurements for row in house.rows()) == measured, "a run that did nothing measured something"
    assert house.run(spec, Caps(attempts=5)).exit_code == 0 and len(house.rows()) == 5


def test_a_target_ends_a_run_and_one_not_reached_is_exit_1(house: House) -> None:
    spec = house.scripted(WRITE)
    assert house.run(spec, Caps(attempts=1000), target=95.0).exit_code == 0
    assert len(house.rows()) < 1000
    ending = house.run(spec, Caps(attempts=len(house.rows()) + 1), target=1.0)
    assert (ending.exit_code, "the target 1 is not reached" in ending.why) == (1, True)


def test_the_end_of_time_cuts_an_agent_short_and_keeps_what_it_measured(house: House) -> None:
    spec = house.script("echo 500 > number.txt; kf measure; echo tested > progress.md; echo 1 > number.txt; sleep 60")
    began = time.monotonic()
    ending = house.run(spec, Caps(seconds=4.0))
    assert (ending.state, ending.exit_code) == ("finished", 0) and time.monotonic() - began < 30.0
    (row,) = house.rows()[:1]
    assert row.end == "budget" and row.outcome == "improved" and row.notes.strip() == "tested"
    assert row.score in (1.0, 500.0)


def test_an_attempt_s_own_time_is_a_timeout(house: House) -> None:
    spec = house.script("echo 500 > number.txt; kf measure; sleep 60")
    house.run(spec, Caps(attempts=1), attempt_seconds=3.0)
    assert [(row.end, row.score) for row in house.rows()] == [("timeout", 500.0)]


def test_an_agent_that_only_fails_is_given_up(house: House) -> None:
    ending = house.run(house.script("echo cannot log in >&2; exit 7"), Caps(attempts=100))
    assert (ending.state, ending.exit_code) == ("stopped", 3) and "no agent is left" in ending.why
    rows = house.rows()
    assert len(rows) == 5 and {row.end for row in rows} == {"failed"}
    assert all("exit code 7: cannot log in" in (row.fault or "") for row in rows)


def test_a_failure_now_and_then_is_a_row_and_no_more(house: House) -> None:
    spec = house.scripted(WRITE, {"measure": True}, {"fail": "lost my way in {attempt}"})
    house.run(spec, Caps(attempts=3))
    assert [(row.end, row.outcome is not None, row.fault) for row in house.rows()] == [
        ("failed", True, f"lost my way in {n}") for n in (1, 2, 3)
    ]
    assert house.rows()[0].score == 91.0, "what it had measured before is lost"


def test_a_limit_parks_the_slot_and_shows_until_when(house: House, tmp_path: Path) -> None:
    info = tmp_path / "site" / "limited-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: limited\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[kernelfactory.agents]\nlimited = limited:Limited\n")
    (tmp_path / "site" / "limited.py").write_text(
        "import time\nfrom kernelfactory.model import UsageLimit\n"
        "class Limited:\n    name, counts_tokens, in_process, streams = 'limited', True, True, True\n"
        "    costs_money = resumes = False\n    needs = shares = routes = hosts = ()\n    secrets = {}\n"
        "    def __init__(self, model, entry): self.model, self.entry = None, entry\n"
        "    def work(self, workplace, brief, limits): raise UsageLimit('at its limit', until=time.time() + 3600)\n"
    )
    words = [sys.executable, "-m", "kernelfactory", "resume", str(house.folder), "--agent", "limited", "--hours", "1"]
    run = subprocess.Popen(
        [*words, "--unprotected"],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), "KF_STATE": str(tmp_path / "state")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    paused = None
    while run.poll() is None and paused is None:
        time.sleep(0.1)
        with Reader.open(house.folder) as reader:
            paused = next((agent["paused_until"] for agent in reader.status()["agents"]), None)
    run.send_signal(signal.SIGTERM)
    assert run.wait(30) == 130 and paused is not None
    assert [(row.end, row.fault) for row in house.rows()] == [("limit", "at its limit")], "it was started again at once"


def test_an_agent_that_costs_money_needs_a_cap(house: House) -> None:
    with pytest.raises(BadInput, match="needs a cap"):
        house.run(house.script("true"), Caps())
    with pytest.raises(BadInput, match="--tokens alone cannot stop it"):
        house.run(house.script("true"), Caps(tokens=5))
    assert house.rows() == []


def test_a_money_cap_waits_for_what_running_attempts_hold(house: House) -> None:
    ending = house.run(house.script("sleep 0.3") + ":4", Caps(dollars=25.0))
    assert ending.exit_code == 3 and "3 attempts of unknown price" in ending.why
    assert len(house.rows()) == 3, "attempts of unknown price are charged at a guess of $10 each"


def test_time_between_runs_is_no_running_time(house: House) -> None:
    spec = house.scripted(WRITE)
    house.run(spec, Caps(attempts=1))
    with sqlite3.connect(house.folder / "record.db") as db:  # a run that was killed an hour ago, after a second
        db.execute("UPDATE run SET state = 'running', ended_at = NULL, why = NULL, started_at = started_at - 3600")
        db.execute("DROP TRIGGER event_once")
        db.execute("UPDATE event SET at = at - 3599")
    db.close()
    ending = house.run(spec, Caps(attempts=3, seconds=600.0))
    assert len(house.rows()) == 3, ending


def test_kf_abandon_judges_no_last_snapshot(house: House) -> None:
    house.run(house.script("echo 3 > number.txt; kf abandon; sleep 30"), Caps(attempts=1))
    (row,) = house.rows()
    assert (row.state, row.outcome, row.score, row.measurements) == ("abandoned", "none", None, 0)


def test_a_reader_that_goes_away_ends_nothing(house: House) -> None:
    def gone(*_: object) -> None:
        raise BrokenPipeError

    plan = Plan((house.scripted(WRITE),), Caps(attempts=3), scratch=house.base / "scratch", unprotected=True)
    assert workers.run(house.folder, plan, on_progress=gone, on_message=gone).exit_code == 0
    assert len(house.rows()) == 3


def test_whatever_stops_the_loop_stops_the_agents(house: House) -> None:
    def broken(progress: Progress) -> None:
        if progress.attempts:
            raise RuntimeError("the screen fell over")

    plan = Plan((house.script("sleep 60"),), Caps(attempts=3), scratch=house.base / "scratch", unprotected=True)
    began = time.monotonic()
    with pytest.raises(RuntimeError, match="fell over"):
        workers.run(house.folder, plan, on_progress=broken)
    assert time.monotonic() - began < 30.0
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("slot")]
    with Reader.open(house.folder) as reader:
        assert reader.runs()[-1].state == "stopped" and "fell over" in (reader.runs()[-1].why or "")


def start(house: House, spec: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "kernelfactory", "resume", str(house.folder), "--agent", spec, "--attempts", "50"]
    words += ["--scratch", str(house.base / "scratch"), "--unprotected"]
    run = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "KF_STATE": str(house.base)},
    )
    while run.poll() is None and not any(row.measurements for row in house.rows()):
        time.sleep(0.05)
    return run


def test_interrupted_twice_cuts_short_and_keeps_what_was_measured(house: House) -> None:
    run = start(house, house.script("echo 500 > number.txt; kf measure; echo tested > progress.md; sleep 77.7"))
    for _ in range(2):
        run.send_signal(signal.SIGINT)
        time.sleep(0.6)
    out, _ = run.communicate(timeout=30)
    assert run.returncode == 130, out
    (row,) = house.rows()
    assert (row.end, row.score, row.notes.strip()) == ("interrupted", 500.0, "tested")
    living = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "sleep 77.7" not in living and str(house.base) not in living


def test_interrupted_once_lets_attempts_finish(house: House) -> None:
    run = start(house, house.script("echo 500 > number.txt; kf measure; sleep 2; echo 400 > number.txt"))
    run.send_signal(signal.SIGINT)
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 130, out
    assert [(row.end, row.score) for row in house.rows()] == [("finished", 400.0)]
