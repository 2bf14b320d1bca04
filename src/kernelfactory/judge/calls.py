"""The ruler's end of a candidate that answers calls: plain data out, plain data in, by way of the judge. Runs in the
ruler's process; imports and executes nothing of a candidate's."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, Literal, cast, get_args

from kernelfactory.judge.inside.kfworker import FRAME, Handle, Payload, Unsayable, decode, encode, frame, loads
from kernelfactory.model import KernelFactoryError, ReasonCode, Rejected

Who = Literal["candidate", "baseline"]
Relay = Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]
"""(what to relay to whom, the worker's frame) -> (what came of it: wall and cpu seconds, or a failure; the answer)."""


class Unsendable(KernelFactoryError):
    """The ruler passed an argument that is not plain data: its author must correct it."""


class NoBaseline(KernelFactoryError):
    """What the program is compared with does not answer as a program must: no fault of the one under judgement."""


class Raised(Rejected):
    """The program raised an exception; `absent`: because a name is not there."""

    def __init__(self, error: str, absent: bool) -> None:
        super().__init__("crashed", f"the program raised {error}")
        self.error = error
        self.absent = absent

    def __reduce__(self) -> Any:
        return Raised, (self.error, self.absent)


class Kept(Handle):
    """Something that stays in the worker; `called`: can it be called?"""

    def __init__(self, number: int, called: bool) -> None:
        super().__init__(number)
        self.called = called


class Calls:
    """The program under judgement, as a function: `call(*args)` is its answer, as plain data, from the jailed worker.

    `bar`: the score that is to beat, or None. `clock`: which time `timed` tells. Raises Rejected when the program fails
    to answer (it crashed, took too long, sent what is no plain data, or too much of it)."""

    def __init__(self, relay: Relay, who: Who, *, clock: str = "cpu", bar: float | None = None) -> None:
        self._relay = relay
        self._who: Who = who
        self._clock = clock
        self.bar = bar

    @property
    def baseline(self) -> Calls:
        """The program that this one is compared with: the seed, or the other one of a duel."""
        return Calls(self._relay, "baseline", clock=self._clock)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.timed(*args, **kwargs)[0]

    def timed(self, *args: Any, **kwargs: Any) -> tuple[Any, float]:
        """The answer, and the seconds from the first byte of the input to the last one of the answer, by the judge's
        clock: processor time of the worker's one process, or wall time."""
        answer, seconds = self.ask(args, kwargs)
        if isinstance(answer, Kept):
            raise Rejected("malformed", NOT_PLAIN)
        return answer, seconds

    def restart(self) -> None:
        """Answer the next call with a fresh process, in which nothing of earlier calls is left."""
        self._relay({"who": self._who, "restart": True}, b"")

    def ask(self, args: Any = None, kwargs: Any = None, *, of: int = 0, name: str | None = None) -> tuple[Any, float]:
        """(answer, maybe Kept; seconds). Without `args` nothing is called: the thing itself is asked for."""
        payload = bytearray()
        request: dict[str, Any] = {"of": of, "name": name}
        try:
            if args is not None:
                request["args"] = encode(list(args), payload)
                request["kwargs"] = encode(dict(kwargs or {}), payload)
        except Unsayable as error:
            raise Unsendable(f"the ruler passed {error} to the candidate: only plain data crosses") from None
        told, answer = self._relay({"who": self._who}, frame(request, bytes(payload)))
        if "failed" in told:
            code = told["failed"]
            raise Rejected(cast(ReasonCode, code) if code in get_args(ReasonCode) else "crashed", str(told["reason"]))
        try:
            return _answered(answer), float(told[self._clock])
        except Rejected as rejected:
            if self._who == "baseline":
                raise NoBaseline(f"the baseline fails: {rejected.reason}") from None
            raise


def _answered(answer: bytes) -> Any:
    """What a worker's frame says. Raises Rejected unless it is an answer in plain data."""
    text, _ = FRAME.unpack_from(answer)
    try:
        match loads(answer[FRAME.size : FRAME.size + text]):
            case ["value", value]:
                beside = Payload(answer[FRAME.size + text :])
                found = decode(value, beside)
                beside.finish()
                return found
            case ["kept", int(number), bool(called)]:
                return Kept(number, called)
            case ["raised", str(error), bool(absent)]:
                raise Raised(error if error in _ERRORS else "an exception", absent)
            case ["unsayable", str(_)]:
                raise Rejected("malformed", NOT_PLAIN)
    except (ValueError, RecursionError):
        pass
    raise Rejected("malformed", "the program's answer is not plain data")


NOT_PLAIN = "the program answered with something that is no plain data"
_ERRORS = frozenset(
    name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, Exception)
)
"""Names that say nothing of an input: a hostile program cannot choose others."""
