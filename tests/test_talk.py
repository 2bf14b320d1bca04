"""pipes: a conversation with a process; nobody waits for who does not listen, and nothing is looked at for nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest

from kernelfactory import process
from kernelfactory.jail import python
from kernelfactory.pipes import TALK_LINE, Halt, Stop
from kernelfactory.process import Finished, Options, run

ENV = {"PATH": "/usr/bin:/bin"}


@dataclass
class Said:
    """Writes down what it hears; says what it is given to say, once, and hangs up or is over when told to."""

    to_say: list[bytes] = field(default_factory=list)
    every: float = 3600.0
    hang_up: Callable[[Said], bool] = lambda said: True
    enough: Callable[[Said], bool] = lambda said: False
    lines: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    ticks: int = 0
    threads: set[int] = field(default_factory=set)

    def line(self, text: str) -> None:
        self.threads.add(threading.get_ident())
        self.lines.append(text)

    def error(self, text: str) -> None:
        self.threads.add(threading.get_ident())
        self.errors.append(text)

    def tick(self) -> None:
        self.threads.add(threading.get_ident())
        self.ticks += 1

    def words(self) -> bytes:
        return self.to_say.pop(0) if self.to_say else b""

    def hung_up(self) -> bool:
        return self.hang_up(self)

    def over(self) -> bool:
        return self.enough(self)


def talked(said: Said, *argv: str, seconds: float = 60.0, stop: Halt | None = None, **more: object) -> Finished:
    return run(argv, env=ENV, seconds=seconds, stop=stop, options=Options(talk=said, **more))  # type: ignore[arg-type]


def code(text: str) -> tuple[str, ...]:
    return (python(), "-I", "-S", "-c", text)


def test_what_is_said_arrives_and_what_is_answered_is_heard() -> None:
    said = Said([b"one\n", b"two\n"])
    done = talked(said, "sh", "-c", "cat; echo low >&2; exit 3")
    assert (said.lines, said.errors, done.returncode) == (["one", "two"], ["low"], 3)
    assert (done.stdout, done.stderr, done.dismissed) == (b"one\ntwo\n", b"low\n", False)
    assert said.threads == {threading.get_ident()}


def test_input_comes_before_words() -> None:
    said = Said([b"words\n"])
    run(["cat"], env=ENV, seconds=60, stdin=b"input\n", options=Options(talk=said))
    assert said.lines == ["input", "words"]


def test_an_answer_depends_on_a_question() -> None:
    """stdin stays open until it hangs up: each word is said only when the line before it came."""

    class Asked(Said):
        def line(self, text: str) -> None:
            super().line(text)
            if len(self.lines) < 20:
                self.to_say.append(f"{int(text) + 1}\n".encode())

    said = Asked(hang_up=lambda said: len(said.lines) == 20, to_say=[b"0\n"])
    talked(said, "cat")
    assert said.lines == [str(number) for number in range(20)]


def test_who_does_not_read_is_no_hindrance() -> None:
    """More is to be said than a pipe holds, to somebody who talks all the while and reads at the end only."""
    text = "import sys\nfor n in range(20000): print('x' * 40, n)\nprint(len(sys.stdin.buffer.read()))"
    said = Said([b"w" * 1_000_000, b"w" * 500_000])
    assert talked(said, *code(text), keep_going=True).returncode == 0
    assert len(said.lines) == 20_001 and said.lines[-1] == "1500000"


def test_who_never_reads_is_asked_for_no_more_words() -> None:
    """What nobody reads must not grow: words are asked for when those before them are written."""
    asked: list[int] = []

    class Talker(Said):
        def words(self) -> bytes:
            asked.append(1)
            return b"x" * 100_000

    talked(Talker(hang_up=lambda said: False), "sh", "-c", "for n in 1 2 3 4 5 6 7 8 9; do echo $n; done; sleep 0.1")
    assert len(asked) == 1


def test_a_closed_stdin_is_no_error() -> None:
    said = Said([b"x" * 1_000_000, b"more"], hang_up=lambda said: False)
    assert talked(said, "sh", "-c", "exec <&-; echo on; sleep 0.1; echo off").returncode == 0
    assert said.lines == ["on", "off"]


def test_over_ends_the_tree() -> None:
    mark = secrets.token_hex(8)
    said = Said(enough=lambda said: "ready" in said.lines, hang_up=lambda said: False)
    argv = ["sh", "-c", "setsid sleep 300 & echo ready; sleep 300"]
    done = run(argv, env=ENV | {"T": mark}, seconds=120, options=Options(talk=said))
    assert done.dismissed and not (done.timed_out or done.stopped)
    assert not list(process.living(mark))


def test_nobody_who_is_over_is_not_dismissed() -> None:
    """Injected fault: the same conversation that never finds it over runs into the time limit."""
    done = talked(Said(hang_up=lambda said: False), "sh", "-c", "echo ready; sleep 300", seconds=0.5)
    assert done.timed_out and not done.dismissed


def test_what_was_said_before_the_end_is_heard() -> None:
    said = Said(enough=lambda said: bool(said.lines))
    talked(said, "sh", "-c", "printf 'a\\nb\\nc'; sleep 300")
    assert said.lines == ["a", "b", "c"]


def test_ticks_come_while_nothing_is_said_and_while_much_is() -> None:
    quiet = Said(every=0.05, enough=lambda said: said.ticks >= 3)
    assert talked(quiet, "sleep", "300").dismissed
    loud = Said(every=0.05, enough=lambda said: said.ticks >= 3)
    assert talked(loud, "yes", keep_going=True, output_bytes=1000).dismissed


def test_without_ticks_nothing_ends_it() -> None:
    """Injected fault: who ticks once an hour is not dismissed by its third tick."""
    assert talked(Said(every=3600, enough=lambda said: said.ticks >= 3), "sleep", "300", seconds=0.5).timed_out


def test_a_failing_listener_ends_the_tree() -> None:
    class Failing(Said):
        def line(self, text: str) -> None:
            raise RuntimeError(text)

    with pytest.raises(RuntimeError, match="go"):
        talked(Failing(), "sh", "-c", "echo go; sleep 300")


@pytest.mark.parametrize("size", [5_000_000, TALK_LINE])
def test_a_long_line_is_one_line(size: int) -> None:
    said = Said()
    talked(said, *code(f"print('x' * {size}); print('end')"), keep_going=True, output_bytes=1000)
    assert [len(line) for line in said.lines] == [size, 3]


def test_a_longer_one_is_cut_and_memory_is_bounded() -> None:
    said = Said(enough=lambda said: len(said.lines) == 3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    text = "import os\nwhile True: os.write(1, b'x' * 1000000)"
    done = talked(said, *code(text), keep_going=True, output_bytes=1000)
    assert done.dismissed and all(TALK_LINE < len(line) <= TALK_LINE + 100_000 for line in said.lines[:3])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000, "kilobytes"


FORGES = """
import os, subprocess, sys
print("said", flush=True)
forge = "echo forged > /proc/%d/fd/1; echo forged > /proc/%d/fd/2" % (os.getpid(), os.getpid())
subprocess.run(["sh", "-c", forge], stdin=subprocess.DEVNULL, capture_output=True)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="there are no such names here")
def test_no_other_process_puts_a_line_in_between() -> None:
    said = Said()
    assert run([python(), "-c", FORGES], env=ENV, seconds=60.0, options=Options(talk=said)).returncode == 0
    assert (said.lines, said.errors) == (["said"], [])
    heard: list[str] = []  # injected fault: a pipe, which a listener has
    run([python(), "-c", FORGES], env=ENV, seconds=60.0, options=Options(on_line=heard.append))
    assert heard == ["said", "forged"]


