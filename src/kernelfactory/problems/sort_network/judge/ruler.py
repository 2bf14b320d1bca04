"""The ruler: a list of comparators to its length, if it sorts. Refuses samples: all inputs of zeros and ones are tried.

That is a proof (the zero-one principle: Knuth, The Art of Computer Programming 3, 5.3.4): a network that leaves any input
unsorted leaves one of zeros and ones unsorted. Each wire is one integer of 2^12 bits, a bit for each input, so that a
comparator is one `and` and one `or`.
"""

from __future__ import annotations

import json
from random import Random

from kernelfactory.model import Measured, Rejected

BACKEND = "python"
IDENTITY = "sort_network 1"
WIRES = 12
MOST = 1000
"""Comparators."""
MOST_BYTES = 1 << 16
INPUTS = tuple(sum(1 << i for i in range(1 << WIRES) if i >> wire & 1) for wire in range(WIRES))
"""By wire: bit number i is what that wire gets in input i."""

Network = list[tuple[int, int]]


def parse(artefact: bytes) -> Network:
    """The comparators. Raises Rejected."""
    if len(artefact) > MOST_BYTES:
        raise Rejected("over_limit", f"the network is longer than {MOST_BYTES} bytes")
    try:
        pairs = json.loads(artefact.decode("ascii"))
    except (ValueError, RecursionError):
        raise Rejected("malformed", "the network is not JSON in ASCII") from None
    if type(pairs) is not list or len(pairs) > MOST:
        raise Rejected("malformed", f"the network is not a list of at most {MOST} comparators")
    for pair in pairs:
        if type(pair) is not list or len(pair) != 2 or any(type(wire) is not int for wire in pair):
            raise Rejected("malformed", "a comparator is a pair of whole numbers [low, high]")
        if not 0 <= pair[0] < pair[1] < WIRES:
            raise Rejected("malformed", f"a comparator needs 0 <= low < high < {WIRES}")
    return [(low, high) for low, high in pairs]


def run(network: Network) -> tuple[bool, int]:
    """All inputs at once: is each sorted at the end, and how many comparators never exchanged anything?"""
    wires, idle = list(INPUTS), 0
    for low, high in network:
        a, b = wires[low], wires[high]
        idle += not a & ~b
        wires[low], wires[high] = a & b, a | b
    return not any(wires[i] & ~wires[i + 1] for i in range(WIRES - 1)), idle


def depth(network: Network) -> int:
    """Layers of comparators that can act at the same time."""
    layers = [0] * WIRES
    for low, high in network:
        layers[low] = layers[high] = max(layers[low], layers[high]) + 1
    return max(layers)


def measure(artefact: bytes, rng: Random, inputs: int) -> Measured:
    """The number of comparators; nothing is drawn. Raises Rejected."""
    del rng, inputs
    network = parse(artefact)
    sorts, idle = run(network)
    if not sorts:
        raise Rejected("wrong_answer", "an input of zeros and ones comes out unsorted")
    layers = depth(network)
    reach = sum(high - low for low, high in network) / len(network)
    instruments = {"comparators": len(network), "depth": layers, "idle": idle}
    return Measured(len(network), {"depth": float(layers), "reach": reach}, instruments)
