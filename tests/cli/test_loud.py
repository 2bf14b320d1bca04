"""What was judged without a jail says so wherever it is shown; what was judged behind one never does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kernelfactory.cli.inside import _verdict_lines
from kernelfactory.cli.judging import _lines
from kernelfactory.cli.live import Lines
from kernelfactory.cli.reading import _weak
from kernelfactory.cli.running import _loud
from kernelfactory.model import Metric, Ruler, Usage, Verdict
from kernelfactory.progress import Progress

CYCLES = Metric("cycles", "cycles", "min")
VERDICT = Verdict("accepted", 120000.0, "p", "d", "t" * 40, "none", "unprotected", Ruler("c", "sha256:00"), 0.1, 8)
NOW = Progress(
    "name", "problem", CYCLES, 100.0, 100.0, 0, (), (), (), 0, 0, 0, 0, 1.0, Usage(0.0), 0.0, None, "none",
    "unprotected", Ruler("c", "sha256:00"), False,
)  # fmt: skip


@pytest.mark.parametrize("command", ["status", "attempts", "show", "best", "notes"])
def test_every_reader_is_loud_when_nothing_was_jailed_and_only_then(
    kf: Any, experiment: Path, unprotected: Path, command: str
) -> None:
    assert "UNPROTECTED" in kf(command, "open").stdout
    assert "UNPROTECTED" not in kf(command, "made").stdout


def test_attempts_without_a_cage_are_counted(kf: Any, experiment: Path, unprotected: Path) -> None:
    assert "UNCAGED: 3 attempts" in kf("attempts", "open").stdout
    assert "UNCAGED" not in kf("attempts", "made").stdout


@pytest.mark.parametrize(
    ("trusts", "said"),
    [
        (["self-reported"], "SELF-REPORTED: 1 result was scored by the problem's own evaluator and can be forged"),
        (["unprotected"] * 2, "UNPROTECTED: 2 results were judged without a jail and can be forged"),
        (["judged-weak"], "JUDGED-WEAK: 1 result was judged in a weak jail and can be forged"),
        ([], ""),
    ],
)
def test_why_results_can_be_forged(trusts: list[str], said: str) -> None:
    assert _weak("result", trusts) == said


@pytest.mark.parametrize("score", [120000.0, None])
def test_a_verdict_is_loud_in_its_first_word(score: float | None) -> None:
    weak = replace(VERDICT, score=score, verdict="accepted" if score else "rejected")
    assert _lines(weak, CYCLES)[0].startswith(f"UNPROTECTED {weak.verdict}: ")
    assert _lines(replace(weak, trust="judged"), CYCLES)[0].startswith(f"{weak.verdict}: ")
    answer = {"verdict": weak.verdict, "score": score, "trust": "unprotected"}
    assert _verdict_lines(answer)[0].startswith(f"UNPROTECTED {weak.verdict}: ")
    assert _verdict_lines({**answer, "trust": "judged"})[0].startswith(f"{weak.verdict}: ")


@pytest.mark.parametrize(("trust", "mark"), [("unprotected", "UNPROTECTED improved: 80"), ("judged", "  improved: 80")])
def test_lines_of_improvement_and_the_summary_are_loud(trust: Any, mark: str) -> None:
    said: list[str] = []
    lines = Lines(said.append)
    for best in (100.0, 80.0):
        lines.progress(replace(NOW, trust=trust, best=best, best_attempt=1))
    assert mark in said[-1]
    assert bool(_loud({"trust": trust})) is (trust == "unprotected")
