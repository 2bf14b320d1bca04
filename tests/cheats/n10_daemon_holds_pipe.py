# TECHNIQUE: a detached process keeps the pipe open (F6)
# ATTEMPTS: a judge that reads to the end hangs; one that reads late is fooled.
# JUDGE MUST ANSWER: REJECT
import os
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(60)
    os._exit(0)
os._exit(0)
