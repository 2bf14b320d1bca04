"""Starts processes and ends them, whole trees of them. Refuses shells, inherited environments and leftovers."""

from __future__ import annotations

import math
import os
import resource
import secrets
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from kernelfactory.model import KernelFactoryError
from kernelfactory.pipes import CHUNK, TALK_LINE, Dialogue, End, Feed, Halt, Sink, Talk, Until, pump

MARK = "KF_TREE"
MAC_FILES = 10240
"""What a Mac allows when it says that there is no limit."""


class Ended(KernelFactoryError):
    """The child is gone (or closed its end) before it answered."""


class Silent(KernelFactoryError):
    """The child did not answer (or did not read) in time."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a process ended. `returncode` is negative for a signal; `seconds` wall; `data` came over the extra pipe.
    `overflow`: an output passed its cap; `timed_out`, `stopped`, `dismissed` (its conversation was over): why it was
    killed. `out_of_memory`: somebody of the tree was killed because all of it together took too much."""

    returncode: int
    stdout: bytes
    stderr: bytes
    seconds: float
    timed_out: bool = False
    overflow: bool = False
    data: bytes = b""
    stopped: bool = False
    out_of_memory: bool = False
    dismissed: bool = False


class Watch(Protocol):
    """What whoever made the command does while it runs. `started`: after the fork, in the thread that forked, `begun`
    from then on; `expendable`: may it be killed for want of memory before we are? `failed`: the main process ended by
    itself; the error when it was the launcher that failed, with what it `said`. `ask`: before the main process is
    killed; it may end its tree itself and close `over`. `over`: it is gone; was somebody killed for memory?"""

    begun: bool
    expendable: bool

    def started(self, pid: int) -> None: ...

    def failed(self, said: bytes) -> KernelFactoryError | None: ...

    def ask(self, pid: int, over: int) -> None: ...

    def over(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Options:
    """What is rarely asked for. `output_bytes` caps stdout and stderr each; passing it kills, unless `keep_going`
    (then the rest is dropped). `on_line` gets each line of stdout, in the caller's thread; `talk`, instead, talks with
    the process, its stdin open until it hangs up. `data_fd_env` names a variable that tells the child the descriptor of
    an extra pipe, read up to `data_bytes`. `user`: numeric uid (and gid) to become, for root. `prepare` runs in the
    thread that forks, before it does. `contained`: the command holds its own tree (a PID namespace that dies with it),
    so that nothing needs to be searched for at the end."""

    cwd: str = "/"
    output_bytes: int = 1 << 20
    keep_going: bool = False
    on_line: Callable[[str], None] | None = None
    talk: Talk | None = None
    data_fd_env: str | None = None
    data_bytes: int = 0
    pass_fds: tuple[int, ...] = ()
    user: int | None = None
    prepare: Callable[[], None] | None = None
    contained: bool = False
    watch: Watch | None = None


PLAIN = Options()


# ── trees of processes ───────────────────────────────────────────────────────────────────────────


def _stat(pid: int) -> tuple[str, int, int] | None:
    """(state, parent, session) of a process, from /proc; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            fields = file.read().rpartition(b") ")[2].split()
    except OSError:
        return None
    return fields[0].decode(), int(fields[1]), int(fields[3])


def _marked(pid: int, mark: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
            return mark in file.read()
    except OSError:
        return False


def living(mark: str) -> Iterator[int]:
    """The processes whose environment holds `mark`: for tests and for a check that nothing is left."""
    for name in os.listdir("/proc"):
        if name.isdigit() and _marked(int(name), mark.encode()):
            yield int(name)


def allow_files() -> float:
    """Let this process have as many files open as it may: each agent takes some, and the default is a thousand. Returns
    how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, max(soft, MAC_FILES)) if soft != hard else ():
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            break
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if soft == resource.RLIM_INFINITY else soft


def end_within(folder: str) -> None:
    """Kill every process of ours that works in `folder` or below: what a run that was killed itself may have left."""
    for name in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc/self") else ()):
        with suppress(OSError):  # gone, or somebody else's
            if (os.readlink(f"/proc/{name}/cwd") + os.sep).startswith(folder.rstrip(os.sep) + os.sep):
                os.kill(int(name), signal.SIGKILL)


