"""How things look: pure functions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelfactory.cli import chart, terminal
from kernelfactory.model import Metric

CYCLES = Metric("cycles", "cycles", "min")


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("\x1b]0;title\x07x", "]0;titlex"),
        ("a\u202egpj.exe", "agpj.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("one\r\ntwo\rthree", "one\ntwothree"),
        ("tab\tstop", "tab stop"),
        ("\u2028para\u2029", "para"),
        ("\x9b31m", "31m"),
        ("äöü 漢字 🙂", "äöü 漢字 🙂"),
    ],
)
def test_foreign_text_is_made_harmless(hostile: str, shown: str) -> None:
    assert terminal.plain(hostile) == shown


@given(st.text())
def test_nothing_that_moves_the_cursor_is_left(text: str) -> None:
    left = terminal.plain(text)
    assert not any(ord(c) < 32 and c != "\n" for c in left)
    assert "\x1b" not in left and "\x9b" not in left and "\u202e" not in left
    assert terminal.plain(left) == left


def test_one_line_is_one_line_and_short() -> None:
    assert terminal.one_line("a\n b\t c") == "a b c"
    assert terminal.one_line("x" * 100, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(147734.0, "147,734"), (None, "-"), (0.5, "0.500"), (1e-9, "1.00e-09"), (-3.0, "-3"), (1234.5, "1,234.500")],
)
def test_numbers(value: float | None, shown: str) -> None:
    assert terminal.number(value) == shown


def test_scores_gains_times_and_sizes() -> None:
    assert terminal.score(147734.0, CYCLES) == "147,734 cycles"
    assert terminal.score(None, CYCLES) == "-"
    assert terminal.gain(90.0, 100.0) == "10.0 % lower"
    assert terminal.gain(110.0, 100.0) == "10.0 % higher"
    assert terminal.gain(-2.0, 0.0) == "2 lower"
    assert [terminal.clock(s) for s in (None, 0.4, 42, 725, 11231)] == ["-", "0:00", "0:42", "12:05", "3:07:11"]
    assert [terminal.money(d) for d in (None, 0.0, 1234.5)] == ["price unknown", "$0.00", "$1,234.50"]
    assert [terminal.size(n) for n in (0, 2048, 5 << 20, 3 << 40)] == ["0 B", "2.0 KiB", "5.0 MiB", "3072.0 GiB"]
    assert terminal.stamp(0.25) == "1970-01-01T00:00:00.250Z"


def test_a_staircase_holds_its_level_between_improvements() -> None:
    curve = [(0.0, 100.0), (5.0, 80.0), (9.0, 60.0)]
    assert chart.steps(curve, 10.0, 10) == [100.0] * 4 + [80.0] * 4 + [60.0] * 2
    assert chart.steps(curve, 0.0, 4) == [100.0, 100.0, 100.0, 60.0]
    assert chart.steps([(0.0, 1.0)], 10.0, 0) == []


def test_an_area_is_full_at_the_top_and_a_sliver_at_the_bottom() -> None:
    assert chart.area([100.0, 50.0, 0.0], 2, 0.0, 100.0) == ["█▁ ", "██▁"]
    assert chart.area([5.0], 1, 5.0, 5.0) == ["▁"]


@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50), st.integers(1, 9), st.floats(-1e9, 1e9), st.floats(0, 1e9)
)
def test_an_area_never_leaves_its_box(levels: list[float], rows: int, low: float, span: float) -> None:
    drawn = chart.area(levels, rows, low, low + span)
    assert len(drawn) == rows
    assert all(len(row) == len(levels) and set(row) <= set(chart.EIGHTHS) for row in drawn)
