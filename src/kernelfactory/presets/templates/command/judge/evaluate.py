"""Evaluates the candidate in the current folder and writes one JSON document to the descriptor named in KF_SCORE_FD:
{"score": number, "measures": {name: number}} or {"rejected": code, "reason": text}.

The candidate runs in processes of its own, which have neither the descriptor nor these variables; importing it here would let
it write any score. It still runs beside this process, as the same user in the same jail: scores stay self-reported. Replace this
by your own evaluator, and where scores must be true, by a ruler (kind "function" or "artefact")."""

import json
import os
import random
import subprocess
import sys

WORDS = "zero one two three four five six seven eight nine".split()
TEXT = " ".join(random.SystemRandom().choices(WORDS, k=2000)).encode()


def candidate(data):
    argv = [sys.executable, "-s", "-S", "-B", "shrink.py"]
    return subprocess.run(argv, input=data, stdout=subprocess.PIPE, env={}, timeout=20, check=True).stdout


def restored(small):
    """The words that start like the short forms; "" where that is no word, or more than one."""
    meant = [[word for word in WORDS if word.encode().startswith(short)] for short in small.split()]
    return " ".join(words[0] if len(words) == 1 else "" for words in meant).encode()


def evaluate():
    small = candidate(TEXT)
    if restored(small) != TEXT:
        return {"rejected": "wrong_answer", "reason": "the short forms do not tell which words were meant"}
    return {"score": 1000 * len(small) / len(TEXT), "measures": {"left": len(small)}}


try:
    answer = evaluate()
except subprocess.TimeoutExpired:
    answer = {"rejected": "timeout", "reason": "the program took longer than 20 s"}
except subprocess.CalledProcessError as error:
    answer = {"rejected": "crashed", "reason": f"the program ended with status {error.returncode}"}
with os.fdopen(int(os.environ["KF_SCORE_FD"]), "w") as out:
    json.dump(answer, out)
