# TECHNIQUE: floats where whole numbers are meant
# ATTEMPTS: 0.0 is no wire.
# JUDGE MUST ANSWER: REJECT malformed
import os

os.write(int(os.environ["KF_ARTEFACT_FD"]), b'[[0.0, 1]]')
os._exit(0)
