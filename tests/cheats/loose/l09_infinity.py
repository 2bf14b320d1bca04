# TECHNIQUE: a score beyond the floats
# ATTEMPTS: 1e999.
# JUDGE MUST ANSWER: REJECT malformed
import os

os.write(int(os.environ["KF_SCORE_FD"]), b'{"score": 1e999}')
os._exit(0)
