# TECHNIQUE: digits in strings
# ATTEMPTS: "0" sorts like a number.
# JUDGE MUST ANSWER: REJECT malformed
import os

os.write(int(os.environ["KF_ARTEFACT_FD"]), b'[["0", "1"]]')
os._exit(0)
