# TECHNIQUE: late write (F6, F11)
# ATTEMPTS: a child that outlives its parent writes more into the pipe after the honest artefact.
# JUDGE MUST ANSWER: HONEST or REJECT
import os
import time

if os.fork() == 0:
    os.setsid()
    time.sleep(2)
    os.write(int(os.environ["KF_ARTEFACT_FD"]), b"[]")
    os._exit(0)
