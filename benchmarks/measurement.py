"""A whole measurement: files to verdict, with jail, build, parse and simulation; and what its parts cost."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kernelfactory import jail, problem
from kernelfactory.judge import Judge
from kernelfactory.judge.produce import artefact, graft
from kernelfactory.process import PLAIN

TINY = Path(__file__).parent.parent / "tests/problems/tiny_number"


def times(act: Callable[[], object], runs: int) -> dict[str, float]:
    """Seconds, wall: the least and the median of some runs."""
    found = []
    for _ in range(runs):
        started = time.perf_counter()
        act()
        found.append(time.perf_counter() - started)
    return {"least": min(found), "median": statistics.median(found)}


def naive(cell: jail.Jail, scratch: Path) -> dict[str, Any]:
    """vliw_tree's naive kernel: whole, and its parts."""
    of = problem.load(problem.find("vliw_tree"))
    started = time.perf_counter()
    with Judge(of, cell, scratch=scratch) as judge:
        start = time.perf_counter() - started
        verdict = judge.screen(of.seed)
        made = artefact(of, graft(of, of.seed), cell, scratch)
        assert isinstance(made, bytes)
        return {
            "ruler": f"{judge.ruler.backend}, jail {judge.jail_name}",
            "verdict": f"{verdict.verdict} at {verdict.score:g} {of.metric.unit}",
            "artefact, MB": len(made) / 1e6,
            "start of the judge, seconds": start,
            "whole measurement (8 inputs), seconds": times(lambda: judge.screen(of.seed), 9),
            "of it, jail and build": times(lambda: artefact(of, graft(of, of.seed), cell, scratch), 9),
            "of it, the ruler (1 input)": times(lambda: judge.weigh(made), 9),
            "confirmation (64 inputs)": times(lambda: judge.confirm(of.seed), 3),
            "quick try": times(lambda: judge.quick(of.seed), 5),
        }


def tiny(cell: jail.Jail, scratch: Path) -> dict[str, Any]:
    """A problem without [produce]: the price of a verdict itself; and of 4.5 MB on the way to the ruler."""
    of = problem.load(TINY)
    with Judge(of, cell, scratch=scratch) as judge:
        large = bytes(4_500_000)
        return {
            "tiny judging without [produce]": times(lambda: judge.screen({"number.txt": b"7\n"}), 300),
            "4.5 MB to the ruler and back": times(lambda: judge.weigh(large), 20),
        }


def main() -> dict[str, Any]:
    cell = jail.find()
    empty = jail.Spec(argv=("/bin/true",), seconds=10)
    with tempfile.TemporaryDirectory() as folder:
        return {
            "naive kernel": naive(cell, Path(folder)),
            "small": tiny(cell, Path(folder)),
            "an empty jail (/bin/true)": times(lambda: cell.run(empty, options=PLAIN), 20),
        }


if __name__ == "__main__":
    print(main())
