# TECHNIQUE: memory (I4)
# ATTEMPTS: takes all it can get.
# JUDGE MUST ANSWER: REJECT crashed
def swaps(numbers):
    taken = []
    while True:
        taken.append(bytearray(64 << 20))
