# TECHNIQUE: results kept from call to call (G3)
# ATTEMPTS: by the input's content.
# JUDGE MUST ANSWER: NO FASTER
import functools

PRIME = 2**61 - 1


def step(value):
    squared = (value * value) % PRIME
    return (squared + 12345) % PRIME


@functools.cache
def walk(start, steps):
    value = start
    for _ in range(steps):
        value = step(value)
    return value