def end_marked(mark: str) -> None:
    """Kill whoever carries `mark`, until nobody does: what is left of a tree that lost its root."""
    for _ in range(200):
        left = [pid for pid in living(mark) if pid != os.getpid()]
        for pid in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not left:
            return
        time.sleep(0.001)


def _members(root: int, mark: bytes) -> set[int]:
    """The living processes of a tree: descendants of `root`, its session, and whoever carries the mark."""
    if not os.path.isdir("/proc/self"):
        return set()
    found = {int(name): stat for name in os.listdir("/proc") if name.isdigit() and (stat := _stat(int(name)))}
    members = {root}
    for pid, (_, parent, session) in sorted(found.items()):
        if session == root or (parent != 2 and _marked(pid, mark)):
            members.add(pid)
    grown = True
    while grown:
        more = {pid for pid, (_, parent, _) in found.items() if parent in members} - members
        members |= more
        grown = bool(more)
    return {pid for pid in members if pid in found and found[pid][0] not in "ZX"}


def _end_tree(root: int, mark: bytes) -> None:
    """Kill until nobody is left. A process that leaves the session, is orphaned and clears its environment can
    escape: only a PID namespace holds those (see the jail)."""
    quiet = 0
    for _ in range(200):
        members = _members(root, mark)
        for pid in members:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(root, signal.SIGKILL)
        quiet = 0 if members else quiet + 1
        if quiet == 2:  # one look can miss who was being forked while it looked
            return
        if members:
            time.sleep(0.001)


# ── one child ────────────────────────────────────────────────────────────────────────────────────


