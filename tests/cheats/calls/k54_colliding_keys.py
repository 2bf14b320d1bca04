# TECHNIQUE: keys that collide (I8)
# ATTEMPTS: 30,000 numbers of one hash, in a dictionary and in a set.
# JUDGE MUST ANSWER: REJECT
# SLOW
def swaps(numbers):
    return {number * (2**61 - 1): 0 for number in range(20000)}
