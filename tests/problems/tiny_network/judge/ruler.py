"""A sorting network, checked on random inputs and on all inputs of zeros and ones; the score counts comparators."""

import itertools
import json

from kernelfactory.model import Measured, Rejected

BACKEND = "python"
IDENTITY = "tiny_network 1"


def parse(artefact, wires):
    try:
        network = json.loads(artefact)
    except (ValueError, RecursionError):
        raise Rejected("malformed", "the artefact is not JSON") from None
    if type(network) is not list or len(network) > 1000:
        raise Rejected("malformed", "the artefact is not a list of at most 1000 comparators")
    for pair in network:
        if type(pair) is not list or len(pair) != 2 or any(type(wire) is not int for wire in pair):
            raise Rejected("malformed", "a comparator is a pair of whole numbers")
        if not 0 <= pair[0] < pair[1] < wires:
            raise Rejected("malformed", f"a comparator needs 0 <= low < high < {wires}")
    return network


def run(network, numbers):
    numbers = list(numbers)
    for low, high in network:
        if numbers[low] > numbers[high]:
            numbers[low], numbers[high] = numbers[high], numbers[low]
    return numbers


def judged(artefact, rng, inputs, wires):
    network = parse(artefact, wires)
    fresh = [[rng.randrange(2**30) for _ in range(wires)] for _ in range(inputs)]
    for numbers in itertools.chain(fresh, itertools.product((0, 1), repeat=wires)):
        if run(network, numbers) != sorted(numbers):
            raise Rejected("wrong_answer", "an input comes out unsorted")
    depth = [0] * wires
    for low, high in network:
        depth[low] = depth[high] = max(depth[low], depth[high]) + 1
    return Measured(len(network), {"depth": float(max(depth))}, {"comparators": len(network)})


def measure(artefact, rng, inputs):
    return judged(artefact, rng, inputs, 4)


def quick(artefact, rng, inputs):
    return judged(artefact, rng, inputs, 3)
