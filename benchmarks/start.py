"""How long a command takes to start: `kf --help` (a person waits) and a bare interpreter beside it, in one run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Any

ROUNDS = 15
LIMIT_SECONDS = 0.3


def seconds(argv: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(argv, check=False, capture_output=True)
    return time.perf_counter() - started


def main() -> dict[str, Any]:
    """Medians over interleaved rounds; `measure` is run outside a workspace, so it only starts and says so."""
    commands = {
        "python": [sys.executable, "-c", "pass"],
        "kf_help": [sys.executable, "-m", "kernelfactory", "--help"],
        "kf_measure_start": [sys.executable, "-m", "kernelfactory", "measure"],
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, argv in commands.items():
            taken[name].append(seconds(argv))
    medians = {f"{name}_seconds": statistics.median(times) for name, times in taken.items()}
    return {**medians, "limit_seconds": LIMIT_SECONDS, "holds": medians["kf_help_seconds"] <= LIMIT_SECONDS}


if __name__ == "__main__":
    print(main())
