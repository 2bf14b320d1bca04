# TECHNIQUE: none: prints, collects, reads a file, is slower
# ATTEMPTS: nothing.
# JUDGE MUST ANSWER: NO FASTER
import gc

PRIME = 2**61 - 1


def step(value):
    squared = (value * value) % PRIME
    return (squared + 12345) % PRIME


def walk(start, steps):
    print("seconds: 0.0", flush=True)
    gc.collect()
    with open(__file__) as file:
        file.read()
    value = start
    for _ in range(steps):
        value = step(value)
    return value
