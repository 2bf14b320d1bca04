# TECHNIQUE: a score of 64 KiB and more (I7)
# ATTEMPTS: blanks before the number.
# JUDGE MUST ANSWER: REJECT over_limit
import os

for _ in range(70):
    os.write(int(os.environ["KF_SCORE_FD"]), b" " * 1024)


def total():
    return 7
