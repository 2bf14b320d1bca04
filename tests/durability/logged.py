"""An agent that keeps its own log, outside the experiment, of every measurement that was answered. `logged@LOG`."""

from __future__ import annotations

import json
import os
from pathlib import Path

from kernelfactory.agents import Workplace
from kernelfactory.model import Limits, Usage

TRIES = 3


class Logged:
    name = "logged"
    costs_money = False
    counts_tokens = True
    network = False
    in_process = True
    needs = ()

    def __init__(self, model: str | None) -> None:
        self.model = model

    def work(self, workplace: Workplace, brief: str, limits: Limits) -> Usage:
        attempt = workplace.assignment.attempt
        for number in range(TRIES):
            Path(workplace.folder, "number.txt").write_text(f"{900 - 10 * attempt % 700 + number}")
            answer = workplace.measure()
            facts = [answer[key] for key in ("attempt", "measurement", "score", "tree")]
            log = os.open(str(self.model), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(log, json.dumps(facts).encode() + b"\n")
            os.fsync(log)
            os.close(log)
        Path(workplace.folder, "progress.md").write_text(f"attempt {attempt}: tested {TRIES} numbers")
        return Usage(seconds=0.0)
