# TECHNIQUE: a process that stays (F6)
# ATTEMPTS: holds every pipe and goes on.
# JUDGE MUST ANSWER: ACCEPT 7
import os
import time

print(7, flush=True)
if os.fork() == 0:
    os.setsid()
    for number in range(3):
        os.close(number)
    if os.fork() == 0:
        time.sleep(60)
    os._exit(0)
