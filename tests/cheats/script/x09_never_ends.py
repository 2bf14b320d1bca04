# TECHNIQUE: no end (I3)
# ATTEMPTS: and no word.
# JUDGE MUST ANSWER: REJECT crashed
while True:
    pass
