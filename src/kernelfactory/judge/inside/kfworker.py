"""What runs beside a candidate that answers calls: reads requests, calls, sends plain data back. Believed by nobody:
from the candidate's first import on, this process is the candidate's. Standard library only, nothing of the package.

Run as `kfworker.py MODULE[:NAME]` in the candidate's folder; or imported by a problem's own worker, which ends with
`kfworker.serve(function)`. Both directions are frames: 4 bytes length of a JSON text and 8 bytes length of a payload
(both big-endian), the text, the payload. `encode` and `decode` are used on both sides.
"""

from __future__ import annotations

import builtins
import importlib
import json
import math
import os
import re
import struct
import sys
import traceback
from collections.abc import Callable
from typing import Any

FRAME = struct.Struct(">IQ")
DEPTH = 64
NUMBERS = "biufc"
BITS = 13_000
_ARRAY = re.compile(r"[<>|=]?[biufc]\d{1,2}", re.ASCII)
_CONTAINERS = (float, list, tuple, dict, set, frozenset)


class Unsayable(Exception):
    """A value that is not plain data; the message says which type."""


class Handle:
    """What stands for something that stays in the worker: a function, a class, an object. `number` names it there."""

    def __init__(self, number: int) -> None:
        self.number = number


# ── values ───────────────────────────────────────────────────────────────────────────────────────


def encode(value: Any, payload: bytearray, depth: int = 0) -> Any:
    """A value as JSON's own types; bytes and arrays go to `payload`. What JSON cannot say is an object with one key:
    "b" bytes, "a" array, "t" tuple, "s" set, "d" dictionary, "h" handle. Raises Unsayable."""
    kind = type(value)
    if kind in _LEAVES:
        return _LEAVES[kind](value)
    if depth > DEPTH:
        raise Unsayable("nested too deep")
    if kind is list:
        return [encode(item, payload, depth + 1) for item in value]
    if kind is tuple:
        return {"t": [encode(item, payload, depth + 1) for item in value]}
    if kind is dict:
        pairs = [(encode(key, payload, depth + 1), encode(item, payload, depth + 1)) for key, item in value.items()]
        return {"d": pairs}
    return _rarer(value, payload, depth)


def _rarer(value: Any, payload: bytearray, depth: int) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"b": _stored(bytes(value), payload)}
    if isinstance(value, Handle):
        return {"h": value.number}
    if isinstance(value, (set, frozenset)):
        return {"s": [encode(item, payload, depth + 1) for item in value]}
    if hasattr(value, "dtype") and hasattr(value, "tobytes"):
        return _array(value, payload)
    base: Any
    for base in (int, float, str, list, tuple, dict):
        if isinstance(value, base):
            return encode(base(value), payload, depth)
    raise Unsayable(kind_name(value))


def _array(value: Any, payload: bytearray) -> Any:
    """A numpy array or scalar, truth values and finite numbers only."""
    if value.dtype.kind not in NUMBERS:
        raise Unsayable("an array of something else than numbers")
    if not _all_finite(value):
        raise Unsayable("an array with a number that is not finite")
    if not value.shape and value.dtype.kind in "biuf":
        return encode(value.item(), payload)
    return {"a": [str(value.dtype.str), list(value.shape), *_stored(value.tobytes(), payload)]}


def _stored(data: bytes, payload: bytearray) -> list[int]:
    start = len(payload)
    payload += data
    return [start, len(data)]


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise Unsayable("a number that is not finite")
    return number


def _short(number: int) -> int:
    if number.bit_length() > BITS:
        raise Unsayable(f"a whole number of more than {BITS} bits")
    return number


def _text(text: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Unsayable("a text with half a character (a surrogate)") from None
    return text


_LEAVES: dict[type, Callable[[Any], Any]] = {
    type(None): lambda nothing: nothing,
    bool: lambda truth: truth,
    int: _short,
    float: _finite,
    str: _text,
}


def _all_finite(array: Any) -> bool:
    return array.dtype.kind not in "fc" or bool(importlib.import_module("numpy").isfinite(array).all())


def kind_name(value: Any) -> str:
    """The type of a value, in words that a hostile type cannot choose."""
    kind = type(value)
    if getattr(builtins, kind.__name__, None) is kind:
        return str(kind.__name__)
    return "a function" if callable(value) else "an object"


def loads(text: bytes) -> Any:
    """JSON, strictly: UTF-8, no NaN, no number beyond the floats, no object with other than one key. Raises
    ValueError."""
    try:
        return json.loads(text.decode(), parse_constant=_refuse, parse_float=_number, object_pairs_hook=_single)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number beyond the floats")
    return value


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) != 1:
        raise ValueError("an object has one key here")
    return dict(pairs)


