"""The workload in Python, word for word what workload.c does: images from seeds and the reference. Runs no program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kernelfactory.core.vliw import Size

MASK = 0xFFFFFFFF
MASK64 = 0xFFFFFFFFFFFFFFFF


def draws(seed: int) -> Iterator[int]:
    """splitmix64 (Steele, Lea, Flood 2014; public domain): the upper 30 bits of each word of its stream."""
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) & MASK64
        z = ((seed ^ seed >> 30) * 0xBF58476D1CE4E5B9) & MASK64
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK64
        yield (z ^ z >> 31) >> 34


def image(size: Size, seed: int) -> list[int]:
    """Header, tree, indices (all 0), values."""
    stream, n, b = draws(seed), size.nodes, size.batch
    tree = [next(stream) for _ in range(n)]
    values = [next(stream) for _ in range(b)]
    return [size.rounds, n, b, size.height, 7, 7 + n, 7 + n + b, *tree, *[0] * b, *values]


def hash_steps(a: int) -> list[int]:
    """Bob Jenkins's 32-bit integer hash, after each of its six steps."""
    one = ((a + 0x7ED55D16) + (a << 12)) & MASK
    two = (one ^ 0xC761C23C) ^ (one >> 19)
    three = ((two + 0x165667B1) + (two << 5)) & MASK
    four = ((three + 0xD3A2646C) & MASK) ^ (three << 9 & MASK)
    five = ((four + 0xFD7046C5) + (four << 3)) & MASK
    six = (five ^ 0xB55A4F09) ^ (five >> 16)
    return [one, two, three, four, five, six]


def reference(image: Sequence[int]) -> list[int]:
    """The values that must come out of a memory image. ValueError if it is none."""
    rounds, n, b = image[:3]
    tree, indices, values = image[7 : 7 + n], list(image[7 + n : 7 + n + b]), list(image[7 + n + b :])
    if n < 1 or len(values) != b or any(index >= n for index in indices):
        raise ValueError("no memory image of the workload")
    for _ in range(rounds):
        for i in range(b):
            v = hash_steps(values[i] ^ tree[indices[i]])[-1]
            child = 2 * indices[i] + 1 + (v & 1)
            values[i], indices[i] = v, child if child < n else 0
    return values
