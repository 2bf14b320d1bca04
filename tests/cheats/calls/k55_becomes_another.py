# TECHNIQUE: becomes another program (E6)
# ATTEMPTS: executes a Python that answers for it.
# JUDGE MUST ANSWER: REJECT
import os
import sys


def swaps(numbers):
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", "print('[]')"])
