# TECHNIQUE: waits while its processor time is taken
# ATTEMPTS: sleeps: with a helper elsewhere this would be somebody else's work for nothing.
# JUDGE MUST ANSWER: REJECT over_limit
import time

PRIME = 2**61 - 1


def step(value):
    squared = (value * value) % PRIME
    return (squared + 12345) % PRIME


def walk(start, steps):
    time.sleep(0.06)
    value = start
    for _ in range(steps):
        value = step(value)
    return value
