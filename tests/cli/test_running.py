"""demo, run, resume, stop, clean, judge, check, doctor: real runs of a tiny problem by the scripted agent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernelfactory import workspace
from kernelfactory.record import Record

TINY = Path(__file__).parent.parent / "problems" / "tiny_number"


@pytest.fixture
def steps(tmp_path: Path) -> Callable[..., str]:
    """An agent SPEC that plays these steps."""

    def spec(*moves: dict[str, Any]) -> str:
        file = tmp_path / f"steps{len(list(tmp_path.glob('steps*')))}.json"
        file.write_text(json.dumps(moves))
        return f"scripted@{file}"

    return spec


def better(number: int) -> tuple[dict[str, Any], ...]:
    return {"write": {"number.txt": f"{number}\n"}}, {"note": f"I wrote {number}"}


def started(environment: dict[str, str], *words: str, cwd: Path) -> subprocess.Popen[str]:
    """`kf` in the background, in a process group of its own."""
    argv = [sys.executable, "-m", "kernelfactory", *words]
    return subprocess.Popen(
        argv,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_a_run_on_a_pipe_tells_what_was_reached(kf: Any, steps: Any, tmp_path: Path) -> None:
    done = kf("run", str(TINY), "--agent", steps(*better(7)), "--attempts", "2", "--dir", "one")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert any(line.endswith("best 1,000 points") or "improved: 7 points" in line for line in lines)
    assert "  best          7 points, 99.3 % lower than the seed's 1,000 (attempt 1)" in lines
    assert "  program       one/best/" in lines
    assert any("resume one" in line for line in lines)
    assert "\x1b" not in done.stdout
    assert (tmp_path / "one" / "best" / "number.txt").read_text() == "7\n"
    assert kf("status").stdout.startswith("one: finished")


def test_a_run_as_json_is_one_document(kf: Any, steps: Any, tmp_path: Path) -> None:
    words = ("run", str(TINY), "--agent", steps(*better(5)), "--attempts", "1", "--json")
    done = kf(*words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    end = json.loads(done.stdout)
    assert end["best"]["score"] == 5
    assert end["exit_code"] == 0
    assert Path(end["folder"]).parent == tmp_path / "experiments"
    assert Path(end["folder"]).name.startswith("tiny_number-")
    assert "measurements" in done.stderr


def test_a_target_that_is_not_reached_is_exit_1_and_a_resume_can_reach_it(kf: Any, steps: Any) -> None:
    missed = kf("run", str(TINY), "--agent", steps(*better(9)), "--attempts", "1", "--target", "3", "--dir", "one")
    assert missed.returncode == 1, missed.stderr
    reached = kf("resume", "one", "--agent", steps(*better(2)), "--attempts", "9", "--target", "3")
    assert reached.returncode == 0, reached.stderr
    assert "  best          2 points" in reached.stdout


def test_resume_takes_the_experiments_own_agents(kf: Any, steps: Any) -> None:
    kf("run", str(TINY), "--agent", steps(*better(9)), "--attempts", "1", "--dir", "one")
    again = kf("resume", "one", "--attempts", "2", "--json")
    assert again.returncode == 0, again.stderr
    assert sum(json.loads(again.stdout)["attempts"].values()) == 2


def test_control_c_drains_and_says_130(kf: Any, steps: Any, environment: dict[str, str], tmp_path: Path) -> None:
    spec = steps(*better(9), {"measure": True}, {"sleep": 1.0})
    child = started(environment, "run", str(TINY), "--agent", spec, "--dir", "one", cwd=tmp_path)
    until(lambda: "9 points" in kf("status", "one").stdout)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert "stopped: interrupted" in out
    assert "Traceback" not in err
    now = json.loads(kf("status", "one", "--json").stdout)
    assert now["attempts"]["claimed"] == 0
    assert now["best"]["score"] == 9


def test_stop_ends_a_run_from_outside_and_a_second_run_is_refused(
    kf: Any, steps: Any, environment: dict[str, str], tmp_path: Path
) -> None:
    spec = steps({"sleep": 0.2})
    child = started(environment, "run", str(TINY), "--agent", spec, "--dir", "one", cwd=tmp_path)
    until(lambda: "at work" in kf("status", "one").stdout)
    second = kf("resume", "one", "--agent", spec)
    assert (second.returncode, second.stdout) == (2, "")
    assert "in use" in second.stderr and second.stderr.count("\n") == 1
    assert kf("stop", "one").returncode == 0
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    assert "stopped: asked to stop" in out
    late = kf("stop", "one")
    assert (late.returncode, late.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "nowhere"), "no problem 'nowhere'"),
        (("run", "."), "holds no problem.toml"),
        (("run", str(TINY), "--agent", "nobody"), "'nobody' is not known here; known: acp, claude, codex, command"),
        (("run", str(TINY), "--agent", "mutator:0"), "slots"),
        (("run", str(TINY), "--agent", "command@true"), "--attempts 20 --dollars 50"),
        (("run", str(TINY), "--attempts", "0"), "greater than or equal to 1"),
        (("run", str(TINY), "--hours", "nan"), "--hours must be a number above 0"),
        (("run", str(TINY), "--dollars", "-1"), "dollars must be a number above 0"),
        (("run", str(TINY), "--tokens", "many"), "--tokens"),
        (("run", str(TINY), "--target", "inf"), "--target must be a number"),
        (("run", str(TINY), "--attempt-minutes", "0"), "--attempt-minutes must be a number above 0"),
        (("run", str(TINY), "--islands", "0"), "--islands"),
        (("run", str(TINY), "--policy", "best", "--attempts", "1"), "best"),
        (("run", str(TINY), "--dir", "full"), "full is not empty"),
        (("demo", "--seconds", "0"), "seconds must be a number above 0"),
        (("resume",), "no experiment was made here yet"),
        (("stop", "full"), "is no experiment"),
        (("judge", "nowhere"), "no problem 'nowhere'"),
        (("judge", str(TINY), "nowhere"), "nowhere: no such folder"),
        (("judge", str(TINY), "full"), "none of the editable files"),
        (("report", "nowhere"), "nowhere: no such folder"),
    ],
)
def test_bad_input_is_one_clear_line_and_makes_nothing(
    kf: Any, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("kept")
    done = kf(*words)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("kf: ") and done.stderr.count("\n") == 1, done.stderr
    assert said in done.stderr
    assert not (tmp_path / "experiments").exists()
    assert os.listdir(tmp_path / "full") == ["mine.txt"]


def test_judge_says_yes_and_no(kf: Any, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    for folder, text in ((good, "12\n"), (bad, "twelve\n")):
        folder.mkdir()
        (folder / "number.txt").write_text(text)
    yes = kf("judge", str(TINY), "good", "--json")
    verdict = json.loads(yes.stdout)
    assert (yes.returncode, verdict["score"], verdict["verdict"]) == (0, 12, "accepted")
    assert {"metric", "goal", "reason", "measures", "flags", "problem", "digest", "tree", "seconds", "jail", "trust",
            "reason_code", "ruler", "inputs"} <= verdict.keys()  # fmt: skip
    no = kf("judge", str(TINY), "bad")
    assert no.returncode == 1
    assert no.stdout.startswith("rejected: ") and "[malformed]" in no.stdout
    confirmed = kf("judge", str(TINY), "--confirm")
    assert "accepted: 1,000 points on 4 inputs (confirmed)" in confirmed.stdout
    assert "1 of 1 published scores reached" in confirmed.stdout


def test_judge_quotes_why_a_build_crashed(kf: Any, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "perf_takehome.py").write_text("raise ValueError('boom')\n")
    done = kf("judge", "vliw_tree", "bad")
    assert done.returncode == 1
    assert "[crashed]\n  its own last words:\n  | Traceback" in done.stdout
    assert "  | ValueError: boom\n" in done.stdout


def test_judge_refuses_links(kf: Any, tmp_path: Path) -> None:
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "number.txt").symlink_to("/etc/passwd")
    done = kf("judge", str(TINY), "linked")
    assert done.returncode == 2
    assert "number.txt" in done.stderr and done.stderr.count("\n") == 1


def test_check_is_a_table_and_its_answer_an_exit_code(kf: Any) -> None:
    done = kf("check", str(TINY))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("tiny_number: sound\n")
    assert "ok  the seed is valid" in done.stdout


def test_doctor_finds_this_machine_well(kf: Any) -> None:
    done = kf("doctor", "--json")
    found = json.loads(done.stdout)
    parts = {item["part"]: item for item in found["findings"]}
    assert {"system", "python", "git", "jail", "C core", "agents", "open files"} <= parts.keys()
    assert done.returncode == (0 if found["healthy"] else 1)
    assert parts["agents"]["seen"].startswith("--agent auto: ")


def test_clean_removes_what_nobody_holds(kf: Any, experiment: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    held, left, foreign = scratch / f"{workspace.PREFIX}1", scratch / f"{workspace.PREFIX}2", scratch / "mine"
    for folder in (held, left, foreign):
        (folder / "work").mkdir(parents=True)
        (folder / "work" / "big.txt").write_text("x" * 5000)
    (left / "work" / "link").symlink_to(foreign)
    with Record.open(experiment) as record:
        record.lent(1, workspace=str(held / "work"))
        record.lent(2, workspace=str(left / "work"))
        record.lent(3, workspace=str(foreign / "work"))
    owned = os.open(held, os.O_RDONLY | os.O_DIRECTORY)
    try:
        import fcntl

        fcntl.flock(owned, fcntl.LOCK_EX)
        done = kf("clean", "made", "--json")
    finally:
        os.close(owned)
    answer = json.loads(done.stdout)
    assert answer["removed"] == [str(left)]
    assert answer["bytes"] >= 5000
    assert held.exists() and foreign.exists() and not left.exists()
    assert kf("clean", "made").stdout.startswith("1 workspaces removed")


def test_clean_removes_logs_when_it_is_asked_to(kf: Any, experiment: Path) -> None:
    folder = experiment / "attempts" / "000001"
    for name in ("agent.log", "judge.log"):
        (folder / name).write_text("x" * 3000)
    kept = {path.name for path in folder.iterdir()} - {"agent.log", "judge.log"}
    assert json.loads(kf("clean", "made", "--json").stdout) == {"removed": [], "bytes": 0}
    assert kf("clean", "made", "--logs").stdout == "0 workspaces, 2 logs removed, 5.9 KiB freed\n"
    assert {path.name for path in folder.iterdir()} == kept
    assert kf("show", "made", "1", "--transcript").stdout.endswith("(empty)\n")


def test_report_writes_where_it_is_told(kf: Any, experiment: Path, tmp_path: Path) -> None:
    done = kf("report", "made", "--out", "page.html", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["report"] == str(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text().lstrip().lower().startswith("<!doctype html>")
    assert kf("report", "made", "--out", ".").returncode == 2
