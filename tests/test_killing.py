"""Killing: whatever an agent leaves behind is gone when its command has ended, in whatever way, and when we are."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from kernelfactory import jail, process, view
from kernelfactory.cage import Cage
from kernelfactory.interpreter import interpreter_binds
from kernelfactory.jail import Bubblewrap, Jail, Launch, Spec, own
from kernelfactory.jail.landlock import Landlock
from kernelfactory.model import BadInput
from kernelfactory.pipes import Stop
from kernelfactory.process import Finished, Options

UID = 63_000 + secrets.randbelow(1000)
"""Nobody else's."""

LEAVES = """
import os, signal, sys, time
signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
reading, writing = os.pipe()
def deaf():
    for number in signals: signal.signal(number, signal.SIG_IGN)
def bare(): os.execve('/bin/sleep', ['sleep', '600'], {})
def nohup(): os.execve('/usr/bin/nohup', ['nohup', 'sleep', '600'], {'PATH': '/usr/bin:/bin'})
def stopped(): os.kill(os.getpid(), signal.SIGSTOP)
def away(): os.chdir('/'); os.closerange(0, 64)
def fleeing():
    while True:
        if os.fork(): os._exit(0)
        os.setsid(); time.sleep(0.005)
ways = [(), (deaf,), (deaf, bare), (nohup,), (stopped,), (deaf, away), (deaf, away, stopped), (deaf, away, bare)]
if 'flee' in sys.argv: ways.append((deaf, fleeing))
for way in ways:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(writing, b'%d ' % os.getpid())
            os.close(writing)
            for act in way: act()
            while True: time.sleep(600)
        os._exit(0)
    os.wait()
os.close(writing)
came = b''
while came.count(b' ') < len(ways): came += os.read(reading, 1000)
print('up', os.stat('/proc/self/ns/pid').st_ino, os.getppid(), came.decode(), flush=True)
deaf()
if 'stay' in sys.argv: time.sleep(600)
sys.stdin.readline()
"""
LEFT = 8

CONTROLLER = """
import sys
from kernelfactory import jail
from kernelfactory.cage import Cage
from kernelfactory.jail import Bubblewrap
from kernelfactory.jail.landlock import Landlock
from kernelfactory.process import Options
held = jail.find() if sys.argv[1] == 'bubblewrap' else Landlock()
spec = Cage(workspace=sys.argv[2], uid=int(sys.argv[3])).spec([jail.python(), '-I', '-S', '-c', *sys.argv[4:]],
    env={}, seconds=600)
held.run(spec, options=Options(on_line=lambda line: print(line, flush=True)))
"""


@dataclass
class Ended:
    """Ends the command in one way when all that it leaves behind is up, and writes down who they are."""

    way: str
    jail: Jail | None
    stop: Stop = field(default_factory=Stop)
    every: float = 3600.0
    up: bool = False
    space: int = 0
    known: set[tuple[int, bytes]] = field(default_factory=set)

    def line(self, text: str) -> None:
        word, space, *pids = text.split()
        assert word == "up"
        self.up, self.space = True, int(space)
        if not isinstance(self.jail, Bubblewrap):  # the numbers are ours, the warden's is the first
            mine = [pid for pid in map(int, pids) if pid != os.getpid()]
            self.known = {(pid, started) for pid in mine if (started := born(pid))}
        assert len(self.members()) >= LEFT, self.members()
        if self.way == "stop":
            self.stop.set()

    def error(self, text: str) -> None:
        raise AssertionError(text)

    def tick(self) -> None: ...

    def words(self) -> bytes:
        return b""

    def hung_up(self) -> bool:
        return self.up

    def over(self) -> bool:
        return self.way == "over" and self.up

    def members(self) -> set[int]:
        """Who is alive of it: in its PID namespace, or of those who said who they are, or of its user."""
        if isinstance(self.jail, Bubblewrap):
            return {pid for pid in alive() if space(pid) == self.space}
        of_user = {pid for pid in alive() if user(pid) == UID} if os.geteuid() == 0 else set()
        return of_user | {pid for pid, started in self.known if born(pid) == started}

    def gone(self, seconds: float = 60.0) -> bool:
        """Is nobody alive, or in a while? (They are to be within 5 s; this machine may be busy.)"""
        deadline = time.monotonic() + seconds
        while self.members() and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self.members()


def alive() -> Iterator[int]:
    """All processes that have not ended."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        if (fields := stat(int(name))) and fields[0] not in (b"Z", b"X"):
            yield int(name)


def stat(pid: int) -> list[bytes]:
    """The fields from the state on, of a process that is there."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
    return []


