"""The live picture and the plain lines, from values that workers would give."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace

import pytest
from rich.console import Console

from kernelfactory.cli import alarms, live
from kernelfactory.model import Metric, Ruler, Trust, Usage

CYCLES = Metric("cycles", "cycles", "min")
SAID = (
    "130,000 cycles",
    "12.0 % lower than the seed's 147,734",
    "attempt 8",
    "0:42 of 1:30",
    "42.0 attempts/min",
    "7 improved",
    "judged in bubblewrap",
    "ruler c 9f2b11aa",
    "$0.00",
    "measuring",
    "140,500",
    "Ctrl-C",
)


@dataclass(frozen=True)
class Island:
    island: int
    candidates: int
    best: float | None
    visits: int
    stale: int


@dataclass(frozen=True)
class Slot:
    slot: int
    agent: str
    attempt: int | None
    island: int | None
    doing: str
    seconds: float
    measurements: int
    best_here: float | None
    parent_score: float | None


@dataclass(frozen=True)
class Now:
    """What `workers.Progress` holds."""

    experiment: str = "vliw_tree-20260102-030405"
    problem: str = "vliw_tree"
    metric: Metric = CYCLES
    baseline: float = 147734.0
    best: float | None = 130000.0
    best_attempt: int | None = 8
    curve: tuple[tuple[float, float], ...] = ((0.0, 147734.0), (12.0, 140000.0), (30.0, 130000.0))
    islands: tuple[Island, ...] = (
        Island(0, 12, 130000.0, 16, 0),
        Island(1, 9, 141000.0, 14, 12),
        Island(2, 0, None, 3, 3),
    )
    slots: tuple[Slot, ...] = (
        Slot(0, "mutator", 29, 0, "working", 2.2, 3, None, 131000.0),
        Slot(1, "mutator", 30, 1, "measuring", 3.4, 1, 140500.0, 141000.0),
        Slot(2, "mutator", None, None, "waiting", 0.0, 0, None, None),
    )
    attempts: int = 29
    improved: int = 7
    rejected: int = 4
    measurements: int = 126
    attempts_per_minute: float = 42.04
    spent: Usage = field(default_factory=lambda: Usage(60.0, 0, 0.0))
    elapsed: float = 42.0
    left: float | None = 48.0
    jail: str = "bubblewrap"
    trust: Trust = "judged"
    ruler: Ruler = field(default_factory=lambda: Ruler("c", "sha256:9f2b11aa00"))
    draining: bool = False


def draw(now: Now, width: int, height: int = 40) -> list[str]:
    """The picture as text, trailing blanks off."""
    out = io.StringIO()
    screen = Console(file=out, width=width, height=height, force_terminal=False, markup=False, highlight=False)
    screen.print(live.view(now, min(width, live.WIDEST), height))  # type: ignore[arg-type]
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_eighty_columns_hold_everything_that_matters() -> None:
    lines = draw(Now(), 80, 30)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= 80
    for part in SAID:
        assert part in text, part


@pytest.mark.parametrize("width", [60, 80, 100, 110, 120, 200])
@pytest.mark.parametrize("height", [24, 30, 60])
def test_it_fits_every_screen_and_stands_still(width: int, height: int) -> None:
    sizes = set()
    for elapsed in (0.0, 30.0, 89.0):
        lines = draw(replace(Now(), elapsed=elapsed, left=90.0 - elapsed), width, height)
        assert max(map(len, lines)) <= width
        assert len(lines) < height
        sizes.add(len(lines))
    assert len(sizes) == 1


def test_wide_screens_put_the_tables_side_by_side() -> None:
    beside = [line for line in draw(Now(), 120) if "island" in line and "agent" in line]
    assert len(beside) == 1
    assert len(draw(Now(), 120)) < len(draw(Now(), 80))


def test_many_slots_are_cut_and_counted() -> None:
    many = tuple(Slot(n, "mutator", n, n % 3, "working", 1.0, 0, None, None) for n in range(64))
    lines = draw(replace(Now(), slots=many), 80, 30)
    assert len(lines) < 30
    assert any("more" in line for line in lines)


class Slow(io.StringIO):
    """A terminal on which each picture takes `takes` seconds of the clock, which is its own."""

    def __init__(self, takes: float) -> None:
        super().__init__()
        self.takes, self.now, self.pictures = takes, 100.0, 0

    def write(self, text: str, /) -> int:
        if "attempts/min" in text:
            self.now += self.takes
            self.pictures += 1
        return super().write(text)


def drawn(takes: float) -> int:
    """Pictures within a minute in which a run looks up four times a second."""
    terminal = Slow(takes)
    screen = Console(file=terminal, width=120, height=40, force_terminal=True)
    with live._Picture(screen, lambda: terminal.now) as picture:
        while terminal.now < 160.0:
            picture.progress(Now())  # type: ignore[arg-type]
            terminal.now += 0.25
    return terminal.pictures


def test_pictures_take_a_twentieth_of_the_time() -> None:
    """Injected fault: a terminal so slow that drawing each time it is looked at would take half of all the time."""
    assert drawn(0.0) >= 240, "each time"
    assert 25 <= drawn(0.1) <= 35 and drawn(1.0) <= 5


def test_before_the_first_improvement_it_says_so() -> None:
    text = "\n".join(draw(replace(Now(), best=None, best_attempt=None, curve=()), 80))
    assert "147,734 cycles   the seed; nothing better yet" in text


def test_alarms_are_loud_only_when_there_is_cause() -> None:
    assert [word for word, _ in alarms.of("unprotected", Ruler("c", "sha256:00"))] == ["UNPROTECTED"]
    assert alarms.of("judged", Ruler("c", "sha256:00")) == []
    out = io.StringIO()
    screen = Console(file=out, width=80, height=30)
    screen.print(live.view(Now(), 80, 30, [alarms.UNPROTECTED, alarms.SLOW, alarms.STOPPING]))  # type: ignore[arg-type]
    said = [line.split()[0] for line in out.getvalue().splitlines()[1:4]]
    assert said == ["UNPROTECTED", "SLOW", "STOPPING"]
    assert len(out.getvalue().splitlines()) < 30


def test_names_cannot_move_the_cursor() -> None:
    hostile = Slot(0, "\x1b[2Jagent", 1, 0, "doing\x1b[H\nmore", 1.0, 0, None, None)
    text = "\n".join(draw(replace(Now(), slots=(hostile,), experiment="\x1b[31mname"), 120))
    assert "\x1b" not in text
    assert "doing[H more" in text


def test_a_maximised_score_rises() -> None:
    speed = Metric("speed", "GFLOP/s", "max")
    rising = replace(Now(), metric=speed, baseline=1.0, best=2.0, curve=((0.0, 1.0), (20.0, 2.0)))
    text = "\n".join(draw(rising, 80))
    assert "2 GFLOP/s" in text
    assert "100.0 % higher" in text


def test_plain_lines_are_one_for_each_improvement_and_one_every_ten_seconds() -> None:
    said: list[str] = []
    lines = live.Lines(said.append)
    for tenth in range(301):
        elapsed = tenth / 10
        best = 147734.0 if elapsed < 12 else 140000.0 if elapsed < 25 else 130000.0
        lines.progress(replace(Now(), elapsed=elapsed, best=best))  # type: ignore[arg-type]
    assert sum("improved:" in line for line in said) == 2
    assert 4 <= len(said) <= 6
    assert said[0].startswith("   0:00  ")
    lines.message("seed judged\x1b[31m\nat 147,734")
    assert said[-1] == "seed judged[31m at 147,734"
