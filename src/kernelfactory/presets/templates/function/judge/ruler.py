"""Measures packings. Agents never see this file; the candidate runs in another process, in the jail."""

from kernelfactory.model import Measured, Rejected

IDENTITY = "pack 1"  # change it when scores change their meaning

ROOM = 100
LISTS = 25


def bins(call, sizes):
    """How many bins the candidate needs for `sizes`; its answer is plain data, and checked."""
    answer = call(sizes)  # raises Rejected by itself when the candidate crashes, hangs or answers no plain data
    if type(answer) is not list or any(type(each) is not list for each in answer):
        raise Rejected("malformed", "the answer is not a list of bins")
    packed = [item for each in answer for item in each]
    if any(type(item) is not int for item in packed) or sorted(packed) != list(range(len(sizes))):
        raise Rejected("wrong_answer", "not every item is in exactly one bin")
    if any(sum(sizes[item] for item in each) > ROOM for each in answer):
        raise Rejected("wrong_answer", "a bin is too full")
    return len(answer)


def measure(call, rng, inputs):
    averages = []
    for _ in range(inputs):
        lists = [[rng.randint(1, ROOM) for _ in range(50)] for _ in range(LISTS)]
        averages.append(sum(bins(call, sizes) for sizes in lists) / LISTS)
    return Measured(score=max(averages))


def edges(call, rng):
    """Inputs that chance hardly draws. The worse of both scores counts, so this one only says that all is right."""
    for sizes in ([], [ROOM], [1] * 300, [ROOM] * 50):
        bins(call, sizes)
    return Measured(score=0)
