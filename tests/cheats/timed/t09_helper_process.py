# TECHNIQUE: a helper process (G2)
# ATTEMPTS: lets a child compute, whose time is not its own.
# JUDGE MUST ANSWER: NO FASTER
import os

PRIME = 2**61 - 1


def step(value):
    squared = (value * value) % PRIME
    return (squared + 12345) % PRIME


def honest(start, steps):
    value = start
    for _ in range(steps):
        value = step(value)
    return value


def walk(start, steps):
    reading, writing = os.pipe()
    try:
        child = os.fork()
    except OSError:
        return honest(start, steps)
    if child == 0:
        os.write(writing, str(honest(start, steps)).encode())
        os._exit(0)
    return int(os.read(reading, 100))
