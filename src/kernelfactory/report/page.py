"""From report data to one self-contained HTML page: escaped text, data as JSON, own style and script by hash.
Refuses to know the record, and to load anything."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from kernelfactory.report import facts
from kernelfactory.report.data import ReportData, Row

SCRIPTS = ("base.js", "chart.js", "lineage.js", "table.js", "main.js")
REASON_CHARS, NOTE_CHARS, NOTES_CHARS, DIFF_LINES, ROWS = 400, 6_000, 600_000, 4_000, 20_000


@cache
def _text(name: str) -> str:
    return files("kernelfactory.report").joinpath(name).read_text("utf-8")


@cache
def _script() -> str:
    return '"use strict";\n(() => {\n' + "\n".join(_text(name) for name in SCRIPTS) + "\n})();\n"


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def policy(style: str, script: str) -> str:
    """The page's Content-Security-Policy: its own style and script, nothing else, nowhere to send anything."""
    return f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; " + (
        "base-uri 'none'; form-action 'none'"
    )


def as_json(value: object) -> Markup:
    """JSON that may stand inside a script element: ASCII only, and no `<`, `>` or `&`."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


class _Words:
    """Strings that repeat (agents, reasons) as indices into one list."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {"": 0}

    def __call__(self, text: str | None) -> int:
        return self.known.setdefault(facts.clean(text or "", REASON_CHARS), len(self.known))


def _finite(value: float | None, digits: int | None = None) -> float | int | None:
    if value is None or not math.isfinite(value):
        return None
    if float(value).is_integer() and abs(value) < 2**53:
        return int(value)
    return value if digits is None else round(value, digits)


def _columns(rows: Sequence[Row], words: _Words) -> dict[str, list[Any]]:
    return {
        "attempt": [row.attempt for row in rows],
        "parent": [row.parent for row in rows],
        "island": [row.island for row in rows],
        "outcome": [words("running" if row.state in ("claimed", "submitted") else row.outcome) for row in rows],
        "score": [_finite(row.score) for row in rows],
        "delta": [_finite(row.delta) for row in rows],
        "agent": [words(f"{row.agent}@{row.model}" if row.model else row.agent) for row in rows],
        "started": [_finite(row.started, 1) for row in rows],
        "at": [_finite(row.at, 1) for row in rows],
        "seconds": [_finite(row.seconds, 1) for row in rows],
        "dollars": [_finite(row.dollars, 4) for row in rows],
        "tokens": [row.tokens for row in rows],
        "judged": [_finite(row.judge_seconds, 2) for row in rows],
        "measurements": [row.measurements for row in rows],
        "move": [words(row.move) for row in rows],
        "reason": [words(row.reason) for row in rows],
        "fault": [words(row.fault) for row in rows],
        "end": [words(row.end) for row in rows],
        "cage": [words(row.cage) for row in rows],
        "commit": [row.commit[:12] if row.commit else None for row in rows],
        "flags": [row.flags for row in rows],
        "confirmed": [int(row.confirmed) for row in rows],
    }


def notes_shown(data: ReportData) -> dict[int, str]:
    """The notes that fit the page: the best's lineage first, then improvements, then the newest."""
    top = facts.best(data)
    line = facts.ancestors({row.attempt: row.parent for row in data.rows}, top.attempt) if top else []
    better = [row.attempt for row in reversed(data.rows) if row.outcome == "improved"]
    shown: dict[int, str] = {}
    room = NOTES_CHARS
    for attempt in dict.fromkeys([*line, *better, *sorted(data.notes, reverse=True)]):
        text = facts.clean(data.notes.get(attempt, ""), NOTE_CHARS)
        if text.strip() and len(text) <= room:
            shown[attempt] = text
            room -= len(text)
    return shown


def rows_shown(data: ReportData) -> list[Row]:
    """The attempts that fit the page, in order: every best's lineage, then the newest."""
    parents = {row.attempt: row.parent for row in data.rows}
    line = {attempt for step in data.steps for attempt in facts.ancestors(parents, step.attempt)}
    ordered = sorted(data.rows, key=lambda row: (row.attempt in line, row.attempt), reverse=True)
    return sorted(ordered[:ROWS], key=lambda row: row.attempt)


