"""The real command line in its own process, and experiments made of real records."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from kernelfactory.files import write_tree
from kernelfactory.model import Choice, Experiment, Flag, Metric, Ruler, Trust, Usage, Verdict, Work
from kernelfactory.record import ClaimRow, Crew, Record, Start
from kernelfactory.trees import Trees

PROBLEM = {
    "problem.toml": b"""name = "demo"
editable = ["program.py"]
kind = "artefact"
[metric]
name = "cycles"
unit = "cycles"
goal = "min"
[measure]
ruler = "ruler:measure"
""",
    "task.md": b"Make it smaller.\n",
    "seed/program.py": b"a = 1\n",
    "seed/fixed.py": b"",
    "judge/ruler.py": b"def measure(artefact, rng, inputs): ...\n",
}

Kf = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A plain environment with its own state folder, no colours asked for and none refused."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV")}
    return {**kept, "KF_STATE": str(tmp_path / "state"), "PYTHONWARNINGS": "error"}


@pytest.fixture
def kf(tmp_path: Path, environment: dict[str, str]) -> Kf:
    """Run `kf` with these words, in `cwd` (default: a fresh folder); its output is on pipes."""

    def run(
        *words: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "kernelfactory", *words]
        around = {**environment, **(env or {})}
        return subprocess.run(
            argv, cwd=cwd or tmp_path, env=around, capture_output=True, text=True, timeout=120, check=False
        )

    return run


def verdict(
    tree: str, score: float | None, *, confirmed: bool = False, flags: tuple[Flag, ...] = (), trust: Trust = "judged"
) -> Verdict:
    """A verdict as the judge would give it; without a score a rejection."""
    return Verdict(
        verdict="accepted" if score is not None else "rejected",
        score=score,
        problem="demo",
        digest="sha256:00",
        tree=tree,
        jail="bubblewrap" if trust == "judged" else "none",
        trust=trust,
        ruler=Ruler("c", "sha256:9f2b11aa"),
        seconds=0.25,
        inputs=64 if confirmed else 8,
        confirmed=confirmed,
        reason=None if score is not None else "memory differs",
        reason_code=None if score is not None else "wrong_answer",
        flags=flags,
    )


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """Four attempts on two islands: the seed at 100, improved to 80, a rejection, and one with hostile notes that
    is still claimed."""
    return _made(tmp_path / "made", "judged")


@pytest.fixture
def unprotected(tmp_path: Path) -> Path:
    """The same, judged without a jail and lived without a cage."""
    return _made(tmp_path / "open", "unprotected")


def _made(folder: Path, trust: Trust) -> Path:
    metric = Metric("cycles", "cycles", "min", None, (("published", 50.0),))
    asked = Experiment("made", "demo", "sha256:00", metric, (), "islands", 2, 7, 1.7e9, ("mutator:2",))
    trees = Trees.create(folder / "trees.git")
    with Record.create(folder, asked) as record:
        _fill(record, trees, trust)
    write_tree(folder / "problem", PROBLEM)
    (folder / "attempts" / "000001").mkdir(parents=True)
    (folder / "attempts" / "000001" / "brief.md").write_text("# Brief\n\x1b[31mred\n")
    return folder


def _fill(record: Record, trees: Trees, trust: Trust) -> None:
    crew = (Crew("mutator", None, 2),)
    cage = "bubblewrap" if trust == "judged" else "none"
    run = record.start_run(Start(60.0, cage, trust, "c", "sha256:9f2b11aa", crew=crew), 1.7e9)
    seed = trees.commit({"program.py": b"a = 1\n"}, message="seed")
    record.seeded(verdict(seed.tree, 100.0, confirmed=True, trust=trust), 1.7e9, seed.commit)
    better = trees.commit(
        {"program.py": b"a = 2\nb = 3\n", "fixed.py": b""}, parents=[seed.commit], message="attempt 1"
    )
    for number, found in (
        (1, verdict(better.tree, 80.0, confirmed=True, trust=trust)),
        (2, verdict(seed.tree, None, trust=trust)),
    ):
        record.claim(_claim(number, run, cage))
        measurement = record.add_measurement(number, "screen", found, 1.7e9 + number, commit=better.commit)
        work = Work({}, f"note of {number}\x1b[2J\u202e", Usage(12.5, 1000, 0.25), "finished")
        record.submit(number, work, 1.7e9 + number)
        record.judged(number, "improved" if found.score else "rejected", measurement, 1.7e9 + 13 * number)
    record.claim(_claim(3, run, cage))


def _claim(number: int, run: int, cage: str) -> ClaimRow:
    choice = Choice(0, number % 2, f"select: weight 0.5 of {number}\x1b[31m")
    return ClaimRow(
        number,
        choice,
        f"token{number}",
        1.7e9 + number,
        4e9,
        "mutator",
        "slot 0",
        cage,
        run=run,
        parent_score=100.0,
    )
