"""Replays three traces against the candidate's policy, which runs in a process of its own, and writes the misses as
JSON to the descriptor in $KF_SCORE_FD. The process answers one question at a time, so that an honest policy sees no
future. A dishonest one could: it runs beside this evaluator, as the same user, with these files in reach. That is why
scores of this kind are self-reported.
"""

import json
import os
import random
import subprocess
import sys

from traces import SEEDS, SLOTS, trace


class Wrong(Exception):
    pass


def misses(pages):
    """How many pages of a trace were not in the cache when they were asked for."""
    cached, told, missed = set(), [], 0
    argv = [sys.executable, "-s", "-S", "-B", "serve.py", str(SLOTS)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}, text=True) as policy:
        for page in pages:
            told.append(page)
            if page in cached:
                continue
            missed += 1
            if len(cached) == SLOTS:
                print(*told, file=policy.stdin, flush=True)
                cached.remove(victim(policy.stdout.readline(100), cached))
                told = []
            cached.add(page)
        policy.stdin.close()
    return missed


def victim(answer, cached):
    if not answer:
        raise Wrong("crashed", "the policy ended before the trace did")
    if not answer.strip().isdigit() or int(answer) not in cached:
        raise Wrong("wrong_answer", "the policy dropped a page that is not in the cache")
    return int(answer)


def evaluate():
    counted = [misses(trace(random.Random(seed))) for seed in SEEDS]
    return {"score": sum(counted), "measures": {f"trace {n}": count for n, count in enumerate(counted, 1)}}


try:
    answer = evaluate()
except Wrong as wrong:
    answer = {"rejected": wrong.args[0], "reason": wrong.args[1]}
except BrokenPipeError:
    answer = {"rejected": "crashed", "reason": "the policy ended before the trace did"}
with os.fdopen(int(os.environ["KF_SCORE_FD"]), "w") as out:
    json.dump(answer, out)
