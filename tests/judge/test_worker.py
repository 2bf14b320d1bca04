"""A candidate's process, as the judge holds it: started, asked, timed from outside, ended; and one timing at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

import kernelfactory
from kernelfactory.jail import Jail
from kernelfactory.judge import JudgeFailed
from kernelfactory.judge.calls import Calls
from kernelfactory.judge.inside.kfworker import encode, frame
from kernelfactory.judge.produce import Refusal
from kernelfactory.judge.worker import Broken, Program, Worker, Workers, ready, timing_slot
from kernelfactory.model import Answering, Rejected

Starts = Callable[..., AbstractContextManager[Workers]]


@pytest.fixture
def started(jail: Jail, tmp_path: Path) -> Starts:
    """The workers of a program (a text) and of a baseline, with limits."""

    @contextmanager
    def make(text: str, *, made: bytes = b"", still: bool = False, **limits: Any) -> Iterator[Workers]:
        answering = Answering(**{"function": "program:answer", "seconds": 5, "memory": 512 << 20, **limits})
        baseline = Program({"program.py": b"def answer(*args): return args"}, b"")
        programs = {"candidate": Program({"program.py": text.encode()}, made), "baseline": baseline}
        with ready(programs, answering, jail, tmp_path, still=still) as workers:
            assert isinstance(workers, Workers)
            yield workers

    return make


def candidate(workers: Workers) -> Worker:
    return workers._workers["candidate"]


def calling(workers: Workers, who: Any = "candidate", clock: str = "cpu") -> Calls:
    return Calls(workers.relay, who, clock=clock)


def question(*args: Any) -> bytes:
    payload = bytearray()
    return frame({"of": 0, "name": None, "args": encode(list(args), payload)}, bytes(payload))


def refusal(workers: Workers, *args: Any) -> Refusal:
    with pytest.raises(Broken) as caught:
        candidate(workers).ask(question(*args))
    return caught.value.refusal


# ── answering ────────────────────────────────────────────────────────────────────────────────────


def test_a_program_answers_again_and_again(started: Starts) -> None:
    with started("def answer(a, b=1):\n    print('noise')\n    return {'sum': a + b}") as workers:
        call = calling(workers)
        assert [call(number, b=2) for number in range(5)] == [{"sum": number + 2} for number in range(5)]
        assert workers.failed is None
        large = b"x" * (8 << 20)
        assert calling(workers, "baseline")(large, [1.5] * 1000) == (large, [1.5] * 1000)


def test_state_stays_until_a_restart(started: Starts) -> None:
    with started("count = 0\ndef answer():\n    global count\n    count += 1\n    return count") as workers:
        call = calling(workers)
        assert [call(), call()] == [1, 2]
        call.restart()
        assert call() == 1


def test_what_was_built_is_the_file_in_the_environment(started: Starts) -> None:
    text = "import os\ndef answer(): return open(os.environ['KF_ARTEFACT'], 'rb').read(), sorted(os.listdir())"
    with started(text, made=b"\x7fELF") as workers:
        assert calling(workers)() == (b"\x7fELF", ["program.py"])


def test_a_worker_of_the_problems_own(started: Starts) -> None:
    text = "import kfworker, sys\nkfworker.serve(lambda *args: [sys.argv[1], *args])"
    with started(text, function=None, command=("python", "program.py", "word")) as workers:
        assert calling(workers)(1) == ["word", 1]


# ── not answering ────────────────────────────────────────────────────────────────────────────────


def test_the_last_line_of_why_it_does_not_load_is_its_authors(started: Starts) -> None:
    with started("import missing_module\n") as workers:
        found = refusal(workers)
        assert (found.code, found.reason) == ("crashed", "the program does not load")
        assert found.said == "ModuleNotFoundError: No module named 'missing_module'"
    with started("raise ValueError('\\x1b[2J\\u202e' + 'x' * 9000)") as workers:
        said = refusal(workers).said
        assert len(said) <= 2000 and "\x1b" not in said and "\u202e" not in said


FAILING = [
    ("ends", "import os\ndef answer(): os._exit(0)", {}, "crashed", "ended instead of answering"),
    ("exits", "def answer(): raise SystemExit(0)", {}, "crashed", "ended instead of answering"),
    ("is killed", "import os\ndef answer(): os.kill(os.getpid(), 9)", {}, "crashed", "ended instead of answering"),
    ("hangs", "def answer():\n    while True: pass", {"seconds": 0.5}, "timeout", "longer than 0.5 seconds"),
    ("sleeps", "import time\ndef answer(): time.sleep(60)", {"seconds": 0.5}, "timeout", "longer than 0.5 seconds"),
    ("says too much", "def answer(): return b'x' * 100_000", {"answer_bytes": 90_000}, "over_limit", "larger than"),
    ("says too much text", "def answer(): return 'x' * 100_000", {"answer_bytes": 90_000}, "over_limit", "larger than"),
    ("ends while loading", "import os\nos._exit(0)", {}, "crashed", "ended instead of answering"),
    ("greets otherwise", "import os\nos.write(1, b'x' * 99)\nos._exit(0)", {}, "crashed", "ended"),
]


@pytest.mark.parametrize(
    ("text", "limits", "code", "words"), [case[1:] for case in FAILING], ids=[c[0] for c in FAILING]
)
def test_a_program_that_does_not_answer(started: Starts, text: str, limits: Any, code: str, words: str) -> None:
    with started(text, **limits) as workers:
        found = refusal(workers)
        assert (found.code, found.said) == (code, "") and words in found.reason
        assert candidate(workers)._child is None  # and nothing is left of it


def test_the_same_limits_hold_for_nobody_who_keeps_them(started: Starts) -> None:
    with started("def answer(): return b'x' * 89_000", answer_bytes=90_000, seconds=5) as workers:
        assert len(calling(workers)()) == 89_000


def test_after_a_failure_the_next_question_starts_another(started: Starts) -> None:
    text = "import os\ndef answer(number):\n    if number == 1: os._exit(1)\n    return number"
    with started(text) as workers:
        assert refusal(workers, 1).code == "crashed"
        assert calling(workers)(2) == 2


def test_memory_has_a_limit(started: Starts) -> None:
    with started("def answer(size): return len(bytearray(size))", memory=512 << 20) as workers:
        assert calling(workers)(100 << 20) == 100 << 20
        with pytest.raises(Rejected, match="the program raised MemoryError"):
            calling(workers)(2 << 30)


def test_the_candidates_failure_is_told_and_the_baselines_is_raised(started: Starts) -> None:
    with started("import os\ndef answer(): os._exit(1)") as workers:
        told, answer = workers.relay({"who": "candidate"}, question())
        assert (told["failed"], answer) == ("crashed", b"") and workers.failed is not None
        workers._workers["baseline"], workers._workers["candidate"] = candidate(workers), workers._workers["baseline"]
        with pytest.raises(Broken):
            workers.relay({"who": "baseline"}, question())


ALONE = """
import os, threading
def answer():
    found = []
    for name, act in (("fork", os.fork), ("thread", threading.Thread(target=print).start)):
        try:
            if act() == 0:
                os._exit(0)
            found.append(name)
        except (OSError, RuntimeError):
            pass
    return found
