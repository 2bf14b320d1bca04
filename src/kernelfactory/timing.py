"""What timed pairs say: how many times faster, between what and what, when to stop. Refuses to hold a clock, inputs or
dice of its own: times, `draw` and `rng` are arguments.

A pair gives one number, the logarithm of baseline time over candidate time: one fresh input, fresh processes, random
order. Between two equal programs its sign is a fair coin, whatever the machine does meanwhile: load, drift and spikes
hit either with equal chance. That is all that the signed-rank interval here assumes (a symmetric distribution;
Hollander and Wolfe, Nonparametric Statistical Methods, 3.1 to 3.3): a busy machine makes it wider, and not wrong. The
processes are fresh because a process has luck of its own, in where its pages lie, which all its calls would share.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Protocol

from kernelfactory.model import Measured, Rejected

if TYPE_CHECKING:
    from random import Random

ERROR = 0.02
"""How often the interval of a full measurement misses the true ratio."""
LOOKING = 0.02
"""How often one that ended early does, or ended wrongly. Together they stay below the 5 % that intervals are told with,
by enough that a row of comparisons stays below it too."""
MOST = 1e6
"""No ratio beyond this or its inverse is told from it: no clock is that fine."""
LIFE = 4
"""Further calls, not timed, of the last pair's process: what is right in its first answer must be so in later ones."""
EXACT = 100
"""Up to so many pairs the signed-rank distribution is counted out; beyond it is normal, for all that can be seen."""
BETS = ((0.9, 0.99), (0.1, 0.8))
"""(share of the stake, chance it is put on): that nearly every pair falls on one side; that four of five do."""

Arguments = tuple[Any, ...]


class Timed(Protocol):
    """A program that answers, and the seconds it took; `restart`: the next answer comes from a fresh process."""

    def timed(self, *args: Any) -> tuple[Any, float]: ...

    def restart(self) -> None: ...


class Contender(Timed, Protocol):
    """The program under judgement. `bar`: the score to beat, or None."""

    @property
    def baseline(self) -> Timed: ...

    @property
    def bar(self) -> float | None: ...


# ── measuring ────────────────────────────────────────────────────────────────────────────────────


def speedup(
    call: Contender,
    draw: Callable[[Random], Arguments],
    check: Callable[[Arguments, Any], None],
    pairs: int,
    rng: Random,
) -> Measured:
    """How many times faster than its baseline `call` is: the score, with its interval, from at most `pairs` pairs.

    Every pair has fresh processes and an input of its own from `draw`, a tuple of arguments; `check(input, answer)`
    sees each answer of the candidate (and each of the baseline that is not the same) and raises Rejected. The last
    process has to answer LIFE more. It ends early when the candidate is clearly slower than `call.bar`. Raises
    Rejected, and ValueError when the baseline answers wrongly, a time is no number, or no pairs are asked for."""
    times: list[tuple[float, float]] = []
    ratios: list[float] = []
    lost = False
    while len(ratios) < pairs and not lost:
        times.append(_pair(call, draw, check, rng))
        ratios.append(log_ratio(*times[-1]))
        lost = _lost(ratios, call.bar)
    for _ in range(0 if lost else LIFE):
        args = draw(rng)
        check(args, call.timed(*args)[0])
    middle, low, high = interval(ratios)
    if lost:
        low, high = (_ratio(end) for end in anytime(ratios, LOOKING))
    instruments = {
        "pairs": len(ratios),
        "ended": "early: clearly slower than the score to beat" if lost else "after all pairs",
        "milliseconds": {"program": _milliseconds(times, 1), "baseline": _milliseconds(times, 0)},
    }
    return Measured(middle, instruments=instruments, interval=(min(low, middle), max(high, middle)))


def _lost(ratios: Sequence[float], bar: float | None) -> bool:
    return bar is not None and bar > 0 and anytime(ratios, LOOKING)[1] < math.log(bar)


