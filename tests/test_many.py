"""Many agents at once: what each of them takes of the run's own process, and that it gives all of it back."""

from __future__ import annotations

import importlib.util
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kernelfactory import desk, problem, workers
from kernelfactory.agents import Agent, Workplace
from kernelfactory.agents.command import Command
from kernelfactory.agents.config import Entry
from kernelfactory.budget import Caps
from kernelfactory.experiment import Settings
from kernelfactory.model import Limits, Usage
from kernelfactory.pipes import Stop, Talk
from kernelfactory.process import Finished
from kernelfactory.workers import FILES_CAGED, Plan, World

TINY = Path(__file__).parent / "problems" / "tiny_number"
AGENTS = 12
SECONDS = 3.0
THREADS, WAKES, SPARE = 3, 10.0, 16
"""Of each agent: threads, and wakes a second; of the run itself: threads, and files."""

AGAIN, GROWN = 1000, 16 << 10
"""Attempts of a long run, and bytes that it may grow by with each: what is known of it is kept, nothing else."""


def benchmark() -> ModuleType:
    path = Path(__file__).parent.parent / "benchmarks/controller.py"
    spec = importlib.util.spec_from_file_location("benchmark_controller", path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


controller = benchmark()


# ── an agent that takes more than it should ──────────────────────────────────────────────────────


class Woken:
    """A workplace in which the conversation asks for the time a hundred times a second."""

    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace

    def __getattr__(self, name: str) -> Any:
        return getattr(self._workplace, name)

    def run(self, argv: Sequence[str], *, env: Mapping[str, str], talk: Talk) -> Finished:
        talk.every = 0.01
        return self._workplace.run(argv, env=env, talk=talk)


class Greedy(Command):
    """The injected fault: it wakes, and has threads and files beside what a conversation needs, which it keeps."""

    kept: list[threading.Thread]
    over: threading.Event

    def work(self, workplace: Workplace, brief: str, limits: Limits) -> Usage:
        stops = [Stop() for _ in range(FILES_CAGED)]
        for _ in range(THREADS):
            self.kept.append(threading.Thread(target=lambda: (self.over.wait(), stops), daemon=True))
            self.kept[-1].start()
        return super().work(Woken(workplace), brief, limits)  # type: ignore[arg-type]


# ── a run in this process ────────────────────────────────────────────────────────────────────────


@contextmanager
def at_work(base: Path, agent: Agent) -> Iterator[Path]:
    """A run in which AGENTS of `agent` have said something, until it has drained; its folder."""
    folder, scratch = base / "x", base / "scratch"
    plan = Plan((f"many:{AGENTS}",), Caps(dollars=1e6), scratch=scratch, unprotected=True)
    run = threading.Thread(target=workers.run, args=(folder, plan), kwargs={"world": World(agents={"many": agent})})
    run.start()
    try:
        wait(lambda: len(controller.transcripts(folder)) == AGENTS or not run.is_alive())
        assert run.is_alive(), "the run ended"
        yield folder
    finally:
        with suppress(Exception):
            desk.control(folder, "stop")
        while run.is_alive():
            controller.let_go(scratch)
            run.join(0.1)


def wait(condition: Any) -> None:
    deadline = time.monotonic() + 120
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


def spent(base: Path, agent: Agent, patience: float = 60.0) -> tuple[dict[str, float], dict[str, int]]:
    """What a run takes in this process, of each agent; and what is left of it afterwards, when what is ending has had
    so many seconds."""
    before = controller.look(os.getpid())
    with at_work(base, agent) as folder:
        found = controller.watched(os.getpid(), AGENTS, SECONDS, lambda: controller.said(folder))
    each = {
        "threads": (found["threads"] - before.threads - SPARE) / AGENTS,
        "files": (found["files"] - before.files - SPARE) / AGENTS,
        "wakes": found["wakes_a_second"] / AGENTS,
    }
    assert found["lines"] > 0, found
    deadline = time.monotonic() + patience
    while True:
        now = controller.look(os.getpid())
        left = {"threads": now.threads - before.threads, "files": now.files - before.files}
        if max(left.values()) <= 0 or time.monotonic() > deadline:
            return each, left
        time.sleep(0.05)


def test_an_agent_takes_little_of_the_run_and_gives_it_back(tmp_path: Path) -> None:
    """The benchmark in small. Injected fault: agents that take twice as much, and keep it."""
    script = str(controller.script(tmp_path))
    workers.make(tmp_path / "x", problem.load(TINY), Settings(), unprotected=True)
    entry = Entry(name="many", agent="command")
    each, kept = spent(tmp_path, Command(script, entry))
    assert each["threads"] <= THREADS and each["files"] <= FILES_CAGED and each["wakes"] <= WAKES, each
    assert max(kept.values()) <= 0, kept

    greedy = Greedy(script, entry)
    greedy.kept, greedy.over = [], threading.Event()
    try:
        each, kept = spent(tmp_path, greedy, patience=0.0)
    finally:
        greedy.over.set()
    assert each["threads"] > THREADS and each["files"] > FILES_CAGED and each["wakes"] > WAKES, each
    assert kept["threads"] > AGENTS and kept["files"] > AGENTS, kept


# ── at full size ─────────────────────────────────────────────────────────────────────────────────

SHORT = f"""#!/bin/sh
for i in 1 2 3 4 5 6 7 8 9 10; do echo '{controller.LINE}'; done
echo '{{"kind":"usage","models":{{"some":{{"input":100,"output":10}}}},"dollars":0.01}}'
od -An -N2 -tu2 /dev/urandom > number.txt
echo tried > progress.md
"""


@pytest.mark.soak
@pytest.mark.parametrize("live", [False, True])
def test_200_agents_take_a_fifth_of_a_core_and_400_mb(live: bool) -> None:
    found = controller.floor(live=live)
    assert found["lines"] > controller.SLOTS and found["core"] <= controller.CORE, found
    assert found["memory_bytes"] <= controller.MEMORY, found


@pytest.mark.soak
def test_1000_attempts_leave_nothing(tmp_path: Path) -> None:
    with controller.Floor(tmp_path, 20, text=SHORT, more=("--attempts", str(AGAIN))) as run:
        run.begun(AGAIN // 4)
        first = controller.look(run.pid)
        run.begun(AGAIN - 40)
        last = controller.look(run.pid)
    assert last.memory - first.memory <= GROWN * (AGAIN * 3 // 4), (first, last)
    assert abs(last.threads - first.threads) <= 20 and abs(last.files - first.files) <= 20 * FILES_CAGED, (first, last)
