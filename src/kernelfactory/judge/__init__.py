"""The judge: files in, verdict out. Runs candidates only in the jail, measures only data, believes no candidate."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kernelfactory import files as folders
from kernelfactory.jail import Jail, JailFailed
from kernelfactory.judge.answer import Standing, agent_answer, verdict_json
from kernelfactory.judge.pool import JudgeFailed
from kernelfactory.judge.produce import Refusal, artefact, graft
from kernelfactory.judge.ruling import DECIDING, Asked, Ruling
from kernelfactory.judge.tripwires import clean, flags
from kernelfactory.model import BadInput, Duel, Files, Flag, Measured, Problem, Produce, Ruler, Trust, Verdict

__all__ = ["Judge", "JudgeFailed", "Standing", "agent_answer", "verdict_json"]

_CORE = Path(__file__).parent.parent / "core"


class Judge:
    """Judges candidates of one problem. Thread-safe: each judging has a ruler process of its own.

    `jail` runs candidates and rulers; `scratch` is a folder for what a judging needs meanwhile. `trust` is what its
    verdicts are worth: the jail's, or less. Raises JudgeFailed when the problem's ruler does not load."""

    def __init__(self, problem: Problem, jail: Jail, *, scratch: Path) -> None:
        self.problem = problem
        self.jail_name = jail.name
        self.trust: Trust = "self-reported" if problem.kind == "command" else jail.trust
        self.scratch = scratch
        self._jail = jail
        self._ruling = Ruling(problem, jail, scratch)
        judge = folders.read_tree(os.path.join(problem.folder, "judge"), ["**"])
        self._judge_names = tuple(judge)
        self.ruler = _identity(problem, self._ruling.hello(), folders.digest(judge))

    def screen(self, files: Files, bar: float | None = None) -> Verdict:
        """One verdict on a candidate's editable files: produced afresh, measured on fresh inputs, one first where that
        is cheaper. A timed measurement that is clearly worse than `bar`, a score, ends early.

        Raises JudgeFailed (the ruler's fault, no verdict)."""
        screen = self.problem.measure.screen
        cascade = (1, screen) if self.problem.kind == "artefact" or self._plain else (screen,)
        return self._judge(files, Asked(self.problem.measure.ruler, cascade, bar=bar))

    def confirm(self, files: Files, times: int = 1) -> Verdict:
        """A separate judging on `times` x `confirm` fresh inputs and on the edge cases; an accepted verdict says
        `confirmed`.

        Raises JudgeFailed (the ruler's fault, no verdict)."""
        measure = self.problem.measure
        return self._judge(files, Asked(measure.ruler, (measure.confirm * times,), confirm=True))

    def duel(self, files: Files, against: Files) -> Duel:
        """Time one program against another on fresh pairs, for timed problems.

        Raises JudgeFailed when either of them does not answer as it should: no comparison was reached."""
        if not self.problem.measure.timed:
            raise BadInput(f"{self.problem.name} is not timed: nothing to compare but the scores")
        asked = Asked(self.problem.measure.ruler, (self.problem.measure.confirm,))
        found = self._found(graft(self.problem, files), asked, graft(self.problem, against))
        if isinstance(found, Refusal):
            raise JudgeFailed(f"two programs of {self.problem.name} could not be compared: {found.reason}")
        low, high = found.interval or (found.score, found.score)
        return Duel(found.score, low, high, asked.inputs[0])

    def quick(self, files: Files) -> dict[str, Any]:
        """A smaller, faster try: {"quick": true, "ok", "figure" (a number or None), "reason"}. Never a verdict."""
        answer: dict[str, Any] = {"quick": True, "ok": False, "figure": None, "reason": None}
        if self.problem.measure.quick is None:
            return {**answer, "reason": "this problem has no quick try; measure in full"}
        found = self._found(graft(self.problem, files), Asked(self.problem.measure.quick, (1,), quick=True))
        if isinstance(found, Refusal):
            return {**answer, "reason": found.reason, **({"stderr": found.said} if found.said else {})}
        return {**answer, "ok": True, "figure": found.score}

    def weigh(self, made: bytes) -> float | None:
        """The score of raw artefact bytes on one input; None when the ruler refuses them. For checking a problem."""
        found = self._ruling.weighed(made)
        return None if isinstance(found, Refusal) else found.score

    def probe(self, produce: Produce) -> Refusal | None:
        """Run another [produce] on the seed: why nothing came of it, or None. For checking a problem."""
        tried = replace(self.problem, produce=produce)
        made = artefact(tried, tried.seed, self._jail, self.scratch)
        return made if isinstance(made, Refusal) else None

    def close(self) -> None:
        """End the ruler processes."""
        self._ruling.close()

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _plain(self) -> bool:
        """Is it a function problem whose scores do not hang on how much is measured at once?"""
        return self.problem.kind == "function" and not (self.problem.measure.timed or self.problem.measure.evaluator)

    def _found(self, tree: Files, asked: Asked, against: Files | None = None) -> Measured | Refusal:
        """Raises JudgeFailed also when the jail does not start: no candidate is to blame for that."""
        try:
            return self._ruling.found(tree, asked, against)
        except JailFailed as failed:
            raise JudgeFailed(str(failed)) from None

    def _judge(self, files: Files, asked: Asked) -> Verdict:
        started = time.monotonic()
        tree = graft(self.problem, files)
        blank = self._blank(tree)
        found = self._found(tree, asked)
        seconds = time.monotonic() - started
        if isinstance(found, Refusal):
            said = {"stderr": found.said} if found.said else {}
            refused = replace(blank, reason=found.reason, reason_code=found.code, instruments=said)
            return replace(refused, seconds=seconds)
        return self._ruled(replace(blank, seconds=seconds, inputs=max(asked.inputs)), found, asked.confirm)

    def _blank(self, tree: Files) -> Verdict:
        """A rejection without reason: what every verdict on this tree says."""
        edited = {name: data for name, data in tree.items() if data != self.problem.seed.get(name)}
        return Verdict(
            verdict="rejected",
            score=None,
            problem=self.problem.name,
            digest=self.problem.digest,
            tree=folders.tree_id(tree),
            jail=self.jail_name,
            trust=self.trust,
            ruler=self.ruler,
            flags=flags(edited, self.problem.seed, self._judge_names),
        )

    def _ruled(self, blank: Verdict, found: Measured, confirm: bool) -> Verdict:
        metric = self.problem.metric
        measured = replace(
            blank,
            verdict="accepted",
            score=found.score,
            measures=found.measures,
            instruments=found.instruments,
            flags=(*blank.flags, *(Flag(*flag) for flag in found.flags)),
            confirmed=confirm,
            interval=found.interval,
        )
        if not metric.beyond_possible(found.score):
            return measured
        reason = f"{found.score:g} {metric.unit} is beyond what this problem holds possible; a person must look at it"
        return replace(measured, verdict="quarantined", reason=reason, confirmed=False)


def _identity(problem: Problem, hello: Mapping[str, Any], judge: str) -> Ruler:
    """The ruler's name: what its process said when it started, and the digest of all that decides (the judge/ folder,
    the ruler's own IDENTITY and backend, the package's core sources, and what carries calls where there are any)."""
    core = folders.digest(folders.read_tree(_CORE, ["*.c", "*.h", "*.py"])) if _CORE.is_dir() else ""
    backend = clean(str(hello.get("backend", "python")))[:40]
    parts = [judge, str(hello.get("identity", "")), backend, core]
    if problem.kind != "artefact":
        parts.append(folders.digest({path.name: path.read_bytes() for path in DECIDING}))
    said = hashlib.sha256("\0".join(parts).encode())
    return Ruler(backend, f"sha256:{said.hexdigest()}")
