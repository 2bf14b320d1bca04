"""Runs of `kf` as processes of their own: asked to stop, killed, with agents killed; and nothing is left of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kernelfactory import jail, problem, workers
from kernelfactory.budget import Caps
from kernelfactory.experiment import Settings
from kernelfactory.model import BadInput
from kernelfactory.record import Attempt, Reader
from kernelfactory.trees import Trees
from kernelfactory.workers import Plan

TINY = Path(__file__).parent / "problems" / "tiny_number"
NAP = f"sleep 600.{os.getpid()}"
WORKS = "echo 500 > number.txt; kf measure; echo tried > progress.md; touch measured; "


class House:
    """One experiment, agents, and `kf` as people start it."""

    def __init__(self, base: Path) -> None:
        self.base, self.folder, self.scratch = base, base / "x", base / "scratch"
        self.started: list[subprocess.Popen[str]] = []
        workers.make(self.folder, problem.load(TINY), Settings(), unprotected=True)

    def script(self, text: str) -> str:
        """An agent that runs these lines of shell."""
        path = self.base / f"agent-{len(list(self.base.iterdir()))}.sh"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return f"command@{path}"

    def start(self, *specs: str, attempts: int = 50) -> subprocess.Popen[str]:
        agents = [word for spec in specs for word in ("--agent", spec)]
        return self._kf("resume", str(self.folder), *agents, "--attempts", str(attempts), *self._where())

    def _where(self) -> list[str]:
        return ["--scratch", str(self.scratch), "--unprotected"]

    def _kf(self, *words: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "KF_STATE": str(self.base / "state")}
        argv = [sys.executable, "-m", "kernelfactory", *words]
        pipe, both = subprocess.PIPE, subprocess.STDOUT
        self.started.append(subprocess.Popen(argv, stdout=pipe, stderr=both, text=True, env=environment))
        return self.started[-1]

    def kf(self, *words: str) -> tuple[int, str]:
        run = self._kf(*words)
        out, _ = run.communicate(timeout=120)
        return run.returncode, out

    def rows(self) -> list[Attempt]:
        with Reader.open(self.folder) as reader:
            return reader.attempts()

    def alive(self) -> list[str]:
        """Command lines of this house's processes."""
        return [line for line in processes().values() if str(self.base) in line or NAP in line]


def processes() -> dict[int, str]:
    listed = subprocess.run(["ps", "-ww", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 1) for line in listed.splitlines()]
    return {int(row[0]): row[1] for row in rows if len(row) == 2}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    try:
        yield made
    finally:
        for run in made.started:
            if run.poll() is None:
                run.kill()
                run.communicate()
    until(lambda: not made.alive(), "a process was left")
    assert not [*made.scratch.glob("*/kf-*")], "a workspace was left"


