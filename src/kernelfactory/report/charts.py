"""The graph of scores as one standalone SVG picture, light and dark. Pure; the page draws its own, livelier one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from kernelfactory.report.data import ReportData, Step
from kernelfactory.report.facts import best, clean, counts, duration, improvement, landed, number

WIDTH, HEIGHT = 960, 480
LEFT, RIGHT, TOP, BOTTOM = 84, 28, 84, 64

TIME_STEPS = (0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)

STYLE = """
svg{font:13px ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
--paper:#fff;--ink:#191c21;--soft:#596069;--rule:#e6e7e3;--bad:#b3372b;
--c0:#0b66a8;--c1:#c26a00;--c2:#00795c;--c3:#c0441c;--c4:#9c4a86;--c5:#1d8299;--c6:#7a6b00;--c7:#5b6068}
@media(prefers-color-scheme:dark){svg{--paper:#14171c;--ink:#eceef1;--soft:#a0a7b1;--rule:#2a2f37;--bad:#ff8b7b;
--c0:#5fb2ef;--c1:#f2a63b;--c2:#3cc39d;--c3:#ff8355;--c4:#de95cb;--c5:#63cadf;--c6:#d3c24a;--c7:#a7adb7}}
text{fill:var(--soft)}.paper{fill:var(--paper)}.title{fill:var(--ink);font-size:19px;font-weight:650}
.best{fill:none;stroke:var(--ink);stroke-width:2.25;stroke-linejoin:round}.end{fill:var(--ink);font-weight:650}
.grid{stroke:var(--rule)}.ref{stroke:var(--soft);stroke-dasharray:2 4}
.dot{fill:none;stroke-width:6;stroke-linecap:round;opacity:.6}.bad{stroke:var(--bad);opacity:.7}
.halo{paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}
""" + "".join(f".i{n}{{stroke:var(--c{n})}}" for n in range(8))


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear or logarithmic way from values to pixels."""

    low: float
    high: float
    first: float
    last: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, here = (
            (math.log(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        share = (here - low) / (high - low) if high > low else 0.5
        return round(self.first + min(1.0, max(0.0, share)) * (self.last - self.first), 1)


def ticks(low: float, high: float, wanted: int = 6) -> list[float]:
    """Round numbers (1, 2, 2.5, 5 times a power of ten) within [low, high], about `wanted` of them."""
    if not high > low:
        return [low]
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten within [low, high]; round linear ones when the range is narrow."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [m * 10.0**p for p in powers for m in (1, 2, 5) if low <= m * 10.0**p <= high]
    return found if len(found) >= 4 else ticks(low, high)


def span(data: ReportData) -> tuple[float, float, bool]:
    """(low, high, log) of the score axis: from the best to the seed, widened to all but the worst few results,
    with room for the nearest references."""
    scores = sorted(
        (row.score for row in data.rows if row.score is not None and counts(row)), reverse=data.metric.goal == "max"
    )  # best first
    core = [step.score for step in data.steps]
    core += [scores[0], scores[math.ceil(0.97 * (len(scores) - 1))]] if scores else []
    core = core or [0.0, 1.0]
    low, high = min(core), max(core)
    if low <= 0:
        room = (high - low) * 0.08 or 1.0
        return low - room, high + room, False
    room = (high / low) ** 0.12 if high > low * 1.0001 else 1.05
    return low / room, high * room, True


def beyond(data: ReportData) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """The published references (within the axis, outside it)."""
    low, high, _ = span(data)
    inside = [item for item in data.metric.reference if low <= item[1] <= high]
    return inside, [item for item in data.metric.reference if item not in inside]


def _axes(x: Scale, y: Scale) -> list[str]:
    lines = log_ticks(y.low, y.high) if y.log else ticks(y.low, y.high)
    parts = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(v)}" y2="{y(v)}"/>'
        f'<text x="{LEFT - 10}" y="{y(v) + 4:.1f}" text-anchor="end">{number(v)}</text>'
        for v in lines
    ]
    step = next((s for s in TIME_STEPS if s >= x.high / 8), math.ceil(x.high / 8 / 86400) * 86400)
    parts += [
        f'<text x="{x(n * step)}" y="{HEIGHT - BOTTOM + 30}" text-anchor="middle">'
        f"{duration(n * step) if n else 'start'}</text>"
        for n in range(int(x.high / step) + 1)
    ]
    return parts


def _references(data: ReportData, y: Scale) -> list[str]:
    inside, outside = beyond(data)
    parts = []
    free = math.inf
    for name, score in sorted(inside, key=lambda item: -y(item[1])):
        parts.append(f'<line class="ref" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(score)}" y2="{y(score)}"/>')
        if y(score) < free - 15:
            free = y(score)
            label = escape(f"{clean(name, 60)} · {number(score)}")
            parts.append(f'<text class="halo" x="{WIDTH - RIGHT}" y="{free - 5:.1f}" text-anchor="end">{label}</text>')
    if outside:
        hardest = (min if data.metric.goal == "min" else max)(outside, key=lambda item: item[1])
        more = f"{len(outside)} published reference{'s' if len(outside) > 1 else ''} beyond this range"
        text = escape(f"{more}; the furthest: {clean(hardest[0], 60)} · {number(hardest[1])}")
        parts.append(f'<text x="{LEFT}" y="{HEIGHT - 10}">{text}</text>')
    return parts


def _results(data: ReportData, x: Scale, y: Scale) -> list[str]:
    dots: dict[int, str] = {}
    ticks_ = ""
    for row in landed(data.rows):
        if row.score is not None and counts(row):
            dots[row.island % 8] = dots.get(row.island % 8, "") + f"M{x(row.at or 0)} {y(row.score)}h0"
        elif row.outcome == "rejected":
            ticks_ += f"M{x(row.at or 0)} {HEIGHT - BOTTOM + 4}v8"
    parts = [f'<path class="dot i{island}" d="{d}"/>' for island, d in sorted(dots.items())]
    return [*parts, f'<path class="bad" d="{ticks_}"/>'] if ticks_ else parts


def _line(steps: Sequence[Step], x: Scale, y: Scale) -> list[str]:
    if not steps:
        return [f'<text x="{WIDTH / 2}" y="{HEIGHT / 2}" text-anchor="middle">No result yet.</text>']
    path = f"M{x(steps[0].at)} {y(steps[0].score)}" + "".join(f"H{x(s.at)}V{y(s.score)}" for s in steps[1:])
    last = y(steps[-1].score)
    label = f'<text class="end halo" x="{WIDTH - RIGHT}" y="{last + 20:.1f}" text-anchor="end">'
    return [f'<path class="best" d="{path}H{WIDTH - RIGHT}"/>', f"{label}{number(steps[-1].score)}</text>"]


def _frame(data: ReportData, label: Callable[[str], str], body: Sequence[str]) -> str:
    top = best(data)
    gain = improvement(data.metric, data.baseline, top.score if top else None)
    title = label(f"{clean(data.problem, 60)}: best {clean(data.metric.name, 40)} over time")
    line = f"{clean(data.name, 60)} · {len(data.rows):,} attempts in {duration(data.elapsed)}" + (
        f" · {gain}" if gain else ""
    )
    marks = " · dots: results, coloured by island · ticks: rejected"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img"><title>{title}</title><style>{STYLE}</style>'
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="8"/>'
        f'<text class="title" x="24" y="36">{title}</text><text x="24" y="58">{label(line)}{marks}</text>'
    )
    return head + "".join(body) + "</svg>\n"


def picture(data: ReportData) -> str:
    """The scores of one experiment over time: best so far, every result, rejected ones, published references."""
    low, high, log = span(data)
    elapsed = max([data.elapsed, 1e-3, *(row.at for row in data.rows if row.at is not None)])
    x = Scale(0.0, elapsed, LEFT, WIDTH - RIGHT)
    y = Scale(low, high, HEIGHT - BOTTOM, TOP, log)
    body = [*_axes(x, y), *_results(data, x, y), *_references(data, y), *_line(data.steps, x, y)]
    return _frame(data, escape, body)
