"""The jailed processes that answer calls, as the judge holds them: started, fed, timed, stopped in between, ended.
Reads no answer: the ruler does, in its own process."""

from __future__ import annotations

import fcntl
import itertools
import math
import os
import select
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelfactory import files
from kernelfactory.files import state_folder
from kernelfactory.jail import Jail, Spec, interpreter_binds, python
from kernelfactory.judge.inside.kfworker import FRAME, loads
from kernelfactory.judge.pool import JudgeFailed
from kernelfactory.judge.produce import Refusal, folder_for, written
from kernelfactory.judge.tripwires import clean
from kernelfactory.model import Answering, Files
from kernelfactory.process import Child, Ended, Silent, cpu_seconds, signal_all

INSIDE = Path(__file__).with_name("inside") / "kfworker.py"
ARTEFACT = "artefact"
TREE = "tree"
TEXT_BYTES = 64 << 20
GREETING_BYTES = 16 << 10
"""The only text of a worker's that is read here, in the judge's own process."""
PIPE_BYTES = 1 << 20
LOAD_SECONDS = 60.0
ENV = {
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONPATH": str(INSIDE.parent),
    "HOME": "/tmp",
    "PATH": "/usr/bin:/bin",
}
RESTARTS = 1000
"""Fresh processes in one judging, at most."""
PATIENCE = 2.0
"""Seconds in which a tree that was told to stop has to stand: a busy machine takes long to tell it."""
RESTLESS = 0.001
"""Processor seconds of a process that was stopped: more, and somebody made it go on (a timer of its own can)."""


MOVES = "the program runs on while it is stopped so that another can be timed"


