"""Data that a hostile program might hand in instead of its own: junk, and the seed's own artefact with something
changed. Makes bytes, runs nothing, believes nothing of them."""

from __future__ import annotations

import json
import math
import pickle
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

LARGE = 256 << 10
MANY = 8 << 20
"""JSON larger than LARGE is changed as text, an artefact larger than MANY (bytes) not at all."""
LEAVES = 6
"""Of an artefact's numbers, how many are changed one by one."""
_NUMBER = re.compile(rb"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.])")


class _Runs:
    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> Any:
        return exec, (self.code,)


def junk() -> tuple[bytes, ...]:
    """What is no artefact of any problem."""
    return (
        *(b"\0", b"[" * 100_000, b"9" * 1_000_000, b"NaN", b'{"verdict":"accepted","score":1}', b"\xff\xfe" * 500),
        *(b'{"a":' * 20_000, b"[1e999]", b"[[]]", b"{}", b"[]", b"null", b'"' + b"\\u0000" * 1000 + b'"', b"[true]"),
        *(b'{"score":1,"score":2}', b"[" + b"0," * 200_000 + b"0]", b"1" + b"0" * 5_000),
    )


def runs(code: str) -> tuple[bytes, ...]:
    """Bytes that run `code` in whoever unpickles or evaluates them."""
    expression = f"__import__('builtins').exec({code!r})"
    return (
        pickle.dumps(_Runs(code), protocol=4),
        expression.encode(),
        f"!!python/object/apply:builtins.exec [{json.dumps(code)}]".encode(),
        f"c__builtin__\nexec\n(V{code.encode('unicode_escape').decode()}\ntR.".encode(),
    )


@dataclass(frozen=True, slots=True)
class Artefact:
    """The seed's artefact taken apart: `spell(numbers)` writes it anew, `one(where, number)` with one number changed.
    `chosen`: the numbers that are tried one by one."""

    numbers: tuple[Any, ...]
    chosen: tuple[int, ...]
    spell: Callable[[list[Any]], bytes]
    one: Callable[[int, Any], bytes]

    def all(self, change: Callable[[Any], Any]) -> bytes:
        return self.spell([change(number) for number in self.numbers])


def taken_apart(made: bytes) -> Artefact | None:
    """An artefact of at least two numbers, as JSON or, where it is large or no JSON, as text; None for any other."""
    if len(made) > MANY:
        return None
    try:
        value = json.loads(made) if len(made) <= LARGE else None
    except (ValueError, RecursionError):
        value = None
    if value is None:
        return _text(made)
    leaves = list(_leaves(value, ()))
    if len(leaves) < 2:
        return None
    numbers = tuple(number for _, number in leaves)

    def spell(changed: list[Any]) -> bytes:
        left = iter(changed)
        return _dumped(_rebuilt(value, left))

    def one(where: int, new: Any) -> bytes:
        return spell([*numbers[:where], new, *numbers[where + 1 :]])

    named = [at for at, (path, _) in enumerate(leaves) if path and isinstance(path[-1], str)]
    return Artefact(numbers, _spread(len(leaves), named), spell, one)


def _text(made: bytes) -> Artefact | None:
    found = list(_NUMBER.finditer(made)) if made.isascii() else []
    if len(found) < 2:
        return None

    def spell(changed: list[Any]) -> bytes:
        left = iter(changed)
        return _NUMBER.sub(lambda _: _spelt(next(left)), made)

    def one(where: int, new: Any) -> bytes:
        return made[: found[where].start()] + _spelt(new) + made[found[where].end() :]

    return Artefact(tuple(_read(each[0]) for each in found), _spread(len(found), []), spell, one)


def _spelt(number: Any) -> bytes:
    """As JSON spells it, where that has a word for it."""
    return json.dumps(number).encode()


def _read(text: bytes) -> Any:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _spread(count: int, named: list[int]) -> tuple[int, ...]:
    """Numbers under a name first, if few; the first, the last, and some between."""
    few = named if len(named) <= LEAVES else named[:2] + named[-2:]
    return tuple(dict.fromkeys([*few, 0, count - 1, count // 2, 1]))[:LEAVES]


def _leaves(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _leaves(item, (*path, at))
    elif (isinstance(value, int | float) and not isinstance(value, bool)) or (
        isinstance(value, str) and _NUMBER.fullmatch(value.encode("utf-8", "replace"))
    ):
        yield path, value


def _rebuilt(value: Any, left: Iterator[Any]) -> Any:
    if isinstance(value, dict):
        return {key: _rebuilt(item, left) for key, item in value.items()}
    if isinstance(value, list):
        return [_rebuilt(item, left) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return next(left)
    if isinstance(value, str) and _NUMBER.fullmatch(value.encode("utf-8", "replace")):
        return str(next(left))
    return value


def _dumped(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def plus_one(number: Any) -> Any:
    if isinstance(number, str):
        return str(_read(number.encode()) + 1)
    return number + 1


NOT_FINITE = (math.nan, math.inf, -math.inf)


def parts(made: bytes) -> tuple[bytes, ...]:
    """The seed's artefact with half of it missing, if it is a list; twice, and with something behind it."""
    whole: tuple[bytes, ...] = (made + b"\n" + made, made + b'\n{"score":1}')
    try:
        value = json.loads(made) if len(made) <= MANY else None
    except (ValueError, RecursionError):
        return whole
    if isinstance(value, list) and len(value) >= 4:
        half = len(value) // 2
        whole += tuple(_dumped(piece) for piece in (value[:half], value[::2], []))
    return whole