"""


def test_one_thread_means_no_other_thread_and_no_process(started: Starts, jail: Jail) -> None:
    with started(ALONE, threads=1) as workers:
        assert calling(workers)() == []
    with started(ALONE, threads=4) as workers:  # the fault: allowed, and seen
        assert calling(workers)() == ["fork", "thread"]


def test_a_tree_that_cannot_be_written_is_no_program(jail: Jail, tmp_path: Path) -> None:
    program = Program({"program.py": b"", "x" * 300: b""}, b"")
    with ready({"candidate": program}, Answering(function="program"), jail, tmp_path, still=False) as workers:
        assert isinstance(workers, Refusal) and workers.code == "malformed"
    assert list(tmp_path.iterdir()) == []


# ── time, from outside ───────────────────────────────────────────────────────────────────────────

LIES = """
import time
time.perf_counter = time.monotonic = time.time = time.process_time = lambda: 0.0
def answer(what, amount):
    if what == "work":
        return sum(range(amount))
    time.sleep(amount)
"""


def test_time_is_taken_by_the_judges_clock(started: Starts) -> None:
    """Work costs both clocks; sleep costs the wall's alone; what the program thinks of time is nobody's business."""
    with started(LIES) as workers:
        cpu, wall = calling(workers), calling(workers, clock="wall")
        little, much = (min(cpu.timed("work", amount)[1] for _ in range(5)) for amount in (100_000, 2_000_000))
        assert 0 < little < much / 3
        assert wall.timed("work", 2_000_000)[1] >= cpu.timed("work", 2_000_000)[1] / 2 > 0
        assert cpu.timed("sleep", 0.3)[1] < 0.15 < 0.3 <= wall.timed("sleep", 0.3)[1]


# ── one timing at a time ─────────────────────────────────────────────────────────────────────────

HOLDS = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from contextlib import nullcontext
from kernelfactory.judge.worker import timing_slot
print("waits", flush=True)
with timing_slot() if sys.argv[2] == "slot" else nullcontext():
    print("holds", flush=True)
    sys.stdin.readline()
    print("gives", flush=True)
"""


def holder(how: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", HOLDS, str(Path(kernelfactory.__file__).parents[1]), how]
    started = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None and started.stdout.readline() == "waits\n"
    os.set_blocking(started.stdout.fileno(), False)
    return started


def heard(process: subprocess.Popen[str], seconds: float) -> str:
    """What a holder says within so many seconds."""
    assert process.stdout is not None
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if line := process.stdout.readline():
            return line.strip()
        time.sleep(0.02)
    return ""


@pytest.mark.parametrize("how", ["slot", "none"])
def test_two_processes_never_time_at_once(how: str) -> None:
    """Without the slot (the fault) the second one does not wait."""
    with timing_slot() if how == "slot" else _nothing():
        first = holder(how)
        assert heard(first, 1.0) == ("" if how == "slot" else "holds")
    second = None
    try:
        if how == "slot":
            assert heard(first, 60) == "holds"
            second = holder(how)
            assert heard(second, 1.0) == ""
            first.communicate("\n", timeout=60)
            assert heard(second, 60) == "holds"
    finally:
        for process in filter(None, (first, second)):
            process.kill()
            process.communicate()


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def test_whoever_is_killed_gives_the_slot_back() -> None:
    first = holder("slot")
    assert heard(first, 60) == "holds"
    first.kill()
    first.communicate()
    with timing_slot():
        pass


def test_a_slot_that_is_never_free_is_waited_for_so_long_and_no_longer() -> None:
    first = holder("slot")
    assert heard(first, 60) == "holds"
    with (
        pytest.raises(JudgeFailed, match=r"another process has been timing for 0.2 seconds: it holds /.*timing\.lock"),
        timing_slot(0.2),
    ):
        pass
    first.kill()
    first.communicate()