class Broken(Exception):
    """A program does not answer; `refusal` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Program:
    """A program ready to answer: its tree, and what its build made (empty where nothing is built)."""

    tree: Files
    made: bytes


class Worker:
    """One program in one jailed process, started when it is first asked. Not thread-safe. `still`: the process stands
    still (SIGSTOP) whenever it is not its turn, so that it cannot be in the way of another's time."""

    def __init__(self, folder: str, answering: Answering, jail: Jail, *, still: bool) -> None:
        self._folder = folder
        self._answering = answering
        self._jail = jail
        self._still = still
        self._child: Child | None = None
        self._tree: list[int] = []
        self._stopped: dict[int, float] = {}
        self._starts = 0
        self.restless = False
        """Did it run on while it was stopped?"""
        self.spent: list[Spent] = []
        """Of each answer so far."""

    def ask(self, request: bytes) -> tuple[float, float, bytes]:
        """(wall seconds, processor seconds, the answer's frame): from the first byte in to the last byte out. Raises
        Broken; then the process is gone, and the next request starts another."""
        try:
            child = self._child or self._start()
            _unasked(child)
            self._thaw()
            if self.restless:
                raise Broken(Refusal("over_limit", MOVES))
            queued = self._queued()
            began, used = time.perf_counter(), self._used()
            child.write(request, self._answering.seconds)
            answer = self._frame(child, self._answering.seconds - (time.perf_counter() - began))
            wall, cpu = time.perf_counter() - began, self._used() - used
            self.spent.append(Spent(cpu, wall - cpu - (self._queued() - queued)))
            self._freeze(child)
        except Silent:
            self.close()
            raise Broken(
                Refusal("timeout", f"the program took longer than {self._answering.seconds:g} seconds to answer")
            ) from None
        except Ended as ended:
            self.close()
            raise Broken(Refusal("crashed", f"the program ended instead of answering ({ended})")) from None
        except BaseException:
            self.close()
            raise
        return wall, cpu if cpu > 0 else wall, answer

    def close(self) -> None:
        """End the process, if there is one."""
        if self._child is not None:
            self._thaw()
        child, self._child = self._child, None
        if child is not None:
            child.kill()

    # ── the process ──────────────────────────────────────────────────────────────────────────────

    def _start(self) -> Child:
        self._starts += 1
        if self._starts > RESTARTS:
            raise Broken(Refusal("over_limit", f"the program had to be started more than {RESTARTS} times"))
        child = self._child = self._jail.spawn(self._spec())
        for pipe in (child.stdin, child.stdout):
            with suppress(OSError):  # a larger pipe is only faster
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        seconds = max(LOAD_SECONDS, self._answering.seconds)
        try:
            self._greeted(self._frame(child, seconds, GREETING_BYTES))
        except Silent:
            raise Broken(Refusal("timeout", f"the program took longer than {seconds:g} seconds to load")) from None
        self._tree = child.tree()
        return child

    def _greeted(self, answer: bytes) -> None:
        text, _ = FRAME.unpack_from(answer)
        with suppress(ValueError):
            match loads(answer[FRAME.size : FRAME.size + text]):
                case ["ready"]:
                    return
                case ["failed", str(words)]:  # its own words only while it has seen no input, in whatever process
                    said = clean(words)[:2000] if self._starts == 1 else ""
                    raise Broken(Refusal("crashed", "the program does not load", said))
        raise Broken(Refusal("malformed", "the program's worker does not say that it is ready"))

    def _frame(self, child: Child, seconds: float, most: int | None = None) -> bytes:
        """One frame, whole, within `seconds`, of at most so many bytes (None: as many as an answer may have)."""
        deadline = time.perf_counter() + seconds
        head = child.read(FRAME.size, seconds)
        text, payload = FRAME.unpack(head)
        if text > TEXT_BYTES or text + payload > (most or self._answering.answer_bytes):
            raise Broken(Refusal("over_limit", "the program's answer is larger than allowed"))
        return head + child.read(text + payload, deadline - time.perf_counter())

    def _spec(self) -> Spec:
        """A function is called by our own worker; a problem's own worker imports it."""
        answering, tree = self._answering, os.path.join(self._folder, TREE)
        first = python(with_package=answering.packages)
        bare = () if answering.packages else ("-S",)
        word, *rest = answering.command or ("python", str(INSIDE), answering.function or "")
        alone = answering.threads == 1
        return Spec(
            argv=(first, "-s", *bare, "-B", *rest) if word == "python" else (word, *rest),
            read=(
                *interpreter_binds(with_package=answering.packages),
                (str(INSIDE), str(INSIDE)),
                (self._folder, self._folder),
            ),
            env={
                **ENV,
                "KF_ARTEFACT": os.path.join(self._folder, ARTEFACT),
                **({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} if alone else {}),
            },
            cwd=tree,
            seconds=math.inf,
            memory=answering.memory,
            processes=64 if alone else answering.threads + 8,
            alone=alone,
        )

    # ── time, and standing still ─────────────────────────────────────────────────────────────────

    def _used(self) -> float:
        """Processor time of the one process that answers: the innermost of the jail's."""
        return cpu_seconds(self._tree[-1]) or 0.0 if self._tree else 0.0

    def _queued(self) -> float:
        """Seconds for which that process and this thread were ready and had no processor."""
        return _queue(f"/proc/{self._tree[-1]}") + _queue("/proc/thread-self") if self._tree else 0.0

    def _freeze(self, child: Child) -> None:
        """Stop all of the tree (whatever it seems to be at: a process whose first thread has ended looks gone), and see
        that it stands. Raises Broken when it will not."""
        if not self._still:
            return
        deadline = time.monotonic() + PATIENCE
        for turn in itertools.count():
            inner = self._inner(child)
            moving = [pid for pid in inner if turn == 0 or not _stands(pid)]
            if not moving:
                self._stopped = {pid: cpu_seconds(pid) or 0.0 for pid in inner}
                return
            if time.monotonic() > deadline:
                break
            signal_all(moving, signal.SIGSTOP)
            time.sleep(0.0001)
        raise Broken(Refusal("over_limit", "the program's processes do not stand still when they are stopped"))

    def _thaw(self) -> None:
        if self._still:
            self.look()
            signal_all(self._tree[1:] or self._tree, signal.SIGCONT)

    def look(self) -> None:
        """See whether it has stood still since it was stopped."""
        stopped, self._stopped = self._stopped, {}
        if stopped and self._child is not None:
            more = set(self._inner(self._child)) - set(stopped)
            ran = any((cpu_seconds(pid) or 0.0) - used > RESTLESS for pid, used in stopped.items())
            self.restless = self.restless or ran or bool(more)

    def _inner(self, child: Child) -> list[int]:
        """The processes below the jail's own."""
        if self._answering.threads > 1:
            self._tree = child.tree()
        return self._tree[1:] or self._tree


def _unasked(child: Child) -> None:
    """Raises Broken when an answer waits already: whoever answers before the question saves the time for it."""
    poller = select.poll()
    poller.register(child.stdout, select.POLLIN)
    if any(event & select.POLLIN for _, event in poller.poll(0)):
        raise Broken(Refusal("forged", "the program answered before it was asked, or twice"))


def _stands(pid: int) -> bool:
    """Is a process stopped, asleep in the kernel for good reason, or gone?"""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            return file.read().rpartition(b") ")[2][:1] in b"TtDZX"
    except OSError:
        return True


def _queue(process: str) -> float:
    """The second number of a process (sched-stats.rst: nanoseconds in a queue); 0 where the system does not say."""
    try:
        with open(f"{process}/schedstat", "rb", buffering=0) as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


