"""The record alone makes every choice again; with one slot two runs are the same."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from kernelfactory import problem, workers
from kernelfactory.budget import Caps
from kernelfactory.experiment import Settings
from kernelfactory.policy import find as find_policy
from kernelfactory.record import Reader
from kernelfactory.replay import replay
from kernelfactory.workers import Plan

TINY = Path(__file__).parent / "problems" / "tiny_number"
POLICIES = ("islands", "greedy", "uniform", "lone")


def steps_file(folder: Path) -> str:
    """Scripted steps whose result depends on the attempt alone: some improve, some do not."""
    steps = [{"write": {"number.txt": "9{attempt}"}}, {"measure": True}, {"note": "attempt {attempt} on {parent}"}]
    path = folder / "steps.json"
    path.write_text(json.dumps(steps))
    return f"scripted@{path}"


def run(folder: Path, spec: str, attempts: int, policy: str = "islands", seed: int = 5) -> None:
    settings = Settings((spec,), policy, 3, seed)
    workers.make(folder, problem.load(TINY), settings, unprotected=True)
    plan = Plan((spec,), Caps(attempts=attempts), unprotected=True, scratch=folder.parent / "scratch")
    ending = workers.run(folder, plan)
    assert (ending.state, ending.exit_code) == ("finished", 0), ending


def differences(folder: Path, policy: str = "islands") -> list[int]:
    with Reader.open(folder) as reader:
        return [again.attempt for again in replay(reader, find_policy(policy, 3)) if again.recorded != again.chosen]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_two_slot_run_replays(policy: str, tmp_path: Path) -> None:
    run(tmp_path / "x", steps_file(tmp_path) + ":2", 40, policy)
    with Reader.open(tmp_path / "x") as reader:
        moves = {row.move for row in reader.attempts()}
        assert len(reader.attempts()) == 40
    assert differences(tmp_path / "x", policy) == []
    if policy == "islands":
        assert {"select", "migrate"} <= moves, f"the run was too dull to show anything: {moves}"


def test_a_resumed_run_replays(tmp_path: Path) -> None:
    spec = steps_file(tmp_path) + ":2"
    run(tmp_path / "x", spec, 8)
    plan = Plan((spec,), Caps(attempts=20), unprotected=True, scratch=tmp_path / "scratch")
    assert workers.run(tmp_path / "x", plan).exit_code == 0
    assert differences(tmp_path / "x") == []


def test_one_slot_and_one_seed_give_the_same_run(tmp_path: Path) -> None:
    spec = steps_file(tmp_path)
    rows = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        run(tmp_path / name, spec, 25, seed=seed)
        with Reader.open(tmp_path / name) as reader:
            rows.append([(r.parent, r.island, r.move, r.reason, r.score, r.tree, r.outcome) for r in reader.attempts()])
    assert rows[0] == rows[1]
    assert rows[0] != rows[2], "the seed changes nothing: the test is blind"


def test_a_changed_record_is_noticed(tmp_path: Path) -> None:
    """The injected fault: one score that was not what the choices were made from."""
    run(tmp_path / "x", steps_file(tmp_path) + ":2", 40)
    with sqlite3.connect(tmp_path / "x" / "record.db") as db:
        db.execute("DROP TRIGGER measurement_once")
        db.execute("UPDATE measurement SET score = score + 5000 WHERE attempt = 1")
    db.close()
    assert differences(tmp_path / "x") != []
