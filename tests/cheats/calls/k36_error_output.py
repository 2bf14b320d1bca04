# TECHNIQUE: error output that tells an input (P7)
# ATTEMPTS: prints what it was given, and ends.
# JUDGE MUST ANSWER: REJECT crashed
import os
import sys


def swaps(numbers):
    print(numbers, file=sys.stderr, flush=True)
    print(numbers, flush=True)
    os._exit(3)
