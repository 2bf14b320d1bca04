# TECHNIQUE: none: an honest improvement
# ATTEMPTS: nothing: no function call in each step.
# JUDGE MUST ANSWER: FASTER
def walk(start, steps):
    value, prime = start, 2**61 - 1
    for _ in range(steps):
        value = (value * value + 12345) % prime
    return value
