"""The ruler: a program's text to its cycles, on inputs drawn after the text is fixed. Refuses to run candidate code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from kernelfactory import core
from kernelfactory.model import Measured, Rejected

OFFICIAL = core.Size(height=10, rounds=16, batch=256)
QUICK = core.Size(height=4, rounds=6, batch=32)
HIGHEST = (1 << 30) - 1
"""Of tree values and start values; the lowest is 0."""
CYCLES = 1_000_000
"""Cap for one run; the naive kernel takes 147,734."""
_BACKEND = core.backend()
BACKEND = _BACKEND.name
IDENTITY = core.digest()
NO_BOUND = "floors are this program's own slots over the slots per cycle: not a bound on the problem"


def _seeds(rng: Random, inputs: int) -> list[int]:
    return [rng.getrandbits(64) for _ in range(inputs)]


def _check(runs: Sequence[core.Ran]) -> None:
    """Raises Rejected for the first run that went wrong; says nothing of its input."""
    for ran in runs:
        if ran.error == core.CYCLES:
            raise Rejected("over_limit", f"still running after {CYCLES} cycles, at bundle {ran.bundle}")
        if ran.error:
            raise Rejected("crashed", f"{ran.error} in bundle {ran.bundle}")
    if any(ran.wrong for ran in runs):
        raise Rejected("wrong_answer", "the values in memory are not those of the reference")


def _shares(ran: core.Ran) -> dict[str, float]:
    """Behaviour of one run, each in 0..1: occupancy by engine, and bundles of more than one slot."""
    cycles = max(ran.cycles, 1)
    occupancy = {
        f"{engine}_occupancy": slots / (cycles * core.SLOT_LIMITS[engine])
        for engine, slots in zip(core.ENGINES, ran.used, strict=False)
    }
    return {**occupancy, "multi_slot_share": ran.used[-1] / cycles}


def _instruments(ran: core.Ran) -> dict[str, object]:
    """Of one run, for the agent's eyes: shares, slots used by engine, the program's own floor by engine (cycles) and how
    far its cycles are above the largest."""
    used = dict(zip(core.ENGINES, ran.used, strict=False))
    floors = {engine: -(-slots // core.SLOT_LIMITS[engine]) for engine, slots in used.items()}
    gap = ran.cycles - max(floors.values())
    return {**_shares(ran), "slots": used, "floor": floors, "gap": gap, "note": NO_BOUND}


def _measured(runs: Sequence[core.Ran]) -> Measured:
    _check(runs)
    worst, best = max(runs, key=lambda ran: ran.cycles), min(ran.cycles for ran in runs)
    flags: tuple[tuple[str, str, str], ...] = ()
    if best != worst.cycles:
        flags = (("unequal_cycles", "artefact", f"cycles differ between inputs: {best} to {worst.cycles}"),)
    return Measured(worst.cycles, _shares(worst), _instruments(worst), flags)


def _measure(artefact: bytes, rng: Random, inputs: int, size: core.Size) -> Measured:
    program = _BACKEND.parse(artefact)
    return _measured(program.measure(size, _seeds(rng, inputs), CYCLES))


def measure(artefact: bytes, rng: Random, inputs: int) -> Measured:
    """The worst cycle count over `inputs` fresh inputs of the official size. Raises Rejected."""
    return _measure(artefact, rng, inputs, OFFICIAL)


def quick(artefact: bytes, rng: Random, inputs: int) -> Measured:
    """The same at a small size; the figure says little about the official one. Raises Rejected."""
    return _measure(artefact, rng, inputs, QUICK)


# ── inputs that chance never gives ──

Input = tuple[list[int], list[int]]
"""Tree values and start values."""


def edges(artefact: bytes, rng: Random) -> Measured:
    """The worst cycle count over the edge cases of the official size, all of them within the task's ranges. Raises
    Rejected."""
    program = _BACKEND.parse(artefact)
    images = [image(*case, OFFICIAL) for case in edge_cases(rng, OFFICIAL)]
    return _measured([_compared(ran, i) for ran, i in zip(program.run(images, CYCLES), images, strict=True)])


def image(tree: list[int], values: list[int], size: core.Size) -> list[int]:
    """The memory image of a given input."""
    n, b = len(tree), len(values)
    return [size.rounds, n, b, size.height, 7, 7 + n, 7 + n + b, *tree, *[0] * b, *values]


def _compared(ran: core.Ran, image: Sequence[int]) -> core.Ran:
    expected = _BACKEND.reference(image)
    got = ran.memory[len(image) - len(expected) :]
    return replace(ran, wrong=sum(a != b for a, b in zip(got, expected, strict=True)))


def edge_cases(rng: Random, size: core.Size) -> list[Input]:
    """Extremes, equal values, patterns, and trees that lead the whole batch along one path."""
    n, b = size.nodes, size.batch
    low, high, some = (lambda i: 0), (lambda i: HIGHEST), (lambda i: rng.randint(0, HIGHEST))
    one = rng.randint(1, HIGHEST - 1)
    equal, other, turned = (lambda i: one), (lambda i: HIGHEST * (i % 2)), (lambda i: HIGHEST * (1 - i % 2))
    level, bit, count = (lambda i: HIGHEST * ((i + 1).bit_length() % 2)), (lambda i: 1 << i % 30), (lambda i: i)
    pairs = [(tree, value) for tree in (low, high) for value in (low, high, some)]
    pairs += [(tree, value) for tree in (some, equal) for value in (low, high, equal, other)]
    pairs += [(equal, some), (other, other), (other, turned), (level, some), (level, equal), (bit, bit), (count, count)]
    cases = [([tree(i) for i in range(n)], [value(i) for i in range(b)]) for tree, value in pairs]
    turns: tuple[Callable[[int], int], ...] = (low, lambda i: 1, lambda i: i % 2)
    return cases + [_led(rng, size, turn) for turn in turns]


def _led(rng: Random, size: core.Size, turn: Callable[[int], int]) -> Input:
    """An input whose elements all go the same way: right in the rounds whose `turn` is 1, left in those where it is 0."""
    start = rng.randint(0, HIGHEST)
    while True:  # below the leaves the tree is fixed: the rounds that follow go right with chance 1/2 each
        tree = [rng.randint(0, HIGHEST) for _ in range(size.nodes)]
        if _leads(rng, size, turn, tree, start):
            return tree, [start] * size.batch


def _leads(rng: Random, size: core.Size, turn: Callable[[int], int], tree: list[int], value: int) -> bool:
    node = 0
    for step in range(size.rounds):
        while step <= size.height and _BACKEND.hash_steps(value ^ tree[node])[-1] & 1 != turn(step):
            tree[node] = rng.randint(0, HIGHEST)
        value = _BACKEND.hash_steps(value ^ tree[node])[-1]
        if value & 1 != turn(step):
            return False
        child = 2 * node + 1 + turn(step)
        node = child if child < size.nodes else 0
    return True
