# TECHNIQUE: a score that is said twice
# ATTEMPTS: the last one would count.
# JUDGE MUST ANSWER: REJECT malformed
import os

os.write(int(os.environ["KF_SCORE_FD"]), b'{"score": 7, "score": 99}')
os._exit(0)
