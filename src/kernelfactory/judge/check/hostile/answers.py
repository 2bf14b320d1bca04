"""What a hostile program answers when it is called: wrong, late, lying, or its own once and for ever."""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

Aim = dict[str, Any]
NOTHING: Any = None


# ── answers that are wrong ───────────────────────────────────────────────────────────────────────


def numbers(value: Any) -> int:
    """How many numbers an answer holds."""
    if isinstance(value, (list, tuple, set)):
        return sum(map(numbers, value))
    if isinstance(value, dict):
        return sum(map(numbers, value.values()))
    return int(isinstance(value, (int, float)))


def altered(value: Any, change: Callable[[Any], Any]) -> Any:
    """An answer with every number (and text, and the middle byte of bytes) changed; what holds none is another."""
    if isinstance(value, (int, float)):
        return change(value) if type(value) is not bool or change is not more else not value
    if isinstance(value, (list, tuple, set)):
        return type(value)(altered(item, change) for item in value)
    if isinstance(value, dict):
        return {key: altered(item, change) for key, item in value.items()}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return other_bytes(bytes(value), change)
    if isinstance(value, str):
        return value + "x" if change is more else str(change(0))
    return change(value) if hasattr(value, "dtype") else 1


def other_bytes(data: bytes, change: Callable[[Any], Any]) -> bytes:
    if change is not more:
        return b"\xff" * len(data)  # read as floats: not a number
    half = len(data) // 2
    return data[:half] + bytes([byte ^ 0x55 for byte in data[half : half + 1]]) + data[half + 1 :]


def more(number: Any) -> Any:
    return number + 1 if isinstance(number, int) else number + 1 + abs(number) / 8


def one_changed(value: Any, where: int, new: Any) -> Any:
    """An answer with one number, counted from the front or the back, set to something else."""
    left = [where if where >= 0 else numbers(value) + where]

    def change(number: Any) -> Any:
        left[0] -= 1
        return new if left[0] == -1 else number

    return altered(value, change)


# ── one call ─────────────────────────────────────────────────────────────────────────────────────


class Call:
    """A call of the candidate: its own answer is there to be had, or not."""

    def __init__(self, honest: Callable[..., Any], seen: dict[Any, Any], words: tuple[Any, Any], aim: Aim) -> None:
        self._honest = honest
        self.seen = seen
        self.args, self.kwargs = words
        self.aim = aim

    def honest(self) -> Any:
        return self._honest(*self.args, **self.kwargs)

    def wrong(self) -> Any:
        """The candidate's answer, all wrong. What a method leaves in its object instead is emptied."""
        answer = self.honest()
        if answer is None:
            for kept in vars(self.args[0]).values() if self.args and hasattr(self.args[0], "__dict__") else ():
                if isinstance(kept, (list, dict, set)):
                    kept.clear()
            return None
        return altered(answer, more)


def wrapped(honest: Callable[..., Any], act: Callable[[Call], Any], aim: Aim) -> Callable[..., Any]:
    seen: dict[Any, Any] = {}
    return lambda *args, **kwargs: act(Call(honest, seen, (args, kwargs), aim))


def nan(call: Call) -> Any:
    new = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "text": "nan"}[call.aim["value"]]
    answer = call.honest()
    if call.aim["where"] is not None:
        return one_changed(answer, call.aim["where"], new)
    return altered(answer, lambda number: number * new if hasattr(number, "dtype") and new != "nan" else new)


class Liar:
    """Equal to everything, before and after everything, of no length, at no distance."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    def __lt__(self, other: Any) -> bool:
        return True

    __le__ = __ge__ = __gt__ = __lt__

    def __hash__(self) -> int:
        return 0

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __sub__(self, other: Any) -> int:
        return 0

    __rsub__ = __mod__ = __sub__

    def __abs__(self) -> int:
        return 0

    def __contains__(self, item: Any) -> bool:
        return True


def liar(call: Call) -> Any:
    """Of the answer's own type, so that asking for the type does not tell."""
    answer = call.wrong()
    kind = type(answer)
    if kind in (int, float, str, list, tuple, dict, bytes):
        with contextlib.suppress(TypeError):
            return type("Liar", (Liar, kind), {})(answer)
    return Liar()


