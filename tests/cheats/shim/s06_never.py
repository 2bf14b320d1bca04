# TECHNIQUE: no answer at all (I3)
# ATTEMPTS: sleeps on after every limit.
# JUDGE MUST ANSWER: REJECT timeout
import time


def spread():
    time.sleep(60)
