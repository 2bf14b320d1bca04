"""How long a killed experiment takes to be open again: the record checked and opened, all events folded into the
population. Must hold: <= 1 s with 20,000 attempts."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _book import EXPERIMENT, Writer

from kernelfactory.population import Population
from kernelfactory.record import Record

SIZES = (1_000, 20_000)


def make_and_die(folder: Path, attempts: int) -> None:
    """In a process of its own: a record, then SIGKILL in the middle of it."""
    writer = Writer(folder)
    writer.fill(attempts)
    print("made", flush=True)
    while True:
        writer.attempt()


def resumed(attempts: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "experiment"
        argv = [sys.executable, __file__, str(folder), str(attempts)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(0.1)
            child.send_signal(signal.SIGKILL)
        begin = time.perf_counter()
        with Record.open(folder) as record:
            opened = time.perf_counter()
            population = Population(EXPERIMENT.metric, EXPERIMENT.axes, EXPERIMENT.islands)
            population.catch_up(record.events())
            folded = time.perf_counter()
    return {"open_seconds": opened - begin, "fold_seconds": folded - opened, "seconds": folded - begin}


def main() -> dict[str, Any]:
    return {str(size): resumed(size) for size in SIZES}


if __name__ == "__main__":
    if len(sys.argv) > 2:
        make_and_die(Path(sys.argv[1]), int(sys.argv[2]))
    print(main())
