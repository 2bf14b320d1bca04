"""What 200 concurrent agents cost the controller: as processes that stream lines, plain and caged, and as slots of a
whole floor that each wait, then measure and hand in.

Reported of the streams: this process's share of one core and its memory, threads and all, while every agent says a line
each two seconds; of the floor: attempts a second against what the waiting alone allows, and CPU seconds per attempt."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kernelfactory import jail, process
from kernelfactory.cage import Cage
from kernelfactory.pipes import Halt, Stop
from kernelfactory.process import Finished, Options

TINY = Path(__file__).parent.parent / "tests" / "problems" / "tiny_number"
SLOTS = 200
WAIT = 10.0
ROUNDS = 3
SECONDS = 20.0
EVERY = 2.0
LINE = json.dumps({"type": "assistant", "message": {"id": "msg", "text": "x" * 200}})
SAYS = ("sh", "-c", f"while :; do echo '{LINE}'; sleep {EVERY:.0f}; done")
CORE, MEMORY = 0.20, 400 << 20
"""What the streams may take: of one core, and bytes."""

Run = Callable[[Sequence[str], Halt, Options], Finished]


class Heard:
    """A conversation that counts its lines and looks at the clock twice a minute, as a watch on an agent does."""

    every = 30.0

    def __init__(self) -> None:
        self.lines = 0

    def line(self, text: str) -> None:
        self.lines += text == LINE and json.loads(text)["type"] == "assistant"  # the last may be cut short

    def error(self, text: str) -> None:
        """A shell says at the end that what it ran was killed."""

    def tick(self) -> None: ...

    def words(self) -> bytes:
        return b""

    def hung_up(self) -> bool:
        return True

    def over(self) -> bool:
        return False


def plainly(argv: Sequence[str], stop: Halt, options: Options) -> Finished:
    return process.run(argv, env={"PATH": "/usr/bin:/bin"}, seconds=3600, stop=stop, options=options)


@contextmanager
def caged() -> Iterator[Run]:
    """In the best cage of this machine, all in one workspace."""
    held = jail.find()
    with tempfile.TemporaryDirectory() as folder:
        uid = jail.cage_uid(0)
        jail.own(folder, uid)
        cage = Cage(workspace=folder, uid=uid)
        yield lambda argv, stop, options: held.run(cage.spec(argv, env={}, seconds=3600.0), stop=stop, options=options)


def _waits() -> int:
    """How often the threads of this process went to sleep so far."""
    total = 0
    for task in os.listdir("/proc/self/task"):
        text = Path(f"/proc/self/task/{task}/status").read_text()
        total += int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
    return total


def _memory() -> int:
    """Bytes that are in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def streams(
    agents: int = SLOTS, seconds: float = SECONDS, halt: Callable[[], Halt] = Stop, run: Run = plainly
) -> dict[str, Any]:
    """So many processes at once that stream: what they cost, from when the last has said something."""
    heard, stops = [Heard() for _ in range(agents)], [halt() for _ in range(agents)]
    done: list[Finished] = []

    def work(talk: Heard, stop: Halt) -> None:
        done.append(run(SAYS, stop, Options(talk=talk, keep_going=True, output_bytes=1 << 16)))

    threads = [threading.Thread(target=work, args=pair) for pair in zip(heard, stops, strict=True)]
    try:
        for thread in threads:
            thread.start()
        while not all(talk.lines for talk in heard):
            if done:
                raise SystemExit(f"controller: {done[0]}")
            time.sleep(0.05)
        waits, cpu, lines = _waits(), sum(os.times()[:2]), sum(talk.lines for talk in heard)
        begin = time.monotonic()
        time.sleep(seconds)
        wall, used = time.monotonic() - begin, sum(os.times()[:2]) - cpu
        waits, lines = _waits() - waits, sum(talk.lines for talk in heard) - lines
        memory, count = _memory(), threading.active_count()
    finally:
        for stop in stops:
            stop.set()
        for thread in threads:
            thread.join()
    figures = {"agents": agents, "lines": lines, "seconds": wall, "core": used / wall, "memory_bytes": memory}
    return {**figures, "threads": count, "wakes_a_line": waits / max(lines, 1)}


def floor() -> dict[str, Any]:
    """Slots of a whole floor."""
    from kernelfactory import problem, workers
    from kernelfactory.budget import Caps
    from kernelfactory.experiment import Settings
    from kernelfactory.workers import Plan

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


def main() -> dict[str, Any]:
    answer: dict[str, Any] = {"plain": streams()}
    with caged() as run:
        answer["caged"] = streams(run=run)
    for name, figures in answer.items():
        print(
            f"controller: {figures['agents']} {name} streams: {figures['core']:.1%} of one core (at most {CORE:.0%}), "
            f"{figures['memory_bytes'] / 2**20:.0f} MiB (at most {MEMORY >> 20}), {figures['threads']} threads, "
            f"{figures['wakes_a_line']:.1f} wakes a line"
        )
    return {**answer, "floor": floor()}


if __name__ == "__main__":
    main()
