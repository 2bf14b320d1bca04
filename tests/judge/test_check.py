"""Is a problem sound: the tiny ones are; each defect put into one is found by the check that is there for it."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kernelfactory import problem as problems
from kernelfactory.jail import Unprotected
from kernelfactory.judge.check import Check, check_problem
from kernelfactory.judge.check.rows import PYTHON
from kernelfactory.model import Problem

TINY = Path(__file__).parent.parent / "problems"
HEAD = "from kernelfactory.model import Measured, Rejected\nimport os, time, random, json\n"
NO_ROW = "what attacks aim at"


def checked(problem: Problem, jail: Any, *only: str) -> dict[str, Check]:
    checks = check_problem(problem, jail, only=only)
    assert all(check.detail and "\n" not in check.detail for check in checks)
    assert all(bool(check.fix) or check.detail == "the same failure" for check in checks if not check.ok)
    assert not any(check.fix for check in checks if check.ok)
    return {check.name: check for check in checks}


def failing(problem: Problem, jail: Any, *only: str) -> set[str]:
    return {name for name, check in checked(problem, jail, *only).items() if not check.ok}


@pytest.fixture(scope="module")
def swaps(jail: Any) -> dict[str, Check]:
    """The whole check of a sound problem."""
    return checked(problems.load(TINY / "tiny_swaps"), jail)


def wrong(found: dict[str, Check]) -> list[Check]:
    return [check for check in found.values() if not check.ok]


def test_a_sound_function_problem_is_sound(swaps: dict[str, Check]) -> None:
    assert wrong(swaps) == []


@pytest.mark.parametrize("name", ["tiny_number", "tiny_word"])
def test_sound_problems_of_other_kinds_are_sound(make_problem: Any, jail: Any, name: str) -> None:
    assert wrong(checked(make_problem(name), jail)) == []


@pytest.mark.soak
@pytest.mark.parametrize("name", ["tiny_network", "tiny_shim", *problems.shipped()])
def test_every_shipped_problem_is_sound(jail: Any, name: str) -> None:
    assert wrong(checked(problems.load(problems.find(name if "tiny" not in name else str(TINY / name))), jail)) == []


DEFECTS = [
    ("def measure(a, rng, n):\n    raise Rejected('malformed', 'no')", "the seed is valid"),
    ("def measure(a, rng, n):\n    return Measured(rng.random())", "its verdict repeats"),
    ("def measure(a, rng, n):\n    return Measured(5 / (4 - n))", "the confirmation accepts it"),
    (
        "IDENTITY = str(time.time())\ndef measure(a, r, n):\n    return Measured(5)",
        "the ruler is the same in another process",
    ),
    ("def measure(a, rng, n):\n    return Measured(5)", "junk in the editable files is rejected"),
    ("def measure(a, rng, n):\n    return Measured(len(a) * 1.5)", "junk artefacts gain nothing"),
    ("def measure(a, rng, n):\n    json.loads(a)\n    return Measured(5)", "junk artefacts gain nothing"),
    ("raise ValueError('x')", "the ruler loads"),
    (
        "def measure(a, r, n):\n    random.Random(4)\n    return Measured(5)",
        "the inputs are not seeded by a constant",
    ),
]


@pytest.mark.parametrize(("text", "name"), DEFECTS, ids=[f"{n} {name}" for n, (_, name) in enumerate(DEFECTS)])
def test_a_defect_is_found(make_problem: Any, jail: Any, text: str, name: str) -> None:
    assert name in failing(make_problem(ruler=HEAD + text), jail, name)


def test_a_score_that_changes_by_itself_is_not_put_down_to_other_files(make_problem: Any, jail: Any) -> None:
    text = "def measure(a, rng, n):\n    return Measured(rng.random())"
    found = checked(make_problem(ruler=HEAD + text), jail)
    assert not found["its verdict repeats"].ok and found["other files change nothing"].ok


FAULTS = [
    ("def measure(a, rng, n):\n    raise KeyError('x')", "KeyError"),
    ("def measure(a, rng, n):\n    return Measured(float('nan'))", "must be a finite number"),
    ("def measure(a, rng, n):\n    return 'garbage'", "must answer with a Measured"),
    ("def measure(a, rng, n):\n    os._exit(3)", "failed"),
    ("def measure(a, rng, n):\n    time.sleep(99)", "fails on the seed too"),
]


@pytest.mark.parametrize(("text", "word"), FAULTS, ids=["raises", "NaN", "garbage", "dies", "hangs"])
def test_a_ruler_that_fails_is_the_problems_fault_and_ends_the_check(
    make_problem: Any, jail: Any, text: str, word: str
) -> None:
    found = checked(make_problem(ruler=HEAD + text, toml=(("seconds = 10", "seconds = 1"),)), jail)
    assert [name for name, check in found.items() if not check.ok] == ["the seed is valid"]
    told = found["the seed is valid"]
    assert list(found)[-1] == told.name  # nothing is measured against a seed that has no score
    assert word in told.detail and "the problem is at fault, not its candidates" in told.fix


def test_an_evaluator_whose_answer_lacks_the_score_is_told(make_problem: Any, jail: Any) -> None:
    broken = make_problem("tiny_shim", toml=(('score = "combined_score"', 'score = "points"'),))
    told = checked(broken, jail)["the seed is valid"]
    assert not told.ok and "has no 'points'" in told.detail and "combined_score" in told.detail


def test_a_produce_that_ignores_the_candidate_is_found(make_problem: Any, jail: Any) -> None:
    problem = make_problem("tiny_network", toml=(("seconds = 5", "seconds = 2"),))
    fixed = b"import os\nos.write(int(os.environ['KF_ARTEFACT_FD']), b'[[0,1],[1,2],[2,3],[0,1],[1,2],[0,1]]')\n"
    changed = replace(problem, seed={**problem.seed, "produce.py": fixed})
    names = {"empty files are rejected", "missing files are rejected"}
    assert names <= failing(changed, jail, *names)


def test_globs_that_take_what_acts_at_start_up_are_found(make_problem: Any, jail: Any) -> None:
    problem = make_problem("tiny_swaps")
    name = "no editable file acts at start-up"
    assert failing(problem, jail, name) == set()
    assert failing(replace(problem, editable=("swaps.py", "conftest.py")), jail, name) == {name}
    assert failing(replace(problem, editable=("swaps.py", "lib/*.pth")), jail, name) == {name}


def with_sets(tmp_path: Path) -> Problem:
    folder = tmp_path / "sets"
    shutil.copytree(TINY / "tiny_swaps", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, first in (("screen", 5), ("confirm", 7)):
        (folder / "judge" / name).mkdir()
        lists = [[(first * k * j) % 101 for k in range(1, 10)] for j in range(1, 5)]
        (folder / "judge" / name / "lists.json").write_text(str(lists))
    toml = folder / "problem.toml"
    toml.write_text(toml.read_text().replace('edges = "ruler:edges"\n', ""))
    ruler = folder / "judge/ruler.py"
    text = ruler.read_text().replace(
        "    return Measured(max(_one(call, rng.sample(range(10**9), 9)) for _ in range(inputs)))",
        "    which = 'confirm' if os.listdir(HERE + '/confirm') else 'screen'\n"
        "    lists = json.load(open(f'{HERE}/{which}/lists.json'))\n"
        "    return Measured(max(_one(call, numbers) for numbers in lists))",
    )
    ruler.write_text(
        "import json, os\n" + text.replace("\n\ndef _one", "\nHERE = os.path.dirname(__file__)\n\ndef _one", 1)
    )
    return problems.load(folder)


def test_two_sets_of_data_are_as_good_as_fresh_inputs(tmp_path: Path, jail: Any) -> None:
    names = ("the inputs are fresh", "a table of known answers", "a screening cannot see judge/confirm/")
    found = checked(with_sets(tmp_path), jail, *names)
    assert [name for name, check in found.items() if not check.ok] == []
    assert found[names[1]].outcome == "rejected: crashed" and found[names[1]].stopped == "fresh inputs"
    assert found[names[2]].detail == "a screening sees 0 files of it, a confirmation 1"


def test_two_sets_that_are_the_same_are_not(tmp_path: Path, jail: Any) -> None:
    problem = with_sets(tmp_path)
    shutil.copy(Path(problem.folder, "judge/screen/lists.json"), Path(problem.folder, "judge/confirm/lists.json"))
    names = {"the inputs are fresh", "a table of known answers"}
    assert failing(problems.load(problem.folder), jail, *names) == names


def test_a_screening_that_sees_the_other_set_is_found(tmp_path: Path, jail: Any) -> None:
    """The fault: a jail that shows what it should hide."""

    class Showing:
        name, trust, holds, note, lacks = jail.name, jail.trust, jail.holds, jail.note, jail.lacks
        command, run = jail.command, jail.run

        def spawn(self, spec: Any, **more: Any) -> Any:
            return jail.spawn(replace(spec, hide=()), **more)

    name = "a screening cannot see judge/confirm/"
    assert failing(with_sets(tmp_path), Showing(), name) == {name}


def test_every_row_says_what_was_tried_and_where_it_stopped(swaps: dict[str, Check]) -> None:
    found = swaps
    gallery = [check for check in found.values() if check.group == PYTHON]
    assert len(gallery) > 40 and all(check.outcome and check.stopped for check in gallery)
    walls = {
        name: found[name].stopped for name in ("reading judge/ and /proc", "an endless call", "the end within a call")
    }
    assert walls == {"reading judge/ and /proc": "jail", "an endless call": "limits", "the end within a call": "pipe"}
    assert found["answers that are off by one"].outcome.startswith("rejected")
    assert found["files that act by themselves"].stopped == "intake"
    assert "swaps.py (python): swaps" in found[NO_ROW].detail


def test_what_does_not_fit_is_named_and_says_why(make_problem: Any, jail: Any) -> None:
    found = checked(make_problem("tiny_number"), jail)
    skipped = found["the gallery for Python"]
    assert skipped.outcome == "skipped" and "number.txt is data" in skipped.detail


def test_a_gallery_that_cannot_be_tried_is_not_passed_off_as_one_that_gained_nothing(
    make_problem: Any, jail: Any
) -> None:
    """The fault: a build that crashes on every text of the gallery's."""
    problem = make_problem("tiny_network")
    refusing = b"assert len(open('network.py').read()) < 2000\n" + problem.seed["produce.py"]
    changed = replace(problem, seed={**problem.seed, "produce.py": refusing})
    found = checked(changed, jail, "gallery", "frame", "loop")
    assert found["the gallery for Python"].outcome == "skipped"
    assert "does nothing is not accepted: crashed" in found["the gallery for Python"].detail
    assert "the answer from a frame" not in found
    assert "the answer from a frame" in checked(problem, jail, "frame")


