"""What counts as a gain over the seed, and what a try comes to. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from kernelfactory.model import Metric, Verdict

SLACK = 1e-9
BEYOND_NOISE = 3.0


@dataclass(frozen=True, slots=True)
class Check:
    """One row: a question about a problem or an attack on it, answered. `ok`: as it should be. `detail`: what was seen;
    `outcome`: of an attack, in a word or two; `stopped`: by what; `fix`: what to change when it is not ok."""

    name: str
    ok: bool
    detail: str
    group: str = "problem"
    outcome: str = ""
    stopped: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Yard:
    """What the seed scores, in several verdicts, and which way is better. Timed scores go by their interval."""

    metric: Metric
    timed: bool
    seeds: tuple[float, ...] = field(default=(0.0,))

    @property
    def best(self) -> float:
        return min(self.seeds) if self.metric.goal == "min" else max(self.seeds)

    @property
    def _worst(self) -> float:
        return max(self.seeds) if self.metric.goal == "min" else min(self.seeds)

    def gained(self, score: float, interval: tuple[float, float] | None = None) -> bool:
        """Is it better than the seed, beyond its noise (shown to be, where it is timed)?"""
        if self.timed:
            return interval is not None and interval[0] > max(1.0, self.best)
        margin = BEYOND_NOISE * abs(self._worst - self.best) + SLACK * abs(self.best)
        return self.metric.better(score, self.best) and abs(score - self.best) > margin

    def level(self, score: float) -> bool:
        """Is it no worse than the seed? Whatever is timed and accepted is: the answers are held to be right."""
        return self.timed or not self.metric.better(self._worst, score)

    def forged(self) -> float:
        """A score to make up: better than the seed's, and not beyond what the problem holds possible."""
        best, bound = self.best, self.metric.impossible
        if bound is not None and self.metric.better(bound, best):
            made = (best + bound) / 2
        else:
            made = best - (abs(best) / 2 + 1) if self.metric.goal == "min" else best + abs(best) / 2 + 1
        whole = round(made)
        usable = self.metric.better(whole, best) and not self.metric.beyond_possible(whole)
        return whole if usable and float(best).is_integer() else made


def shown(score: float | None) -> str:
    return "none" if score is None else f"{score:,.10g}"


def seen(verdict: Verdict) -> str:
    """A verdict in a few words."""
    if verdict.verdict == "rejected":
        return f"{verdict.reason_code}: {verdict.reason}"
    return f"{verdict.verdict}, score {shown(verdict.score)}"
