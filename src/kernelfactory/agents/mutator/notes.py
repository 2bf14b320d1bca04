"""The notes that an attempt leaves, and the figures read back from earlier ones. What is read is untrusted: numbers
only, of known operators, within bounds."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from kernelfactory.agents.mutator.operators import OPERATORS, Tally
from kernelfactory.agents.mutator.search import Kept, Report

_MARK = "mutator-figures"
_LINE = re.compile(rf"{_MARK} (\{{[^{{}}]{{0,4000}}\}})")
_MOST_LINES = 200
_MOST = 1_000.0


def read(brief: str) -> dict[str, Tally]:
    """Sums what earlier notes of this agent say about its operators; every number clamped, everything else ignored."""
    found: dict[str, Tally] = {}
    for match in islice(_LINE.finditer(brief), _MOST_LINES):
        for name, tally in _figures(match[1]).items():
            found[name] = found.get(name, Tally()) + tally
    return found


def _figures(line: str) -> dict[str, Tally]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(data, dict):
        return {}
    pairs = ((name, _tally(value)) for name, value in data.items() if name in OPERATORS)
    return {name: tally for name, tally in pairs if tally is not None}


def _tally(value: Any) -> Tally | None:
    if not isinstance(value, list) or len(value) != 3:
        return None
    if any(isinstance(number, bool) or not isinstance(number, (int, float)) for number in value):
        return None
    tried, valid, better = (_clamped(number) for number in value)
    return Tally(tried, min(valid, tried), min(better, tried))


def _clamped(number: float) -> float:
    try:
        return min(max(float(number), 0.0), _MOST) if math.isfinite(number) else 0.0
    except OverflowError:
        return 0.0


def write(report: Report, parent_score: float, unit: str, parent: int | None = None) -> str:
    """progress.md: for people and agents to read, and one line for the next attempt of this agent.
    `parent`: the attempt built on; 0 is the starting program."""
    best = "nothing better than the parent was found"
    if report.best is not None:
        best = f"{_show(parent_score)} -> {_show(report.best)} {unit}"
    lines = [
        "# Syntax-tree edits: what was tried",
        "",
        *([] if parent is None else [f"Built on {f'attempt {parent}' if parent else 'the starting program'}.", ""]),
        f"Result: {best}. {report.tries} programs tried, {report.measured} of them measured in full; "
        f"{report.drifted} edits that made no difference were kept. It ended because: {report.ended}.",
        "",
        *_kept(report.kept, unit),
        *_tallies(report.tallies),
        *_refused(report.refused),
        f"{_MARK} {figures(report.tallies)}",
        "",
    ]
    return "\n".join(lines)


def figures(tallies: Mapping[str, Tally]) -> str:
    """The machine-readable part: operator -> [tried, valid, better]."""
    numbers = {name: (t.tried, t.valid, t.better) for name, t in sorted(tallies.items()) if t.tried}
    shown = {name: [round(number, 1) for number in three] for name, three in numbers.items()}
    return json.dumps(shown, separators=(",", ":"))


def _kept(kept: list[Kept], unit: str) -> list[str]:
    if not kept:
        return []
    rows = [f"- {k.operators} ({k.where}): {_show(k.before)} -> {_show(k.after)} {unit}" for k in kept[-20:]]
    return ["## Edits that made it better", "", *rows, ""]


def _tallies(tallies: Mapping[str, Tally]) -> list[str]:
    order = sorted(tallies.items(), key=lambda pair: (-pair[1].better, -pair[1].tried))
    rows = [f"| {name} | {t.tried:.0f} | {t.valid:.0f} | {t.better:.0f} |" for name, t in order if t.tried >= 0.5]
    if not rows:
        return []
    return ["## By operator", "", "| operator | tried | valid program | better |", "|---|---|---|---|", *rows, ""]


def _refused(refused: Mapping[str, int]) -> list[str]:
    if not refused:
        return []
    order = sorted(refused.items(), key=lambda pair: -pair[1])
    return ["## What was refused", "", *(f"- {count} times: {plain(reason)}" for reason, count in order), ""]


def plain(text: str) -> str:
    """One short line of printable ASCII, without marks that would mean something in Markdown."""
    kept = "".join(c for c in text if " " <= c <= "~" and c not in "`<>|{}[]#*_")
    return " ".join(kept.split())[:120] or "no reason given"


def _show(figure: float) -> str:
    return f"{figure:.0f}" if float(figure).is_integer() and abs(figure) < 1e15 else f"{figure:.6g}"
