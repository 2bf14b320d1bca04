"""The process inside the cage: reads the assignment, searches, measures through the attempt's socket, writes notes.
Everything it reads there may be hostile; nothing that it reads is run."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from kernelfactory import files
from kernelfactory.agents.mutator import notes
from kernelfactory.agents.mutator.search import NoMore, Report, Search, Sources, Task, Trial
from kernelfactory.agents.mutator.syntax import MAX_SOURCE, Code, grammar_for
from kernelfactory.model import KernelFactoryError
from kernelfactory.wire import ask

NOTES = "progress.md"


class CageError(Exception):
    """The workspace isn't what a workspace must be; the message says what is missing."""


@dataclass(frozen=True)
class Socket:
    """The attempt's own socket."""

    token: str
    seconds: float
    path: str = ".kf/desk.sock"

    def ask(self, verb: str, quick: bool) -> dict[str, Any]:
        """Raises NoMore when the desk refuses, or isn't there any longer."""
        try:
            return ask(Path(self.path), {"verb": verb, "token": self.token, "quick": quick}, self.seconds)
        except KernelFactoryError as error:
            raise NoMore(f"no more measurements were given: {notes.plain(str(error))}") from error


def trial_of(answer: Mapping[str, Any], quick: bool) -> Trial:
    """A Trial from what the desk answered."""
    reason = str(answer.get("reason") or answer.get("reason_code") or "not accepted")
    fine = answer.get("ok") is True if quick else answer.get("verdict") == "accepted"
    figure = answer.get("figure") if quick else answer.get("score")
    number = _number(figure)
    return Trial(number) if fine and number is not None else Trial(None, notes.plain(reason))


def _number(value: Any) -> float | None:
    """A finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def read_sources(folder: Path, globs: Sequence[str]) -> dict[str, Code]:
    """The files under `folder` that may be edited and are in a language known here, by path. Raises BadIntake when one
    of them is no regular file."""
    found = files.read_tree(folder, globs)
    known = ((path, data, grammar_for(path)) for path, data in sorted(found.items()) if len(data) <= MAX_SOURCE)
    return {path: Code(data, grammar) for path, data, grammar in known if grammar is not None}


def read_donors(folder: Path, globs: Sequence[str]) -> dict[str, list[Code]]:
    """Other candidates' files, by path, at most eight candidates."""
    donors: dict[str, list[Code]] = {}
    candidates = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    for candidate in candidates[:8]:
        for path, code in read_sources(candidate, globs).items():
            donors.setdefault(path, []).append(code)
    return donors


@dataclass
class Attempt:
    """One attempt in the current folder. `parent`: the attempt whose result the files are, where that is known."""

    folder: Path
    assignment: Mapping[str, Any]
    desk: Socket
    parent_score: float
    seconds: float
    parent: int | None = None

    @classmethod
    def here(cls, parent: int | None = None) -> Attempt:
        """Raises CageError when this folder is no workspace."""
        try:
            assignment = json.loads(Path(".kf/assignment.json").read_text("utf-8"))
            token = Path(".kf/token").read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            raise CageError(f"this folder is no workspace: {error}") from error
        if not isinstance(assignment, dict):
            raise CageError("this folder is no workspace: .kf/assignment.json isn't an object")
        score, seconds = _number(assignment.get("parent_score")), _number(assignment.get("seconds"))
        if score is None or seconds is None or not isinstance(assignment.get("editable"), list):
            raise CageError("this folder is no workspace: .kf/assignment.json lacks parent_score, seconds or editable")
        return cls(Path(), assignment, Socket(token, seconds=max(1.0, seconds)), score, seconds, parent)

    def task(self, slice_seconds: float) -> Task:
        globs = [str(glob) for glob in self.assignment["editable"]]
        sources = read_sources(self.folder, globs)
        if not sources:
            raise CageError("none of the editable files is Python or C: this agent can't work on them")
        brief = self.folder / "BRIEF.md"
        earlier = notes.read(brief.read_text("utf-8", "replace")) if brief.is_file() else {}
        return Task(
            sources=sources,
            parent_score=self.parent_score,
            smaller_is_better=self.assignment.get("goal") != "max",
            seconds=min(slice_seconds, 0.8 * self.seconds),
            donors=read_donors(self.folder / ".kf" / "inspirations", globs),
            earlier=earlier,
        )

    def measure(self, sources: Sources, quick: bool) -> Trial:
        self.put(sources)
        return trial_of(self.desk.ask("measure", quick), quick)

    def put(self, sources: Sources) -> None:
        for path, code in sources.items():
            target = self.folder / path
            if target.is_symlink() or target.read_bytes() != code.source:
                part = target.with_name(target.name + ".part")
                part.write_bytes(code.source)
                part.replace(target)

    def note(self, report: Report) -> None:
        metric = notes.plain(str(self.assignment.get("metric", "")))
        (self.folder / NOTES).write_text(notes.write(report, self.parent_score, metric, self.parent), "utf-8")

    def work(self, slice_seconds: float, rng: Random) -> Report:
        """Leaves the best measured program and the notes in the folder."""
        search = Search(self.task(slice_seconds), self.measure, rng, time.monotonic, self.note)
        sources, report = search.run()
        self.put(sources)
        return report
