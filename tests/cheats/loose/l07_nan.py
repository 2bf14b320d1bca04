# TECHNIQUE: NaN as a score (C8)
# ATTEMPTS: wins or loses no comparison.
# JUDGE MUST ANSWER: REJECT malformed
def total():
    return float("nan")
