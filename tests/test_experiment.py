"""Experiment folders: made whole or not at all; policies of other packages."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kernelfactory import problem, workers
from kernelfactory.experiment import Settings, find_policy, load_problem, source
from kernelfactory.model import BadInput, BadProblem
from kernelfactory.policy import Greedy
from kernelfactory.record import Reader

TINY = Path(__file__).parent / "problems" / "tiny_number"


def make(folder: Path, found: Path = TINY, settings: Settings | None = None) -> None:
    workers.make(folder, problem.load(found), settings or Settings(), unprotected=True)


def test_a_new_experiment_has_all_its_parts(tmp_path: Path) -> None:
    make(tmp_path / "x", settings=Settings(("mutator:2",), "greedy", 3, 7))
    names = {path.name for path in (tmp_path / "x").iterdir()} - {"desk.lock"}
    assert names == {"attempts", "best", "experiment.toml", "problem", "record.db", "trees.git"}
    with Reader.open(tmp_path / "x") as reader:
        assert (reader.experiment.name, reader.experiment.policy, reader.experiment.seed) == ("x", "greedy", 7)
        assert reader.experiment.agents == ("mutator:2",)
        assert reader.baseline() == 1000.0
    assert (tmp_path / "x/best/number.txt").read_bytes() == (TINY / "seed/number.txt").read_bytes()
    assert source(tmp_path / "x") == (str(TINY),)


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/mine").write_text("mine")
    with pytest.raises(BadInput, match="not empty"):
        make(tmp_path / "x")
    assert [path.name for path in tmp_path.rglob("*")] == ["x", "mine"]


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    make(tmp_path / "x")
    assert (tmp_path / "x/record.db").exists()


def test_a_seed_that_fails_its_judge_leaves_nothing(tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    shutil.copytree(TINY, bad)
    (bad / "seed/number.txt").write_text("not a number\n")
    with pytest.raises(BadProblem, match="the seed fails its own judge"):
        make(tmp_path / "x", bad)
    assert not (tmp_path / "x").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["bad"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [(Settings(policy="best"), "there is no policy 'best'"), (Settings(islands=0), "--islands")],
)
def test_bad_settings_leave_nothing(settings: Settings, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=said):
        make(tmp_path / "x", settings=settings)
    assert not list(tmp_path.iterdir())


def test_a_changed_problem_copy_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "x")
    with Reader.open(tmp_path / "x") as reader:
        assert load_problem(tmp_path / "x", reader.experiment).name == "tiny_number"
        (tmp_path / "x/problem/judge/ruler.py").write_text("def measure(*_): ...\n")
        with pytest.raises(BadProblem, match="was changed"):
            load_problem(tmp_path / "x", reader.experiment)


def test_a_policy_of_another_package_is_found(tmp_path: Path) -> None:
    site = tmp_path / "site"
    info = site / "theirs-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[kernelfactory.policies]\nlast = theirs:Last\ngreedy = theirs:Last\n")
    (site / "theirs.py").write_text(
        "class Last:\n    name = 'last'\n    def __init__(self, islands):\n        self.islands = islands\n"
    )
    say = (
        "from kernelfactory.experiment import find_policy as f;"
        "print(type(f('last', 4)).__name__, f('last', 4).islands, type(f('greedy', 1)).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", say], env={"PYTHONPATH": str(site)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["Last", "4", "Greedy"], "a shipped name was taken over, or theirs is not found"
    assert isinstance(find_policy("greedy", 1), Greedy)