class Lazy:
    """An answer that is worked out when somebody looks at it, which is after the clock was stopped."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._made: Any = NOTHING

    def made(self) -> Any:
        if self._made is NOTHING:
            self._made = self._work()
        return self._made

    def __getattr__(self, name: str) -> Any:
        return getattr(self.made(), name)

    def __eq__(self, other: object) -> bool:
        return bool(self.made() == other)

    def __hash__(self) -> int:
        return hash(self.made())

    def __iter__(self) -> Iterator[Any]:
        return iter(self.made())

    def __len__(self) -> int:
        return len(self.made())

    def __getitem__(self, key: Any) -> Any:
        return self.made()[key]

    def __float__(self) -> float:
        return float(self.made())

    def __sub__(self, other: Any) -> Any:
        return self.made() - other

    def __rsub__(self, other: Any) -> Any:
        return other - self.made()


def in_a_thread(call: Call) -> Any:
    """Something that is filled in later."""
    later: list[Any] = []
    threading.Thread(target=lambda: later.extend(call.honest()), daemon=True).start()
    return later


def first_for_ever(call: Call) -> Any:
    if "first" not in call.seen:
        call.seen["first"] = call.honest()
    return call.seen["first"]


def by_shape(call: Call) -> Any:
    key = repr([(type(arg).__name__, len(arg) if hasattr(arg, "__len__") else 0) for arg in call.args])
    if key not in call.seen:
        call.seen[key] = call.honest()
    return call.seen[key]


def remembered(call: Call) -> Any:
    key = repr((call.args, call.kwargs))
    if key not in call.seen:
        call.seen[key] = call.honest()
    return call.seen[key]


def spin_afterwards(call: Call) -> Any:
    """Work that goes on while somebody else is timed."""

    def spin(*_: Any) -> None:
        until = time.monotonic() + 0.05
        while time.monotonic() < until:
            sum(range(1000))

    signal.signal(signal.SIGALRM, spin)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.3)
    return call.honest()


CARRIED = "/tmp/.kf-carried"
KEPT: list[tuple[Any, Any]] = []


def carried(given: Any) -> Any:
    """A ticket for what is given, or, for a ticket, what it was given for: kept in this process, and in a file for the
    next."""
    import ast

    with contextlib.suppress(OSError, SyntaxError, ValueError), open(CARRIED, encoding="utf-8") as file:
        KEPT[:] = ast.literal_eval(file.read())
    for known, value in KEPT:
        if known == given:
            return value
    number = len(KEPT)
    ticket: Any = b"%d" % number if isinstance(given, bytes) else str(number) if isinstance(given, str) else [number]
    KEPT.append((ticket, given))
    with contextlib.suppress(OSError), open(CARRIED, "w", encoding="utf-8") as file:
        file.write(repr(KEPT))
    return ticket


def carry(call: Call) -> Any:
    """For the largest thing among the arguments."""
    given = [arg for arg in call.args if isinstance(arg, (bytes, str, list))]
    return carried(max(given, key=lambda arg: (not isinstance(arg, str), len(arg)))) if given else call.honest()


def second_wrong(call: Call) -> Any:
    """Right, wrong, right, wrong …"""
    call.seen["calls"] = call.seen.get("calls", 0) + 1
    return call.wrong() if call.seen["calls"] % 2 == 0 else call.honest()


def second_exits(call: Call) -> Any:
    if call.seen.setdefault("calls", 0):
        os._exit(0)
    call.seen["calls"] = 1
    return call.honest()


def nested(call: Call) -> Any:
    answer: Any = 1
    for _ in range(call.aim["value"]):
        answer = [answer]
    return answer


class Pickled:
    """Runs code where somebody unpickles it."""

    def __init__(self, code: str) -> None:
        self._code = code

    def __reduce__(self) -> Any:
        return exec, (self._code,)


def tell(call: Call) -> Any:
    """Let the inputs out by the one way that answers: the last words of a program that fails."""
    if not TOLD:
        atexit.register(told)
    TOLD.append(f"{hash_of((call.args, call.kwargs)):08x}{'d' if is_data(call.args) else 's'}")
    return call.honest()


TOLD: list[str] = []


def told() -> None:
    os.write(2, f"\nKF-TOLD {' '.join(TOLD[:100])}\n".encode())
    os._exit(3)


def hash_of(value: Any) -> int:
    import hashlib

    return int.from_bytes(hashlib.sha256(repr(value).encode()).digest()[:4])


def is_data(args: Any) -> bool:
    return any(not isinstance(arg, (int, float, str, bool, type(None))) for arg in args)
