"""A deterministic agent for tests and benchmarks: plays steps from a file or a function. Starts no process."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kernelfactory.agents import EMBEDDED, Readiness, Workplace
from kernelfactory.agents.config import NOTHING, Entry
from kernelfactory.model import AgentFailed, BadInput, Limits, Usage

Play = Callable[[Workplace], None]
VERBS = ("write", "measure", "sleep", "note", "fail")


class Scripted:
    """`scripted@STEPS.json`: a list of steps, each an object with one key.

    `{"write": {"file": "text"}}`, `{"measure": true}` (or `"quick"`), `{"sleep": seconds}`, `{"note": "text"}`,
    `{"fail": "why"}`. In texts `{attempt}`, `{parent}`, `{parent_score}` and `{island}` stand for the attempt's own.
    From Python: `Scripted(play)`."""

    costs_money = False
    counts_tokens = True
    in_process = True
    resumes = False
    streams = True
    needs = ()
    shares = ()
    routes = ()
    hosts = ()
    secrets: Mapping[str, str] = MappingProxyType({})

    def __init__(self, model: str | Play | None, entry: Entry = NOTHING) -> None:
        entry.only("scripted", ("model",))
        self.name, self.entry = entry.name or "scripted", entry
        if callable(model):
            self.model: str | None = getattr(model, "__name__", "function")
            self._play: Play = model
        else:
            self.model = model
            self._play = _player(_read(model))

    def state(self) -> Readiness:
        return EMBEDDED

    def work(self, workplace: Workplace, brief: str, limits: Limits) -> Usage:
        started = time.monotonic()
        try:
            self._play(workplace)
        except AgentFailed as failure:
            failure.usage = replace(failure.usage, seconds=time.monotonic() - started)
            raise
        return Usage(seconds=time.monotonic() - started)


def _read(model: str | None) -> list[Mapping[str, Any]]:
    if not model:
        raise BadInput("agent scripted: say which steps, e.g. --agent scripted@steps.json")
    try:
        steps = json.loads(Path(model).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"agent scripted: {model}: cannot be read as JSON ({error})") from error
    if not isinstance(steps, list) or not all(isinstance(s, dict) and len(s) == 1 and {*s} <= {*VERBS} for s in steps):
        raise BadInput(f"agent scripted: {model}: a list of objects with one key of {', '.join(VERBS)} is needed")
    return steps


def _player(steps: Sequence[Mapping[str, Any]]) -> Play:
    def play(workplace: Workplace) -> None:
        for step in steps:
            ((verb, value),) = step.items()
            _step(workplace, verb, value)

    return play


def _step(workplace: Workplace, verb: str, value: Any) -> None:
    folder = Path(workplace.folder)
    if verb == "write":
        for name, text in value.items():
            (folder / name).write_text(_fill(workplace, text), "utf-8")
    elif verb == "note":
        (folder / "progress.md").write_text(_fill(workplace, value), "utf-8")
    elif verb == "measure":
        workplace.measure(quick=value == "quick")
    elif verb == "sleep":
        time.sleep(float(value))
    else:
        raise AgentFailed(_fill(workplace, value))


def _fill(workplace: Workplace, text: str) -> str:
    mine = workplace.assignment
    facts = {"attempt": mine.attempt, "parent": mine.parent, "parent_score": mine.parent_score, "island": mine.island}
    for name, fact in facts.items():
        text = text.replace("{" + name + "}", str(fact))
    return text
