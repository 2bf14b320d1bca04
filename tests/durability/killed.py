"""Runs the experiment in argv[1] up to argv[4] attempts, and ends its own process, as `kill -9` would, the argv[6]-th
time that the window argv[5] is passed ("never": goes on to the end). argv[2]: scratch folder; argv[3]: SPEC. One more
word, "uncaged": without any jail."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from kernelfactory import jail, workers
from kernelfactory.budget import Caps
from kernelfactory.workers import Plan

folder, scratch, spec, attempts, wanted, times, *uncaged = sys.argv[1:]
passed: list[str] = []
lock = threading.Lock()


def window(name: str) -> None:
    with lock:
        passed.append(name)
        if name == wanted and passed.count(name) == int(times):
            os.kill(os.getpid(), signal.SIGKILL)


plan = Plan((spec,), Caps(attempts=int(attempts)), unprotected=True, scratch=Path(scratch))
here = jail.Unprotected() if uncaged else None
ending = workers.run(
    Path(folder), plan, on_message=lambda text: print(text, flush=True), world=workers.World(window=window, jail=here)
)
print(ending.state, flush=True)
sys.exit(ending.exit_code)
