"""Fresh lists; the swaps are carried out here, and counted here."""

from kernelfactory.model import Measured, Rejected


def _one(call, numbers):
    answer = call(numbers)
    if type(answer) is not list or len(answer) > 1000:
        raise Rejected("malformed", "swaps must return a list of at most 1000 pairs")
    for pair in answer:
        if type(pair) is not list or [type(place) for place in pair] != [int, int]:
            raise Rejected("malformed", "a swap is a pair of whole numbers")
        low, high = pair
        if not (0 <= low < len(numbers) and 0 <= high < len(numbers)):
            raise Rejected("malformed", "a swap names a place that is not there")
        numbers[low], numbers[high] = numbers[high], numbers[low]
    if numbers != sorted(numbers):
        raise Rejected("wrong_answer", "an input comes out unsorted")
    return len(answer)


def measure(call, rng, inputs):
    return Measured(max(_one(call, rng.sample(range(10**9), 9)) for _ in range(inputs)))


def edges(call, rng):
    return Measured(max(_one(call, numbers) for numbers in ([], [1], [2, 1], [3] * 9)))