def born(pid: int) -> bytes:
    return fields[19] if (fields := stat(pid)) and fields[0] not in (b"Z", b"X") else b""


def space(pid: int) -> int:
    with suppress(OSError):
        return os.stat(f"/proc/{pid}/ns/pid").st_ino
    return 0


def user(pid: int) -> int:
    with suppress(OSError):
        return os.stat(f"/proc/{pid}").st_uid if pid != os.getpid() else -1
    return -1


def made(name: str) -> Jail:
    try:
        return jail.find() if name == "bubblewrap" else Landlock()
    except BadInput as error:
        if name in os.environ.get("KF_REQUIRE", "").split(","):
            pytest.fail(f"KF_REQUIRE names {name}: {error}")
        pytest.skip(str(error))


@pytest.fixture
def workspace() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="kf-killing-", dir="/var/tmp") as folder:
        own(folder, UID if os.geteuid() == 0 else None)
        yield folder


def ended(way: str, held: Jail, workspace: str) -> tuple[Finished, Ended]:
    talk = Ended(way, held)
    cage = Cage(workspace=workspace, uid=UID)
    argv = [jail.python(), "-I", "-S", "-c", LEAVES, "flee", *(["stay"] if way != "by itself" else [])]
    spec = cage.spec(argv, env={}, seconds=3 if way == "timeout" else 600)
    return held.run(spec, stop=talk.stop, options=Options(talk=talk)), talk


@pytest.mark.parametrize("way", ["by itself", "over", "stop", "timeout"])
@pytest.mark.parametrize("name", ["bubblewrap", "landlock"])
def test_nobody_is_left_after_any_end(name: str, way: str, workspace: str) -> None:
    held = made(name)
    for _ in range(3):  # a busy machine may not have come so far by the time limit
        done, talk = ended(way, held, workspace)
        if talk.up:
            break
    assert talk.up and (done.dismissed, done.stopped, done.timed_out) == (
        way == "over",
        way == "stop",
        way == "timeout",
    )
    assert talk.gone(), [stat(pid)[:3] for pid in talk.members()]


def controller(name: str, workspace: str, code: str = CONTROLLER) -> Ended:
    """A process that runs it, killed when all is up."""
    argv = [sys.executable, "-c", code, name, workspace, str(UID), LEAVES, "flee", "stay"]
    talk = Ended("killed", made(name))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            talk.line(running.stdout.readline())
        finally:
            running.kill()
    return talk


@pytest.mark.parametrize("name", ["bubblewrap", "landlock"])
def test_nobody_is_left_when_the_controller_is_killed(name: str, workspace: str) -> None:
    assert controller(name, workspace).gone()


# ── injected faults ──────────────────────────────────────────────────────────────────────────────


class Loose(Bubblewrap):
    """One that does not die with whoever started it."""

    def command(self, spec: Spec, options: Options = process.PLAIN) -> Launch:
        made = super().command(spec, options)
        return replace(made, argv=tuple(word for word in made.argv if word != "--die-with-parent"))


def end(talk: Ended) -> None:
    """What the faults let live."""
    while left := talk.members():
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_a_jail_that_outlives_the_controller_is_seen(workspace: str) -> None:
    """Injected fault; in no control group: whoever starts a jail next ends those that dead controllers left."""
    made("bubblewrap")
    loose = CONTROLLER.replace("held = jail.find()", "held = Loose(jail.find().binary, grouped=False)")
    text = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from test_killing import Loose\n{loose}"
    talk = controller("bubblewrap", workspace, text)
    gone = talk.gone(1.0)
    end(talk)
    assert not gone


def test_without_a_jail_they_are_seen(workspace: str) -> None:
    """Injected fault: a process that is said to hold its own tree, and does not."""
    talk = Ended("by itself", None)
    root = os.geteuid() == 0
    far = [source for source, _ in interpreter_binds() if root and not view.reachable(source, UID)]
    options = Options(talk=talk, contained=True, user=UID if root else None, cwd=workspace)
    if far:
        options = replace(options, prepare=lambda: view.uncover(far, UID))
    argv = [jail.python(), "-I", "-S", "-c", LEAVES]
    process.run(argv, env={"PATH": "/usr/bin:/bin"}, seconds=600, options=options)
    left, gone = len(talk.members()), talk.gone(0.5)
    end(talk)
    assert left >= LEFT and not gone