def until(condition: Callable[[], object], otherwise: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def at_work(house: House) -> None:
    """Until an agent has had something measured and said so."""
    until(lambda: any(row.measurements for row in house.rows()), "nothing was measured")
    until(lambda: [*house.scratch.glob("*/kf-*/work/measured")], "no answer came")
    assert len(house.alive()) > 2, "a run at work is not seen: that nothing is left shows nothing"


# ── asked to stop ────────────────────────────────────────────────────────────────────────────────


def test_stop_lets_attempts_finish(house: House) -> None:
    run = house.start(house.script(WORKS + "while [ ! -e go ]; do sleep 0.05; done; echo 400 > number.txt"))
    at_work(house)
    assert house.kf("stop", str(house.folder)) == (0, "draining: running attempts end, no new one begins\n")
    for place in house.scratch.glob("*/kf-*/work"):
        (place / "go").touch()
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 0 and "asked to stop" in out
    assert [(row.end, row.score) for row in house.rows()] == [("finished", 400.0)]


def test_stop_now_keeps_what_was_measured(house: House) -> None:
    run = house.start(house.script(WORKS + NAP))
    at_work(house)
    assert house.kf("stop", "--now", str(house.folder)) == (0, "abandoning what runs\n")
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 0, out
    assert [(row.end, row.score, row.notes) for row in house.rows()] == [("interrupted", 500.0, "tried\n")]
    assert (house.folder / "best/number.txt").read_text() == "500\n"


def test_stop_where_nothing_runs_is_bad_input(house: House) -> None:
    for left in (False, True):
        if left:  # by a run that was killed
            (house.folder / "desk.sock").touch()
        code, out = house.kf("stop", str(house.folder))
        assert (code, out.count("\n")) == (2, 1) and "nothing is running" in out


def test_a_folder_in_use_is_told_in_one_line(house: House) -> None:
    spec = house.script(WORKS + NAP)
    run = house.start(spec)
    at_work(house)
    words = ("resume", str(house.folder), "--agent", spec, "--attempts", "9", "--unprotected")
    code, out = house.kf(*words)
    assert code == 2 and f"kf: {house.folder} is in use by process {run.pid}" in out
    code, out = house.kf("run", str(TINY), *words[2:], "--dir", str(house.folder))
    assert code == 2 and "is not empty" in out
    assert run.poll() is None and len(house.rows()) == 1, "the first run was disturbed"
    house.kf("stop", "--now", str(house.folder))
    run.communicate(timeout=60)


# ── killed ───────────────────────────────────────────────────────────────────────────────────────


def test_agents_die_with_a_killed_run_and_its_work_is_kept(house: House) -> None:
    try:
        jail.find()
    except BadInput as error:
        if "bubblewrap" in os.environ.get("KF_REQUIRE", "").split(","):
            pytest.fail(f"KF_REQUIRE names bubblewrap: {error}")
        pytest.skip(f"only a cage dies with its run: {error}")
    run = house.start(house.script(WORKS + NAP))
    at_work(house)
    run.kill()
    run.communicate()
    until(lambda: not house.alive(), "an agent outlived its run")
    run = house.start(house.script("echo 450 > number.txt"), attempts=2)
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 0 and "1 cut short when the last run ended: what they had measured is kept" in out
    first, second = house.rows()
    assert (first.end, first.outcome, first.score, first.notes) == ("interrupted", "improved", 500.0, "tried\n")
    assert (second.end, second.score) == ("finished", 450.0)


def test_agents_without_a_cage_end_with_the_resume_at_the_latest(house: House) -> None:
    killed = [sys.executable, str(TINY.parent.parent / "durability" / "killed.py"), str(house.folder)]
    try:
        for spec, attempts, window in (
            (house.script(WORKS + NAP), 2, "before-answer"),
            (house.script("true"), 2, "never"),
        ):
            words = [*killed, str(house.scratch), spec, str(attempts), window, "1", "uncaged"]
            here = {**os.environ, "TMPDIR": str(house.base)}
            done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=here, check=False)
            assert done.returncode == (0 if window == "never" else -signal.SIGKILL), done
        assert not house.alive(), "an agent goes on, unseen, after its run was killed and another one has ended"
    finally:
        for pid, line in processes().items():
            if line == NAP or str(house.base) in line:
                os.kill(pid, signal.SIGKILL)


def test_a_killed_agent_costs_one_attempt(house: House) -> None:
    """The second attempt's agent is killed from outside, after it measured: that is kept, and the run goes on."""
    spec = house.script(WORKS + f"grep -q '\"attempt\": 2,' .kf/assignment.json && exec {NAP}; true")
    run = house.start(spec, attempts=4)
    until(lambda: [pid for pid, line in processes().items() if line == NAP], "the agent never slept")
    for pid, line in processes().items():
        if line == NAP:
            os.kill(pid, signal.SIGKILL)
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 0, out
    assert [row.end for row in house.rows()] == ["finished", "failed", "finished", "finished"]
    assert [row.score for row in house.rows()] == [500.0] * 4
    assert "the command ended with exit code" in (house.rows()[1].fault or "")


