# TECHNIQUE: an answer without end (I8)
# ATTEMPTS: a generator, and a list that holds itself.
# JUDGE MUST ANSWER: REJECT malformed
def swaps(numbers):
    made = [[0, 0]]
    made.append(made)
    return made
