# TECHNIQUE: memory bomb (I4)
# ATTEMPTS: takes all memory, in several processes at once.
# JUDGE MUST ANSWER: REJECT
import os

os.fork()
_held = []
while True:
    _held.append(bytearray(64 << 20))
