"""Answers for policy.py on the standard streams: a line of pages comes in, of which the last one has no room; the page
that goes is the answer. What a policy prints is no answer."""

import importlib
import sys

answers, sys.stdout = sys.stdout, sys.stderr
policy = importlib.import_module("policy").Policy(int(sys.argv[1]))
for line in sys.stdin:
    *pages, missing = map(int, line.split())
    for page in pages:
        policy.asked(page)
    answers.write(f"{policy.drop(missing)}\n")
    answers.flush()
    policy.asked(missing)
