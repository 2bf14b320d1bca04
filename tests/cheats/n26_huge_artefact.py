# TECHNIQUE: an artefact without end (I7)
# ATTEMPTS: the judge's memory.
# JUDGE MUST ANSWER: REJECT over_limit
import os

while True:
    os.write(int(os.environ["KF_ARTEFACT_FD"]), b'{"alu":[["+",0,0,0]]},' * 4000)
