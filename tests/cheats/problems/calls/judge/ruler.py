"""Fresh permutations; the swaps are carried out here, and their number is the score."""

from kernelfactory.model import Measured, Rejected


def _one(call, numbers):
    answer = call(numbers)
    if type(answer) is not list or len(answer) > 1000:
        raise Rejected("malformed", "swaps must return a list of at most 1000 pairs")
    for pair in answer:
        if type(pair) is not list or len(pair) != 2 or any(type(place) is not int for place in pair):
            raise Rejected("malformed", "a swap is a pair of whole numbers")
        if not all(0 <= place < len(numbers) for place in pair):
            raise Rejected("malformed", "a swap names a place that is not there")
        low, high = pair
        numbers[low], numbers[high] = numbers[high], numbers[low]
    if numbers != sorted(numbers):
        raise Rejected("wrong_answer", "an input comes out unsorted")
    return len(answer)


def measure(call, rng, inputs):
    return Measured(max(_one(call, rng.sample(range(10**9), 12)) for _ in range(inputs)))


def edges(call, rng):
    return Measured(max(_one(call, numbers) for numbers in ([], [1], [2, 1], [3] * 12)))
