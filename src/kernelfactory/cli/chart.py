"""A staircase of best scores in block characters. Pure: numbers in, lines out."""

from __future__ import annotations

from collections.abc import Sequence

EIGHTHS = " ▁▂▃▄▅▆▇█"


def steps(curve: Sequence[tuple[float, float]], until: float, columns: int) -> list[float]:
    """The best score at the end of each of `columns` equal stretches of 0…`until` seconds. `curve` is (seconds, score),
    in order, its first point holding from the start."""
    levels, at, points = [], 0, list(curve)
    for column in range(1, columns + 1):
        edge = until * column / columns
        while at + 1 < len(points) and points[at + 1][0] <= edge:
            at += 1
        levels.append(points[at][1])
    if levels:
        levels[-1] = points[-1][1]
    return levels


def area(levels: Sequence[float], rows: int, low: float, high: float) -> list[str]:
    """`levels` as a filled area of `rows` lines, top first; `low` draws one eighth of a row and `high` fills all."""
    span = (high - low) or 1.0
    heights = [1 + round((rows * 8 - 1) * min(1.0, max(0.0, (level - low) / span))) for level in levels]
    return ["".join(EIGHTHS[min(8, max(0, h - 8 * row))] for h in heights) for row in reversed(range(rows))]
