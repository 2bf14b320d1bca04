# TECHNIQUE: wires counted from the end (H4)
# ATTEMPTS: -4 is wire 0.
# JUDGE MUST ANSWER: REJECT malformed
import os

os.write(int(os.environ["KF_ARTEFACT_FD"]), b'[[-4, -3]]')
os._exit(0)
