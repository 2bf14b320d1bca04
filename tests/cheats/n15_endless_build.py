# TECHNIQUE: endless build without use of the processor (I3)
# ATTEMPTS: outlives a limit on processor time.
# JUDGE MUST ANSWER: REJECT timeout
import signal
import time

for _number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGXCPU):
    signal.signal(_number, signal.SIG_IGN)
while True:
    time.sleep(1)
