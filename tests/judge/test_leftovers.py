"""A judge leaves nothing behind: no descriptor, no thread, no process, also when it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kernelfactory
from kernelfactory.jail import Unprotected
from kernelfactory.judge import Judge, JudgeFailed

SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from kernelfactory import jail, problem
from kernelfactory.judge import Judge
cell = jail.Unprotected() if sys.argv[3] == "unprotected" else jail.find()
judge = Judge(problem.load(sys.argv[2]), cell, scratch=Path(sys.argv[2]))
print("ready", flush=True)
judge.screen({"network.py": b"while True: pass", "number.txt": b"1"})
sys.stdin.read()
"""


def until(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


def speaking_of(path: Path) -> list[int]:
    """Processes whose command line names a path, this one apart."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                line = Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(path) in line:
                found.append(int(name))
    return found


@pytest.mark.parametrize(
    ("name", "cell"), [("tiny_number", "jailed"), ("tiny_network", "jailed"), ("tiny_number", "unprotected")]
)
def test_a_killed_judge_leaves_no_process(make_problem: Any, jail: Any, name: str, cell: str) -> None:
    folder = Path(make_problem(name).folder)
    source = str(Path(kernelfactory.__file__).parents[1])
    argv = [sys.executable, "-c", SCRIPT, source, str(folder), cell]
    around = {**os.environ, "TMPDIR": str(folder.parent)}  # what a killed process cannot clear away
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=around) as running:
        assert running.stdout is not None and running.stdout.readline() == b"ready\n"
        assert until(lambda: len(speaking_of(folder)) >= 2)  # itself, and what it started
        time.sleep(0.2)
        running.send_signal(signal.SIGKILL)
    assert until(lambda: speaking_of(folder) == [])


def test_descriptors_and_threads_come_back(make_problem: Any, jail: Any, tmp_path: Path) -> None:
    def work() -> None:
        of = make_problem("tiny_network")
        with Judge(of, jail, scratch=tmp_path) as judge:
            judge.screen(of.seed)
            judge.screen({"network.py": b"1/0"})
        broken = make_problem(
            ruler="from kernelfactory.model import Measured\nimport os\ndef measure(*_):\n    os._exit(1)\n"
        )
        with Judge(broken, jail, scratch=tmp_path) as judge, pytest.raises(JudgeFailed):
            judge.screen(broken.seed)
        with pytest.raises(JudgeFailed):
            Judge(make_problem(ruler="1/0"), jail, scratch=tmp_path)

    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    work()
    before = held()
    for _ in range(3):
        work()
    assert until(lambda: held() <= before), (before, held())


def test_an_unprotected_judge_keeps_its_scratch_clean(make_problem: Any, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    of = make_problem("tiny_network")
    with Judge(of, Unprotected(), scratch=scratch) as judge:
        judge.screen(of.seed)
    assert list(scratch.iterdir()) == []
