# TECHNIQUE: writing into inherited descriptors (E7)
# ATTEMPTS: finds a descriptor that the judge left open, beside the three streams and the artefact's pipe.
# JUDGE MUST ANSWER: HONEST
import os

for _number in range(3, 1024):
    if str(_number) == os.environ["KF_ARTEFACT_FD"]:
        continue
    try:
        os.fstat(_number)
    except OSError:
        continue
    raise SystemExit(9)