class Child:
    """A running process with its tree. The thread that forked it stays until it ends: a parent-death signal asked
    for by the child (bubblewrap's --die-with-parent) follows that thread, see prctl(2)."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], fds: tuple[int, int, int], options: Options):
        self._mark = secrets.token_hex(12)
        self._contained = options.contained
        self._watch = options.watch
        self.out_of_memory = False
        self._lock = threading.Lock()
        self._talk = threading.Lock()
        self._popen: subprocess.Popen[bytes] | None = None
        self._error: BaseException | None = None
        self.over, over = os.pipe()
        self.stdin = self.stdout = -1
        environment = dict(env) if self._contained else {**env, MARK: self._mark}
        started = threading.Event()

        def keep() -> None:
            try:
                if options.prepare is not None:
                    options.prepare()
                self._popen = _fork(list(argv), environment, fds, options)
                _begun(self._popen.pid, options)
            except BaseException as error:
                self._error = error
            started.set()
            if self._popen is not None:
                _await_end(self._popen)
            os.close(over)

        threading.Thread(target=keep, daemon=True, name="keeper").start()
        started.wait()
        if self._popen is None:
            raise self._unstarted()

    def _unstarted(self) -> BaseException:
        os.close(self.over)
        if self._watch is not None:
            self._watch.over()
        return self._error or Ended("the process never started")

    @property
    def pid(self) -> int:
        if self._popen is None:
            raise Ended("the process never started")
        return self._popen.pid

    def ended(self, seconds: float = 0.0) -> bool:
        """Has the main process ended, or does it within `seconds`? It stays unreaped until `kill`."""
        with self._talk:
            if self.over < 0:
                return True
            return _ready(self.over, seconds)

    def kill(self) -> int:
        """End the whole tree, free everything, and return the main process's code. May be called again, and from
        another thread than the one that talks: that one gets Ended."""
        with self._lock:
            if self._popen is None:
                raise Ended("the process never started")
            if self.over >= 0:
                self._end(self._popen)
            return self._popen.wait()

    def _end(self, popen: subprocess.Popen[bytes]) -> None:
        if not self._contained:
            _end_tree(popen.pid, f"{MARK}={self._mark}".encode())
        if self._watch is not None:
            self._watch.ask(popen.pid, self.over)
        with suppress(ProcessLookupError):
            os.kill(popen.pid, signal.SIGKILL)
        with self._talk:
            _ready(self.over, 1e6)  # the keeper has seen it: only then may it be reaped
            popen.wait()
            self.out_of_memory = self._watch is not None and self._watch.over()
            for fd in (self.over, self.stdin, self.stdout):
                if fd >= 0:
                    os.close(fd)
            self.over = self.stdin = self.stdout = -1

    def tree(self) -> list[int]:
        """The living processes below the main one, itself first, each after its parent (Linux; else itself alone)."""
        found = [self.pid]
        for pid in found:  # grows meanwhile
            with suppress(OSError):
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/children", "rb", buffering=0) as file:
                        found += [int(word) for word in file.read().split()]
        return found

    def wait(self, seconds: float) -> int | None:
        """The code of the main process when it ends within `seconds` (its tree is ended then), else None."""
        return self.kill() if self.ended(seconds) else None

    def write(self, data: bytes, seconds: float) -> None:
        """Send all of `data` within `seconds`. Raises Silent, Ended."""
        deadline, view = time.monotonic() + seconds, memoryview(data)
        with self._talk:
            while view:
                self._await(self.stdin, select.POLLOUT, deadline)
                try:
                    view = view[os.write(self.stdin, view) :]
                except OSError:
                    raise self._gone("the process no longer reads") from None

    def read(self, size: int, seconds: float) -> bytes:
        """Exactly `size` bytes within `seconds`. Raises Silent, Ended."""
        deadline, pieces, left = time.monotonic() + seconds, [], size
        with self._talk:
            while left > 0:
                self._await(self.stdout, select.POLLIN, deadline)
                piece = os.read(self.stdout, min(left, CHUNK))
                if not piece:
                    raise self._gone("the process closed its output")
                pieces.append(piece)
                left -= len(piece)
        return b"".join(pieces)

    def _await(self, fd: int, event: int, deadline: float) -> None:
        """Until `fd` is ready. A daemon may hold the pipe when the main process is gone: that counts as ended."""
        if fd < 0:
            raise Ended("the process was ended")
        poller = select.poll()
        poller.register(fd, event)
        poller.register(self.over, select.POLLIN)
        ready = {number for number, _ in poller.poll(max(0.0, deadline - time.monotonic()) * 1000)}
        if not ready:
            raise Silent("the process did not answer in time")
        if fd not in ready:
            raise self._gone("the process ended")

    def _gone(self, how: str) -> KernelFactoryError:
        """The error for a child that does not answer any more: its launcher's, when that failed."""
        failed = None
        if self._watch is not None and _ready(self.over, 0.5) and _exited(self.pid):
            failed = self._watch.failed(b"")
        return failed or Ended(how)


def signal_all(pids: Sequence[int], number: int) -> None:
    """Send a signal to processes of a tree that is being held; those that are gone are no matter."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def cpu_seconds(pid: int) -> float | None:
    """Processor time that a process has used so far, all its threads, to the nanosecond; None where the system does
    not say (clock_getcpuclockid(3): the kernel's number for the clock of a process)."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except (OSError, AttributeError, OverflowError):
        return None


def _begun(pid: int, options: Options) -> None:
    """Short of memory, the kernel is to take a child before it takes us (one that watches its own sees to that itself);
    and who watches is told."""
    if options.watch is None or options.watch.expendable:
        with suppress(OSError), open(f"/proc/{pid}/oom_score_adj", "w") as file:
            file.write("1000")
    if options.watch is not None:
        options.watch.started(pid)


def _await_end(popen: subprocess.Popen[bytes]) -> None:
    """Until it ended, leaving it unreaped where that can be done: its number must not be given to another."""
    if hasattr(os, "waitid"):
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOWAIT)
    else:
        popen.wait()


def _exited(pid: int) -> bool:
    """Did this unreaped process end by itself, not by a signal?"""
    if not hasattr(os, "waitid"):
        return True
    with suppress(ChildProcessError):
        told = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        return told is not None and told.si_code == os.CLD_EXITED
    return False


def _ready(fd: int, seconds: float) -> bool:
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(min(seconds, 1e6) * 1000))


