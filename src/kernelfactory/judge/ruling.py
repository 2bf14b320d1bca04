"""From a grafted tree to a measurement, for each kind of problem: data measured, calls answered, an evaluator's word.
Writes no verdict."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast, get_args

from kernelfactory.jail import Jail
from kernelfactory.judge.evaluating import evaluated
from kernelfactory.judge.pool import JudgeFailed, Pool, Relay, failure, start_host
from kernelfactory.judge.produce import Refusal, artefact, imitates_verdict
from kernelfactory.judge.tripwires import clean
from kernelfactory.judge.worker import MOVES, Broken, Program, Workers, ready, timing_slot
from kernelfactory.model import Answering, Files, Measured, Problem, ReasonCode
from kernelfactory.problem.table import finite
from kernelfactory.process import Ended, Silent

WAITS = "the program waits while its processor time is taken; only what it computes itself counts"
_CODES = get_args(ReasonCode)
_HERE = Path(__file__).parent
DECIDING = (
    _HERE / "calls.py",
    _HERE / "evaluating.py",
    _HERE / "existing.py",
    _HERE / "inside" / "kfworker.py",
    _HERE / "stand_in.py",
    _HERE / "worker.py",
    _HERE.parent / "timing.py",
)
"""Besides the ruler, what decides the score of a program that answers calls or is evaluated."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be measured: by which function of the ruler, on how many inputs (in this order), against which bar."""

    ruler: str
    inputs: tuple[int, ...]
    confirm: bool = False
    quick: bool = False
    bar: float | None = None

    @property
    def function(self) -> str:
        return self.ruler.partition(":")[2]


class Endless(Refusal):
    """The ruler came to no end in its time: through the program's fault, or its own."""


