# TECHNIQUE: clocks (G1, B12)
# ATTEMPTS: every clock of its process stands still.
# JUDGE MUST ANSWER: NO FASTER
import time

PRIME = 2**61 - 1


def step(value):
    squared = (value * value) % PRIME
    return (squared + 12345) % PRIME


def walk(start, steps):
    value = start
    for _ in range(steps):
        value = step(value)
    return value


time.time = time.perf_counter = time.process_time = time.monotonic = lambda: 0.0
time.perf_counter_ns = time.process_time_ns = time.monotonic_ns = time.time_ns = lambda: 0
time.sleep = lambda seconds: None
