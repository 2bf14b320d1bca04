"""EDIT: a stand-in. It counts the bytes of the editable files; measure what matters to you instead.

Runs in the jail, in a throw-away copy of seed/ with the candidate's editable files in it (the current folder). Writes one JSON
document to the descriptor named in KF_SCORE_FD: {"score": number, "measures": {name: number}} or {"rejected": code,
"reason": text}, with a code out of wrong_answer malformed over_limit timeout crashed."""

import json
import os
import sys

FILES = CHOSEN_FILES


def evaluate():
    texts = {path: open(path, encoding="utf-8").read() for path in FILES}
    if not all(texts.values()):
        return {"rejected": "malformed", "reason": "an editable file is empty"}
    for path, text in texts.items():
        if path.endswith(".py"):
            compile(text, path, "exec")
    # EDIT: run the program here (subprocess.run), check what it answers, and count what should become better.
    return {"score": sum(len(text.encode()) for text in texts.values())}


try:
    answer = evaluate()
except Exception as error:
    print(error, file=sys.stderr)  # the agent that wrote the program sees the last words
    answer = {"rejected": "crashed", "reason": f"{type(error).__name__} in the program"}
with os.fdopen(int(os.environ["KF_SCORE_FD"]), "w") as out:
    json.dump(answer, out)
