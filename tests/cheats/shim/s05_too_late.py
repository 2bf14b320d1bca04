# TECHNIQUE: an answer after the evaluator has given up (E1)
# ATTEMPTS: comes when another question is asked.
# JUDGE MUST ANSWER: NO BETTER
import time


def spread():
    time.sleep(1.0)
    return [0.0, 0.25, 0.5, 0.75, 1.0]
