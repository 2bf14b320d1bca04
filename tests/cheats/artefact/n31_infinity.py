# TECHNIQUE: a number beyond the floats (C8)
# ATTEMPTS: 1e999.
# JUDGE MUST ANSWER: REJECT malformed
import os

os.write(int(os.environ["KF_ARTEFACT_FD"]), b'[[0, 1e999]]')
os._exit(0)
