"""Going on under other conditions: another ruler, a weaker trust, other caps, a changed problem, a folder that is no
longer what it was. All real: two installations of the package, with and without the compiled core."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

import kernelfactory
from kernelfactory import core, jail, problem, workers
from kernelfactory.budget import Caps
from kernelfactory.experiment import Settings
from kernelfactory.model import BadInput
from kernelfactory.record import Attempt, Reader
from kernelfactory.workers import Ending, Plan

TINY = Path(__file__).parent / "problems" / "tiny_number"

RULER = """
from kernelfactory import core
from kernelfactory.model import Measured, Rejected

BACKEND = "python" if core.shared_object() is None else "c"


def measure(artefact, rng, inputs):
    number = int(artefact)
    if BACKEND == "python" and number < 300:
        raise Rejected("wrong_answer", "only a faulty core takes so small a number")
    return Measured(float(number), {"digits": float(len(str(number)))})
"""


class House:
    """An experiment on a problem whose ruler takes any number, but under the pure-Python simulator none below 300."""

    def __init__(self, base: Path) -> None:
        self.base, self.folder, self.source = base, base / "x", base / "source"
        shutil.copytree(TINY, self.source)
        (self.source / "judge/ruler.py").write_text(RULER)
        self.said: list[str] = []
        self.before: tuple[str, ...] = ()

    def make(self) -> None:
        workers.make(self.folder, problem.load(self.source), Settings(policy="greedy"), unprotected=True)

    def scripted(self, *numbers: int) -> str:
        """An agent that hands in one number an attempt, from the second on."""
        path = self.base / f"steps-{len(list(self.base.iterdir()))}.py"
        lines = {number: f"echo {value} > number.txt" for number, value in enumerate(numbers, 1)}
        cases = "\n".join(f"  *'\"attempt\": {number},'*) {line};;" for number, line in lines.items())
        path.write_text(f"#!/bin/sh\ncase $(cat .kf/assignment.json) in\n{cases}\nesac\n")
        path.chmod(0o755)
        return f"command@{path}"

    def run(self, spec: str, attempts: int, here: jail.Jail | None = None, target: float | None = None) -> Ending:
        plan = Plan((spec,), Caps(attempts=attempts), scratch=self.base / "scratch", unprotected=True, target=target)
        self.said = []
        return workers.run(self.folder, plan, world=workers.World(jail=here), on_message=self.said.append)

    def kf(self, *words: str | Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
        """`kf` as a process, of this installation or of the one in `path`."""
        kept = {**os.environ, "KF_STATE": str(self.base / "state"), "XDG_CACHE_HOME": str(self.base / "cache")}
        environment = {**kept, **({"PYTHONPATH": str(path)} if path else {})}
        argv = [*self.before, sys.executable, "-m", "kernelfactory", *map(str, words)]
        return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)

    def rows(self) -> list[Attempt]:
        with Reader.open(self.folder) as reader:
            return reader.attempts()

    def best(self) -> tuple[float, str, str]:
        """The best score, its trust, and what lies in best/."""
        with Reader.open(self.folder) as reader:
            found = reader.best()
        assert found is not None
        return found.score, found.trust, (self.folder / "best/number.txt").read_text().strip()

    def no_core(self) -> Path:
        """Another installation: this package without its compiled core."""
        place = self.base / "plain"
        package = Path(kernelfactory.__file__).parent
        shutil.copytree(package, place / "kernelfactory", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        return place


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    if (made.folder / "record.db").exists() and not (made.folder / "broken").exists():
        with sqlite3.connect(f"file:{made.folder / 'record.db'}?mode=ro", uri=True) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert not db.execute("SELECT 1 FROM attempt WHERE state IN ('claimed', 'submitted')").fetchall()
        db.close()
    assert not [*made.base.glob("scratch/*/kf-*")], "a workspace was left"


def last(house: House) -> str:
    with sqlite3.connect(f"file:{house.folder / 'record.db'}?mode=ro", uri=True) as db:
        (backend,) = db.execute("SELECT ruler_backend FROM measurement ORDER BY measurement DESC LIMIT 1").fetchone()
    db.close()
    return str(backend)


# ── another ruler ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def with_core() -> None:
    if core.shared_object() is None:
        if "core" in os.environ.get("KF_REQUIRE", "").split(","):
            pytest.fail("KF_REQUIRE names core, and none is compiled here")
        pytest.skip("no compiled core here: there is only one ruler")


def test_another_ruler_says_so_and_judges_the_best_and_the_elites_first(with_core: None, house: House) -> None:
    house.make()
    spec = house.scripted(900, 200, 800, 700)
    house.run(spec, 3)
    assert house.best()[::2] == (200.0, "200")
    assert last(house) == "c"
    words: Sequence[str | Path] = ("resume", house.folder, "--agent", spec, "--attempts", "4", "--unprotected")
    done = house.kf(*words, path=house.no_core())
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    first = next(n for n, line in enumerate(lines) if "verdicts here were made by the c ruler" in line)
    fell = next(n for n, line in enumerate(lines) if "attempt 2 did not stand when judged again" in line)
    after = next(n for n, line in enumerate(lines) if "judged again: the best is 800" in line)
    assert first < fell < after
    assert house.best()[::2] == (700.0, "700"), "the fourth attempt, under the new ruler"
    assert last(house) == "python"
    fallen = house.rows()[1]
    assert (fallen.outcome, fallen.score) != ("improved", 200.0)
    again = house.kf(*words[:-2], "5", "--unprotected", path=house.base / "plain")
    assert again.returncode == 0 and "verdicts here were made" not in again.stdout, "judged again for nothing"


def test_the_same_ruler_judges_nothing_again(house: House) -> None:
    """The injected fault of the test above: with nothing changed it must say nothing."""
    house.make()
    spec = house.scripted(900, 800)
    house.run(spec, 1)
    house.run(spec, 2)
    assert not [line for line in house.said if "verdicts here" in line]
    assert house.best()[0] == 800.0


def without(why: str) -> NoReturn:
    if "bubblewrap" in os.environ.get("KF_REQUIRE", "").split(","):
        pytest.fail(f"KF_REQUIRE names bubblewrap: {why}")
    pytest.skip(why)


# ── a weaker trust ───────────────────────────────────────────────────────────────────────────────


def test_a_weaker_trust_keeps_the_judged_best_until_it_is_judged(house: House) -> None:
    try:
        here = jail.find()
    except BadInput as error:
        without(f"no jail works here: {error}")
    house.make()
    spec = house.scripted(800, 500, 900)
    house.run(spec, 1, here)
    assert house.best() == (800.0, "judged", "800")
    house.run(spec, 2, jail.Unprotected())
    assert house.best() == (800.0, "judged", "800"), "an unprotected verdict replaced a judged one"
    rows = house.rows()
    assert (rows[1].score, rows[1].cage) == (500.0, "none"), "the better number was lost"
    house.run(spec, 3, here)
    assert any("verdicts here were made by" in line and "in jail none" in line for line in house.said)
    assert house.best() == (500.0, "judged", "500"), "what the judge of this run confirmed leads"


# ── caps ─────────────────────────────────────────────────────────────────────────────────────────


def test_caps_are_replaced_and_count_all_that_was_done(house: House) -> None:
    house.make()
    spec = house.scripted(900, 800, 700, 600)
    assert house.run(spec, 2).exit_code == 0 and len(house.rows()) == 2
    done = house.kf("resume", house.folder, "--agent", spec, "--unprotected")
    assert done.returncode == 0 and "nothing was left to do" in done.stdout, "the old cap holds when none is given"
    assert house.run(spec, 4).exit_code == 0 and len(house.rows()) == 4
    with sqlite3.connect(f"file:{house.folder / 'record.db'}?mode=ro", uri=True) as db:
        assert [n for (n,) in db.execute("SELECT cap_attempts FROM run ORDER BY run")] == [2, 2, 4]
    db.close()
    status = json.loads(house.kf("status", house.folder, "--json").stdout)
    assert sum(status["attempts"].values()) == 4 and status["best"]["score"] == 600.0


# ── what is no longer as it was ──────────────────────────────────────────────────────────────────


def refused(house: House, *more: str, agent: str = "mutator") -> str:
    """What a resume says that must end at once, in one line, with exit code 2, and change nothing."""
    before = (house.folder / "record.db").read_bytes()
    done = house.kf("resume", house.folder, "--agent", agent, "--attempts", "9", "--unprotected", *more)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done
    assert (house.folder / "record.db").read_bytes() == before
    return done.stderr


@pytest.mark.parametrize("name", ["judge/ruler.py", "task.md", "seed/number.txt", "problem.toml"])
def test_a_changed_problem_is_refused(house: House, name: str) -> None:
    house.make()
    path = house.folder / "problem" / name
    text = path.read_text()
    path.chmod(0o644)
    path.write_text(text + "\n")
    assert "was changed since the experiment began" in refused(house)
    path.write_text(text)
    assert house.run(house.scripted(900), 1).exit_code == 0, "put back, it goes on"


def test_missing_parts_are_told(house: House) -> None:
    house.make()
    for part in ("trees.git", "problem"):
        (house.folder / part).rename(house.base / "away")
        assert part in refused(house)
        (house.base / "away").rename(house.folder / part)
    for part in ("best", "attempts"):  # can be made anew
        shutil.rmtree(house.folder / part)
    assert house.run(house.scripted(900), 1).exit_code == 0
    assert house.best()[::2] == (900.0, "900")


def test_a_damaged_record_is_told_and_left_alone(house: House) -> None:
    house.make()
    house.run(house.scripted(900), 1)
    path = house.folder / "record.db"
    data = bytearray(path.read_bytes())
    data[4096 : len(data) // 2] = os.urandom(len(data) // 2 - 4096)
    path.write_bytes(data)
    assert "is damaged" in refused(house)
    path.unlink()
    path.touch()
    (house.folder / "broken").touch()
    assert "not a KernelFactory record" in refused(house)


def test_an_unknown_agent_or_bad_cap_changes_nothing(house: House) -> None:
    house.make()
    assert "nobody" in refused(house, agent="nobody")
    assert "target" in refused(house, "--target", "nan")


def test_a_folder_that_cannot_be_written_is_told_and_left_alone(house: House) -> None:
    """In a sandbox that any user may make."""
    house.make()
    spec = house.scripted(900, 800)
    house.run(spec, 1)
    for binary in jail.binaries():
        box = [binary, "--die-with-parent", "--bind", "/", "/", "--dev", "/dev"]
        if subprocess.run([*box, "true"], capture_output=True, check=False).returncode == 0:
            break
    else:
        without("bubblewrap does not work here: no folder can be made read-only for root too")
    house.before = (*box, "--ro-bind", str(house.folder), str(house.folder))
    assert "cannot be written" in refused(house)
    done = house.kf("status", house.folder)
    assert done.returncode == 0 and "attempts      1: 1 improved" in done.stdout, done
    house.before = ()
    assert house.run(spec, 2).exit_code == 0 and house.best()[::2] == (800.0, "800")


def test_names_left_by_a_killed_run_that_had_our_number_are_in_nobodys_way(house: House) -> None:
    """In a container every run may have the same process number: what one left half-written must not stop the next."""
    house.make()
    for number in range(8):
        (house.folder / "trees.git" / f"kf-ref-{os.getpid()}-{number}").touch()
    assert house.run(house.scripted(900), 1).exit_code == 0
    assert house.best()[::2] == (900.0, "900")
