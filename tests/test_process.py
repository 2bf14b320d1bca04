"""process: whole trees end, outputs are capped, nothing is inherited."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable

import pytest

from kernelfactory import process
from kernelfactory.process import Child, Ended, Finished, Options, Silent, run, spawn

ENV = {"PATH": "/usr/bin:/bin"}
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        {first}
        os.write(1, b'up')
        while True: time.sleep(1)
    os._exit(0)
time.sleep({stay})
"""


def python(code: str, seconds: float = 20.0, **options: object) -> Finished:
    return run([sys.executable, "-I", "-S", "-c", code], env=ENV, seconds=seconds, options=Options(**options))  # type: ignore[arg-type]


def eventually(holds: Callable[[], bool], seconds: float = 3.0) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


def test_answers_codes_and_streams() -> None:
    done = run(["sh", "-c", "cat; echo err >&2; exit 3"], env=ENV, seconds=5, stdin=b"in" * 100_000)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"in" * 100_000, b"err\n")
    assert not (done.timed_out or done.overflow or done.stopped)
    assert run(["sh", "-c", "kill -9 $$"], env=ENV, seconds=5).returncode == -9


def test_nothing_is_inherited() -> None:
    os.environ["KF_TEST_SECRET"] = "s"
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    done = python("import os; print(sorted(os.environ)); print(len(os.listdir('/proc/self/fd')))")
    listed = run(["env"], env=ENV | {"A": "b"}, seconds=5, options=Options(contained=True)).stdout
    os.close(reading)
    os.close(writing)
    del os.environ["KF_TEST_SECRET"]
    assert done.stdout.splitlines()[0].replace(b"'LC_CTYPE', ", b"") == b"['KF_TREE', 'PATH']"
    assert done.stdout.splitlines()[1] == b"4", "stdin, stdout, stderr and the listing's own"
    assert sorted(listed.split()) == [b"A=b", b"PATH=/usr/bin:/bin"]


def test_no_argument_reaches_a_shell() -> None:
    assert run(["echo", "$(id); `id` | x"], env=ENV, seconds=5).stdout == b"$(id); `id` | x\n"
    with pytest.raises(FileNotFoundError):
        run(["no-such-command-here; true"], env=ENV, seconds=5)


def test_stdin_that_nobody_reads_is_no_error() -> None:
    assert run(["true"], env=ENV, seconds=5, stdin=b"x" * (1 << 20)).returncode == 0
    assert run(["cat"], env=ENV, seconds=5).stdout == b"", "no stdin is an empty one"


def test_the_kernel_takes_a_child_first_when_memory_is_short() -> None:
    assert run(["sh", "-c", "sleep 0.2; cat /proc/self/oom_score_adj"], env=ENV, seconds=9).stdout == b"1000\n"


def test_the_deadline_kills() -> None:
    done = run(["sleep", "30"], env=ENV, seconds=0.2)
    assert done.timed_out and done.returncode == -9 and done.seconds < 3


def test_output_beyond_the_cap_kills_and_never_blocks() -> None:
    done = run(["yes"], env=ENV, seconds=20, options=Options(output_bytes=1000))
    assert done.overflow and not done.timed_out and len(done.stdout) == 1000 and done.seconds < 5
    done = python("import sys; sys.stderr.write('x' * 300_000)", output_bytes=1000)
    assert done.overflow and len(done.stderr) == 1000
    kept = python("print('x' * 300_000); print('end')", output_bytes=1000, keep_going=True)
    assert kept.overflow and kept.returncode == 0 and len(kept.stdout) == 1000


def test_lines_are_streamed() -> None:
    lines: list[tuple[str, float]] = []
    begin = time.monotonic()
    code = "import time; print('a\\nb', flush=True); time.sleep(0.5); print('c\\xff', end='', flush=True)"
    python(code, on_line=lambda line: lines.append((line, time.monotonic() - begin)))
    assert [line for line, _ in lines] == ["a", "b", "cÿ"]
    assert lines[2][1] - lines[0][1] > 0.3


def test_a_line_without_end_comes_in_pieces() -> None:
    lines: list[str] = []
    python("import sys; sys.stdout.write('x' * 3_000_000)", on_line=lines.append, keep_going=True)
    assert sum(map(len, lines)) == 3_000_000 and len(lines) > 1


def test_an_error_in_on_line_ends_the_tree() -> None:
    mark = secrets.token_hex(8)

    def fail(line: str) -> None:
        raise RuntimeError(line)

    with pytest.raises(RuntimeError, match="go"):
        run(["sh", "-c", "echo go; sleep 60"], env=ENV | {"T": mark}, seconds=30, options=Options(on_line=fail))
    assert not list(process.living(mark))


def test_a_stop_is_heard() -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    done = run(["sleep", "30"], env=ENV, seconds=30, stop=stop)
    assert done.stopped and not done.timed_out and done.seconds < 5


def test_the_extra_pipe_carries_data() -> None:
    code = "import os; fd = int(os.environ['KF_D']); os.write(1, b'noise'); os.write(fd, b'x' * 50_000)"
    done = python(code, data_fd_env="KF_D", data_bytes=50_000)
    assert done.data == b"x" * 50_000 and done.stdout == b"noise" and not done.overflow
    done = python(code, data_fd_env="KF_D", data_bytes=49_999)
    assert done.overflow and len(done.data) == 49_999


