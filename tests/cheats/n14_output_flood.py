# TECHNIQUE: output flood (I7)
# ATTEMPTS: fills the judge's memory or disk through stdout and stderr.
# JUDGE MUST ANSWER: REJECT
import sys

while True:
    sys.stdout.write("score: 1\n" * 10_000)
    sys.stderr.write("score: 1\n" * 10_000)
