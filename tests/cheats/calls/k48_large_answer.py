# TECHNIQUE: an answer larger than allowed (I7)
# ATTEMPTS: hundred megabytes of text.
# JUDGE MUST ANSWER: REJECT over_limit
def swaps(numbers):
    return "x" * (100 << 20)
