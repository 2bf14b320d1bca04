# TECHNIQUE: JSON bomb: nesting (I8)
# ATTEMPTS: breaks a recursive parser, or the process it runs in.
# JUDGE MUST ANSWER: REJECT
import os

with os.fdopen(int(os.environ["KF_ARTEFACT_FD"]), "wb") as _out:
    _out.write(b"[" * 30_000 + b"]" * 30_000)
os._exit(0)