def test_no_descriptor_is_left() -> None:
    def held() -> int:
        return len(os.listdir("/proc/self/fd"))

    talked(Said([b"x"]), "cat")
    before = held()
    for _ in range(5):
        talked(Said([b"x"], enough=lambda said: True, hang_up=lambda said: False), "cat", stop=Stop())
    deadline = time.monotonic() + 30
    while held() != before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert held() == before


# ── a stop ───────────────────────────────────────────────────────────────────────────────────────


def test_a_stop_is_heard_from_any_thread_and_before_the_start() -> None:
    stop = Stop()
    assert not stop.is_set()
    threading.Timer(0.1, stop.set).start()
    assert run(["sleep", "300"], env=ENV, seconds=120, stop=stop).stopped
    stop.set()
    assert stop.is_set() and run(["sleep", "300"], env=ENV, seconds=120, stop=stop).stopped


def test_one_stop_stops_many() -> None:
    stop, ended = Stop(), []
    threads = [
        threading.Thread(target=lambda: ended.append(run(["sleep", "300"], env=ENV, seconds=120, stop=stop).stopped))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    stop.set()
    for thread in threads:
        thread.join()
    assert ended == [True] * 8


def wakes(stop: Halt) -> int:
    """How often this thread slept during a process of a second and a half that says nothing."""
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    talked(Said(), "sleep", "1.5", stop=stop)
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before


def test_nothing_is_looked_at_for_nothing() -> None:
    """Injected fault: an event can be looked at only, twenty times a second."""
    assert wakes(Stop()) < 20 <= wakes(threading.Event())


# ── many of them ─────────────────────────────────────────────────────────────────────────────────


def benchmark() -> ModuleType:
    path = Path(__file__).parent.parent / "benchmarks/controller.py"
    spec = importlib.util.spec_from_file_location("benchmark_controller", path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_many_streams_cost_their_controller_a_wake_a_line() -> None:
    """The benchmark in small; injected fault: whoever polls wakes for nothing."""
    streams = benchmark().streams
    quiet = streams(agents=10, seconds=3.0)
    busy = streams(agents=10, seconds=3.0, halt=threading.Event)
    assert quiet["lines"] and busy["lines"] and quiet["wakes_a_line"] < 8 < busy["wakes_a_line"], json.dumps(
        [quiet, busy]
    )
