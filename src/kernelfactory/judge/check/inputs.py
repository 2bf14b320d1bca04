"""Which inputs a ruler draws: listens, from outside the jail, to what a candidate's worker is asked and answers. With
what was heard it makes the program that knows all answers by heart."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from kernelfactory import process
from kernelfactory.jail import Jail, Launch, Spec
from kernelfactory.judge.check.interface import Interface
from kernelfactory.judge.check.trying import Ask
from kernelfactory.judge.inside.kfworker import FRAME, Payload, decode, loads
from kernelfactory.model import Files, Problem, Trust
from kernelfactory.process import Child, Finished, Options

MANY = 4
"""So many different inputs that come again are a test set, even where each is a plain number or word."""
TABLE_BYTES = 6 << 20
SMALL = 64 << 10
"""Calls larger than this are counted, not kept."""


@dataclass(slots=True)
class Heard:
    """Of one judging: each different call by its digest, with what was asked and answered where that is small; and what
    each function of one process answered.
    `data`: was an argument more than a number or a word?"""

    calls: dict[bytes, tuple[bytes, bytes] | None] = field(default_factory=dict)
    answers: dict[str, set[bytes]] = field(default_factory=dict)
    data: bool = False

    def keep(self, process: int, asked: bytes, answer: bytes) -> None:
        """Remember a call that had arguments, of one process."""
        text, _ = FRAME.unpack_from(asked)
        request = json.loads(asked[FRAME.size : FRAME.size + text])
        values = [*request.get("args", ()), *(value for _, value in request.get("kwargs", {}).get("d", ()))]
        if values:
            small = len(asked) + len(answer) <= SMALL
            self.calls[_digest(asked)] = (asked, answer) if small else None
            self.answers.setdefault(f"{process} {request.get('of')} {request.get('name')}", set()).add(_digest(answer))
            self.data = self.data or any(isinstance(value, list | dict) and "h" not in value for value in values)

    @property
    def varied(self) -> bool:
        """Was one process asked for different answers of the same function?"""
        return any(len(answers) > 1 for answers in self.answers.values())

    def is_data(self) -> bool:
        """Are the inputs data, not a handful of parameters such as a size?"""
        return self.data or len(self.calls) >= MANY


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


class Listener:
    """One process that is listened to, in place of the Child that it is. Gives up early where `patience` says so."""

    def __init__(self, child: Child, heard: Heard | None, patience: float | None) -> None:
        self._child = child
        self._heard = heard
        self._patience = patience
        self._asked = b""
        self._answer = b""

    def write(self, data: bytes, seconds: float) -> None:
        self._asked, self._answer = bytes(data), b""
        self._child.write(data, seconds)

    def read(self, size: int, seconds: float) -> bytes:
        read = self._child.read(size, seconds if self._patience is None else min(seconds, self._patience))
        self._answer += read
        if self._heard is not None and self._asked and len(self._answer) > FRAME.size:
            self._heard.keep(self._child.pid, self._asked, self._answer)
        return read

    def __getattr__(self, name: str) -> Any:
        return getattr(self._child, name)


class Tapped:
    """A jail that hears what candidates' workers are asked (`heard`), and waits no longer than `patience` for them."""

    def __init__(self, jail: Jail, *, patience: float | None = None) -> None:
        self.name = jail.name
        self.trust: Trust = jail.trust
        self.holds = jail.holds
        self.note = jail.note
        self.lacks = jail.lacks
        self.heard = Heard()
        self._jail = jail
        self._patience = patience
        self._lock = threading.Lock()

    def fresh(self) -> Heard:
        """From now on, what is heard is kept apart."""
        with self._lock:
            self.heard = Heard()
            return self.heard

    def command(self, spec: Spec, options: Options = process.PLAIN) -> Launch:
        return self._jail.command(spec, options)

    def run(self, spec: Spec, **more: Any) -> Finished:
        return self._jail.run(spec, **more)

    def spawn(self, spec: Spec, *, options: Options = process.PLAIN) -> Child:
        child = self._jail.spawn(spec, options=options)
        if not spec.cwd.endswith("/candidate/tree"):
            return child
        return cast(Child, Listener(child, self.heard, self._patience))


@dataclass(frozen=True, slots=True)
class Listened:
    """What two judgings and a confirmation asked."""

    first: Heard
    second: Heard
    confirmation: Heard
    separate: bool

    def repeated(self) -> str | None:
        """Why the inputs are known in advance; None where they are not."""
        if not self.first.is_data():
            return None
        again = self.first.calls.keys() & (self.second.calls.keys() if not self.separate else set())
        known = self.first.calls.keys() & self.confirmation.calls.keys()
        if self.separate and known:
            return f"{len(known)} of {len(self.confirmation.calls)} inputs of a confirmation were in the screening too"
        if not self.separate and 2 * len(again) > len(self.second.calls):
            return f"{len(again)} of {len(self.second.calls)} inputs came again in another judging"
        return None


def listened(screen: Ask, confirm: Ask, tapped: Tapped, seed: Files) -> tuple[Heard, Heard, Heard]:
    """Judge the seed three times, listening: two screenings and a confirmation."""
    kept = []
    for ask in (screen, screen, confirm):
        kept.append(tapped.fresh())
        ask(seed)
    return kept[0], kept[1], kept[2]


def by_heart(problem: Problem, interface: Interface, heard: Sequence[Heard]) -> bytes | None:
    """A program that knows what was heard and nothing else, answering as the seed did; None where that cannot be said
    in a text (nothing heard, too much of it)."""
    table = _table(heard)
    single = problem.answering is not None and problem.answering.function and ":" in problem.answering.function
    if not table or len(interface.names) != 1 or interface.language != "python" or not single:
        return None
    text = _TEXT.format(table=json.dumps(json.dumps(table)), name=interface.names[0])
    return text.encode() if len(text) <= TABLE_BYTES else None


def _table(heard: Sequence[Heard]) -> Mapping[str, Any]:
    table: dict[str, Any] = {}
    for one in heard:
        for asked, answer in filter(None, one.calls.values()):
            text, _ = FRAME.unpack_from(answer)
            said = loads(answer[FRAME.size : FRAME.size + text])
            if isinstance(said, list) and said[:1] == ["value"]:
                table[_key(asked)] = [said[1], answer[FRAME.size + text :].hex()]
    return table


def _key(asked: bytes) -> str:
    """The arguments, in a form that the program can make of what it gets."""
    text, _ = FRAME.unpack_from(asked)
    request = json.loads(asked[FRAME.size : FRAME.size + text])
    payload = Payload(asked[FRAME.size + text :])
    args = [decode(arg, payload) for arg in request["args"]]
    kwargs = decode(request.get("kwargs", {"d": []}), payload)
    return hashlib.sha256(repr((args, sorted(kwargs.items()))).encode()).hexdigest()


_TEXT = """import hashlib
import json

import kfworker

TABLE = json.loads({table})


def {name}(*args, **kwargs):
    key = hashlib.sha256(repr((list(args), sorted(kwargs.items()))).encode()).hexdigest()
    value, payload = TABLE[key]
    return kfworker.decode(value, kfworker.Payload(bytes.fromhex(payload)))
"""
