"""Full attempts a second with an instant agent: claim, workspace, one judged measurement, commit, record, hand in.

No [produce], so that the harness is what is timed. Must hold: >= 30 a second on 2 cores, and at 20,000 attempts at
least 80 % of the rate at 100: a grown experiment and fresh ones take turns, so that noise meets both alike.
`KF_RATE=1000` changes the size of the grown one."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from kernelfactory import problem, workers
from kernelfactory.budget import Caps
from kernelfactory.experiment import Settings
from kernelfactory.workers import Plan, Progress

TINY = Path(__file__).parent.parent / "tests" / "problems" / "tiny_number"
GROWN = int(os.environ.get("KF_RATE", "20000"))
START = 100
STRETCH = 300
ROUNDS = 7


class Bench:
    """Experiments in one folder, all run by the same scripted agent on two slots."""

    def __init__(self, base: Path) -> None:
        self._base = base
        steps = [{"write": {"number.txt": "9{attempt}"}}, {"measure": True}, {"note": "on {parent}"}]
        (base / "steps.json").write_text(json.dumps(steps))
        self._spec = f"scripted@{base / 'steps.json'}:2"

    def make(self, name: str) -> Path:
        workers.make(self._base / name, problem.load(TINY), Settings((self._spec,)))
        return self._base / name

    def run(self, folder: Path, until: int) -> list[tuple[int, float]]:
        """Go on to `until` attempts; (attempts, seconds) as they went by."""
        seen: list[tuple[int, float]] = []

        def look(progress: Progress) -> None:
            if not seen or progress.attempts > seen[-1][0]:
                seen.append((progress.attempts, time.perf_counter()))

        plan = Plan((self._spec,), Caps(attempts=until), scratch=self._base / "scratch")
        ending = workers.run(folder, plan, on_progress=look)
        assert ending.exit_code == 0, ending
        return seen

    def stretch(self, folder: Path, until: int) -> float:
        """Attempts a second over the stretch that ends at `until`, the start of the run left out."""
        seen = self.run(folder, until)
        first = next(point for point in seen if point[0] >= until - STRETCH + 20)
        return (seen[-1][0] - first[0]) / (seen[-1][1] - first[1])


def main() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        grown = bench.make("grown")
        began = time.perf_counter()
        bench.run(grown, GROWN)
        whole = GROWN / (time.perf_counter() - began)
        print(f"rate: {whole:.1f} attempts/s over all of {GROWN:,}, packing included")
        young, old = [], []
        for turn in range(1, ROUNDS + 1):
            fresh = bench.make(f"fresh-{turn}")
            bench.run(fresh, START)
            young.append(bench.stretch(fresh, START + STRETCH))
            old.append(bench.stretch(grown, GROWN + turn * STRETCH))
    ratio = statistics.median(b / a for a, b in zip(young, old, strict=True))
    for size, found in ((START, young), (GROWN, old)):
        print(f"rate: {statistics.median(found):.1f} attempts/s from {size:,} on (median of {ROUNDS} stretches)")
    print(f"rate: from {GROWN:,} on {ratio:.0%} of the rate from {START} on (median of pairs)")
    return {"whole": whole, "young": young, "old": old, "ratio": ratio}


if __name__ == "__main__":
    main()
