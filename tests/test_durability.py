"""SIGKILL at every point: no answered measurement and no handed-in work is lost, and nothing is counted twice.

The agent keeps its own log of what was answered to it; after a resume the record must hold each line exactly once."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernelfactory import jail, problem, workers
from kernelfactory.experiment import Settings
from kernelfactory.record import Reader
from kernelfactory.trees import Trees

HERE = Path(__file__).parent
TINY = HERE / "problems" / "tiny_number"
WINDOWS = (
    "after-claim", "after-judge", "after-commit", "after-row", "before-answer", "after-submit", "after-judged",
)  # fmt: skip


class Experiment:
    """An experiment on disk, the agents' own log beside it, and runs of it as processes."""

    def __init__(self, base: Path) -> None:
        self.folder, self.scratch, self.log = base / "x", base / "scratch", base / "answered.jsonl"
        info = base / "site" / "logged-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: logged\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[kernelfactory.agents]\nlogged = logged:Logged\n")
        self._path = f"{base / 'site'}{os.pathsep}{HERE / 'durability'}"
        self._spec = f"logged@{self.log}:2"
        workers.make(self.folder, problem.load(TINY), Settings((self._spec,)), unprotected=True)

    def start(self, attempts: int, window: str = "never", times: int = 1) -> subprocess.Popen[str]:
        return self._process("killed.py", self.folder, self.scratch, self._spec, attempts, window, times)

    def filled(self, box: list[str], disk: Path, window: str) -> str:
        """What is said of runs on the small `disk` of a sandbox, which fills in `window`."""
        run = self._process("filled.py", self.folder, disk, self.scratch, self._spec, window, box=box)
        return run.communicate(timeout=120)[0]

    def _process(self, script: str, *words: object, box: list[str] | None = None) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": self._path}
        argv = [*(box or []), sys.executable, str(HERE / "durability" / script), *map(str, words)]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)

    def finish(self, more: int = 4) -> str:
        """Resume, and `more` attempts beyond those there are."""
        with Reader.open(self.folder) as reader:
            made = reader.spent().attempts
        run = self.start(made + more)
        out, _ = run.communicate(timeout=120)
        assert run.returncode == 0, out
        return out

    def answered(self) -> list[tuple[int, int, float, str]]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [tuple(json.loads(line)) for line in lines]


@pytest.fixture
def experiment(tmp_path: Path) -> Iterator[Experiment]:
    made = Experiment(tmp_path)
    yield made
    assert not [*made.scratch.glob("kf-*"), *made.scratch.glob("*/kf-*")], "a workspace was left"
    living = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in living, "a process was left"


def check(folder: Path, answered: list[tuple[int, int, float, str]]) -> None:
    """Raises AssertionError unless the record holds what was answered, once, and agrees with itself and the trees."""
    with sqlite3.connect(f"file:{folder / 'record.db'}?mode=ro", uri=True) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = db.execute("SELECT attempt, number, score, tree FROM measurement WHERE attempt > 0").fetchall()
        for line in answered:
            assert rows.count(line) == 1, f"answered to an agent, and {rows.count(line)} times in the record: {line}"
        assert len({(attempt, number) for attempt, number, *_ in rows}) == len(rows), "a measurement is there twice"
        attempts = [number for (number,) in db.execute("SELECT attempt FROM attempt ORDER BY attempt")]
        assert attempts == list(range(len(attempts))), "an attempt is missing"
        still = db.execute("SELECT attempt FROM attempt WHERE state IN ('claimed', 'submitted')").fetchall()
        assert not still, f"never settled: {still}"
        ends = db.execute("SELECT attempt FROM event WHERE kind IN ('judged', 'abandoned')").fetchall()
        assert sorted(ends) == [(number,) for number in attempts[1:]], "an attempt ended twice, or never"
        tally = db.execute("SELECT attempts, measurements FROM tally").fetchone()
        assert tally == (len(attempts) - 1, len(rows)), "the tally and the rows disagree"
        first = db.execute("SELECT attempt, tree FROM measurement WHERE purpose IN ('screen', 'confirm')").fetchall()
        assert len(set(first)) == len(first), "one snapshot was counted twice"
        finished = "SELECT attempt, score, notes, parent_score FROM attempt WHERE \"end\" = 'finished'"
        for number, score, notes, given in db.execute(finished).fetchall():
            handed = float(notes.rpartition(" ")[2])
            assert handed in (score, given), f"what attempt {number} handed in is not its result"  # or its parent again
        named = db.execute('SELECT DISTINCT tree, "commit", score FROM measurement WHERE "commit" <> \'\'').fetchall()
        best = db.execute('SELECT "commit" FROM attempt WHERE confirmed = 1 ORDER BY score, attempt LIMIT 1').fetchone()
    db.close()
    trees = Trees(folder / "trees.git")
    assert all(trees.exists(commit) for _, commit, _ in named), "a row names a commit that is not there"
    assert len({tree for tree, *_ in named}) == len({commit for _, commit, _ in named}), "one program was stored twice"
    for tree, commit, score in named:
        assert float(trees.read(commit)["number.txt"]) == score, f"a wrong verdict on {tree}"
    words = ["git", "-C", str(folder / "trees.git"), "fsck", "--strict"]
    git = subprocess.run(words, capture_output=True, text=True, check=False)
    assert git.returncode == 0, git.stderr
    if best is not None:
        assert (folder / "best/number.txt").read_bytes() == trees.read(best[0])["number.txt"]


