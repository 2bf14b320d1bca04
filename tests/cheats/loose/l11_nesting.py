# TECHNIQUE: nesting and digits (I8)
# ATTEMPTS: bombs for whoever parses.
# JUDGE MUST ANSWER: REJECT malformed
import os

os.write(int(os.environ["KF_SCORE_FD"]), b"[" * 30000 + b"7" * 30000)
os._exit(0)
