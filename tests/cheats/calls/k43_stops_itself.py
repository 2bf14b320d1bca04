# TECHNIQUE: a process that stops itself (I10)
# ATTEMPTS: SIGSTOP to itself, and no SIGCONT is heard.
# JUDGE MUST ANSWER: REJECT timeout
import os
import signal


def swaps(numbers):
    signal.signal(signal.SIGCONT, signal.SIG_IGN)
    os.kill(os.getpid(), signal.SIGSTOP)
    while True:
        signal.pause()
