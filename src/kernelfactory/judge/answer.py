"""A verdict as JSON, for people and for agents. Pure; an agent's answer never carries flags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kernelfactory.model import Metric, Verdict
from kernelfactory.record.rows import plain

NOT_CONFIRMED = "it was accepted at first, but a separate judging did not confirm it"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a measurement stands: its number within the attempt, the best score of this attempt so far, the parent's
    and the experiment's (scores in the problem's metric; None when there is none yet)."""

    attempt: int
    measurement: int
    best_here: float | None
    parent_score: float | None
    best_score: float | None


def verdict_json(verdict: Verdict, metric: Metric) -> dict[str, Any]:
    """What `kf judge --json` prints: every key of the contract, always."""
    return {
        "verdict": verdict.verdict,
        "score": plain(verdict.score),
        "metric": metric.name,
        "goal": metric.goal,
        "reason": verdict.reason,
        "reason_code": verdict.reason_code,
        "measures": dict(verdict.measures),
        "instruments": dict(verdict.instruments),
        "flags": [{"rule": flag.rule, "where": flag.where, "text": flag.text} for flag in verdict.flags],
        "problem": verdict.problem,
        "digest": verdict.digest,
        "tree": verdict.tree,
        "seconds": round(verdict.seconds, 4),
        "jail": verdict.jail,
        "trust": verdict.trust,
        "ruler": {"backend": verdict.ruler.backend, "digest": verdict.ruler.digest},
        "inputs": verdict.inputs,
        "confirmed": verdict.confirmed,
        "interval": None if verdict.interval is None else list(verdict.interval),
        "screened": plain(verdict.screened),
    }


def told(verdict: Verdict) -> float | None:
    """The score that an agent may know: never one that data for confirmations has made."""
    return verdict.score if verdict.screened is None else verdict.screened


def agent_answer(verdict: Verdict, metric: Metric, standing: Standing) -> dict[str, Any]:
    """What `kf measure --json` prints: the verdict without flags, and where it stands. Of a confirmation on data of its
    own it says yes or no and nothing else."""
    answer = verdict_json(verdict, metric)
    del answer["flags"], answer["screened"]
    if verdict.screened is not None:
        answer |= {"score": plain(verdict.screened), "interval": None}
        if verdict.verdict == "rejected":
            answer |= {"score": None, "reason": NOT_CONFIRMED, "reason_code": None}
    return {
        **answer,
        "attempt": standing.attempt,
        "measurement": standing.measurement,
        "best_here": plain(standing.best_here),
        "parent_score": plain(standing.parent_score),
        "best_score": plain(standing.best_score),
    }
