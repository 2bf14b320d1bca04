"""The live view of a run: a picture that stands still while its numbers move, or plain lines on a pipe. Only shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kernelfactory.cli import alarms as alarm
from kernelfactory.cli import chart
from kernelfactory.cli.alarms import STOPPING, Alarm
from kernelfactory.cli.terminal import clock, console, gain, loud, money, number, one_line, score

if TYPE_CHECKING:
    from kernelfactory.progress import IslandView, Progress, SlotView

ISLAND_COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")
WIDE, WIDEST = 110, 140
BAR = 16
STALE = 10
ALARM_STYLES = {
    "UNPROTECTED": "bold white on red",
    "SELF-REPORTED": "bold white on red",
    "JUDGED-WEAK": "black on yellow",
    "SLOW": "black on yellow",
    "STOPPING": "black on cyan",
}
FRAME_SECONDS = 0.1
STANDS = 20
"""A picture stands so many times as long as it took to draw: one of many slots takes no more of the processor."""

LINE_SECONDS = 10.0
Row = TypeVar("Row")


class Screen(Protocol):
    """Where a run's progress goes."""

    def progress(self, now: Progress) -> None: ...

    def message(self, line: str) -> None: ...


def screen(json: bool) -> AbstractContextManager[Screen]:
    """A live picture on a terminal, plain lines on a pipe; on stderr when stdout belongs to a JSON document."""
    target = console(error=json)
    if target.is_terminal and not target.is_dumb_terminal:
        return _Picture(target)
    return nullcontext(Lines(lambda line: print(line, file=target.file, flush=True)))