class Ruling:
    """The rulers of one problem, waiting for work. Thread-safe."""

    def __init__(self, problem: Problem, jail: Jail, scratch: Path) -> None:
        self.problem = problem
        self._jail = jail
        self._scratch = scratch
        self._keep = 0 if problem.measure.evaluator else os.cpu_count() or 1  # evaluators expect a process of their own
        self._pool = Pool(lambda: start_host(problem, jail), keep=self._keep)
        self._confirming = self._pool
        if problem.measure.separate:
            self._confirming = Pool(lambda: start_host(problem, jail, confirming=True), keep=self._keep)

    def hello(self) -> Mapping[str, Any]:
        """What the ruler says of itself when it starts; an evaluator says nothing."""
        return {"backend": "evaluator"} if self.problem.kind == "command" else self._pool.hello()

    def close(self) -> None:
        self._pool.close()
        self._confirming.close()

    def found(self, tree: Files, asked: Asked, against: Files | None = None) -> Measured | Refusal:
        """Measure a tree. `against`: the baseline's tree (None: the seed). Raises JudgeFailed: the problem's fault."""
        if self.problem.kind == "command":
            return self._evaluated(tree, asked)
        try:
            found = self._ruled(tree, asked, against)
        except JudgeFailed:
            if not self.problem.measure.evaluator:
                raise
            self._seed_stands  # noqa: B018  (raises)
            return Refusal("malformed", "the evaluator failed on what the program answered")
        if isinstance(found, Endless):
            self._seed_stands  # noqa: B018  (raises)
        return found

    def weighed(self, made: bytes) -> Measured | Refusal:
        """Measure an artefact that is given."""
        return self._asked(made, Asked(self.problem.measure.ruler, (1,)), None)

    # ── data, and calls ──────────────────────────────────────────────────────────────────────────

    def _ruled(self, tree: Files, asked: Asked, against: Files | None) -> Measured | Refusal:
        extra = self.problem.produce.quick if asked.quick and self.problem.produce else ()
        made = artefact(self.problem, tree, self._jail, self._scratch, extra)
        if isinstance(made, Refusal) or self.problem.kind == "artefact":
            return made if isinstance(made, Refusal) else self._asked(made, asked, None)
        baseline = against if against is not None else self.problem.seed
        base = artefact(self.problem, baseline, self._jail, self._scratch, extra) if self._compares else b""
        if isinstance(base, Refusal):
            raise JudgeFailed(f"the baseline of {self.problem.name} cannot be built: {base.reason}", base.said)
        programs = {"candidate": Program(tree, made)}
        if self._compares:
            programs["baseline"] = Program(baseline, base)
        return self._called(programs, asked)

    @property
    def _compares(self) -> bool:
        """Is there a baseline to call? Evaluators know of none."""
        return not self.problem.measure.evaluator

    def _called(self, programs: Mapping[str, Program], asked: Asked) -> Measured | Refusal:
        answering, timed = cast(Answering, self.problem.answering), self.problem.measure.timed
        slot: AbstractContextManager[None] = timing_slot() if timed else nullcontext()
        with slot, ready(programs, answering, self._jail, self._scratch, still=timed) as workers:
            if isinstance(workers, Refusal):
                return workers
            try:
                found = self._asked(b"", asked, workers.relay)
            except Broken as broken:
                why = f"the baseline of {self.problem.name} does not answer: {broken.refusal.reason}"
                raise JudgeFailed(why, broken.refusal.said) from None
            return self._as_answered(found, workers)

    def _as_answered(self, found: Measured | Refusal, workers: Workers) -> Measured | Refusal:
        """A program that did not answer has no score, whatever its evaluator made of that; why, in its own last words
        where those were said before it saw any input."""
        measure = self.problem.measure
        if workers.restless("candidate"):
            return Refusal("over_limit", MOVES)
        if workers.restless("baseline"):
            raise JudgeFailed(f"the baseline of {self.problem.name} runs on while it is stopped")
        if workers.failed is None and isinstance(found, Measured) and measure.timed and measure.clock == "cpu":
            return Refusal("over_limit", WAITS) if workers.waits() else found
        if workers.failed is None:
            return found
        if isinstance(found, Refusal):
            return replace(found, said=workers.failed.said)
        return workers.failed if measure.evaluator else found

    def _asked(self, made: bytes, asked: Asked, relay: Relay | None) -> Measured | Refusal:
        """Have the ruler measure a program that is fixed, on inputs that do not exist yet."""
        pool = self._confirming if asked.confirm else self._pool
        seconds, name = self.problem.measure.seconds, self.problem.name
        try:
            answer = pool.ask(self._request(asked), made, seconds, relay)
        except Silent:
            return Endless("timeout", f"measuring took longer than {seconds:g} seconds")
        except Ended as ended:
            raise JudgeFailed(f"the ruler of {name} failed ({ended}); kf check says more") from None
        if "rejected" in answer:
            return _refusal(answer, made)
        if "fault" in answer:
            raise failure(f"the ruler of {name} failed", answer)
        return self._combined(answer)

    def _request(self, asked: Asked) -> dict[str, Any]:
        measure = self.problem.measure
        request: dict[str, Any] = {"function": asked.function, "inputs": list(asked.inputs), "kind": self.problem.kind}
        if self.problem.kind == "function":
            request |= {"clock": measure.clock, "bar": asked.bar}
        if asked.confirm and measure.edges:
            request["edges"] = measure.edges.partition(":")[2]
        if measure.evaluator:
            function = cast(Answering, self.problem.answering).function or "program"
            request |= {"evaluator": True, "score": measure.score, "goal": self.problem.metric.goal}
            request["module"] = function.partition(":")[0].rpartition(".")[2]
        return request

    def _combined(self, answer: Mapping[str, Any]) -> Measured:
        """The last measurement with the worst score of all (a timed one with its own: its first is the whole of it).
        Raises JudgeFailed unless every score is a number."""
        found = [_measured(each, self.problem) for each in answer.get("measured", ())]
        if not found:
            raise JudgeFailed(f"the ruler of {self.problem.name} gave no measurement")
        if self.problem.measure.timed:
            return found[0]
        return _worst(found, self.problem)

    # ── whose fault ──────────────────────────────────────────────────────────────────────────────

    @cached_property
    def _seed_stands(self) -> bool:
        """Can the seed be measured? Raises JudgeFailed when it cannot: then no candidate is to blame."""
        asked = Asked(self.problem.measure.ruler, (1,))
        if self.problem.kind == "command":
            found: Measured | Refusal = evaluated(self.problem, self.problem.seed, self._jail, self._scratch)
        else:
            found = self._ruled(self.problem.seed, asked, None)
        if isinstance(found, Refusal):
            what = "evaluator" if self.problem.kind == "command" else "ruler"
            raise JudgeFailed(f"the {what} of {self.problem.name} fails on the seed too: {found.reason}", found.said)
        return True

    # ── an evaluator's word ──────────────────────────────────────────────────────────────────────

    def _evaluated(self, tree: Files, asked: Asked) -> Measured | Refusal:
        """The worst of as many evaluations as asked for. One that fails is the candidate's fault only when the seed's
        does not."""
        found: list[Measured] = []
        for _ in range(asked.inputs[0]):
            one = evaluated(self.problem, tree, self._jail, self._scratch)
            if isinstance(one, Refusal):
                self._seed_stands  # noqa: B018  (raises)
                return one
            found.append(one)
        return _worst(found, self.problem)


def _worst(found: Sequence[Measured], problem: Problem) -> Measured:
    scores = [each.score for each in found]
    return replace(found[-1], score=max(scores) if problem.metric.goal == "min" else min(scores))


def _refusal(answer: Mapping[str, Any], made: bytes) -> Refusal:
    reason = " ".join(clean(str(answer.get("reason", ""))).split())[:200] or "not a valid program"
    code = answer["rejected"]
    if code == "malformed" and imitates_verdict(made):
        return Refusal("forged", "the artefact is written like a verdict, not like a program")
    return Refusal(cast(ReasonCode, code) if code in _CODES else "malformed", reason)


def _measured(plain: Mapping[str, Any], problem: Problem) -> Measured:
    """A ruler's answer, checked: every number finite, every text clean. Raises JudgeFailed."""
    ends = plain.get("interval")
    numbers = {"score": plain.get("score"), **plain.get("measures", {})}
    numbers |= {f"interval {n}": end for n, end in enumerate(ends or ())}
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or not finite(number):
            raise JudgeFailed(f"the ruler of {problem.name} gave {name!r} that is no finite number")
    if problem.measure.timed and (not ends or len(ends) != 2 or not ends[0] <= plain["score"] <= ends[1]):
        raise JudgeFailed(f"the ruler of {problem.name} gave no interval round its timed score")
    return Measured(
        plain["score"],
        plain["measures"],
        plain["instruments"],
        tuple((clean(rule), clean(where), clean(text)[:200]) for rule, where, text in plain["flags"]),
        (ends[0], ends[1]) if ends else None,
    )
