# TECHNIQUE: duplicate keys (P2)
# ATTEMPTS: one parser sees the first, another the last.
# JUDGE MUST ANSWER: REJECT
import os

with os.fdopen(int(os.environ["KF_ARTEFACT_FD"]), "wb") as _out:
    _out.write(b'[{"alu": [["+", 0, 0, 0]], "alu": []}]')
os._exit(0)
