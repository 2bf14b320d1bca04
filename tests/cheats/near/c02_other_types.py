# TECHNIQUE: none: a tuple, whole numbers, fractions as floats
# ATTEMPTS: nothing: plain data of every kind crosses as it is.
# JUDGE MUST ANSWER: ACCEPT 3
import math


def terms(x):
    return (1, math.exp(x) - 1, False)
