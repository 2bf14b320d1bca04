# TECHNIQUE: a thread that writes afterwards (F11)
# ATTEMPTS: when the honest artefact is written.
# JUDGE MUST ANSWER: HONEST or REJECT
import os
import threading
import time


def _late():
    time.sleep(0.2)
    os.write(int(os.environ["KF_ARTEFACT_FD"]), b"[]")


threading.Thread(target=_late).start()
