"""What 200 concurrent agents cost the controller: slots that each wait for a second, then measure and hand in.

Reported: attempts a second against what the waiting alone allows, and CPU seconds of this process per attempt."""

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
from kernelfactory.workers import Plan

TINY = Path(__file__).parent.parent / "tests" / "problems" / "tiny_number"
SLOTS = 200
WAIT = 10.0
ROUNDS = 3


def main() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        steps = [{"sleep": WAIT}, {"write": {"number.txt": "9{attempt}"}}, {"measure": True}]
        (base / "steps.json").write_text(json.dumps(steps))
        spec = f"scripted@{base / 'steps.json'}:{SLOTS}"
        workers.make(base / "x", problem.load(TINY), Settings((spec,)))
        began, cpu = time.perf_counter(), sum(os.times()[:2])
        attempts = SLOTS * ROUNDS
        workers.run(base / "x", Plan((spec,), Caps(attempts=attempts), scratch=base / "scratch"))
        wall, used = time.perf_counter() - began, sum(os.times()[:2]) - cpu
    print(f"controller: {SLOTS} agents at once, {attempts} attempts of {WAIT:.0f} s in {wall:.1f} s")
    print(f"controller: {ROUNDS * WAIT / wall:.0%} of the time was work, {used / attempts * 1e3:.0f} ms CPU an attempt")
    return {"slots": SLOTS, "efficiency": ROUNDS * WAIT / wall, "cpu_ms_per_attempt": used / attempts * 1e3}


if __name__ == "__main__":
    main()
