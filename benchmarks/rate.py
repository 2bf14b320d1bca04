"""Full attempts a second with an instant agent: claim, workspace, one judged measurement, commit, record, hand in.

No [produce], so that the harness is what is timed. Must hold: >= 30 a second on 2 cores, and at 20,000 attempts at
least 80 % of the rate at 100. `KF_RATE=100,1000` changes the sizes."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from kernelfactory import problem, workers
from kernelfactory.budget import Caps
from kernelfactory.experiment import Settings
from kernelfactory.workers import Plan, Progress

TINY = Path(__file__).parent.parent / "tests" / "problems" / "tiny_number"
SIZES = tuple(map(int, os.environ.get("KF_RATE", "100,1000,20000").split(",")))
WINDOW = 100
"""Attempts over which the rate at a size is taken, up to that size."""


def main() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        steps = base / "steps.json"
        steps.write_text(json.dumps([{"write": {"number.txt": "9{attempt}"}}, {"measure": True}, {"note": "{parent}"}]))
        spec = f"scripted@{steps}:2"
        workers.make(base / "x", problem.load(TINY), Settings((spec,)))
        seen: list[tuple[int, float]] = []

        def look(progress: Progress) -> None:
            seen.append((progress.attempts, time.perf_counter()))

        plan = Plan((spec,), Caps(attempts=max(SIZES)), scratch=base / "scratch")
        ending = workers.run(base / "x", plan, on_progress=look)
        assert ending.exit_code == 0, ending
    rates = {size: _rate(seen, size) for size in SIZES}
    for size, rate in rates.items():
        print(f"rate: {rate:.1f} attempts/s over the {min(size, WINDOW * 5)} up to {size:,}")
    first, last = rates[min(SIZES)], rates[max(SIZES)]
    print(f"rate: at {max(SIZES):,} attempts {last / first:.0%} of that at {min(SIZES):,}")
    return {"attempts_per_second": rates, "last_over_first": last / first}


def _rate(seen: list[tuple[int, float]], size: int) -> float:
    """Attempts a second over up to 5 windows that end at `size`."""
    until = next((point for point in seen if point[0] >= size), seen[-1])
    since = next(point for point in seen if point[0] >= max(1, size - 5 * WINDOW))
    return (until[0] - since[0]) / max(until[1] - since[1], 1e-9)


if __name__ == "__main__":
    main()