class Lines:
    """Plain lines: one for each improvement, and one every ten seconds."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._best: float | None = None
        self._said_at: float | None = None

    def progress(self, now: Progress) -> None:
        if self._said_at is None:
            for said in alarm.of(now.trust, now.ruler):
                self._write(alarm.line(said))
        best = now.best if now.best is not None else now.baseline
        left = f" · {clock(now.left)} left" if now.left is not None else ""
        improved = self._best is not None and now.metric.better(best, self._best)
        if improved:
            self._write(f"{clock(now.elapsed):>7}  {loud(now.trust)}improved: {_best_words(now)}")
        elif self._said_at is None or now.elapsed - self._said_at >= LINE_SECONDS:
            self._write(f"{clock(now.elapsed):>7}  {_tally(now)} · best {score(best, now.metric)}{left}")
        else:
            return
        self._best, self._said_at = best, now.elapsed

    def message(self, line: str) -> None:
        self._write(one_line(line))


class _Picture:
    """The live picture on a terminal; messages scroll by above it."""

    def __init__(self, target: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._live = Live(console=target, auto_refresh=False, vertical_overflow="ellipsis")
        self._due = 0.0
        self._latest: Progress | None = None
        self._alarms: Sequence[Alarm] = ()

    def __enter__(self) -> _Picture:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._latest is not None:
            self._draw(self._latest, self._alarms)
        self._live.stop()

    def progress(self, now: Progress) -> None:
        if self._latest is None:
            self._alarms = alarm.of(now.trust, now.ruler)
        self._latest = now
        if self._clock() >= self._due:
            self._draw(now, [*self._alarms, STOPPING] if now.draining else self._alarms)

    def message(self, line: str) -> None:
        self._live.console.print(Text(one_line(line), style="dim"))

    def _draw(self, now: Progress, alarms: Sequence[Alarm]) -> None:
        size, began = self._live.console.size, self._clock()
        self._live.update(view(now, min(size.width, WIDEST), size.height, alarms), refresh=True)
        drawn = self._clock()
        self._due = drawn + max(FRAME_SECONDS, STANDS * (drawn - began))


# ── the picture ──────────────────────────────────────────────────────────────────────────────────


def view(now: Progress, width: int, height: int, alarms: Sequence[Alarm] = ()) -> RenderableType:
    """The whole picture, `width` columns wide and at most `height` lines tall (long tables are cut, and say so)."""
    wide = width >= WIDE
    warned = [_alarm(said) for said in alarms]
    room = max(7, height - (12 if wide else 14) - len(warned))
    rows = max(len(now.islands), len(now.slots)) if wide else len(now.islands) + len(now.slots)
    chart_rows = min(8, max(3, room - rows))
    left = room - chart_rows
    islands = _islands(now, left if wide else max(2, left - min(len(now.slots), left // 2)))
    slots = _slots(now, left if wide else max(2, left - min(len(now.islands), left // 2)), width - 48 * wide)
    above = [_head(now, width), *warned, Text(), _best(now), *_curve(now, width, chart_rows), Text()]
    tables: list[RenderableType] = [_beside(islands, slots)] if wide else [islands, Text(), slots]
    return Group(*_cut_to(width, above), *tables, *_cut_to(width, [Text(), *_foot(now)]))


def _cut_to(width: int, lines: list[Text]) -> list[Text]:
    """Lines that never wrap: a wrapped line would make the picture jump."""
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _ends(left: Text, right: Text, width: int) -> Text:
    """Two texts at the two ends of one line."""
    left = left.copy()
    left.truncate(max(0, width - right.cell_len - 1), overflow="ellipsis", pad=True)
    return Text.assemble(left, " ", right)


def _head(now: Progress, width: int) -> Text:
    left = Text.assemble(("KernelFactory", "bold"), "  ", (one_line(now.problem), "cyan"), "  ")
    left.append(one_line(now.experiment), "dim")
    if now.left is None:
        return _ends(left, Text(clock(now.elapsed)), width)
    full = now.elapsed + now.left
    done = round(BAR * min(1.0, now.elapsed / full)) if full else BAR
    bar = Text.assemble(("━" * done, "green"), ("━" * (BAR - done), "dim"), f"  {clock(now.elapsed)} of {clock(full)}")
    return _ends(left, bar, width)


def _alarm(alarm: Alarm) -> Text:
    return Text(f" {alarm[0]}  {alarm[1]} ", ALARM_STYLES.get(alarm[0], "bold"))


def _best(now: Progress) -> Text:
    best = now.best if now.best is not None else now.baseline
    if best == now.baseline:
        return Text.assemble((score(best, now.metric), "bold"), ("   the seed; nothing better yet", "dim"))
    line = Text.assemble((score(best, now.metric), "bold green"), "   ", (gain(best, now.baseline), "green"))
    line.append(f" than the seed's {number(now.baseline)}", "dim")
    return line.append(f"   attempt {now.best_attempt}" if now.best_attempt is not None else "", "dim")


def _curve(now: Progress, width: int, rows: int) -> list[Text]:
    """The best score over time as a filled staircase, with its axis."""
    curve = now.curve or ((0.0, now.baseline),)
    scores = [now.baseline, *(level for _, level in curve)]
    low, high = min(scores), max(scores)
    gutter = max(len(number(low)), len(number(high)))
    columns = max(10, width - gutter - 1)
    horizon = max(now.elapsed, curve[-1][0])  # after a resume the curve goes back further than this run
    floor = low - (high - low) / rows
    lines = chart.area(chart.steps(curve, horizon, columns), rows, floor, high if high > low else low + 1)
    labels = {0: number(high)} if high > low else {}
    labels[rows - 1] = number(low)
    drawn = [Text.assemble((f"{labels.get(i, ''):>{gutter}} ", "dim"), _shade(lines, i)) for i in range(rows)]
    axis = _ends(Text(f"{'':>{gutter}} 0:00", "dim"), Text(clock(horizon), "dim"), gutter + 1 + columns)
    return [*drawn, axis]


def _shade(lines: Sequence[str], row: int) -> Text:
    """One line of the chart: its edge bright, what lies under it dim."""
    above = lines[row - 1] if row else " " * len(lines[row])
    shaded = Text()
    for cell, over in zip(lines[row], above, strict=True):
        shaded.append(cell, "green" if over == " " else "dim green")
    return shaded


def _grid(**columns: int) -> Table:
    """A table with fixed widths, so that the picture stands still; a negative width is a left-justified column."""
    made = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for name, width in columns.items():
        side: Literal["left", "right"] = "left" if width < 0 else "right"
        made.add_column(name.replace("_", " "), justify=side, no_wrap=True, width=abs(width), overflow="ellipsis")
    return made


def _islands(now: Progress, room: int) -> Table:
    made = _grid(island=-8, valid=6, best=11, visits=6, stale=5)
    shown, more = _cut(now.islands, room)
    for island in shown:
        made.add_row(*_island(island, now))
    if more:
        made.add_row(Text(f"{more} more", "dim"))
    return made


def _island(view: IslandView, now: Progress) -> tuple[Text, ...]:
    leads = view.best is not None and view.best == now.best
    return (
        Text.assemble(("● ", colour(view.island)), str(view.island)),
        Text(number(view.candidates)),
        Text(number(view.best), "bold green" if leads else ""),
        Text(number(view.visits)),
        Text(number(view.stale), "yellow" if view.stale >= STALE else ""),
    )


def _slots(now: Progress, room: int, width: int) -> Table:
    made = _grid(slot=4, agent=-10, attempt=7, on=-4, doing=-min(26, max(10, width - 54)), best_here=11, time=6)
    shown, more = _cut(now.slots, room)
    for slot in shown:
        made.add_row(*_slot(slot, now))
    if more:
        made.add_row("", Text(f"{more} more", "dim"))
    return made


def _slot(view: SlotView, now: Progress) -> tuple[Text, ...]:
    idle, here, parent = view.attempt is None, view.best_here, view.parent_score
    ahead = here is not None and parent is not None and now.metric.better(here, parent)
    return (
        Text(str(view.slot), "dim"),
        Text(one_line(view.agent)),
        Text("" if idle else str(view.attempt)),
        Text("" if view.island is None else f"● {view.island}", colour(view.island or 0)),
        Text(one_line(view.doing), "dim" if idle else ""),
        Text("" if here is None else number(here), "green" if ahead else ""),
        Text("" if idle else clock(view.seconds), "dim"),
    )


def colour(island: int) -> str:
    """The colour of an island, the same everywhere."""
    return ISLAND_COLOURS[island % len(ISLAND_COLOURS)]


def _cut(rows: Sequence[Row], room: int) -> tuple[Sequence[Row], int]:
    """As many rows as there is room for, and how many are left out."""
    return (rows, 0) if len(rows) <= room else (rows[: room - 1], len(rows) - room + 1)


def _beside(left: Table, right: Table) -> Table:
    made = Table.grid(padding=(0, 4, 0, 0))
    made.add_row(left, right)
    return made


def _foot(now: Progress) -> list[Text]:
    rates = f"{_tally(now)} · {now.attempts_per_minute:,.1f} attempts/min"
    where = f"{now.trust} in {now.jail}" if now.jail != "none" else "unprotected, no jail"
    judged = f"{where}, ruler {now.ruler.backend} {now.ruler.digest.removeprefix('sha256:')[:8]}"
    spent = f"{money(now.spent.dollars)} · {number(now.spent.tokens)} tokens · {judged}"
    keys = "" if now.draining else "Ctrl-C: finish what runs, then stop · twice: abandon it · nothing is lost"
    return [Text(rates), Text(spent, "dim"), Text(keys, "dim")]


# ── words ────────────────────────────────────────────────────────────────────────────────────────


def _tally(now: Progress) -> str:
    outcomes = f"{number(now.improved)} improved, {number(now.rejected)} rejected"
    return f"{number(now.attempts)} attempts: {outcomes} · {number(now.measurements)} measurements"


def _best_words(now: Progress) -> str:
    best = now.best if now.best is not None else now.baseline
    return f"{score(best, now.metric)}, {gain(best, now.baseline)} than the seed, attempt {now.best_attempt}"
