# TECHNIQUE: text that a careless reader evaluates (E9)
# ATTEMPTS: as points, as attributes.
# JUDGE MUST ANSWER: NO BETTER
def spread():
    return ["__import__('os')._exit(0)", "{0.__class__}", "%(x)s", "1_0", "0x1"]
