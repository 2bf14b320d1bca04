"""An agent that keeps its own log, outside the experiment, of every measurement that was answered, and hands in one
more number that it did not measure, its best. `logged@LOG`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from kernelfactory.agents import EMBEDDED, Readiness, Workplace
from kernelfactory.agents.config import Entry
from kernelfactory.model import Limits, Usage

TRIES = 3


class Logged:
    costs_money = resumes = False
    counts_tokens = in_process = streams = True
    needs = shares = routes = hosts = ()
    secrets: Mapping[str, str] = MappingProxyType({})

    def __init__(self, model: str | None, entry: Entry) -> None:
        self.name, self.model, self.entry = "logged", model, entry

    def state(self) -> Readiness:
        return EMBEDDED

    def work(self, workplace: Workplace, brief: str, limits: Limits) -> Usage:
        first, file = 900 - 10 * workplace.assignment.attempt % 700, Path(workplace.folder, "number.txt")
        for number in range(TRIES):
            file.write_text(f"{first + number}")
            answer = workplace.measure()
            facts = [answer[key] for key in ("attempt", "measurement", "score", "tree")]
            log = os.open(str(self.model), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(log, json.dumps(facts).encode() + b"\n")
            os.fsync(log)
            os.close(log)
        file.write_text(f"{first - 1}")
        Path(workplace.folder, "progress.md").write_text(f"{TRIES} measured, handed in: {first - 1}")
        return Usage(seconds=0.0)
