"""What 200 concurrent agents cost the controller: a whole `kf run` of agents that say a line each two seconds, seen
from outside, with a live terminal and without; and, as its peer, the streams alone, plain and caged.

Reported of both: the process's share of one core and its memory, threads and all; of the floor also how long 200
attempts take to begin, to drain and to be cut short. And of slots that wait, measure and hand in: attempts a second
against what the waiting alone allows, and CPU seconds per attempt."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from kernelfactory import jail, process
from kernelfactory.cage import Cage
from kernelfactory.pipes import Halt, Stop
from kernelfactory.process import Finished, Options

TINY = Path(__file__).parent.parent / "tests" / "problems" / "tiny_number"
SLOTS = 200
WAIT = 10.0
ROUNDS = 3
SECONDS = 60.0
EVERY = 2.0
LINE = json.dumps({"kind": "message", "text": "x" * 200})
SAYS = ("sh", "-c", f"while :; do echo '{LINE}'; sleep {EVERY:.0f}; done")
AGENT = f"""#!/bin/sh
n=0
while [ ! -e go ]; do
  echo '{LINE}'
  n=$((n + 1))
  [ $((n % 5)) = 1 ] && echo '{{"kind":"usage","models":{{"some":{{"input":'$n'00,"output":'$n'}}}},"dollars":0.'$n'}}'
  sleep {EVERY:.0f}