class Payload:
    """The bytes beside a text, given out from first to last, each once: what is small to say is small to hold."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._given = 0

    def cut(self, where: list[Any]) -> bytes:
        """The bytes at [start, length], which must be the next ones. Raises ValueError."""
        if len(where) != 2 or not all(type(word) is int for word in where):
            raise ValueError("not a place in the payload")
        start, length = where
        if start != self._given or length < 0 or start + length > len(self._data):
            raise ValueError("not a place in the payload")
        self._given += length
        return self._data[start : start + length]

    def finish(self) -> None:
        """Raises ValueError when bytes are left that nothing speaks of."""
        if self._given != len(self._data):
            raise ValueError("more payload than was spoken of")


def decode(plain: Any, payload: Payload, handle: Callable[[int], Any] | None = None, depth: int = 0) -> Any:
    """The value behind what `loads` gave: built-in types only (and numpy arrays, where numpy is). Raises ValueError."""
    if depth > 2 * DEPTH + 1:  # a dictionary's pairs are lists
        raise ValueError("nested too deep")
    if isinstance(plain, list):
        return [decode(item, payload, handle, depth + 1) for item in plain]
    if not isinstance(plain, dict):
        return _leaf(plain)
    ((key, inner),) = plain.items()
    if key == "h" and handle is not None and type(inner) is int:
        return handle(inner)
    if not isinstance(inner, list):
        raise ValueError("not a value")
    if key == "b":
        return payload.cut(inner)
    if key == "a":
        return _as_array(inner, payload)
    return _container(key, [decode(item, payload, handle, depth + 1) for item in inner])


def _leaf(plain: Any) -> Any:
    if type(plain) is str and not plain.isascii():
        plain.encode()  # half a character is a ValueError
    if type(plain) is int and plain.bit_length() > BITS:
        raise ValueError("a whole number of too many bits")
    return plain


def _container(key: str, items: list[Any]) -> Any:
    made: Any
    try:
        if key == "t":
            return tuple(items)
        if key == "s":
            made = set(items)
        elif key == "d" and all(type(item) is list and len(item) == 2 for item in items):
            made = dict(items)
        else:
            raise ValueError("not a value")
    except TypeError:
        raise ValueError("a key that cannot be one") from None
    if len(made) != len(items):
        raise ValueError("a key comes twice")
    return made


def _as_array(parts: list[Any], payload: Payload) -> Any:
    if len(parts) != 4 or not isinstance(parts[0], str) or not isinstance(parts[1], list):
        raise ValueError("not an array")
    name, shape = parts[0], parts[1]
    data = payload.cut(parts[2:])
    if not all(type(side) is int and 0 <= side < 1 << 40 for side in shape) or len(shape) > 32:
        raise ValueError("not the shape of an array")
    if not _ARRAY.fullmatch(name):
        raise ValueError("an array of something else than numbers")
    try:
        numpy = importlib.import_module("numpy")
    except ImportError:
        raise ValueError("an array, and there is no numpy here") from None
    try:
        made = numpy.frombuffer(data, dtype=numpy.dtype(name)).reshape(shape).copy()
    except (TypeError, ArithmeticError):
        raise ValueError("not an array") from None
    if not _all_finite(made):
        raise ValueError("an array with a number that is not finite")
    return made


# ── frames ───────────────────────────────────────────────────────────────────────────────────────


def frame(message: Any, payload: bytes = b"") -> bytes:
    """A message as bytes. Answers are lists: ["ready"], ["failed", words], ["value", value], ["unsayable", type],
    ["raised", error, was it an AttributeError], ["kept", number, can it be called]."""
    text = json.dumps(message, allow_nan=False, separators=(",", ":")).encode()
    return FRAME.pack(len(text), len(payload)) + text + payload


def _read(fd: int, size: int) -> bytes:
    pieces = []
    while size:
        piece = os.read(fd, min(size, 1 << 20))
        if not piece:
            raise EOFError
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


# ── answering ────────────────────────────────────────────────────────────────────────────────────


class Answers:
    """The loop of a worker. `things` are what requests may name, by number; 0 is where they start. `keeping`: a result
    that is not plain data stays here, and its number goes back."""

    def __init__(self, root: Any, *, keeping: bool) -> None:
        self.things: dict[int, Any] = {0: root}
        self.keeping = keeping

    def answer(self, request: dict[str, Any], payload: bytes) -> bytes:
        try:
            wanted = self._wanted(request)
            if "args" not in request:
                return self._said(wanted)
            beside = Payload(payload)
            args = decode(request["args"], beside, self.things.__getitem__)
            kwargs = decode(request.get("kwargs", {"d": []}), beside, self.things.__getitem__)
            return self._said(wanted(*args, **kwargs))
        except Unsayable as error:
            return frame(["unsayable", str(error)])
        except Exception as error:
            return frame(["raised", kind_name(error), isinstance(error, AttributeError)])

    def _wanted(self, request: dict[str, Any]) -> Any:
        of = self.things[request.get("of", 0)]
        return of if request.get("name") is None else getattr(of, request["name"])

    def _said(self, value: Any) -> bytes:
        payload = bytearray()
        try:
            said = ["value", encode(value, payload)]
        except Unsayable:
            if not self.keeping or isinstance(value, _CONTAINERS):
                raise
            number = len(self.things)
            self.things[number] = value
            said = ["kept", number, callable(value)]
        return frame(said, bytes(payload))


def serve(root: Any, *, keeping: bool = False) -> None:
    """Answer requests on what were the standard streams, until they end. What the candidate prints goes to stderr."""
    requests, answers = _private()
    _answer_all(requests, answers, Answers(root, keeping=keeping))


def _private() -> tuple[int, int]:
    requests, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return requests, answers


def _answer_all(requests: int, answers: int, worker: Answers) -> None:
    _write(answers, frame(["ready"]))
    try:
        while True:
            header, payload = FRAME.unpack(_read(requests, FRAME.size))
            request = json.loads(_read(requests, header))
            _write(answers, worker.answer(request, _read(requests, payload)))
    except (EOFError, BrokenPipeError):
        return


def main(argv: list[str]) -> int:
    module, _, name = argv[0].partition(":")
    requests, answers = _private()
    sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(module)
        root = getattr(found, name) if name else found
    except BaseException as error:
        last = "".join(traceback.format_exception_only(error)).strip()
        _write(answers, frame(["failed", last[-1500:]]))
        return 1
    _answer_all(requests, answers, Answers(root, keeping=not name))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
