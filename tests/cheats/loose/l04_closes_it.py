# TECHNIQUE: no score descriptor
# ATTEMPTS: closes it and ends well.
# JUDGE MUST ANSWER: REJECT malformed
import os

os.close(int(os.environ["KF_SCORE_FD"]))
os._exit(0)
