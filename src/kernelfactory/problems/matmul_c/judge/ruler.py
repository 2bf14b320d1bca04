"""The ruler: how many times faster a program multiplies two matrices than the seed, on fresh matrices whose product is
exact, every answer checked. Refuses to hold a clock: the judge's is the only one."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Callable, Iterable
from operator import mul
from random import Random
from typing import Any

from kernelfactory.model import Measured, Rejected
from kernelfactory.timing import MOST, log_ratio, speedup

N = 384
SMALL = 192
BITS = 21
"""An entry is a whole number from -2^20 to 2^20 - 1: each sum of n products is below 2^49, so every way to add is exact."""
QUICK_PAIRS = 3
STEP = 1.05
MOST_PAIRS = 40
"""Where a confirmation asks for more, they would say nothing new."""
IDENTITY = f"matmul {N} {BITS}"



class Matrix(bytes):
    """The bytes of its doubles, row by row; `numbers` are the entries themselves."""

    numbers: array[int]


Matrices = tuple[int, Matrix, Matrix]


def draw(rng: Random, n: int = N) -> Matrices:
    return n, matrix(drawn(rng, n)), matrix(drawn(rng, n))


def drawn(rng: Random, n: int) -> list[int]:
    return [word >> (32 - BITS) for word in array("i", rng.randbytes(4 * n * n))]


def matrix(entries: list[int]) -> Matrix:
    made = Matrix(array("d", entries).tobytes())
    made.numbers = array("q", entries)
    return made


def check(args: Matrices, answer: object, rng: Random) -> None:
    """Freivalds' test in whole numbers, with a vector drawn after the answer is there: a wrong product passes with a
    chance of 2^-32 at most. Raises Rejected."""
    n, a, b = args
    if type(answer) is not bytes or len(answer) != 8 * n * n:
        raise Rejected("malformed", "the answer is not n x n doubles")
    vector = [rng.getrandbits(32) for _ in range(n)]
    product = weighted(vector, rows(whole(answer), n))
    if weighted(apart(weighted(vector, rows(a.numbers, n)), n), rows(b.numbers, n)) != product:
        raise Rejected("wrong_answer", "the product is wrong")


def whole(data: bytes) -> array[int]:
    """Doubles as whole numbers of 64 bits. Raises Rejected where they are none."""
    doubles = array("d", data)
    try:
        numbers = array("q", map(int, doubles))
    except (ValueError, OverflowError):
        numbers = array("q")
    if array("d", numbers) != doubles:
        raise Rejected("wrong_answer", "the product is wrong")
    return numbers


def rows(numbers: array[int], n: int) -> list[int]:
    """Each row as one number, the sum of entry j times 2^(64 j): rows that differ give numbers that differ."""
    signs = sum(1 << (64 * j + 63) for j in range(n))
    words = (numbers[at : at + n].tobytes() for at in range(0, n * n, n))
    return [(int.from_bytes(row, sys.byteorder) ^ signs) - signs for row in words]


def apart(row: int, n: int) -> array[int]:
    """The entries of such a number, where each fits into 64 bits."""
    signs = sum(1 << (64 * j + 63) for j in range(n))
    return array("q", ((row + signs) ^ signs).to_bytes(8 * n, sys.byteorder))


def weighted(weights: Iterable[int], numbers: list[int]) -> int:
    return sum(map(mul, weights, numbers))


def measure(call: Any, rng: Random, inputs: int) -> Measured:
    """The speedup over `inputs` pairs of runs. Raises Rejected."""
    return speedup(call, draw, checked(rng), min(inputs, MOST_PAIRS), rng)


def checked(rng: Random) -> Callable[[Matrices, object], None]:
    return lambda args, answer: check(args, answer, rng)


def quick(call: Any, rng: Random, inputs: int) -> Measured:
    """A figure at a smaller size from few runs, in steps that are larger than its noise. Raises Rejected."""
    mine, base = [], []
    for _ in range(QUICK_PAIRS * inputs):
        args = draw(rng, SMALL)
        answer, seconds = call.timed(*args)
        check(args, answer, rng)
        mine.append(seconds)
        base.append(call.baseline.timed(*args)[1])
    steps = round(log_ratio(min(base), min(mine)) / math.log(STEP))
    return Measured(STEP**steps, interval=(0.0, MOST))


def edges(call: Any, rng: Random) -> Measured:
    """Matrices that a random draw never gives. Nothing is timed. Raises Rejected."""
    zero, one, corner = filled(0, 0), filled(0, 1), filled(0, 0, last=1)
    least, most = filled(-(1 << 20), -(1 << 20)), filled((1 << 20) - 1, (1 << 20) - 1)
    some = matrix(drawn(rng, N))
    for a, b in ((zero, some), (some, zero), (one, some), (some, one), (least, least), (least, most), (some, corner)):
        check((N, a, b), call(N, a, b), rng)
    return Measured(1.0, interval=(1.0, 1.0))


def filled(beside: int, diagonal: int, last: int | None = None) -> Matrix:
    entries = [diagonal if i == j else beside for i in range(N) for j in range(N)]
    return matrix([*entries[:-1], diagonal if last is None else last])
