"""kf quarantine, as a person uses it: real runs of a tiny problem whose agent hands in what is held impossible."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernelfactory.record import Reader

TESTS = Path(__file__).parents[1]
TINY = TESTS / "problems" / "tiny_number"


@pytest.fixture
def problem(tmp_path: Path) -> Path:
    """The number, its solutions private."""
    folder = tmp_path / "problem"
    shutil.copytree(TINY, folder, ignore=shutil.ignore_patterns("__pycache__"))
    toml = folder / "problem.toml"
    toml.write_text('solutions = "private"\n' + toml.read_text())
    return folder


@pytest.fixture
def made(tmp_path: Path, problem: Path, kf: Any) -> Path:
    """An experiment whose first attempt waits in quarantine."""
    steps = tmp_path / "steps.json"
    steps.write_text(json.dumps([{"write": {"number.txt": "-5\n"}}, {"note": "a\x1b[2Jtrick"}]))
    words = ("run", str(problem), "--dir", "made", "--agent", f"scripted@{steps}", "--attempts", "1", "--unprotected")
    ran = kf(*words, "--scratch", str(tmp_path / "scratch"))
    assert ran.returncode == 0, ran.stderr
    return tmp_path / "made"


def facts(ran: subprocess.CompletedProcess[str], code: int = 0) -> Any:
    assert ran.returncode == code, ran.stderr
    return json.loads(ran.stdout)


def test_what_waits_is_listed_with_why_and_how(made: Path, kf: Any) -> None:
    listed = kf("quarantine", "made", "list")
    assert listed.returncode == 0 and "beyond what this problem holds possible" in listed.stdout
    assert "quarantine made list N" in listed.stdout and "release N" in listed.stdout
    document = facts(kf("quarantine", "list", "--json"))  # the latest one
    (waiting,) = document["waiting"]
    assert (waiting["attempt"], waiting["score"], waiting["parent_score"], waiting["flags"]) == (1, -5, 1000, [])
    assert document["decisions"] == [] and facts(kf("status", "made", "--json"))["waiting"] == 1
    shown = kf("quarantine", "made", "list", "1")
    assert "+-5" in shown.stdout and "-1000" in shown.stdout, "its changes are not shown, though it is the user's own"
    assert facts(kf("quarantine", "made", "list", "1", "--json"))["diff"].count("+-5") == 1


def test_released_it_is_the_best_and_on_record(made: Path, kf: Any) -> None:
    released = kf("quarantine", "made", "release", "1", "--why", "the ruler allows it")
    assert released.returncode == 0, released.stderr
    assert "+-5" in released.stdout and "holds possible" in released.stdout, "decided unseen"
    assert "attempt 1 is released; the best is -5 points (attempt 1)" in released.stdout
    assert (made / "best/number.txt").read_text() == "-5\n"
    assert facts(kf("best", "made", "--json"))["score"] == -5
    assert "trick" in kf("notes", "made").stdout
    document = facts(kf("quarantine", "made", "list", "--json"))
    assert document["waiting"] == []
    (decision,) = document["decisions"]
    assert (decision["decision"], decision["why"]) == ("release", "the ruler allows it") and decision["who"]
    assert kf("quarantine", "made", "list").stdout.startswith("nothing waits in quarantine; 1 decided")


def test_rejected_it_stays_out_in_later_runs(made: Path, kf: Any, tmp_path: Path) -> None:
    said = facts(kf("quarantine", "made", "reject", "1", "--json"))
    assert (said["decision"], said["attempts"], said["best"]["attempt"]) == ("reject", [1], 0)
    ran = kf("resume", "made", "--attempts", "2", "--unprotected", "--scratch", str(tmp_path / "scratch"))
    assert ran.returncode == 0, ran.stderr
    rows = facts(kf("attempts", "made", "--json"))
    assert [row["outcome"] for row in rows] == ["rejected", "rejected"]
    assert facts(kf("quarantine", "made", "list", "--json"))["waiting"] == []
    assert "trick" not in kf("notes", "made").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("made",), "not understood"),
        (("made", "free", "1"), "not understood"),
        (("made", "release"), "say which attempt"),
        (("made", "release", "one"), "not understood"),
        (("made", "release", "7"), "no attempt 7"),
        (("made", "list", "0"), "nothing in quarantine"),
        (("nowhere", "list"), "no such folder"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_exit_2(made: Path, kf: Any, words: tuple[str, ...], said: str) -> None:
    refused = kf("quarantine", *words)
    assert refused.returncode == 2 and said in refused.stderr and refused.stderr.count("\n") == 1
    assert refused.stdout == "" and facts(kf("quarantine", "made", "list", "--json"))["decisions"] == []


def test_a_decision_twice_is_refused(made: Path, kf: Any) -> None:
    assert kf("quarantine", "made", "reject", "1").returncode == 0
    again = kf("quarantine", "made", "reject", "1")
    assert again.returncode == 2 and "rejected already, by" in again.stderr


def test_a_release_that_was_cut_short_is_made_whole_by_saying_it_again(made: Path, kf: Any) -> None:
    """Killed after the record and before best/: as if the folder had never been replaced."""
    seed = (made / "best/number.txt").read_text()
    assert kf("quarantine", "made", "release", "1").returncode == 0
    (made / "best/number.txt").write_text(seed)
    again = kf("quarantine", "made", "release", "1")
    assert again.returncode == 2 and "released already, by" in again.stderr
    assert (made / "best/number.txt").read_text() == "-5\n"


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90.0
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def test_while_a_run_owns_the_record_it_is_asked(
    made: Path, kf: Any, tmp_path: Path, environment: dict[str, str]
) -> None:
    agent = tmp_path / "slow.sh"
    agent.write_text("#!/bin/sh\nsleep 300\n")
    agent.chmod(0o755)
    words = ["resume", "made", "--agent", f"command@{agent}", "--attempts", "9", "--unprotected"]
    argv = [sys.executable, "-m", "kernelfactory", *words, "--scratch", str(tmp_path / "scratch")]
    run = subprocess.Popen(argv, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with Reader.open(made) as reader:
            until(lambda: reader.status()["attempts"]["claimed"] > 0)
        document = facts(kf("quarantine", "made", "release", "1", "--json"))
        assert document["attempts"] == [1]
        assert (document["best"]["attempt"], document["best"]["score"]) == (1, -5)
        assert (made / "best/number.txt").read_text() == "-5\n" and run.poll() is None
        unknown = kf("quarantine", "made", "release", "2")
        assert unknown.returncode == 2 and "nothing in quarantine" in unknown.stderr
    finally:
        run.send_signal(signal.SIGTERM)
        run.send_signal(signal.SIGTERM)
        if run.poll() is None:
            kf("stop", "made", "--now")
        run.wait(90)


def at_a_terminal(argv: list[str], folder: Path, environment: dict[str, str], answer: bytes) -> tuple[int, str]:
    """Run at a terminal, answer the first question; exit code and what was seen."""
    master, slave = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-m", "kernelfactory", *argv],
        cwd=folder,
        env={**environment, "TERM": "dumb", "NO_COLOR": "1"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    seen = b""
    try:
        while select.select([master], [], [], 90.0)[0]:
            try:
                part = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            before, seen = seen, seen + part
            if b"[y/N]" in seen and b"[y/N]" not in before:
                os.write(master, answer)
        return run.wait(90), seen.decode("utf-8", "replace")
    finally:
        run.kill()
        run.wait()
        os.close(master)


@pytest.mark.parametrize(("answer", "code"), [(b"\n", 1), (b"y\n", 0)])
def test_at_a_terminal_a_person_is_asked_once_more(
    made: Path, environment: dict[str, str], answer: bytes, code: int
) -> None:
    ended, seen = at_a_terminal(["quarantine", "made", "release", "1"], made.parent, environment, answer)
    assert ended == code, seen
    assert "+-5" in seen and ("nothing was changed" in seen) == (code == 1)
    with Reader.open(made) as reader:
        assert len(reader.decisions()) == (0 if code else 1)


def test_an_older_record_is_named_by_readers_and_brought_up_to_date_by_resume(
    made: Path, kf: Any, tmp_path: Path
) -> None:
    path = made / "record.db"
    with sqlite3.connect(path) as db:  # as version 2 left it: what version 3 adds is taken away
        for trigger in ("spent_forward", "account_attempt", "account_usage", "account_ended"):
            db.execute(f"DROP TRIGGER {trigger}")
        for table in ("bill", "incident", "account"):
            db.execute(f"DROP TABLE {table}")
        db.execute("DROP INDEX attempt_home")
        caps = ("cap_attempt_dollars", "cap_attempt_tokens")
        for table, columns in {
            "run": (*caps, "nudges", "switching"),
            "agent": (*caps, "cap_dollars", "cap_tokens", "paused_why", "streams"),
            "attempt": ("transcript", "session", "home_until"),
        }.items():
            for column in columns:
                db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        db.execute("PRAGMA user_version = 2")
    db.close()
    for words in (("status", "made"), ("quarantine", "made", "list")):
        refused = kf(*words)
        assert refused.returncode == 2 and "kf resume made brings it up to date" in refused.stderr
    ran = kf("resume", "made", "--attempts", "2", "--unprotected", "--scratch", str(tmp_path / "scratch"))
    assert ran.returncode == 0, ran.stderr
    assert "record.db.v2" in ran.stderr and (made / "record.db.v2").is_file()
    assert facts(kf("status", "made", "--json"))["attempts"]["judged"] == 2


# ── the real judges of the weaker and of the timed kind ──────────────────────────────────────────


def ran(kf: Any, tmp_path: Path, problem: Path, text: str, *, file: str, attempts: int = 1) -> Any:
    """A run in which a scripted agent hands in `text` as `file`; what kf attempts says of it."""
    steps = tmp_path / "real.json"
    steps.write_text(json.dumps([{"write": {file: text}}, {"measure": True}]))
    words = ["run" if not (tmp_path / "real").exists() else "resume"]
    words += [str(problem), "--dir", "real", "--policy", "greedy"] if words == ["run"] else ["real"]
    words += ["--agent", f"scripted@{steps}", "--attempts", str(attempts), "--unprotected"]
    ended = kf(*words, "--scratch", str(tmp_path / "scratch"))
    assert ended.returncode == 0, ended.stderr
    return facts(kf("attempts", "real", "--json"))[-1]


def test_a_self_reported_jump_waits_and_a_release_lets_it_on(kf: Any, tmp_path: Path) -> None:
    word = TESTS / "problems" / "tiny_word"
    seed = len((word / "seed/word.txt").read_text())
    row = ran(kf, tmp_path, word, "a" * (seed * 2 + 1), file="word.txt")
    assert (row["outcome"], row["score"], row["trust"]) == ("quarantined", seed * 2 + 1, "self-reported")
    (waiting,) = facts(kf("quarantine", "real", "list", "--json"))["waiting"]
    assert "self-reported" in waiting["reason"] and "factor of 2" in waiting["reason"]
    assert kf("best", "real").returncode == 1, "nothing but the seed is there"
    assert facts(kf("quarantine", "real", "release", "1", "--json"))["best"]["score"] == seed * 2 + 1
    row = ran(kf, tmp_path, word, "a" * (seed * 3), file="word.txt", attempts=2)
    assert (row["outcome"], row["parent"], row["confirmed"]) == ("improved", 1, True)


TIMED = {
    "problem.toml": """name = "count"