def test_without_a_jail_what_it_would_hold_gains_and_bombs_stay_away(make_problem: Any) -> None:
    names = ("reading judge/", "the network", "a daemon", "without end", "endless")
    found = checked(make_problem("tiny_swaps"), Unprotected(), *names)
    assert {check.name for check in wrong(found)} == {"reading judge/ and /proc", "the network"}
    bombs = [check for name, check in found.items() if "without end" in name or "a daemon" in name]
    assert len(bombs) == 7 and {check.outcome for check in bombs} == {"skipped"}


def test_a_daemon_that_gets_away_is_seen_and_ended(make_problem: Any, jail: Any) -> None:
    """The fault: a jail that holds no daemon, and says that it does."""

    class Leaking(Unprotected):
        holds = True

    name = "a daemon that holds the pipes"
    found = checked(make_problem("tiny_swaps"), Leaking(), name)[name]
    assert not found.ok and found.detail == "it lives on"
    left = {pid for pid in os.listdir("/proc") if pid.isdigit() and b"kf-check-" in command_line(pid)}
    until = (
        time.monotonic() + 120
    )  # checks of other tests end by themselves; the daemon, which sleeps for long, would not
    while left and time.monotonic() < until:
        time.sleep(0.2)
        left = {pid for pid in left if b"kf-check-" in command_line(pid)}
    assert not left


def command_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_progress_is_told_and_nothing_is_left(make_problem: Any, jail: Any) -> None:
    told: list[tuple[int, int]] = []
    before = set(os.listdir("/tmp"))
    check_problem(make_problem("tiny_number"), jail, lambda done, count, _: told.append((done, count)))
    assert told[0] == (0, 0) and told[-1][0] == told[-1][1] > 10
    assert not {name for name in set(os.listdir("/tmp")) - before if name.startswith(f"kf-check-{os.getpid()}")}
