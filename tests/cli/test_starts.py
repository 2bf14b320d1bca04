"""What a start refuses before anything is made, what a resume says that has nothing to do, and what it offers next."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

TINY = Path(__file__).parent.parent / "problems" / "tiny_number"
RUN = ("run", str(TINY), "--attempts", "1")


@pytest.fixture
def better(tmp_path: Path) -> str:
    """An agent that improves once."""
    (tmp_path / "steps.json").write_text('[{"write": {"number.txt": "7\\n"}}]')
    return "scripted@steps.json"


def offered(said: str, verb: str) -> list[str]:
    """The words of the step offered at the end that has this verb."""
    line = next(line for line in said.splitlines() if f" {verb} " in line and line.startswith("  "))
    return shlex.split(line.strip().split("  ")[0])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--dir", "file/x"), "file/x cannot be made (Not a directory): name another place with --dir"),
        (("--dir", "n" * 300), "cannot be made (File name too long): name another place with --dir"),
        (("--dir", "a\nb"), "printable characters only"),
        (("--dir", "a\udcff"), "printable characters only"),
        (("--dir", "one", "--scratch", "file"), "no scratch folder can be made there"),
        (("--dir", "one", "--agent", "mutator", "--agent", "mutator:2"), "mutator is given twice"),
        (("--dir", "one", "--agent", "mutator:100000"), "between 1 and 1000"),
        (("--dir", "one", "--hours", "1e30"), "--hours must be a number above 0 and at most 87,600"),
        (("--dir", "one", "--seed", "99999999999999999999"), "--seed"),
        (("--dir", "one", "--tokens", "99999999999999999999"), "--tokens"),
        (("--dir", "one", "--agent", "command@./nothing"), "is not there, or not executable"),
    ],
)
def test_a_start_that_fails_leaves_nothing(kf: Any, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    (tmp_path / "file").write_text("")
    done = kf(*RUN, *words)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert said in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert {*os.listdir(tmp_path)} <= {"file", "state"}
    assert "no experiment was made here yet" in kf("status").stderr


def test_a_home_that_cannot_be_written_is_told_before_anything_is_made(kf: Any, tmp_path: Path, better: str) -> None:
    (tmp_path / "file").write_text("")
    lost = kf(*RUN, "--agent", better, "--dir", "one", env={"KF_STATE": "file/state"})
    assert (lost.returncode, lost.stderr.count("\n")) == (2, 1)
    assert "give another --scratch, or set KF_STATE" in lost.stderr
    assert not (tmp_path / "one").exists()
    elsewhere = kf(*RUN, "--agent", better, "--dir", "one", "--scratch", "s", env={"KF_STATE": "file/state"})
    assert elsewhere.returncode == 0, elsewhere.stderr
    assert "name its folder in later commands" in elsewhere.stderr


def test_the_latest_is_the_one_that_runs(kf: Any, tmp_path: Path, better: str) -> None:
    kf(*RUN, "--agent", better, "--dir", "one")
    kf(*RUN, "--agent", "mutator", "--agent", "mutator", "--dir", "two")
    assert kf("status").stdout.startswith("one: finished")
    assert (tmp_path / "state" / "latest").read_text() == f"{tmp_path / 'one'}\n"


def test_a_resume_with_nothing_to_do_says_why(kf: Any, better: str) -> None:
    kf("run", str(TINY), "--agent", better, "--attempts", "3", "--dir", "one")
    fewer = kf("resume", "one", "--attempts", "2")
    assert fewer.returncode == 0
    assert "nothing was left to do: 3 attempts are made, and a cap of 2 is a total" in fewer.stdout
    there = kf("resume", "one", "--attempts", "9", "--target", "10")
    assert there.returncode == 0
    assert "nothing was left to do: the target 10 is reached" in there.stdout
    assert sum(json.loads(kf("status", "one", "--json").stdout)["attempts"].values()) == 3


def test_what_is_offered_next_works_as_it_is_typed(kf: Any, tmp_path: Path, better: str) -> None:
    done = kf(*RUN, "--agent", better, "--hours", "5", "--dir", "my run", env={"PATH": "/usr/bin:/bin"})
    assert "the one attempt is made" in done.stdout
    start = [sys.executable, "-m", "kernelfactory"]
    show, resume = offered(done.stdout, "show"), offered(done.stdout, "resume")
    assert show == [*start, "show", "my run", "--diff"]
    assert resume == [*start, "resume", "my run", "--attempts", "2", "--hours", "5"]
    assert "+7" in kf(*show[3:]).stdout
    again = kf(*resume[3:])
    assert "all 2 attempts are made" in again.stdout and again.returncode == 0, again.stderr


def test_no_diff_of_the_seed_is_offered(kf: Any, tmp_path: Path) -> None:
    (tmp_path / "steps.json").write_text('[{"note": "nothing found"}]')
    done = kf(*RUN, "--agent", "scripted@steps.json", "--dir", "one")
    assert "(the seed)" in done.stdout and "--diff" not in done.stdout


def test_an_estimate_is_of_those_that_cost_and_said_again_at_a_resume(kf: Any, tmp_path: Path) -> None:
    script = tmp_path / "agent.sh"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    paid, free = "command@./agent.sh", "mutator"
    words = ("--agent", paid, "--agent", free, "--dollars", "5", "--attempts", "2")
    first = kf("run", str(TINY), *words, "--dir", "one")
    assert first.stdout.startswith(f"estimate for {paid}: not one whole attempt, each about $10.00")
    again = kf("resume", "one", "--agent", paid, "--attempts", "9", "--dollars", "100")
    left = json.loads(kf("status", "one", "--json").stdout)
    assert again.stdout.startswith(f"estimate for {paid}: about "), (again.stdout, left)
    assert "(a guess)" in again.stdout


def test_who_is_not_ready_is_told_before_it_begins(kf: Any, tmp_path: Path) -> None:
    (tmp_path / "kernelfactory").mkdir()
    (tmp_path / "kernelfactory/agents.toml").write_text(
        '[own]\nagent = "command"\npath = "/bin/true"\nsecrets = ["OWN_KEY"]\n'
    )
    env, words = {"XDG_CONFIG_HOME": str(tmp_path)}, (*RUN, "--agent", "own")
    assert "note: own is not ready: set OWN_KEY\n" in kf(*words, "--dir", "one", env=env).stdout
    assert "not ready" not in kf(*words, "--dir", "two", env={**env, "OWN_KEY": "0123456789"}).stdout


def test_auto_is_who_is_ready_here(kf: Any) -> None:
    done = kf(*RUN, "--agent", "auto", "--dir", "one", "--json")
    assert done.returncode == 0, done.stderr
    assert [agent["agent"] for agent in json.loads(done.stdout)["agents"]] == ["mutator"]


def test_a_folder_in_place_of_problem_toml_and_of_best_is_told(kf: Any, tmp_path: Path, better: str) -> None:
    (tmp_path / "bad" / "problem.toml").mkdir(parents=True)
    assert "problem.toml must be a file" in kf("check", "bad").stderr
    kf(*RUN, "--agent", better, "--dir", "one")
    (tmp_path / "one" / "best").rename(tmp_path / "away")
    assert "one/best/ is gone: " in kf("best", "one").stdout
    assert kf("best", "one", "--out", "away/number.txt/x").stderr.endswith("name another place with --out\n")
    assert kf("best", "one", "--out", "again").returncode == 0
    assert (tmp_path / "again" / "number.txt").read_text() == "7\n"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("    nope()\n", "the ruler of tiny_number failed: NameError (ruler.py:11): name 'nope' is not defined"),
        ("    )\n", "the ruler of tiny_number does not load: SyntaxError (ruler.py:11): unmatched ')'"),
    ],
)
def test_check_says_a_fault_of_the_ruler_once_with_its_line(kf: Any, tmp_path: Path, fault: str, said: str) -> None:
    import shutil

    shutil.copytree(TINY, tmp_path / "bad")
    ruler = tmp_path / "bad" / "judge" / "ruler.py"
    head = "def measure(artefact, rng, inputs):\n"
    ruler.write_text(ruler.read_text().replace(head, head + fault))
    done = kf("check", "bad")
    assert done.returncode == 1
    assert done.stdout.count(said) == 1, done.stdout
    assert "kf check says more" not in done.stdout