editable = ["count.py"]
kind = "function"
[call]
function = "count:count"
seconds = 10
memory = "512MiB"
[metric]
name = "speedup"
unit = "x"
goal = "max"
[measure]
ruler = "ruler:measure"
timed = true
screen = 12
confirm = 24
seconds = 60
""",
    "task.md": "Count faster.\n",
    "seed/count.py": "def count(n):\n    total = 0\n    for _ in range(40):\n"
    "        total = 0\n        for i in range(n):\n            total += i\n    return total\n",
    "judge/ruler.py": """from kernelfactory.model import Rejected
from kernelfactory.timing import speedup


def _check(arguments, answer):
    n = arguments[0]
    if answer != n * (n - 1) // 2:
        raise Rejected("wrong_answer", "the sum is wrong")


def measure(call, rng, inputs):
    return speedup(call, lambda dice: (dice.randrange(1000, 1100),), _check, inputs, rng)
""",
}


def test_a_timed_problem_from_a_run_to_its_record(kf: Any, tmp_path: Path) -> None:
    folder = tmp_path / "count"
    for name, text in TIMED.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    faster = TIMED["seed/count.py"].replace("range(40)", "range(8)")
    row = ran(kf, tmp_path, folder, faster, file="count.py")
    assert (row["outcome"], row["confirmed"]) == ("improved", True) and row["score"] > 1.5
    with Reader.open(tmp_path / "real") as reader:
        verdicts = [m.verdict for m in reader.measurements(1)]
        assert all(v.interval and v.interval[0] <= v.interval[1] for v in verdicts)
        fights = reader.duels(1)
        assert [(fight.against, fight.low > 1.0) for fight in fights] == [(0, True), (0, True)], (
            "at the start and the end"
        )
    row = ran(kf, tmp_path, folder, faster + "\n\n# the same\n", file="count.py", attempts=2)
    assert row["parent"] == 1 and facts(kf("best", "real", "--json"))["attempt"] in (1, 2)
    with Reader.open(tmp_path / "real") as reader:
        seen = [(row.attempt, row.outcome, reader.measurements(row.attempt)) for row in reader.attempts()]
        assert reader.duels(2), f"two programs that are as fast were told apart without a duel: {seen}"