# ── named points ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("window", WINDOWS)
def test_killed_in_a_window(experiment: Experiment, window: str) -> None:
    """The first time that it is passed, and in the run that goes on the third time."""
    for times in (1, 3):
        run = experiment.start(50, window, times)
        out, _ = run.communicate(timeout=120)
        assert run.returncode == -signal.SIGKILL, out
    before = experiment.answered()
    out = experiment.finish()
    if window == "after-submit":
        assert "handed in before the last run ended: judged now" in out
    check(experiment.folder, experiment.answered())
    assert len(experiment.answered()) > len(before), "the resumed run did nothing"


def test_every_window_of_the_source_is_named_here() -> None:
    source = "".join(path.read_text() for path in (HERE.parent / "src" / "kernelfactory").glob("*.py"))
    assert set(re.findall(r'window\("([a-z-]+)"\)', source)) == set(WINDOWS)


# ── anywhere ─────────────────────────────────────────────────────────────────────────────────────


def kill_at_random(experiment: Experiment, dice: random.Random, kills: int) -> None:
    """Every second time while it starts or soon after, else while it works, however slow the machine is."""
    for number in range(kills):
        before = len(experiment.answered())
        with Reader.open(experiment.folder) as reader:
            made = reader.spent().attempts
        run = experiment.start(made + 500)
        while number % 2 == 0 and run.poll() is None and len(experiment.answered()) == before:
            time.sleep(0.01)
        time.sleep(dice.uniform(0.0, 0.4 if number % 2 == 0 else 1.6))
        run.kill()
        run.communicate()
    experiment.finish()
    check(experiment.folder, experiment.answered())


def test_killed_at_random_moments(experiment: Experiment) -> None:
    kill_at_random(experiment, random.Random(), 3)


@pytest.mark.soak
def test_killed_at_fifty_random_moments(experiment: Experiment) -> None:
    kill_at_random(experiment, random.Random(), 50)
    assert len(experiment.answered()) >= 25


def test_a_killed_ruler_is_replaced(experiment: Experiment) -> None:
    run = experiment.start(30)
    killed = seen = 0
    while run.poll() is None and killed < 3:
        answered, found = len(experiment.answered()), rulers(run.pid)
        if answered > seen and found:  # at work, not starting
            os.kill(found[-1], signal.SIGKILL)
            killed, seen = killed + 1, answered + 20
        time.sleep(0.02)
    out, _ = run.communicate(timeout=120)
    assert run.returncode == 0 and killed >= 1, out
    check(experiment.folder, experiment.answered())


