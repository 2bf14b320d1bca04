"""What follows from an experiment's rows: curve, references crossed, spend, figures in words. Pure."""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kernelfactory.model import Metric
from kernelfactory.report.data import ReportData, Row, Spend, Step

VALID = ("improved", "equal", "worse")
"""Outcomes whose score counts; a quarantined score waits for a person."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """A published reference and the first result that reached it (None: not yet)."""

    name: str
    score: float
    step: Step | None


def counts(row: Row) -> bool:
    """Does this row hold a valid program's score?"""
    return row.score is not None and math.isfinite(row.score) and row.outcome in VALID


def landed(rows: Iterable[Row]) -> list[Row]:
    """Attempts with a result, in the order in which the results came."""
    return sorted((row for row in rows if row.at is not None), key=lambda row: (row.at or 0.0, row.attempt))


def best(data: ReportData) -> Step | None:
    """The best result; None when nothing was judged, the seed (attempt 0) when nothing beat it."""
    return data.steps[-1] if data.steps else None


def crossings(data: ReportData) -> list[Crossing]:
    """Every published reference, easiest first, with the first step that reached it."""
    references = sorted(data.metric.reference, key=lambda item: item[1], reverse=data.metric.goal == "min")
    return [
        Crossing(name, score, next((step for step in data.steps if data.metric.reached(step.score, score)), None))
        for name, score in references
    ]


def orders(data: ReportData) -> list[int]:
    """For each step, how many results had come by then, its own included."""
    times = [row.at or 0.0 for row in landed(data.rows)]
    late = {row.attempt for row in data.rows if row.at is None}
    found = [bisect.bisect_right(times, step.at) + (step.attempt in late) for step in data.steps]
    return [0 if step.attempt == 0 else order for step, order in zip(data.steps, found, strict=True)]


def standing(steps: Iterable[Step], metric: Metric) -> tuple[Step, ...]:
    """Only the steps that are still bests: an earlier best that was judged again and fell is left out."""
    kept: list[Step] = []
    for step in steps:
        while kept and metric.better(kept[-1].score, step.score):
            kept.pop()
        if not kept or metric.better(step.score, kept[-1].score):
            kept.append(step)
    return tuple(kept)


def tally(rows: Sequence[Row]) -> dict[str, int]:
    """How many attempts ended with each outcome (`running`: no result yet)."""
    found: dict[str, int] = {}
    for row in rows:
        key = "running" if row.state in ("claimed", "submitted") else row.outcome
        found[key] = found.get(key, 0) + 1
    return found


def ancestors(parents: Mapping[int, int | None], attempt: int) -> list[int]:
    """The lineage of `attempt` by each one's parent, itself first; ends before the seed, and where one is missing or
    repeats."""
    line: list[int] = []
    seen: set[int] = set()
    here: int | None = attempt
    while here is not None and here in parents and here not in seen:
        line.append(here)
        seen.add(here)
        here = parents[here]
    return line


# ── words ────────────────────────────────────────────────────────────────────────────────────────


def number(value: float | None) -> str:
    """1234567.0 → "1,234,567"; fractions keep four significant digits."""
    if value is None or not math.isfinite(value):
        return "none"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """3725 → "1 h 2 min"; two units at most."""
    seconds = max(0.0, seconds)
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{round(seconds, 1):g} s"
    for size, unit, small, small_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            rest = int(seconds % size) // small
            return f"{int(seconds // size)} {unit}" + (f" {rest} {small_unit}" if rest else "")
    return ""


def money(spent: Spend) -> str:
    """ "$1.20"; says so when attempts of unknown price are among them."""
    known = f"${spent.dollars:,.2f}"
    if not spent.unpriced:
        return known
    return f"{known} + {spent.unpriced:,} unpriced" if spent.dollars else "unknown"


def improvement(metric: Metric, baseline: float | None, score: float | None) -> str:
    """ "33.4 % fewer cycles than the seed"; empty when there is nothing to compare."""
    if baseline is None or score is None or baseline <= 0 or score <= 0 or score == baseline:
        return ""
    share = abs(score - baseline) / baseline * 100
    word = "less" if score < baseline else "more"
    what = metric.unit or metric.name
    if word == "less" and what.endswith("s"):
        word = "fewer"
    return f"{share:,.3g} % {word} {what} than the seed"


def ratio(metric: Metric, baseline: float | None, score: float | None) -> str:
    """ "1.50×" better than the seed, whichever way the goal points."""
    if baseline is None or score is None or baseline <= 0 or score <= 0:
        return ""
    times = baseline / score if metric.goal == "min" else score / baseline
    return f"{times:,.2f}×" if times < 100 else f"{times:,.0f}×"


_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?")
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def clean(text: str, limit: int = 4000) -> str:
    """Hostile text made harmless to look at: no terminal sequences, control or direction characters, a size cap."""
    text = _UNSEEN.sub("", _ESCAPES.sub("", text[: 4 * limit].replace("\r\n", "\n")))
    return text if len(text) <= limit else text[:limit] + " … (cut)"


_CODE = re.compile(
    r"[{}\[\]=<>\\]|;\s*$|\w\(|\w\.\w+\.\w|\b\w+_\w+\b|^(\t| {4})"
    r"|^\s*(def|class|for|while|if|elif|else|return|import|from|with|try|yield|lambda|assert)\b.*:?\s*$"
)
_SPAN = re.compile(r"`+[^`]*`+")
_LEFT_OUT = "[code left out]"


def prose(text: str) -> str:
    """Only what reads as prose: fenced and indented blocks, code spans and lines that look like code are left out.
    Errs towards leaving out; no promise about code that is written as sentences."""
    kept: list[str] = []
    fence = ""
    for line in text.splitlines():
        mark = line.strip()[:3]
        opens = not fence and mark in ("```", "~~~")
        code = bool(fence) or opens or bool(_CODE.search(_SPAN.sub("", line).replace(" -> ", " ")))
        fence = mark if opens else "" if fence and line.strip().startswith(fence) else fence
        if not code:
            kept.append(_SPAN.sub(_LEFT_OUT, line))
        elif not kept or kept[-1] != _LEFT_OUT:
            kept.append(_LEFT_OUT)
    return "\n".join(kept)
