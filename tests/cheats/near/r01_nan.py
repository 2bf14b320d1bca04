# TECHNIQUE: NaN as a wildcard (C8)
# ATTEMPTS: no difference from NaN is too large.
# JUDGE MUST ANSWER: REJECT malformed
def terms(x):
    return [float("nan")]
