"""Timed pairs on this machine, as matmul_c takes them: how much they spread, what an interval is then worth, what a
pair costs. Two programs against themselves: the seed, and one of its loops exchanged, which is some times faster.

`unpaired` is what the same times say when each is compared with any other one's: what pairs are for."""

from __future__ import annotations

import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from kernelfactory import jail, problem, timing
from kernelfactory.judge import Judge
from kernelfactory.model import Files

PAIRS = 60
RULER = """
def told(call, rng, inputs):
    times = []
    for _ in range(inputs):
        args, both = draw(rng), [call, call.baseline]
        rng.shuffle(both)
        for each in both:
            each.restart()
        seconds = {each is call: each.timed(*args)[1] for each in both}
        times.append([seconds[False], seconds[True]])
    return Measured(1.0, instruments={"times": times}, interval=(1.0, 1.0))
"""


def programs() -> dict[str, Files]:
    """The seed, and one some times faster."""
    seed = problem.load(problem.find("matmul_c")).seed["matmul.c"]
    j, k = (f"for (int {x} = 0; {x} < n; {x}++)".encode() for x in "jk")
    return {
        "seed": {"matmul.c": seed},
        "loops exchanged": {"matmul.c": seed.replace(j, b"#").replace(k, j).replace(b"#", k)},
    }


def pairs(judge: Judge, program: Files) -> list[list[float]]:
    """(baseline, candidate) seconds of PAIRS pairs of one program against itself."""
    from kernelfactory.judge.produce import graft
    from kernelfactory.judge.ruling import Asked

    tree = graft(judge.problem, program)
    found = judge._ruling.found(tree, Asked("ruler:told", (PAIRS,)), against=tree)
    times: list[list[float]] = found.instruments["times"]  # type: ignore[union-attr]
    return times


def spread(values: list[float]) -> float:
    """A standard deviation that spikes do not reach."""
    middle = statistics.median(values)
    return 1.4826 * statistics.median(abs(value - middle) for value in values)


def one(judge: Judge, program: Files) -> dict[str, Any]:
    began = time.monotonic()
    times = pairs(judge, program)
    seconds = (time.monotonic() - began) / PAIRS
    ratios = [timing.log_ratio(base, mine) for base, mine in times]
    shuffled = [base for base, _ in times]
    random.Random(0).shuffle(shuffled)
    ratio, low, high = timing.interval(ratios[:20])
    return {
        "milliseconds": 1000 * statistics.median(mine for _, mine in times),
        "spread of a pair": spread(ratios),
        "largest of a pair": max(map(abs, ratios)),
        "unpaired": spread([timing.log_ratio(a, b) for a, (_, b) in zip(shuffled, times, strict=True)]),
        "of 20 pairs": f"{ratio:.4f} ({low:.4f} to {high:.4f})",
        "seconds a pair": seconds,
    }


def main() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "matmul_c"
        shutil.copytree(problem.find("matmul_c"), folder)
        ruler = folder / "judge" / "ruler.py"
        ruler.write_text(ruler.read_text() + RULER)
        Path(name).chmod(0o755)
        with Judge(problem.load(folder), jail.find(), scratch=Path(name)) as judge:
            return {what: one(judge, program) for what, program in programs().items()}


if __name__ == "__main__":
    print(main())
