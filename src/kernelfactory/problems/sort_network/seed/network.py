"""Builds the network. A plain starting point: neighbours only, and a few random changes of which the harmless are kept."""

from random import Random

CHANGES = 200


def neighbours(wires):
    """Each round takes the largest of what is left to its end."""
    return [(low, low + 1) for last in range(wires - 1, 0, -1) for low in range(last)]


def columns(wires):
    """All inputs of zeros and ones side by side: bit number `i` of a wire's integer is what input `i` has there."""
    return [sum(1 << i for i in range(1 << wires) if i >> wire & 1) for wire in range(wires)]


def sorts(comparators, inputs):
    """Does every input come out in order?"""
    wires = list(inputs)
    for low, high in comparators:
        wires[low], wires[high] = wires[low] & wires[high], wires[low] | wires[high]
    return not any(wires[i] & ~wires[i + 1] for i in range(len(wires) - 1))


def network(wires):
    """Comparators (low, high) that sort `wires` numbers."""
    rng = Random(1)
    inputs = columns(wires)
    best = neighbours(wires)
    for _ in range(CHANGES):
        changed = list(best)
        if rng.random() < 0.5:
            changed[rng.randrange(len(changed))] = tuple(sorted(rng.sample(range(wires), 2)))
        else:
            del changed[rng.randrange(len(changed))]
        if sorts(changed, inputs):
            best = changed
    return best
