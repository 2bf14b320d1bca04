"""The judge: files in, verdict out. Runs candidates only in the jail, measures only data, believes no candidate."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

from kernelfactory import files as folders
from kernelfactory.jail import Jail
from kernelfactory.judge.answer import Standing, agent_answer, verdict_json
from kernelfactory.judge.pool import JudgeFailed, Pool, failure, start_host
from kernelfactory.judge.produce import Refusal, artefact, graft, imitates_verdict
from kernelfactory.judge.tripwires import clean, flags
from kernelfactory.model import Files, Flag, Measured, Problem, Produce, ReasonCode, Ruler, Verdict
from kernelfactory.process import Ended, Silent

__all__ = ["Judge", "JudgeFailed", "Standing", "agent_answer", "verdict_json"]

_CODES = get_args(ReasonCode)
_CORE = Path(__file__).parent.parent / "core"


class Judge:
    """Judges candidates of one problem. Thread-safe: each judging has a ruler process of its own.

    `jail` runs candidates and rulers; `scratch` is a folder for what a judging needs meanwhile. Raises JudgeFailed
    when the problem's ruler does not load."""

    def __init__(self, problem: Problem, jail: Jail, *, scratch: Path) -> None:
        self.problem = problem
        self.jail_name = jail.name
        self.trust = jail.trust
        self._jail = jail
        self.scratch = scratch
        self._pool = Pool(lambda: start_host(problem, jail), keep=os.cpu_count() or 1)
        self.ruler = _identity(problem, self._pool.hello())

    def screen(self, files: Files) -> Verdict:
        """One verdict on a candidate's editable files: produced afresh; then one fresh input, then `screen` more.

        Raises JudgeFailed (the ruler's fault, no verdict)."""
        return self._judge(files, (1, self.problem.measure.screen), confirm=False)

    def confirm(self, files: Files) -> Verdict:
        """A separate judging on `confirm` fresh inputs; an accepted verdict says `confirmed`.

        Raises JudgeFailed (the ruler's fault, no verdict)."""
        return self._judge(files, (self.problem.measure.confirm,), confirm=True)

    def quick(self, files: Files) -> dict[str, Any]:
        """A smaller, faster try: {"quick": true, "ok", "figure" (a number or None), "reason"}. Never a verdict."""
        answer: dict[str, Any] = {"quick": True, "ok": False, "figure": None, "reason": None}
        measure, produce = self.problem.measure, self.problem.produce
        if measure.quick is None:
            return {**answer, "reason": "this problem has no quick try; measure in full"}
        tree = graft(self.problem, files)
        made = artefact(self.problem, tree, self._jail, self.scratch, produce.quick if produce else ())
        found = self._measure(made, measure.quick, (1,)) if isinstance(made, bytes) else made
        if isinstance(found, Refusal):
            return {**answer, "reason": found.reason, **({"stderr": found.said} if found.said else {})}
        return {**answer, "ok": True, "figure": found.score}

    def weigh(self, made: bytes) -> float | None:
        """The score of raw artefact bytes on one input; None when the ruler refuses them. For checking a problem."""
        found = self._measure(made, self.problem.measure.ruler, (1,))
        return None if isinstance(found, Refusal) else found.score

    def probe(self, produce: Produce) -> Refusal | None:
        """Run another [produce] on the seed: why nothing came of it, or None. For checking a problem."""
        tried = replace(self.problem, produce=produce)
        made = artefact(tried, tried.seed, self._jail, self.scratch)
        return made if isinstance(made, Refusal) else None

    def close(self) -> None:
        """End the ruler processes."""
        self._pool.close()

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _judge(self, files: Files, inputs: Sequence[int], *, confirm: bool) -> Verdict:
        started = time.monotonic()
        tree = graft(self.problem, files)
        blank = self._blank(tree)
        made = artefact(self.problem, tree, self._jail, self.scratch)
        found = self._measure(made, self.problem.measure.ruler, inputs) if isinstance(made, bytes) else made
        seconds = time.monotonic() - started
        if isinstance(found, Refusal):
            said = {"stderr": found.said} if found.said else {}
            refused = replace(blank, reason=found.reason, reason_code=found.code, instruments=said)
            return replace(refused, seconds=seconds)
        return self._ruling(replace(blank, seconds=seconds, inputs=max(inputs)), found, confirm)

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
            flags=flags(edited),
        )

    def _ruling(self, blank: Verdict, found: Measured, confirm: bool) -> Verdict:
        metric = self.problem.metric
        measured = replace(
            blank,
            verdict="accepted",
            score=found.score,
            measures=found.measures,
            instruments=found.instruments,
            flags=(*blank.flags, *(Flag(*flag) for flag in found.flags)),
            confirmed=confirm,
        )
        if not metric.beyond_possible(found.score):
            return measured
        reason = f"{found.score:g} {metric.unit} is beyond what this problem holds possible; a person must look at it"
        return replace(measured, verdict="quarantined", reason=reason, confirmed=False)

    def _measure(self, made: bytes, ruler: str, inputs: Sequence[int]) -> Measured | Refusal:
        """Have the ruler measure an artefact that is fixed, on inputs that do not exist yet."""
        seconds, name = self.problem.measure.seconds, self.problem.name
        try:
            answer = self._pool.ask(ruler.partition(":")[2], inputs, made, seconds)
        except Silent:
            return Refusal("timeout", f"measuring the artefact took longer than {seconds:g} seconds")
        except Ended as ended:
            raise JudgeFailed(f"the ruler of {name} failed ({ended}); kf check says more") from None
        if "rejected" in answer:
            return _refusal(answer, made)
        if "fault" in answer:
            raise failure(f"the ruler of {name} failed", answer)
        return self._worst(answer)

    def _worst(self, answer: Mapping[str, Any]) -> Measured:
        """The last measurement with the worst score of all. Raises JudgeFailed unless every score is a number."""
        found = [_measured(each, self.problem.name) for each in answer.get("measured", ())]
        if not found:
            raise JudgeFailed(f"the ruler of {self.problem.name} gave no measurement")
        scores = [each.score for each in found]
        return replace(found[-1], score=max(scores) if self.problem.metric.goal == "min" else min(scores))


