"""The import shim: stands where an existing evaluator expects the candidate, as a module whose names call the jailed
worker and give plain data back. The evaluator stays as it is, and never imports the candidate.

Runs in the ruler's process, or in one that the evaluator starts (then by a Unix socket). One call at a time."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kernelfactory.judge.calls import Calls, Kept, Relay
from kernelfactory.judge.inside.kfworker import FRAME
from kernelfactory.model import Rejected

TEXT = '''"""Stands in for the candidate, which is not here: every name is answered by its jailed worker."""
import sys
sys.path.append({package!r})
from kernelfactory.judge import stand_in as _stand_in
_program = _stand_in.at({socket!r})
def __getattr__(name):
    return _program.attribute(name)
'''


class Program:
    """The candidate, as an evaluator gets it: attributes are plain data, or remote things."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def attribute(self, name: str, of: int = 0) -> Any:
        """Raises AttributeError where the program has no such name, Rejected when it does not answer."""
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        try:
            found, _ = self._calls.ask(of=of, name=name)
        except Rejected as rejected:
            if getattr(rejected, "absent", False):
                raise AttributeError(name) from None
            raise
        return self.wrapped(found)

    def wrapped(self, found: Any) -> Any:
        return Remote(self, found) if isinstance(found, Kept) else found

    def call(self, of: int, args: Any, kwargs: Any) -> Any:
        args = [_sent(arg) for arg in args]
        answer, _ = self._calls.ask(args, {name: _sent(arg) for name, arg in kwargs.items()}, of=of)
        return self.wrapped(answer)


def _sent(value: Any) -> Any:
    return value.kept if isinstance(value, Remote) else value


class Remote:
    """A function, class or object that stays in the worker. Calls and attributes go there; what comes back is plain
    data or remote again. It has no other behaviour: nothing of the candidate's runs here."""

    def __init__(self, program: Program, kept: Kept) -> None:
        self._program = program
        self.kept = kept

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.kept.called:
            raise TypeError("this thing of the program's cannot be called")
        return self._program.call(self.kept.number, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        return self._program.attribute(name, self.kept.number)


# ── who may call ─────────────────────────────────────────────────────────────────────────────────

_here: dict[str, tuple[int, Relay]] = {}
"""The relay of a stand-in's address, in the process (by number) that holds it."""


class Door:
    """Makes the stand-in for one evaluation and answers those who import it, in this process or another."""

    def __init__(self, relay: Relay, folder: str, name: str, package: str) -> None:
        self._relay = relay
        self._turn = threading.Lock()
        self.raised = False
        """Did the program raise an exception, other than for a name that is not there?"""
        self.path = os.path.join(folder, f"{name}.py")
        self.address = os.path.join(folder, f".{name}.sock")
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(TEXT.format(package=package, socket=self.address))
        _here[self.address] = (os.getpid(), self._one)
        self._listener = _listening(self.address)
        if self._listener is not None:
            threading.Thread(target=self._listen, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        _here.pop(self.address, None)
        if self._listener is not None:
            self._listener.close()
        for path in (self.path, self.address):
            with suppress(OSError):
                os.unlink(path)

    def _one(self, wanted: dict[str, Any], request: bytes) -> tuple[dict[str, Any], bytes]:
        with self._turn:
            told, answer = self._relay(wanted, request)
        said = answer[FRAME.size : FRAME.size + 200]
        self.raised = self.raised or (said.startswith(b'["raised"') and not said.endswith(b",true]"))
        return told, answer

    def _listen(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as stream, suppress(OSError, EOFError):
            while (got := _received(stream)) is not None:
                _send(stream, *self._one(*got))


def _listening(address: str) -> socket.socket | None:
    """None where this jail has no sockets: then only this process can call."""
    try:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(address)
        listener.listen()
    except OSError:
        return None
    return listener


def at(address: str) -> Program:
    """The program behind a stand-in."""
    pid, relay = _here.get(address, (0, None))
    if relay is not None and pid == os.getpid():
        return Program(Calls(relay, "candidate"))
    return Program(Calls(_connected(address), "candidate"))


def _connected(address: str) -> Relay:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.connect(address)
    stream = made.makefile("rwb")
    turn = threading.Lock()

    def relay(wanted: dict[str, Any], request: bytes) -> tuple[dict[str, Any], bytes]:
        with turn:
            _send(stream, wanted, request)
            answer = _received(stream)
        if answer is None:
            raise EOFError("the judge is gone")
        return answer

    return relay


def _send(stream: Any, head: dict[str, Any], data: bytes) -> None:
    text = json.dumps(head).encode()
    stream.write(FRAME.pack(len(text), len(data)) + text + data)
    stream.flush()


def _received(stream: Any) -> tuple[dict[str, Any], bytes] | None:
    head = stream.read(FRAME.size)
    if len(head) < FRAME.size:
        return None
    text, data = FRAME.unpack(head)
    return json.loads(stream.read(text)), stream.read(data)


# ── what an evaluator answers ────────────────────────────────────────────────────────────────────


def evaluated(evaluate: Callable[[str], Any], path: str, key: str) -> tuple[float, dict[str, float], bool]:
    """(score, other numbers, did it name an error?) of `evaluate(path)`: a dictionary, something with `.metrics`, or a
    number. Raises LookupError when the score is not in it."""
    answer = evaluate(path)
    metrics = getattr(answer, "metrics", answer)
    if isinstance(metrics, int | float) and not isinstance(metrics, bool):
        return metrics, {}, False
    if not isinstance(metrics, dict) or key not in metrics:
        names = ", ".join(sorted(map(str, metrics)))[:200] if isinstance(metrics, dict) else type(metrics).__name__
        raise LookupError(f"the evaluator's answer has no {key!r} (it has: {names}); set measure.score")
    numbers = {str(name): _plain(value) for name, value in metrics.items() if _is_number(value)}
    if key not in numbers:
        raise LookupError(f"the evaluator's {key!r} is no number")
    return numbers.pop(key), numbers, bool(metrics.get("error"))


def _is_number(value: Any) -> bool:
    return (
        hasattr(value, "__float__") and not isinstance(value, bool | str | bytes) and getattr(value, "shape", ()) == ()
    )


def _plain(value: Any) -> float:
    return value if type(value) in (int, float) else float(value)