done
"""
"""Says a line, and each ten seconds what it has spent, until it is told to go."""

CORE, MEMORY = 0.20, 400 << 20
"""What all of it may take: of one core, and bytes."""

Run = Callable[[Sequence[str], Halt, Options], Finished]


# ── a process seen from outside ──────────────────────────────────────────────────────────────────


class Look(NamedTuple):
    """What a process has by now: CPU seconds of its own threads, how often those went to sleep, how many there are;
    open files; bytes in memory, and those that are its own (the shared ones in parts)."""

    at: float
    cpu: float
    waits: int
    threads: int
    files: int
    memory: int
    own: int


def look(pid: int) -> Look:
    waits = threads = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with suppress(OSError):
            text = Path(f"/proc/{pid}/task/{task}/status").read_text()
            waits += int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
            threads += 1
    memory = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    own = memory
    with suppress(OSError):  # not every kernel has it
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().split()
        own = int(rollup[rollup.index("Pss:") + 1]) << 10
    cpu = process.cpu_seconds(pid)
    assert cpu is not None
    return Look(time.monotonic(), cpu, waits, threads, len(os.listdir(f"/proc/{pid}/fd")), memory, own)


def watched(pid: int, agents: int, seconds: float, count: Callable[[], int]) -> dict[str, Any]:
    """What a process takes within so many seconds, in which `agents` say lines; `count`: how many by now."""
    lines, before = count(), look(pid)
    time.sleep(seconds)
    after, lines = look(pid), count() - lines
    wall, waits = after.at - before.at, after.waits - before.waits
    return {
        "agents": agents,
        "lines": lines,
        "seconds": wall,
        "core": (after.cpu - before.cpu) / wall,
        "memory_bytes": after.memory,
        "own_bytes": after.own,
        "threads": after.threads,
        "files": after.files,
        "wakes_a_second": waits / wall,
        "wakes_a_line": waits / max(lines, 1),
    }


# ── streams alone ────────────────────────────────────────────────────────────────────────────────


class Heard:
    """A conversation that counts its lines and looks at the clock twice a minute, as a watch on an agent does."""

    every = 30.0

    def __init__(self) -> None:
        self.lines = 0

    def line(self, text: str) -> None:
        self.lines += text == LINE and json.loads(text)["kind"] == "message"  # the last may be cut short

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
        return watched(os.getpid(), agents, seconds, lambda: sum(talk.lines for talk in heard))
    finally:
        for stop in stops:
            stop.set()
        for thread in threads:
            thread.join()


# ── the whole floor ──────────────────────────────────────────────────────────────────────────────


def script(base: Path, text: str = AGENT) -> Path:
    """A program for cages, which are other users."""
    base.chmod(0o755)
    path = base / "agent.sh"
    path.write_text(text)
    path.chmod(0o755)
    return path


def transcripts(folder: Path) -> list[Path]:
    """Of the attempts of an experiment that have said something."""
    return [*(folder / "attempts").glob("*/transcript.jsonl")]


def said(folder: Path) -> int:
    """Lines in all of them."""
    return sum(path.read_bytes().count(b"\n") for path in transcripts(folder))


def let_go(scratch: Path) -> None:
    """Tell every agent that it may go."""
    for place in scratch.glob("*/kf-*/work"):
        with suppress(OSError):  # it is gone already
            (place / "go").touch()


class Floor:
    """`kf run` of so many agents as a process of its own, allowed a thousand files unless it asks for more; `live`: on
    a terminal of 160 by 60; `text`: what they do; `more` of its options."""

    def __init__(self, base: Path, agents: int, live: bool = False, *, text: str = AGENT, more: Sequence[str] = ()):
        self.folder, self.scratch, self._base, self._agents = base / "x", base / "scratch", base, agents
        spec = ("--agent", f"command@{script(base, text)}:{agents}", "--dollars", "1e6", *more)
        where = ("--dir", str(self.folder), "--scratch", str(self.scratch))
        self.began = time.monotonic()
        self._process = self._kf(live, "run", str(TINY), *spec, *where)
        self.pid = self._process.pid

    def _kf(self, live: bool, *words: str) -> subprocess.Popen[bytes]:
        argv = ["sh", "-c", 'ulimit -Sn 1024; exec "$@"', "sh", sys.executable, "-m", "kernelfactory", *words]
        env = {**os.environ, "KF_STATE": str(self._base / "state"), "TERM": "xterm-256color"}
        with open(self._base / "out", "ab") as out:
            mine, theirs = pty.openpty() if live else (-1, out.fileno())
            if live:
                fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 160, 0, 0))
                threading.Thread(target=_read, args=(mine,), daemon=True).start()
            started = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
            if live:
                os.close(theirs)
        return started

    def begun(self, attempts: int | None = None) -> float:
        """Seconds until so many attempts (None: one of every agent) have said something."""
        while len(transcripts(self.folder)) < (attempts or self._agents):
            if self._process.poll() is not None:
                raise SystemExit(f"controller: the run ended: {(self._base / 'out').read_text()}")
            time.sleep(0.05)
        return time.monotonic() - self.began

    def drained(self) -> float:
        """Seconds until all is over when every agent is told to go."""
        self._kf(False, "stop", str(self.folder)).wait()
        begin = time.monotonic()
        let_go(self.scratch)
        self._process.wait()
        return time.monotonic() - begin

    def cut_short(self) -> float:
        """Seconds until all is over when every agent is ended."""
        begin = time.monotonic()
        self._kf(False, "stop", "--now", str(self.folder)).wait()
        self._process.wait()
        return time.monotonic() - begin

    def __enter__(self) -> Floor:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.terminate()
            self._process.wait()


def _read(terminal: int) -> None:
    with suppress(OSError):
        while os.read(terminal, 1 << 16):
            pass


def floor(agents: int = SLOTS, seconds: float = SECONDS, live: bool = False) -> dict[str, Any]:
    """A run of so many: what it costs when all are at work, how long until they are, and until they are no more: `live`
    ones are cut short, others drain."""
    with tempfile.TemporaryDirectory() as name, Floor(Path(name), agents, live) as run:
        begun = run.begun()
        time.sleep(EVERY)
        figures = watched(run.pid, agents, seconds, lambda: said(run.folder))
        over = {"cut_short_seconds": run.cut_short()} if live else {"drained_seconds": run.drained()}
    return {**figures, "begun_seconds": begun, **over}


def waiting() -> dict[str, Any]:
    """Slots of a floor that each wait, then measure and hand in."""
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


def shown(name: str, figures: dict[str, Any], peer: dict[str, Any]) -> None:
    """One line of it, beside its peer."""
    core, memory = figures["core"] / peer["core"], figures["memory_bytes"] / peer["memory_bytes"]
    print(
        f"controller: {figures['agents']} agents, {name}: {figures['core']:.1%} of one core (at most {CORE:.0%}; "
        f"{core:.1f} times the streams alone), {figures['memory_bytes'] / 2**20:.0f} MiB (at most {MEMORY >> 20}; "
        f"{memory:.1f} times), {figures['threads']} threads, {figures['files']} files, "
        f"{figures['wakes_a_second']:.0f} wakes a second, {figures['wakes_a_line']:.1f} a line"
    )


def main() -> dict[str, Any]:
    answer: dict[str, Any] = {"floor": floor(), "live floor": floor(live=True)}  # first: this process is small yet
    answer["plain streams"] = streams()
    with caged() as run:
        answer["caged streams"] = streams(run=run)
    for name, figures in answer.items():
        shown(name, figures, answer["plain streams"])
    begun, drained = answer["floor"]["begun_seconds"], answer["floor"]["drained_seconds"]
    short = answer["live floor"]["cut_short_seconds"]
    print(
        f"controller: {SLOTS} agents begin within {begun:.1f} s, drain within {drained:.1f} s, are cut short within "
        f"{short:.1f} s ({SLOTS / short:.0f} a second)"
    )
    return {**answer, "waiting": waiting()}


if __name__ == "__main__":
    main()
