# TECHNIQUE: a score and a status (E4)
# ATTEMPTS: writes one, and ends with 3.
# JUDGE MUST ANSWER: REJECT crashed
import os

os.write(int(os.environ["KF_SCORE_FD"]), b'{"score": 99}')
os._exit(3)