def payload(data: ReportData) -> dict[str, Any]:
    """One experiment as the page's script reads it: columns over attempts, strings once, seconds since it was made."""
    words = _Words()
    rows = rows_shown(data)
    columns = _columns(rows, words)
    top = facts.best(data)
    notes = notes_shown(data)
    metric = data.metric
    return {
        "name": facts.clean(data.name, 200),
        "problem": facts.clean(data.problem, 200),
        "metric": {"name": facts.clean(metric.name, 60), "unit": facts.clean(metric.unit, 60), "goal": metric.goal},
        "references": [[facts.clean(name, 120), score] for name, score in metric.reference if math.isfinite(score)],
        "baseline": _finite(data.baseline),
        "elapsed": _finite(data.elapsed, 1),
        "best": None if top is None else {"attempt": top.attempt, "score": _finite(top.score)},
        "steps": [
            [_finite(step.at, 1), order, step.attempt, _finite(step.score)]
            for step, order in zip(data.steps, facts.orders(data), strict=True)
        ],
        "words": list(words.known),
        "columns": columns,
        "notes": {str(attempt): text for attempt, text in notes.items()},
        "rows_hidden": len(data.rows) - len(rows),
        "notes_hidden": sum(1 for attempt in data.notes if attempt not in notes),
    }


def warnings(data: ReportData) -> list[tuple[str, str, bool]]:
    """What a reader must know before believing a score: (what, what it means, is it loud)."""
    found = []
    if "none" in (data.jail or "").split(", ") or data.trust == "unprotected":
        found.append(
            (
                "Unprotected",
                "Programs were judged without a jail: a program could have touched this machine, "
                "the judge and the record. Judge the best again with a jail before you believe its score.",
                True,
            )
        )
    if data.trust == "judged-weak":
        found.append(
            (
                "Weakly judged",
                "The jail of this machine is a weak one (kf doctor says what it lacks): a program could have "
                "reached more than it was given. Judge the best again in a stronger jail.",
                True,
            )
        )
    if data.trust == "self-reported":
        found.append(
            (
                "Self-reported",
                "The problem's own evaluator runs the program in its own process: a program could have set its "
                "own score. These scores are never mixed with judged ones.",
                True,
            )
        )
    open_cages = sum(row.cage == "none" for row in data.rows)
    if open_cages:
        found.append(
            (
                "Agents without a cage",
                f"{open_cages:,} of {len(data.rows):,} attempts ran without a cage: "
                "their agents could read and change files outside their workspace.",
                False,
            )
        )
    if data.waiting:
        results = f"{data.waiting:,} result{'s' if data.waiting > 1 else ''}"
        found.append(
            (
                "Quarantined",
                f"{results} too good to be believed unseen: they wait for a "
                "person (kf quarantine) and count nowhere on this page.",
                False,
            )
        )
    if data.released:
        said = ", ".join(f"attempt {attempt} by {who}" for attempt, who in data.released[:20])
        found.append(("Released", f"A person let these results out of quarantine: {said}.", False))
    return found


def _diff_lines(data: ReportData) -> list[tuple[str, str]]:
    lines = facts.clean(data.diff.text or "", 2_000_000).split("\n") if data.diff.text else []
    kinds = {"+": "added", "-": "removed", "@": "place"}
    shown = [
        ("file" if line[:4] in ("+++ ", "--- ") else kinds.get(line[:1], "same"), line) for line in lines[:DIFF_LINES]
    ]
    return [*shown, ("place", f"… {len(lines) - DIFF_LINES:,} more lines")] if len(lines) > DIFF_LINES else shown


def _view(data: ReportData) -> dict[str, Any]:
    top = facts.best(data)
    metric = data.metric
    score = top.score if top else None
    hours = data.elapsed / 3600
    return {
        "data": data,
        "best": top,
        "tally": facts.tally(data.rows),
        "improvement": facts.improvement(metric, data.baseline, score),
        "ratio": facts.ratio(metric, data.baseline, score),
        "rate": f"{len(data.rows) / hours:,.0f} an hour" if hours > 1 / 60 and data.rows else "",
        "warnings": warnings(data),
        "crossings": facts.crossings(data),
        "diff": _diff_lines(data),
        "cages": sorted({row.cage for row in data.rows if row.cage}),
    }


def comparable(reports: Sequence[ReportData]) -> bool:
    """Can the curves share a score axis (same problem and metric), rather than ratios to each one's seed?"""
    return len({(data.problem, data.metric.name, data.metric.unit, data.metric.goal) for data in reports}) == 1


def render(reports: Sequence[ReportData], picture: str = "", now: str = "") -> str:
    """The page. `picture`: file name of the graph beside it; `now`: when it was made, in words."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=facts.number, duration=facts.duration, money=facts.money, clean=facts.clean)
    style, script = _text("page.css"), _script()
    experiments = [payload(data) for data in reports]
    return environment.from_string(_text("page.html")).render(
        views=[_view(data) for data in reports],
        comparable=comparable(reports),
        picture=picture,
        now=now,
        payload=as_json({"experiments": experiments, "comparable": comparable(reports)}),
        csp=policy(style, script),
        style=Markup(style),
        script=Markup(script),
    )
