"""Fresh lists, the sum checked; the candidate counts its own additions, between what is possible and what it likes."""

from kernelfactory.model import Measured, Rejected


def _one(call, numbers):
    answer = call(numbers)
    if type(answer) is not list or [type(part) for part in answer] != [int, int]:
        raise Rejected("malformed", "total must return [sum, additions]")
    if answer[0] != sum(numbers):
        raise Rejected("wrong_answer", "the sum is wrong")
    return max(answer[1], len(numbers))


def measure(call, rng, inputs):
    return Measured(max(_one(call, [rng.randrange(-999, 999) for _ in range(20)]) for _ in range(inputs)))


def edges(call, rng):
    _one(call, [])
    return Measured(_one(call, [10**30] * 20))
