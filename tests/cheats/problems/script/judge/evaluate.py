"""Runs the program as a process of its own, with no score descriptor, and reads one number."""

import json
import os
import subprocess
import sys

done = subprocess.run(
    [sys.executable, "-I", "-S", "program.py"], capture_output=True, timeout=2, env={}, close_fds=True
)
said = done.stdout[:100].strip()
with os.fdopen(int(os.environ["KF_SCORE_FD"]), "w") as out:
    if done.returncode == 0 and said.isdigit() and len(said) <= 3 and int(said) <= 100:
        json.dump({"score": int(said)}, out)
    else:
        json.dump({"rejected": "malformed", "reason": "not a number from 0 to 100"}, out)
