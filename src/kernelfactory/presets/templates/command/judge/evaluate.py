"""Evaluates the candidate in the current folder and writes one JSON document to the descriptor named in KF_SCORE_FD:
{"score": number, "measures": {name: number}} or {"rejected": code, "reason": text}.

The candidate runs in this very process: it could write another score. Replace this by your own evaluator, and where scores
must be true, by a ruler (kind "function" or "artefact")."""

import json
import os
import random
import sys

WORDS = "zero one two three four five six seven eight nine".split()
TEXT = " ".join(random.SystemRandom().choices(WORDS, k=2000)).encode()
NOT_HERE = ("zlib", "bz2", "lzma", "gzip", "zipfile", "_bz2", "_lzma")


def evaluate():
    sys.path.insert(0, os.getcwd())
    sys.modules.update(dict.fromkeys(NOT_HERE))
    import shrink

    small = bytes(shrink.shrink(TEXT))
    if bytes(shrink.restore(small)) != TEXT:
        return {"rejected": "wrong_answer", "reason": "restore(shrink(data)) is not data"}
    return {"score": 1000 * len(small) / len(TEXT), "measures": {"left": len(small)}}


try:
    answer = evaluate()
except Exception as error:
    answer = {"rejected": "crashed", "reason": f"{type(error).__name__} in the program"}
with os.fdopen(int(os.environ["KF_SCORE_FD"]), "w") as out:
    json.dump(answer, out)
