"""How things look: foreign text made harmless, numbers, times, tables, JSON. Knows no experiment and reads no file."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.console import Console

    from kernelfactory.model import Metric

_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))

STYLES = {
    "improved": "green",
    "accepted": "green",
    "ok": "green",
    "equal": "cyan",
    "rejected": "yellow",
    "quarantined": "magenta",
    "failed": "red",
    "wrong": "red",
}
"""Words that mean something at a glance, and their colour."""


def plain(text: str) -> str:
    """`text` without control, escape, bidi and other invisible characters; line ends and tabs (as spaces) stay."""
    lines = text.replace("\r\n", "\n").expandtabs(4).split("\n")
    return "\n".join("".join(c for c in line if unicodedata.category(c) not in _HIDDEN) for line in lines)


def one_line(text: str, length: int = 0) -> str:
    """`text` made harmless, on one line, cut to `length` characters where that is given."""
    line = " ".join(plain(text).split())
    return line if not length or len(line) <= length else line[: max(1, length - 1)] + "…"


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────


def number(value: float | None, places: int = 3) -> str:
    """`147734` as `147,734`; up to `places` decimals where there are any; `-` for none."""
    if value is None:
        return "-"
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.{places}f}" if abs(value) >= 10**-places else f"{value:.2e}"


def score(value: float | None, metric: Metric) -> str:
    """A score with its unit."""
    return f"{number(value)} {metric.unit}".rstrip() if value is not None else "-"


def gain(value: float, baseline: float) -> str:
    """How far `value` is from `baseline`, in words: `15.9 % lower`. Against a baseline of 0 there is no percentage."""
    word = "lower" if value < baseline else "higher"
    return f"{100 * abs(value - baseline) / abs(baseline):.1f} % {word}" if baseline else f"{number(abs(value))} {word}"


def clock(seconds: float | None) -> str:
    """Seconds as `0:42`, `12:05` or `3:07:11`."""
    if seconds is None:
        return "-"
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def money(dollars: float | None) -> str:
    """Dollars; an unknown price is said to be unknown."""
    return "price unknown" if dollars is None else f"${dollars:,.2f}"


def size(count: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("unreachable")


def stamp(epoch: float | None) -> str | None:
    """Epoch seconds as ISO-8601 UTC."""
    if epoch is None:
        return None
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def loud(trust: str | None) -> str:
    """What stands before anything that was not judged behind a jail; nothing before what was."""
    return "" if trust in (None, "judged") else f"{trust.upper()} "


def last_words(instruments: Mapping[str, Any]) -> list[str]:
    """What a rejected program had written on its standard error, as its own words."""
    said = plain(str(instruments.get("stderr") or "")).strip("\n")
    return ["  its own last words:", *(f"  | {line[:200]}" for line in said.split("\n")[-12:])] if said else []


# ── output ───────────────────────────────────────────────────────────────────────────────────────


def console(error: bool = False) -> Console:
    """A rich console that never reads markup out of text; honours NO_COLOR, and on a pipe never wraps."""
    from rich.console import Console

    made = Console(stderr=error, markup=False, highlight=False, emoji=False, soft_wrap=False)
    if not made.is_terminal:
        made.width = 10_000
    return made


def say(*lines: str) -> None:
    """Plain lines on stdout."""
    for line in lines:
        print(line)


def warn(line: str) -> None:
    """One line on stderr, loud on a terminal."""
    if sys.stderr.isatty():
        console(error=True).print(line, style="bold yellow")
    else:
        print(line, file=sys.stderr)


def document(value: Any) -> None:
    """The one JSON document of a `--json` command, on stdout. Not-a-number never gets there: JSON has none."""
    print(json.dumps(value, default=_jsonable, allow_nan=False))


def _jsonable(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return str(value)


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[str] = (), less: Sequence[str] = ()
) -> None:
    """Rows under `heads` on stdout: coloured on a terminal, aligned plain lines on a pipe. Columns named in `left` are
    text, the others numbers (right-aligned). The last column takes what room is left and wraps; where there is too
    little, the columns named in `less` go, first to last. Cells are made harmless."""
    cells = [[one_line(cell) for cell in row] for row in rows]
    screen = console()
    if screen.is_terminal:
        _rich_table(screen, *_narrowed(heads, cells, less, screen.width), left)
        return
    widths = _widths(heads, cells)
    for row in (list(heads), *cells):
        print(
            "  ".join(_padded(cell, w, head in left) for cell, w, head in zip(row, widths, heads, strict=True)).rstrip()
        )


def fits(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Would `table` leave nothing out? On a pipe it never does."""
    screen = console()
    cells = [[one_line(cell) for cell in row] for row in rows]
    return not screen.is_terminal or _least(_widths(heads, cells)) <= screen.width


LAST = 24
"""Columns that the last column of a table needs at least, if it has that much to say."""
FRAME, BETWEEN = 2, 3
"""Columns that a table on a terminal takes besides its cells: at its two sides, and between two cells."""


def _padded(cell: str, width: int, left: bool) -> str:
    from rich.cells import cell_len

    blank = " " * (width - cell_len(cell))
    return cell + blank if left else blank + cell


def _widths(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    from rich.cells import cell_len

    return [max([cell_len(head), *(cell_len(row[i]) for row in cells)]) for i, head in enumerate(heads)]


def _narrowed(
    heads: Sequence[str], cells: list[list[str]], less: Sequence[str], width: int
) -> tuple[list[str], list[list[str]]]:
    """The table without as many of the columns in `less` as it takes to fit."""
    widths, kept = _widths(heads, cells), list(range(len(heads)))
    going = [heads.index(name) for name in less]
    while going and _least([widths[i] for i in kept]) > width:
        kept.remove(going.pop(0))
    return [heads[i] for i in kept], [[row[i] for i in kept] for row in cells]


def _least(widths: Sequence[int]) -> int:
    return FRAME + sum(widths[:-1]) + BETWEEN * (len(widths) - 1) + min(widths[-1], LAST)


def _rich_table(screen: Console, heads: Sequence[str], cells: list[list[str]], left: Sequence[str]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, header_style="dim", padding=(0, 1), pad_edge=False)
    for i, (head, width) in enumerate(zip(heads, _widths(heads, cells), strict=True)):
        last = i == len(heads) - 1
        side: Literal["left", "right"] = "left" if head in left else "right"
        made.add_column(head, justify=side, no_wrap=not last, min_width=None if last else width, overflow="fold")
    for row in cells:
        made.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    screen.print(made)


def colour_diff(text: str) -> str:
    """A unified diff in green and red where stdout is a terminal that wants colours; unchanged elsewhere."""
    if not console().is_terminal or console().no_color:
        return text
    styles = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}
    lines = text.split("\n")
    return "\n".join(f"{styles[line[0]]}{line}\x1b[0m" if line[:1] in styles else line for line in lines)