def _fork(argv: list[str], env: dict[str, str], fds: tuple[int, int, int], options: Options) -> subprocess.Popen[bytes]:
    user = options.user
    return subprocess.Popen(
        argv,
        stdin=fds[0],
        stdout=fds[1],
        stderr=fds[2],
        env=env,
        cwd=options.cwd,
        pass_fds=options.pass_fds,
        start_new_session=True,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
    )


def spawn(argv: Sequence[str], *, env: Mapping[str, str], options: Options = PLAIN) -> Child:
    """Start a long-lived child that is talked to with `Child.write` and `Child.read`; its stderr is dropped.
    Whoever spawns must `kill` (also after it ended)."""
    their_in, my_out = os.pipe()
    my_in, their_out = os.pipe()
    try:
        child = Child(argv, env, (their_in, their_out, subprocess.DEVNULL), options)
    except BaseException:
        os.close(my_out)
        os.close(my_in)
        raise
    finally:
        os.close(their_in)
        os.close(their_out)
    os.set_blocking(my_out, False)
    child.stdin, child.stdout = my_out, my_in
    return child


# ── run to the end ───────────────────────────────────────────────────────────────────────────────


def _ends(stdin: bytes, options: Options) -> tuple[Feed, list[Sink], Dialogue | None]:
    """What goes in, what comes out, and who talks with it."""
    cap, going = options.output_bytes, options.keep_going
    feed = Feed(stdin, kept=options.talk is not None)
    dialogue = None
    if options.talk is None:
        sinks = [Sink(cap, going, options.on_line), Sink(cap, going)]
    else:
        dialogue = Dialogue(options.talk, feed)
        sinks = [Sink(cap, going, heard, TALK_LINE, sealed=True) for heard in (dialogue.line, dialogue.error)]
    return feed, sinks if options.data_fd_env is None else [*sinks, Sink(options.data_bytes, False)], dialogue


def _with_data(env: Mapping[str, str], options: Options, sinks: list[Sink]) -> tuple[dict[str, str], Options]:
    """The environment and options that hand the third sink's pipe to the child."""
    if options.data_fd_env is None:
        return dict(env), options
    theirs = sinks[2].theirs
    return {**env, options.data_fd_env: str(theirs)}, replace(options, pass_fds=(*options.pass_fds, theirs))


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    seconds: float,
    stdin: bytes = b"",
    stop: Halt | None = None,
    options: Options = PLAIN,
) -> Finished:
    """Run `argv` (never through a shell) with exactly `env` (plus a mark, KF_TREE, unless contained), for at most
    `seconds`, until `stop` is set, `options.talk` is over or an output passes its cap; then nothing of its tree is
    left. Reading ends when the main process has ended, also while a daemon holds the pipes. Raises OSError when it
    cannot be started, and what `options.watch` makes of a launcher that failed."""
    feed, sinks, dialogue = _ends(stdin, options)
    ends: tuple[End, ...] = (feed, *sinks)
    begin = time.monotonic()
    try:
        full, passed = _with_data(env, options, sinks)
        child = Child(argv, full, (feed.theirs, sinks[0].theirs, sinks[1].theirs), passed)
        try:
            for end in ends:
                end.close_theirs()
            why = pump(child.over, feed, sinks, Until(begin + seconds, stop, dialogue))
        finally:
            code = child.kill()
        for sink in sinks:
            sink.drain()
    finally:
        for end in ends:
            end.close()
    if why == "ended" and code >= 0 and options.watch is not None:
        failed = options.watch.failed(bytes(sinks[1].data))
        if failed is not None:
            raise failed
    return Finished(
        returncode=code,
        stdout=bytes(sinks[0].data),
        stderr=bytes(sinks[1].data),
        seconds=time.monotonic() - begin,
        timed_out=why == "timeout",
        overflow=any(sink.over for sink in sinks),
        data=bytes(sinks[2].data) if len(sinks) > 2 else b"",
        stopped=why == "stop",
        out_of_memory=child.out_of_memory,
        dismissed=why == "over",
    )
