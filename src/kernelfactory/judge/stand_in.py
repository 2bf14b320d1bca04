"""The import shim: stands where an existing evaluator expects the candidate, as a module whose names call the jailed
worker and give plain data back. The evaluator stays as it is, and never imports the candidate.

Runs in the ruler's process, or in those that the evaluator starts (by named pipes: not every jail has sockets). One
call at a time."""

from __future__ import annotations

import builtins
import copyreg
import json
import os
import secrets
import sys
import threading
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from functools import cache
from queue import SimpleQueue
from typing import Any, NoReturn, cast

from kernelfactory.judge.calls import Calls, Kept, Raised, Relay, Unsendable
from kernelfactory.judge.inside.kfworker import FRAME
from kernelfactory.model import Rejected

TEXT = '''"""Stands in for the candidate, which is not here: every name is answered by its jailed worker."""
__import__("sys").path.append({package!r})
__getattr__, __dir__ = __import__("kernelfactory.judge.stand_in", fromlist=["opened"]).opened({path!r}, globals())
'''
SCRIPT = "the evaluator runs the program as a script: a stand-in can only be imported"
OPAQUE = "the program answered with something that stays with it (a generator, an object): only plain data crosses"


def opened(path: str, names: MutableMapping[str, Any]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """What the stand-in at `path` answers, given its globals. Text that is executed and not imported (exec, runpy) has
    nobody to ask, so all names are looked up at once; never over a name that is there already, nor, among names of
    somebody else's, over a built-in one: an evaluator's own functions stay its own."""
    program = Program(Line(path))
    if names.get("__name__") == "__main__" and names.get("__loader__") is not None:
        program.tell(fault=SCRIPT)
        raise SystemExit(SCRIPT)
    if getattr(names.get("__spec__"), "origin", None) != path:
        for name in names.get("__kf_names__", ()):  # of an earlier one, in globals that stay
            names.pop(name, None)
        taken = {*names, *(vars(builtins) if any(not name.startswith("__") for name in names) else ())}
        found = {name: program.attribute(name) for name in program.names() if name not in taken}
        names.update(found, __kf_names__=list(found))
    return program.attribute, program.names


class Program:
    """The candidate, as an evaluator gets it: attributes are plain data, or remote things."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._calls = Calls(line, "candidate")

    def attribute(self, name: str, of: int = 0) -> Any:
        """Raises AttributeError where the program has no such name, Rejected when it does not answer."""
        if name == "__all__" and of == 0:
            return self.names()
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        try:
            found, _ = self._calls.ask(of=of, name=name)
        except Rejected as rejected:
            if getattr(rejected, "absent", False):
                raise AttributeError(name) from None
            raise self._heard(rejected) from None
        return self.wrapped(found)

    def names(self) -> list[str]:
        """The names that the program says it has, those with an underscore in front apart."""
        with suppress(Raised):
            found, _ = self._calls.ask([], of=0, name="__dir__")
            if type(found) is list:
                return sorted({name for name in found if _fit(name)})
        return []

    def call(self, of: int, args: Any, kwargs: Any) -> Any:
        try:
            answer, _ = self._calls.ask(_sent(list(args)), _sent(kwargs), of=of)
        except Unsendable as error:
            self.tell(fault=str(error))
            raise
        except Rejected as rejected:
            raise self._heard(rejected) from None
        return self.wrapped(answer)

    def wrapped(self, found: Any) -> Any:
        if not isinstance(found, Kept):
            return found
        return (RemoteCall if found.called else Remote)(self, found.number)

    def tell(self, **words: str) -> None:
        """Let the judge know, whatever the evaluator makes of the exception: how the program failed (`code`, `reason`);
        `opaque`, that an answer is no plain data; `fault`, what this evaluator can never do."""
        self.line({"told": words}, b"")

    def _heard(self, rejected: Rejected) -> Rejected:
        self.tell(code=rejected.code, reason=rejected.reason)
        return _kind(rejected.error)(rejected.error, False) if isinstance(rejected, Raised) else rejected


def _fit(name: Any) -> bool:
    return type(name) is str and name.isidentifier() and not name.startswith("_")


def _sent(value: Any) -> Any:
    """A value with the worker's own things as the worker knows them."""
    if isinstance(value, Remote):
        return Kept(value._kf_number, True)
    if type(value) in (list, tuple):
        return type(value)(map(_sent, value))
    return {name: _sent(item) for name, item in value.items()} if type(value) is dict else value


class Remote:
    """An object that stays in the worker. Attributes and calls go there; what comes back is plain data or remote again.
    It has no other behaviour: nothing of the candidate's runs here."""

    __slots__ = ("_kf_number", "_kf_program")
    _kf_number: int
    _kf_program: Program

    def __init__(self, program: Program, number: int) -> None:
        object.__setattr__(self, "_kf_program", program)
        object.__setattr__(self, "_kf_number", number)

    def __getattr__(self, name: str) -> Any:
        return self._kf_program.attribute(name, self._kf_number)

    def __reduce__(self) -> Any:
        return _again, (self._kf_program.line.path, self._kf_number, isinstance(self, RemoteCall))

    def __bool__(self) -> bool:
        return True

    def _opaque(self, *_: Any) -> NoReturn:
        self._kf_program.tell(opaque=OPAQUE)
        raise TypeError(OPAQUE)

    __setattr__ = __iter__ = __next__ = __len__ = __getitem__ = __contains__ = __float__ = __int__ = _opaque
    __index__ = __array__ = __lt__ = __gt__ = __le__ = __ge__ = __add__ = __radd__ = __sub__ = __rsub__ = _opaque
    __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __abs__ = __neg__ = __enter__ = __exit__ = __await__ = _opaque


class RemoteCall(Remote):
    """A function or class that stays in the worker."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._kf_program.call(self._kf_number, args, kwargs)


def _again(path: str, number: int, called: bool) -> Remote:
    return (RemoteCall if called else Remote)(Program(Line(path)), number)


# ── exceptions ───────────────────────────────────────────────────────────────────────────────────


@cache
def _kind(error: str) -> type[Raised]:
    """A Raised that `except` of the same built-in kind catches, where one can be both. Not of those that end an
    iteration: they would end the evaluator's."""
    kind = getattr(builtins, error, None)
    ends = (StopIteration, StopAsyncIteration)
    if not (isinstance(kind, type) and issubclass(kind, Exception)) or issubclass(kind, ends):
        return Raised
    with suppress(TypeError):
        both: type[Raised] = type("Raised", (Raised, kind), {"__module__": __name__})
        both(error, False)
        return both
    return Raised


def _reduced(rejected: Rejected) -> Any:
    return Rejected, (rejected.code, rejected.reason)


copyreg.pickle(Rejected, _reduced)  # a process of the evaluator's hands it to another


# ── who may call ─────────────────────────────────────────────────────────────────────────────────


class Door:
    """Makes the stand-in for one evaluation and answers those who import it, in this process or another.

    A thread of its own talks to the judge, so that whoever waits for it may be interrupted (signal.alarm) or give up
    (a future's timeout), and no answer ever meets the wrong question."""

    def __init__(self, relay: Relay, folder: str, name: str, package: str) -> None:
        self._relay = relay
        self._questions: SimpleQueue[tuple[dict[str, Any], bytes, SimpleQueue[Any]]] = SimpleQueue()
        self._over = False
        self.pid = os.getpid()
        self.told: dict[str, str] = {}
        self.path = os.path.join(folder, f"{name}.py")
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(TEXT.format(package=package, path=self.path))
        _doors[self.path] = self
        threading.Thread(target=self._converse, daemon=True).start()
        os.mkfifo(_bell(self.path), 0o600)
        threading.Thread(target=self._listen, args=(os.open(_bell(self.path), os.O_RDWR),), daemon=True).start()

    def close(self) -> None:
        """Wait for the call that is under way, and take no more. The next evaluation imports its own stand-in."""
        del _doors[self.path]
        for name, module in list(sys.modules.items()):
            if getattr(module, "__file__", None) == self.path:
                del sys.modules[name]
        self._over = True
        with suppress(EOFError):
            self.one({}, b"")
        with open(_bell(self.path), "wb", buffering=0) as bell:
            bell.write(CLOSED)
        for path in (self.path, _bell(self.path)):
            os.unlink(path)

    def one(self, wanted: dict[str, Any], request: bytes) -> tuple[dict[str, Any], bytes]:
        if "told" in wanted:
            self.told = {**wanted["told"], **self.told}  # what came first
            return {}, b""
        reply: SimpleQueue[Any] = SimpleQueue()
        self._questions.put((wanted, request, reply))
        answer = reply.get()
        if isinstance(answer, Exception):
            raise answer
        return cast(tuple[dict[str, Any], bytes], answer)

    def _converse(self) -> None:
        while True:
            wanted, request, reply = self._questions.get()
            try:
                reply.put(EOFError("this evaluation is over") if self._over else self._relay(wanted, request))
            except Exception as error:
                reply.put(error)

    def _listen(self, bell: int) -> None:
        while (caller := os.read(bell, len(CLOSED))) != CLOSED:
            threading.Thread(target=self._serve, args=(f"{self.path}.{caller.decode()}",), daemon=True).start()
        os.close(bell)

    def _serve(self, pipes: str) -> None:
        with suppress(OSError, EOFError), open(f"{pipes}.ask", "rb") as ask, open(f"{pipes}.say", "wb") as say:
            while (got := _received(ask)) is not None:
                _send(say, *self.one(*got))


_doors: dict[str, Door] = {}
"""By the path of the stand-in, in the process that made them."""


CLOSED = bytes(32)
"""Rung instead of a caller's name, which is as long."""


def _bell(path: str) -> str:
    return f"{path}.bell"


class Line:
    """The way to a stand-in's door from whatever process and thread this is: each has its own."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._mine = threading.local()

    def __call__(self, wanted: dict[str, Any], request: bytes) -> tuple[dict[str, Any], bytes]:
        door = _doors.get(self.path)
        return door.one(wanted, request) if door and door.pid == os.getpid() else self._far(wanted, request)

    def _far(self, wanted: dict[str, Any], request: bytes) -> tuple[dict[str, Any], bytes]:
        pid, ask, say = getattr(self._mine, "at", (0, None, None))
        if pid != os.getpid():
            ask, say = self._connected()
        self._mine.at = (0, None, None)  # a line that is cut short is of no more use
        _send(ask, wanted, request)
        answer = _received(say)
        if answer is None:
            raise EOFError("this evaluation is over")
        self._mine.at = (os.getpid(), ask, say)
        return answer

    def _connected(self) -> tuple[Any, Any]:
        name = secrets.token_hex(len(CLOSED) // 2)
        ask, say = f"{self.path}.{name}.ask", f"{self.path}.{name}.say"
        bell = os.open(_bell(self.path), os.O_WRONLY | os.O_NONBLOCK)
        try:
            for pipe in (ask, say):
                os.mkfifo(pipe, 0o600)
            os.write(bell, name.encode())
            return open(ask, "wb"), open(say, "rb")
        finally:
            os.close(bell)
            for pipe in (ask, say):
                os.unlink(pipe)


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