def rulers(root: int) -> list[int]:
    """Processes below `root` that host a ruler."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    above = {int(pid): int(parent) for pid, parent, *_ in rows}
    hosts = [int(row[0]) for row in rows if len(row) > 2 and "ruler_host.py" in row[2]]
    return [pid for pid in hosts if root in lineage(pid, above)]


def lineage(pid: int, above: dict[int, int]) -> list[int]:
    found = [pid]
    while found[-1] in above and above[found[-1]] not in found:
        found.append(above[found[-1]])
    return found


# ── a full disk ──────────────────────────────────────────────────────────────────────────────────


def box() -> list[str]:
    """A command before a command: a sandbox in which disks can be made small, without being root."""
    for binary in jail.binaries():
        argv = [binary, "--bind", "/", "/", "--dev", "/dev"]
        if subprocess.run([*argv, "true"], capture_output=True, check=False).returncode == 0:
            return argv
    if "bubblewrap" in os.environ.get("KF_REQUIRE", "").split(","):
        pytest.fail("KF_REQUIRE names bubblewrap, which does not work here")
    pytest.skip("bubblewrap does not work here: no small disk can be made")


@pytest.mark.parametrize("window", ["after-claim", "after-judge", "after-commit", "after-row", "after-submit"])
def test_a_full_disk_cuts_short_and_nothing_is_lost(experiment: Experiment, tmp_path: Path, window: str) -> None:
    """A small tmpfs, filled to its last block at that point: exit code 3, with one line; so is another try; then, with
    room again, it goes on."""
    small = tmp_path / "small"
    small.mkdir()
    done = experiment.filled([*box(), "--size", str(256 << 20), "--tmpfs", str(small)], small, window)
    cut, again, after, *more = done.splitlines()
    assert cut.startswith("3 ") and again.startswith("3 ") and not more, done
    assert all("free some" in line for line in (cut, again)), done
    assert after.startswith("0 "), done
    assert len(experiment.answered()) > 60
    check(experiment.folder, experiment.answered())


# ── the check can fail ───────────────────────────────────────────────────────────────────────────


def test_the_check_sees_what_it_must(experiment: Experiment, tmp_path: Path) -> None:
    run = experiment.start(6)
    run.communicate(timeout=120)
    answered = experiment.answered()
    check(experiment.folder, answered)
    with pytest.raises(AssertionError, match="0 times in the record"):
        check(experiment.folder, [*answered, (1, 99, 5.0, "no such tree")])
    for fault, said in FAULTS.items():
        copy = tmp_path / "copy"
        shutil.copytree(experiment.folder, copy)
        with sqlite3.connect(copy / "record.db") as db:
            for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                db.execute(f"DROP TRIGGER {trigger}")
            db.executescript(fault)
        db.close()
        with pytest.raises(AssertionError, match=said):
            check(copy, answered)
        shutil.rmtree(copy)


ROW = [
    *("purpose", "at", "tree", '"commit"', "verdict", "score", "measures", "flags", "instruments", "seconds", "jail"),
    *("trust", "ruler_backend", "ruler_digest", "inputs", "confirmed"),
]
AGAIN = f"""
INSERT INTO measurement (attempt, number, {", ".join(ROW)})
SELECT attempt, 90, {", ".join(ROW)} FROM measurement WHERE attempt = 2 AND number = 2"""

FAULTS = {
    f"{AGAIN}; UPDATE tally SET measurements = measurements + 1": "counted twice",
    AGAIN: "disagree",
    "UPDATE attempt SET score = score + 1 WHERE attempt = 3": "is not its result",
    "UPDATE measurement SET score = score - 1 WHERE attempt = 3 AND number = 4": "a wrong verdict",
    "DELETE FROM measurement WHERE attempt = 2 AND number = 2": "0 times in the record",
    "UPDATE measurement SET score = score - 1 WHERE attempt = 2 AND number = 2": "0 times in the record",
    "UPDATE attempt SET state = 'claimed', outcome = NULL, ended_at = NULL WHERE attempt = 3": "never settled",
    "INSERT INTO event (at, kind, attempt, flagged) VALUES (1.0, 'judged', 2, 0)": "ended twice",
    "UPDATE tally SET measurements = measurements + 1": "disagree",
    'UPDATE measurement SET "commit" = \'' + "0" * 40 + "' WHERE attempt = 2 AND number = 1": "not there",
}