# ── many ─────────────────────────────────────────────────────────────────────────────────────────


def test_an_agent_that_is_given_up_leaves_the_rest_at_work(house: House) -> None:
    broken, works = house.script("echo broken >&2; exit 3"), house.script("echo 700 > number.txt; sleep 0.2")
    run = house.start(broken, works, attempts=12)
    out, _ = run.communicate(timeout=120)
    assert run.returncode == 0 and "is paused: it died at once 5 times in a row" in out
    ends = [row.end for row in house.rows()]
    assert (ends.count("failed"), ends.count("finished")) == (5, 7)
    with Reader.open(house.folder) as reader:
        kinds = [told.kind for told in reader.incidents()]
    assert kinds.count("broken") == 1 and "switched" in kinds, "its slot was not given to the other one"


def test_one_program_many_times_is_judged_and_stored_once(house: House) -> None:
    run = house.start(house.script("echo 500 > number.txt; kf measure >> answers; cat answers") + ":3", attempts=6)
    out, _ = run.communicate(timeout=120)
    assert run.returncode == 0, out
    with Reader.open(house.folder) as reader:
        found = [m for row in reader.attempts() for m in reader.measurements(row.attempt)]
    mine = [m for m in found if m.verdict.score == 500.0]
    assert len({row.attempt for row in house.rows() if row.score == 500.0}) == 6
    assert len({m.verdict.tree for m in mine}) == 1
    assert sum(not m.cached for m in mine) <= 3, "what was judged was judged again"
    stored_once(house)
    assert json.loads(house.kf("status", str(house.folder), "--json")[1])["measurements"] == len(found)


def test_one_program_measured_in_two_slots_at_once_is_stored_once(house: House) -> None:
    steps = house.base / "steps.json"
    steps.write_text(json.dumps([{"write": {"number.txt": "500"}}, {"measure": True}]))
    both = threading.Barrier(2)

    def window(name: str) -> None:
        """Nobody writes a row before the other one has what it needs for its own, or cannot have it yet."""
        if name == "after-commit":
            with suppress(threading.BrokenBarrierError):
                both.wait(2.0)

    plan = Plan((f"scripted@{steps}:2",), Caps(attempts=2), scratch=house.scratch, unprotected=True)
    assert workers.run(house.folder, plan, world=workers.World(window=window)).exit_code == 0
    assert [row.score for row in house.rows()] == [500.0, 500.0]
    stored_once(house)


def stored_once(house: House) -> None:
    """The seed and one more program, each one commit."""
    with Reader.open(house.folder) as reader:
        found = [m for row in reader.attempts() for m in reader.measurements(row.attempt)]
    commits = {m.commit for m in found if m.commit}
    assert all(Trees(house.folder / "trees.git").exists(commit) for commit in commits)
    words = ["git", "-C", str(house.folder / "trees.git"), "for-each-ref", "--format=%(objectname)", "refs/candidates"]
    refs = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert len(commits) == 1 and len(refs) == 2, "one program was stored twice"


def test_more_agents_than_files_are_allowed_for_are_refused(house: House) -> None:
    """Injected fault: a hard limit, where a soft one is raised."""
    spec = f"{house.script('true')}:30"
    argv = [sys.executable, "-m", "kernelfactory", "resume", str(house.folder), "--agent", spec, "--attempts", "2"]
    argv += house._where()
    said = []
    for limit in ("-n", "-Sn"):
        limited = ["sh", "-c", f'ulimit {limit} 400; exec "$@"', "sh", *argv]
        done = subprocess.run(limited, check=False, capture_output=True, text=True, timeout=120)
        said.append((done.returncode, done.stderr))
    assert said[0][0] == 2 and "30 agents at once need about 608 open files, and 400 are allowed" in said[0][1]
    assert said[1][0] == 0 and len(house.rows()) == 2, said