def _identity(problem: Problem, hello: Mapping[str, Any]) -> Ruler:
    """The ruler's name: what its process said when it started, and the digest of all that decides (the judge/ folder,
    the ruler's own IDENTITY and backend, and the package's core sources)."""
    judge = folders.digest(folders.read_tree(os.path.join(problem.folder, "judge"), ["**"]))
    core = folders.digest(folders.read_tree(_CORE, ["*.c", "*.h", "*.py"])) if _CORE.is_dir() else ""
    backend = clean(str(hello.get("backend", "python")))[:40]
    said = hashlib.sha256("\0".join((judge, str(hello.get("identity", "")), backend, core)).encode())
    return Ruler(backend, f"sha256:{said.hexdigest()}")


def _refusal(answer: Mapping[str, Any], made: bytes) -> Refusal:
    reason = " ".join(clean(str(answer.get("reason", ""))).split())[:200] or "not a valid program"
    code = answer["rejected"]
    if code == "malformed" and imitates_verdict(made):
        return Refusal("forged", "the artefact is written like a verdict, not like a program")
    return Refusal(cast(ReasonCode, code) if code in _CODES else "malformed", reason)


def _measured(plain: Mapping[str, Any], problem: str) -> Measured:
    """A ruler's answer, checked: every number finite, every text clean. Raises JudgeFailed."""
    numbers = {"score": plain.get("score"), **plain.get("measures", {})}
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or not _finite(number):
            raise JudgeFailed(f"the ruler of {problem} gave {name!r} that is no finite number")
    return Measured(
        plain["score"],
        plain["measures"],
        plain["instruments"],
        tuple((clean(rule), clean(where), clean(text)[:200]) for rule, where, text in plain["flags"]),
    )


def _finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:
        return False