def _pair(
    call: Contender, draw: Callable[[Random], Arguments], check: Callable[[Arguments, Any], None], rng: Random
) -> tuple[float, float]:
    """Seconds of the baseline and of the candidate on one fresh input, in random order; the candidate's answer is
    looked at first."""
    args = draw(rng)
    call.restart()
    call.baseline.restart()
    if rng.random() < 0.5:
        expected, base = call.baseline.timed(*args)
        answer, seconds = call.timed(*args)
    else:
        answer, seconds = call.timed(*args)
        expected, base = call.baseline.timed(*args)
    check(args, answer)
    if not (type(expected) is type(answer) and expected == answer):
        try:
            check(args, expected)
        except Rejected as rejected:
            raise ValueError(f"the baseline answers wrongly: {rejected.reason}") from None
    return base, seconds


def _milliseconds(times: Sequence[tuple[float, float]], which: int) -> float:
    """The median, for reading."""
    return round(1000 * _middle(sorted(pair[which] for pair in times)), 3)


# ── what the pairs say ───────────────────────────────────────────────────────────────────────────


def log_ratio(base: float, seconds: float) -> float:
    """log(base / seconds). A time of nothing (a coarse clock) counts as the least that can be told. Raises ValueError
    for a time that is no number."""
    if not (math.isfinite(base) and math.isfinite(seconds)):
        raise ValueError("a time that is no number")
    most = math.log(MOST)
    return max(-most, min(most, math.log(max(base, 1e-12)) - math.log(max(seconds, 1e-12))))


def interval(log_ratios: Sequence[float], error: float = ERROR) -> tuple[float, float, float]:
    """(ratio, low, high): the median of the means of all pairs of values (Hodges and Lehmann, 1963) and the interval
    that the signed-rank test leaves round it; it misses with chance `error` at most, when looked at once. Fewer than 7
    pairs say nothing at 2 %: from 0 to MOST. A difference is declared when 1 is not in it."""
    if not log_ratios:
        raise ValueError("no pairs: nothing was measured")
    means = sorted((a + b) / 2 for n, a in enumerate(log_ratios) for b in log_ratios[n:])
    cut = _cut(len(log_ratios), error)
    middle = _ratio(_middle(means))
    return (middle, 0.0, MOST) if cut is None else (middle, _ratio(means[cut]), _ratio(means[-1 - cut]))


def anytime(log_ratios: Sequence[float], error: float) -> tuple[float, float]:
    """The median's interval, as logarithms, that may be looked at after every pair: the chance that it ever misses is
    `error` at most. It holds the values against which a bettor on the pairs' signs, at fair odds, has not multiplied
    the stake by 2 / error (Ville's inequality; Ramdas, Gruenwald, Vovk and Shafer, Statistical Science 38, 2023)."""
    ordered, count = sorted(log_ratios), len(log_ratios)
    below = next((k for k in range(count // 2, count + 1) if _stake(k, count) >= 2 / error), None)
    if below is None:
        return -math.inf, math.inf
    return ordered[count - below], ordered[below - 1]


def _stake(wins: int, count: int) -> float:
    """What a stake of 1 has become after so many wins: a test martingale when no pair wins more often than not."""
    return sum(share * (2 * p) ** wins * (2 - 2 * p) ** (count - wins) for share, p in BETS)


@cache
def _cut(count: int, error: float) -> int | None:
    """How many means the signed-rank test cuts off at each end: the largest rank sum whose chance, together with all
    smaller ones, is error / 2 at most. None: not even the smallest."""
    if count > EXACT:
        spread = math.sqrt(count * (count + 1) * (2 * count + 1) / 24)
        return math.floor(count * (count + 1) / 4 + NormalDist().inv_cdf(error / 2) * spread - 0.5)
    half = count * (count + 1) // 4
    ways = [1] + [0] * half
    for rank in range(1, count + 1):
        for total in range(half, rank - 1, -1):
            ways[total] += ways[total - rank]
    fits = bisect_right(list(accumulate(ways)), int(error / 2 * 2**count))
    return fits - 1 if fits else None


def _middle(ordered: Sequence[float]) -> float:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _ratio(logarithm: float) -> float:
    return min(MOST, math.exp(min(logarithm, math.log(MOST))))
