"""Imports the program into its own process, as many evaluators do: what it says is worth what the program says."""

import json
import os
import sys

sys.path.insert(0, os.getcwd())
import program

with os.fdopen(int(os.environ["KF_SCORE_FD"]), "w") as out:
    json.dump({"score": program.total()}, out)
