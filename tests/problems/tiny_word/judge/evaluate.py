"""Counts the letters of word.txt."""

import json
import os

word = open("word.txt", encoding="utf-8").read()
open("scratch.txt", "w").write(word)  # an evaluator may write in its folder
with os.fdopen(int(os.environ["KF_SCORE_FD"]), "w") as out:
    if not word.isalpha():
        json.dump({"rejected": "malformed", "reason": "letters only"}, out)
    else:
        json.dump({"score": len(word), "measures": {"vowels": sum(letter in "aeiou" for letter in word)}}, out)
