PRIME = 2**61 - 1


def step(value):
    squared = (value * value) % PRIME
    return (squared + 12345) % PRIME


def walk(start, steps):
    value = start
    for _ in range(steps):
        value = step(value)
    return value
