# TECHNIQUE: true where whole numbers are meant
# ATTEMPTS: true is 1, for Python.
# JUDGE MUST ANSWER: REJECT malformed
import os

os.write(int(os.environ["KF_ARTEFACT_FD"]), b'[[false, true]]')
os._exit(0)
