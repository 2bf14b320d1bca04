"""How long a killed experiment takes to be at work again: from the call that resumes it, interpreter started and jail
tested, to the first attempt's claim, its brief written. In between the record is checked and opened, what the dead
run left is settled, all events are folded, the ruler is started. Must hold: <= 1 s with 20,000 attempts."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _book import EXPERIMENT, Writer

from kernelfactory import jail, problem, workers
from kernelfactory.budget import Caps
from kernelfactory.experiment import Settings
from kernelfactory.population import Population
from kernelfactory.record import Reader, Record
from kernelfactory.workers import Plan

TINY = Path(__file__).parent.parent / "tests" / "problems" / "tiny_number"
SIZES = (1_000, 20_000)
ROUNDS = 5


def fill_and_die(folder: Path, attempts: int) -> None:
    """In a process of its own: `attempts` in the record, then more until SIGKILL ends it in the middle of one."""
    with Reader.open(folder) as reader:
        seed = reader.measurements(0)[0]
    writer = Writer(folder, seed)
    writer.fill(attempts)
    print("filled", flush=True)
    while True:
        writer.attempt()


def resume_and_die(folder: Path, spec: str) -> None:
    """In a process of its own: resume, say when the first claim is there, and end as `kill -9` would, amid it."""
    began = time.perf_counter()
    here = jail.find(unprotected=True)
    tested, spent = time.perf_counter(), time.process_time()

    def window(name: str) -> None:
        if name == "after-claim":
            took, busy = time.perf_counter() - tested, time.process_time() - spent
            print(json.dumps({"jail": tested - began, "claim": took, "busy": busy}), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

    plan = Plan((spec,), Caps(attempts=1_000_000), scratch=folder.parent / "scratch", unprotected=True)
    workers.run(folder, plan, world=workers.World(window=window, jail=here))


def child(*words: str | Path) -> subprocess.Popen[bytes]:
    argv = [sys.executable, __file__, *map(str, words)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)})


def killed(base: Path, attempts: int) -> tuple[Path, str]:
    """An experiment of `attempts`, whose writer was killed, and the SPEC of its agent."""
    (base / "steps.json").write_text("[]")
    folder, spec = base / "x", f"scripted@{base / 'steps.json'}:2"
    workers.make(folder, problem.load(TINY), Settings((spec,)), unprotected=True)
    with child("fill", folder, str(attempts)) as run:
        assert run.stdout is not None
        run.stdout.readline()
        time.sleep(0.1)
        run.kill()
    return folder, spec


def resumed(attempts: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder, spec = killed(Path(name), attempts)
        runs = []
        for _ in range(ROUNDS):
            with child("resume", folder, spec) as run:
                out, _ = run.communicate()
            runs.append(json.loads(out))
        begin = time.perf_counter()
        with Record.open(folder) as record:
            opened = time.perf_counter()
            population = Population(record.experiment.metric, record.experiment.axes, EXPERIMENT.islands)
            population.catch_up(record.events())
            folded = time.perf_counter()
    claims = [run["claim"] for run in runs]
    return {
        "seconds": statistics.median(claims),
        "worst_seconds": max(claims),
        "cpu_seconds": statistics.median(run["busy"] for run in runs),
        "open_seconds": opened - begin,
        "fold_seconds": folded - opened,
        "jail_seconds": statistics.median(run["jail"] for run in runs),
    }


def main() -> dict[str, Any]:
    figures = {str(size): resumed(size) for size in SIZES}
    for size, found in figures.items():
        wall = f"{found['seconds']:.2f} s (median of {ROUNDS}, worst {found['worst_seconds']:.2f})"
        parts = f"record {found['open_seconds']:.2f}, fold {found['fold_seconds']:.2f}, CPU {found['cpu_seconds']:.2f}"
        print(f"resume: {size} attempts, killed: the first claim after {wall}; of that {parts}")
    return figures


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["fill", folder, attempts]:
            fill_and_die(Path(folder), int(attempts))
        case ["resume", folder, spec]:
            resume_and_die(Path(folder), spec)
        case _:
            main()
