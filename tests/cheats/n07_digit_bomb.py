# TECHNIQUE: JSON bomb: a number of very many digits (I8)
# ATTEMPTS: reading it takes quadratic time, or raises an error that nobody expects.
# JUDGE MUST ANSWER: REJECT
import os

with os.fdopen(int(os.environ["KF_ARTEFACT_FD"]), "wb") as _out:
    _out.write(b'[[0, ' + b"7" * 60_000 + b"]]")
os._exit(0)
