"""When a score is too good to pass as it is, and what two timed scores say of each other. Pure; refuses to judge."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from kernelfactory.model import Duel, Metric, Outcome

Interval = tuple[float, float]

JUMP = 2.0
"""A judged score that is better than the best by more than this factor is unusual."""

FAR = 10.0
ENOUGH = 5
"""So is a gain of more than FAR times the median of earlier gains, once there are ENOUGH of them."""

APART = 1.05
"""Two timed scores speak for themselves when their intervals are further apart than by this factor: what differs from
one occasion to the next (where things lie in memory, heat) is in neither."""

LARGER = 4
"""How many times a confirmation an unusual score has to pass: then it counts, and nobody needs to be awake."""


def jumped(metric: Metric, score: float, best: float, factor: float) -> bool:
    """Is `score` better than `best` by more than `factor`? From 0, or across it, any gain is: no factor tells it."""
    now, before = (-score, -best) if metric.goal == "min" else (score, best)
    return now > (before * factor if before > 0 else before / factor)


def unusual(metric: Metric, score: float, bests: Sequence[float]) -> bool:
    """Does a new best stand out from how the bests so far (oldest first, the last one is to be beaten) came about?"""
    if not bests:
        return False
    gains = [abs(new - old) for old, new in pairwise(bests) if metric.better(new, old)]
    far = len(gains) >= ENOUGH and abs(score - bests[-1]) > FAR * median(gains)
    return metric.better(score, bests[-1]) and (far or jumped(metric, score, bests[-1], JUMP))


def worst(metric: Metric, first: float, *others: float) -> float:
    """The worst of some scores."""
    for score in others:
        first = score if metric.better(first, score) else first
    return first


def compared(metric: Metric, score: float, parent: float) -> Outcome:
    """What an attempt came to, by its score and its parent's."""
    if score == parent:
        return "equal"
    return "improved" if metric.better(score, parent) else "worse"


def undecided(mine: Interval | None, other: Interval | None) -> bool:
    """Do two timed scores, speedups each measured on its own, leave open which is better?"""
    return mine is None or other is None or (mine[0] <= APART * other[1] and other[0] <= APART * mine[1])


def timed(duel: Duel | None) -> Outcome:
    """What an attempt came to whose timed score does not say: by its duel with the parent. Without one nothing is
    shown."""
    if duel is None or not (duel.better or duel.worse):
        return "equal"
    return "improved" if duel.better else "worse"
