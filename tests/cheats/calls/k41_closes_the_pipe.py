# TECHNIQUE: no pipe any more
# ATTEMPTS: closes every descriptor and lives on.
# JUDGE MUST ANSWER: REJECT
# SLOW
import os
import time


def swaps(numbers):
    os.closerange(0, 256)
    time.sleep(60)
