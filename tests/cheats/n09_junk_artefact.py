# TECHNIQUE: bytes that are no text (P2)
# ATTEMPTS: an error in the judge's decoding, taken for success.
# JUDGE MUST ANSWER: REJECT
import os

with os.fdopen(int(os.environ["KF_ARTEFACT_FD"]), "wb") as _out:
    _out.write(bytes(range(256)) * 16)
os._exit(0)
