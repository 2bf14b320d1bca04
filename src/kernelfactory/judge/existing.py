"""An existing evaluator's answer about a stand-in, as a score: called as it is written, its dictionary read. Refuses to
take a failure for a score where less is better."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any, cast

from kernelfactory.judge.calls import Unsendable
from kernelfactory.judge.stand_in import Door
from kernelfactory.model import KernelFactoryError, ReasonCode, Rejected


class NoScore(KernelFactoryError):
    """The evaluator's answer holds no score where the problem says that it is."""


def evaluated(evaluate: Callable[..., Any], door: Door, key: str, goal: str) -> tuple[float, dict[str, float]]:
    """(score, other numbers) that an evaluator gives the program behind a door. Raises Rejected where the program is to
    blame, Unsendable, NoScore and what the evaluator raises where it is the evaluator."""
    metrics, failure = None, None
    try:
        metrics = _metrics(evaluate, door.path)
    except Exception as error:
        failure = error
    finally:
        door.close()
    _blame(door.told, metrics, goal, failed=failure is not None)
    if failure is not None:
        raise failure
    return _numbers(metrics, key)


def _blame(told: dict[str, str], metrics: Any, goal: str, *, failed: bool) -> None:
    """Evaluators turn what goes wrong into a score of 0, as a rule: that is for them to say where more is better, and
    the best score of all where less is."""
    if "fault" in told:
        raise Unsendable(told["fault"])
    if "opaque" in told:
        raise Rejected("malformed", told["opaque"])
    named = metrics.get("error") if isinstance(metrics, dict) else None
    refused = bool(named) and not _is_number(named)
    if "code" in told and (failed or refused or goal == "min"):
        raise Rejected(cast(ReasonCode, told["code"]), told["reason"])
    if refused and goal == "min":
        raise Rejected("wrong_answer", "the evaluator found an error in what the program answered")


def _metrics(evaluate: Callable[..., Any], path: str) -> Any:
    """What an evaluator answers: a dictionary or a number, itself or as `.metrics`; or what it leaves in the results
    folder, where it takes one (metrics.json, and in correct.json whether the program is right)."""
    needed = [p for p in signature(evaluate).parameters.values() if p.default is p.empty and p.kind in _BY_PLACE]
    if len(needed) < 2:
        answer = evaluate(path)
        return getattr(answer, "metrics", answer)
    folder = tempfile.mkdtemp()
    evaluate(path, folder)
    correct = _left(folder, "correct.json")
    if isinstance(correct, dict) and correct.get("correct") is False:
        raise Rejected("wrong_answer", "the evaluator says that the program is not correct")
    return _left(folder, "metrics.json")


_BY_PLACE = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def _left(folder: str, name: str) -> Any:
    try:
        with open(os.path.join(folder, name), "rb") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def _numbers(metrics: Any, key: str) -> tuple[float, dict[str, float]]:
    if _is_number(metrics):
        return _plain(metrics), {}
    if not isinstance(metrics, dict) or key not in metrics:
        names = ", ".join(sorted(map(str, metrics)))[:200] if isinstance(metrics, dict) else type(metrics).__name__
        raise NoScore(f"the evaluator's answer has no {key!r} (it has: {names}); set measure.score")
    public = metrics.get("public")
    metrics = {**public, **metrics} if isinstance(public, dict) else metrics
    numbers = {str(name): _plain(value) for name, value in metrics.items() if _is_number(value)}
    if key not in numbers:
        raise NoScore(f"the evaluator's {key!r} is no number")
    return numbers.pop(key), numbers


def _is_number(value: Any) -> bool:
    return (
        hasattr(value, "__float__") and not isinstance(value, bool | str | bytes) and getattr(value, "shape", ()) == ()
    )


def _plain(value: Any) -> float:
    return value if type(value) in (int, float) else float(value)
