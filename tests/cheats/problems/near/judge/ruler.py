"""Written as people do: it trusts that plain data is plain, and that a number is a number."""

import math

from kernelfactory.model import Measured, Rejected


def _one(call, x):
    answer = call(x)
    if abs(sum(answer) - math.exp(x)) > 1e-9:
        raise Rejected("wrong_answer", "the sum is not close enough")
    return len(answer)


def measure(call, rng, inputs):
    return Measured(max(_one(call, rng.random()) for _ in range(inputs)))
