# TECHNIQUE: an endless call (I3)
# ATTEMPTS: computes for ever.
# JUDGE MUST ANSWER: REJECT timeout
def swaps(numbers):
    while True:
        pass