# ── waiting is not computing ─────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Spent:
    """Where the time of one answer went, seconds: the processor worked for it (`cpu`); nobody did (`idle`)."""

    cpu: float
    idle: float


def waits(mine: Sequence[Spent], theirs: Sequence[Spent]) -> bool:
    """Was a program, nearly every time, idle for longer than its computing and the baseline's pauses explain? Then
    somebody else may have done its work, at no processor time of its own."""
    if len(mine) < 3 or not theirs:
        return False
    usual = sorted(each.idle for each in theirs)[3 * len(theirs) // 4]
    long = sum(each.idle > each.cpu / 2 + 2 * usual + 0.001 for each in mine)
    return 4 * long > 3 * len(mine)


class Workers:
    """The programs of one judging: the candidate, and the baseline where the ruler asks for it. `relay` is what the
    ruler's process reaches them through. `failed`: why the candidate first did not answer, if it ever did not."""

    def __init__(self, made: Mapping[str, str], answering: Answering, jail: Jail, *, still: bool) -> None:
        self._workers = {who: Worker(folder, answering, jail, still=still) for who, folder in made.items()}
        self.failed: Refusal | None = None

    def relay(self, wanted: Mapping[str, Any], request: bytes) -> tuple[dict[str, Any], bytes]:
        """Have `wanted["who"]` answer a request. A baseline that fails is the problem's fault: Broken."""
        who = str(wanted.get("who"))
        worker = self._workers[who]
        if wanted.get("restart") is True:
            worker.close()
            return {}, b""
        try:
            wall, cpu, answer = worker.ask(request)
        except Broken as broken:
            if who != "candidate":
                raise
            self.failed = self.failed or broken.refusal
            return {"failed": broken.refusal.code, "reason": broken.refusal.reason}, b""
        return {"wall": wall, "cpu": cpu}, answer

    def restless(self, who: str) -> bool:
        """Did a program run on while it was stopped?"""
        worker = self._workers.get(who)
        if worker is None:
            return False
        worker.look()
        return worker.restless

    def waits(self) -> bool:
        """Does the candidate let others work while its processor time is taken?"""
        theirs = self._workers["baseline"].spent if "baseline" in self._workers else ()
        return waits(self._workers["candidate"].spent, theirs)

    def close(self) -> None:
        for worker in self._workers.values():
            worker.close()


@contextmanager
def ready(
    programs: Mapping[str, Program], answering: Answering, jail: Jail, scratch: Path, *, still: bool
) -> Iterator[Workers | Refusal]:
    """The workers of `programs`, by who they are, each in a folder of its own; a Refusal when one cannot be written."""
    with folder_for(scratch, jail) as room:
        made = {}
        for who, program in programs.items():
            folder = os.path.join(room, who)
            refusal = _laid_out(folder, program)
            if refusal is not None:
                yield refusal
                return
            made[who] = folder
        workers = Workers(made, answering, jail, still=still)
        try:
            yield workers
        finally:
            workers.close()


def _laid_out(folder: str, program: Program) -> Refusal | None:
    os.mkdir(folder, 0o755)
    Path(folder, TREE).mkdir(mode=0o755)
    for path in (folder, os.path.join(folder, TREE)):
        os.chmod(path, 0o755)
    files.write_tree(folder, {ARTEFACT: program.made})
    return written(os.path.join(folder, TREE), program.tree)


# ── one at a time ────────────────────────────────────────────────────────────────────────────────

SLOT = "kernelfactory-timing.lock"
SLOT_SECONDS = 3600.0
"""A measurement takes minutes at most: whoever holds the slot for longer does not time."""


@contextmanager
def timing_slot(seconds: float = SLOT_SECONDS) -> Iterator[None]:
    """The machine's one slot for timing: whoever times waits here, whatever process it is in. A file that everybody
    may lock, in /run/lock where there is one, else in this user's state folder. Raises JudgeFailed when it is not
    free within `seconds`."""
    fd = _slot_file()
    try:
        deadline = time.monotonic() + seconds
        while not _locked(fd):
            if time.monotonic() > deadline:
                raise JudgeFailed(f"another process has been timing for {seconds:g} seconds: it holds {_name(fd)}")
            time.sleep(0.01)
        yield
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _name(fd: int) -> str:
    with suppress(OSError):
        return os.readlink(f"/proc/self/fd/{fd}")
    return SLOT


def _slot_file() -> int:
    state = state_folder()
    for folder in (Path("/run/lock"), state):
        path = folder / SLOT
        with suppress(OSError):
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    return os.open(state / SLOT, os.O_RDONLY | os.O_CLOEXEC)
