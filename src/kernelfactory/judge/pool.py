"""The ruler's processes: started in the jail, kept warm, one per judging at a time. Passes bytes and checks their form;
decides nothing."""

from __future__ import annotations

import fcntl
import json
import math
import os
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kernelfactory.core.place import PLACE, shared_object
from kernelfactory.interpreter import PACKAGE
from kernelfactory.jail import Jail, Spec, interpreter_binds, python
from kernelfactory.judge.tripwires import clean
from kernelfactory.model import KernelFactoryError, Problem
from kernelfactory.process import Child, Ended, Silent

FRAME = struct.Struct(">IQ")
ANSWER_BYTES = 1 << 20
PIPE_BYTES = 1 << 20
RELAY_BYTES = 256 << 20
START_SECONDS = 60.0
_HOST = Path(__file__).with_name("ruler_host.py")


Relay = Callable[[Mapping[str, Any], bytes], tuple[Mapping[str, Any], bytes]]
"""What a host wants asked of a candidate's worker, and what came of it."""


class JudgeFailed(KernelFactoryError):
    """The problem's ruler failed, not the candidate: no verdict was reached. Its author must correct it; `detail` is
    what the ruler said, for the author alone (it may tell of the inputs)."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


def failure(what: str, answer: Mapping[str, Any]) -> JudgeFailed:
    """The error for a host's answer that tells of a fault."""
    fault, detail = (clean(" ".join(str(answer.get(key, "")).split())) for key in ("fault", "detail"))
    return JudgeFailed(f"{what}: {fault}; kf check says more", detail)


def start_host(problem: Problem, jail: Jail, *, confirming: bool = False) -> Host:
    """A new ruler process for a problem, ready. Data for confirmations alone is there when `confirming`, and else not.
    Raises JudgeFailed when the ruler does not load."""
    folder = os.path.join(problem.folder, "judge")
    library = _compiled_elsewhere()
    name = problem.measure.ruler.partition(":")[0]
    spec = Spec(
        argv=(python(with_package=True), "-I", "-B", str(_HOST), folder, name),
        read=(*interpreter_binds(with_package=True), (folder, folder), *([(library, library)] if library else [])),
        env={"LANG": "C.UTF-8", **({PLACE: library} if library else {})},
        seconds=math.inf,
        memory=problem.measure.memory,
        hide=() if confirming or not problem.measure.separate else (os.path.join(folder, "confirm"),),
    )
    return Host(jail.spawn(spec), problem.name)


def _compiled_elsewhere() -> str | None:
    """The compiled core, when it lies in the user's cache folder and not with the package, which the jail sees."""
    shared = shared_object()
    return None if shared is None or shared.is_relative_to(PACKAGE) else str(shared)


class Host:
    """One ruler process. Not thread-safe: the pool lends it to one judging at a time."""

    def __init__(self, child: Child, problem: str) -> None:
        self._child = child
        for pipe in (child.stdin, child.stdout):
            with suppress(OSError):  # a larger pipe is only faster
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        try:
            self.hello, _ = self._receive(START_SECONDS)
        except (Ended, Silent) as error:
            self.close()
            raise JudgeFailed(f"the ruler of {problem} does not start ({error})") from None
        except BaseException:
            self.close()
            raise
        if "fault" in self.hello:
            self.close()
            raise failure(f"the ruler of {problem} does not load", self.hello)

    def ask(
        self, request: Mapping[str, Any], artefact: bytes, seconds: float, relay: Relay | None = None
    ) -> dict[str, Any]:
        """Send one request with an artefact; the answer as the host gave it. What it wants relayed meanwhile is.
        Raises Ended, Silent: then the process is of no more use."""
        deadline = time.monotonic() + seconds
        self._send(request, artefact, deadline)
        while True:
            answer, payload = self._receive(deadline - time.monotonic(), 0 if relay is None else RELAY_BYTES)
            if relay is None or "relay" not in answer:
                return answer
            self._send(*relay(answer["relay"], payload), deadline)

    def close(self) -> None:
        self._child.kill()

    def _send(self, head: Mapping[str, Any], data: bytes, deadline: float) -> None:
        header = json.dumps(head).encode()
        self._child.write(FRAME.pack(len(header), len(data)) + header, deadline - time.monotonic())
        self._child.write(data, deadline - time.monotonic())

    def _receive(self, seconds: float, payload_bytes: int = 0) -> tuple[dict[str, Any], bytes]:
        deadline = time.monotonic() + seconds
        header, size = FRAME.unpack(self._child.read(FRAME.size, seconds))
        if header > ANSWER_BYTES or size > payload_bytes:
            raise Ended("its answer is too long")
        try:
            answer = json.loads(self._child.read(header, deadline - time.monotonic()))
        except (ValueError, RecursionError):
            raise Ended("its answer is not JSON") from None
        if not isinstance(answer, dict):
            raise Ended("its answer is not an object")
        return answer, self._child.read(size, deadline - time.monotonic())


class Pool:
    """Hosts that wait for work. `start` makes one; at most `keep` idle ones are kept. Thread-safe."""

    def __init__(self, start: Callable[[], Host], keep: int) -> None:
        self._start = start
        self._keep = keep
        self._idle: list[Host] = []
        self._lock = threading.Lock()
        self._closed = False

    def hello(self) -> dict[str, Any]:
        """What a host says of its ruler when it starts."""
        host = self._take()
        self._give(host)
        return host.hello

    def ask(
        self, request: Mapping[str, Any], artefact: bytes, seconds: float, relay: Relay | None = None
    ) -> dict[str, Any]:
        """Have a program measured; a host that dies is replaced, once. Raises Silent, Ended."""
        for last in (False, True):
            host = self._take()
            try:
                answer = host.ask(request, artefact, seconds, relay)
            except BaseException as error:
                host.close()
                if last or not isinstance(error, Ended):
                    raise
            else:
                self._give(host)
                return answer
        raise AssertionError("unreachable")

    def close(self) -> None:
        """End every idle host; one at work ends when its judging does."""
        with self._lock:
            self._closed, idle, self._idle = True, self._idle, []
        for host in idle:
            host.close()

    def _take(self) -> Host:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._start()

    def _give(self, host: Host) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < self._keep:
                self._idle.append(host)
                return
        host.close()