@pytest.mark.parametrize("stay", [0, 60])
@pytest.mark.parametrize("first", ["pass", "os.setsid()", "os.close(0); os.close(2)"])
def test_daemons_of_their_own_session_die_and_cannot_hold_the_pipes(stay: int, first: str) -> None:
    mark = secrets.token_hex(8)
    code = DAEMON.format(first=first if first != "os.setsid()" else "os.setpgid(0, 0)", stay=stay)
    done = run([sys.executable, "-I", "-S", "-c", code], env=ENV | {"T": mark}, seconds=1.0 if stay else 30)
    assert done.seconds < 15 and done.timed_out == (stay == 60)
    assert not list(process.living(mark))


def test_the_search_for_leftovers_is_what_ends_a_daemon() -> None:
    """Injected fault: told that the tree is contained, no search is made, and the daemon lives on."""
    mark = secrets.token_hex(8)
    code = DAEMON.format(first="pass", stay=0.3)
    argv, env = [sys.executable, "-I", "-S", "-c", code], ENV | {"T": mark}
    run(argv, env=env, seconds=10, options=Options(contained=True))
    left = list(process.living(mark))
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left
    assert eventually(lambda: not list(process.living(mark)))


def test_a_crowd_of_forkers_dies() -> None:
    mark = secrets.token_hex(8)
    code = "import os, time\nfor _ in range(5): os.fork()\nos.setsid() if os.getpid() % 2 else None\ntime.sleep(60)"
    run([sys.executable, "-I", "-S", "-c", code], env=ENV | {"T": mark}, seconds=0.7)
    assert not list(process.living(mark))


def test_a_child_answers_until_it_is_killed() -> None:
    child = spawn(["cat"], env=ENV)
    try:
        child.write(b"hello", 5)
        assert child.read(5, 5) == b"hello"
        big = b"y" * (1 << 16)
        child.write(big, 5)
        assert child.read(len(big), 5) == big
        with pytest.raises(Silent):
            child.read(1, 0.05)
        assert not child.ended() and child.wait(0.01) is None
    finally:
        assert child.kill() == -9
    assert child.kill() == -9 and child.ended()
    for talk in (lambda: child.read(1, 1), lambda: child.write(b"x", 1)):
        with pytest.raises(Ended):
            talk()


def test_a_child_that_does_not_read_is_silent_and_one_that_ends_is_ended() -> None:
    child = spawn(["sleep", "60"], env=ENV)
    with pytest.raises(Silent):
        child.write(b"x" * (1 << 20), 0.1)
    child.kill()
    child = spawn(["sh", "-c", "sleep 60 & exit 4"], env=ENV)
    with pytest.raises(Ended):
        child.read(1, 10)
    assert child.wait(5) == 4


def test_killing_from_another_thread_wakes_the_reader() -> None:
    child = spawn(["sleep", "60"], env=ENV)
    threading.Timer(0.1, child.kill).start()
    begin = time.monotonic()
    with pytest.raises(Ended):
        child.read(1, 30)
    assert time.monotonic() - begin < 5


def test_a_child_outlives_the_thread_that_asked_for_it() -> None:
    """A parent-death signal follows the forking thread, so that one must stay."""
    made: list[Child] = []
    code = (
        "import ctypes, signal, os, sys; ctypes.CDLL(None).prctl(1, signal.SIGKILL); os.write(1, b'r');"
        "os.write(1, os.read(0, 1))"
    )
    thread = threading.Thread(target=lambda: made.append(spawn([sys.executable, "-I", "-S", "-c", code], env=ENV)))
    thread.start()
    thread.join()
    child = made[0]
    assert child.read(1, 10) == b"r"
    time.sleep(0.1)
    child.write(b"z", 5)
    assert child.read(1, 5) == b"z"
    child.kill()


def test_no_descriptor_and_no_thread_is_left() -> None:
    def held() -> int:
        return len(os.listdir("/proc/self/fd"))

    run(["true"], env=ENV, seconds=5)
    before = held()
    for _ in range(5):
        run(["cat"], env=ENV, seconds=5, stdin=b"x", options=Options(data_fd_env="D"))
        spawn(["cat"], env=ENV).kill()
        with pytest.raises(FileNotFoundError):
            run(["/no/such"], env=ENV, seconds=5, stdin=b"x")
        with pytest.raises(FileNotFoundError):
            spawn(["/no/such"], env=ENV)
    assert eventually(lambda: held() == before)
    assert eventually(lambda: not [t for t in threading.enumerate() if t.name == "keeper"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_root_becomes_another_user_with_no_groups() -> None:
    done = run(["id"], env=ENV, seconds=5, options=Options(user=61234))
    assert b"uid=61234 gid=61234 groups=61234" in done.stdout


def test_many_at_once() -> None:
    results: list[bytes] = []

    def work(number: int) -> None:
        results.extend(run(["echo", str(number)], env=ENV, seconds=20).stdout for _ in range(3))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted(b"%d\n" % number for number in range(8) for _ in range(3))
