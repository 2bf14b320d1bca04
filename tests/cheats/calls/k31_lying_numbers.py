# TECHNIQUE: numbers that lie (C1, C5)
# ATTEMPTS: compare as anything, run code when they are used as an index.
# JUDGE MUST ANSWER: REJECT
import os


class Lying(int):
    def __index__(self):
        os._exit(9)

    __eq__ = __le__ = __lt__ = __ge__ = __gt__ = lambda self, other: True
    __hash__ = int.__hash__


def swaps(numbers):
    return [[Lying(0), Lying(0)]]
