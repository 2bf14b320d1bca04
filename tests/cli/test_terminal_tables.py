"""Tables on terminals of all widths: numbers and names whole, the last column gets what is left."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

SHOW = """
from kernelfactory.cli.terminal import table
heads = ("attempt", "agent", "score", "time", "why this parent")
why = "island 0: the seed, no. 1 of 1 by score, 0 visits"
rows = [[str(n), "mutator", f"{147734 - n:,}", "0:01", why] for n in range(3)]
table(heads, rows, ("agent", "why this parent"), ("time", "why this parent", "agent"))
"""

MARKS = """
from kernelfactory.cli.terminal import table
table(("", "check", "seen"), [["wrong", "the seed is valid", "words " * 30]], ("", "check", "seen"))
"""


def on_a_terminal(width: int, program: str = SHOW) -> str:
    """What `program` prints on a terminal of so many columns."""
    mine, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(width), "TERM": "xterm", "NO_COLOR": "1"}
    done = subprocess.Popen([sys.executable, "-c", program], stdout=theirs, env=environment)
    os.close(theirs)
    said = bytearray()
    while True:
        try:
            part = os.read(mine, 4096)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        said += part
    os.close(mine)
    assert done.wait(30) == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", said.decode())


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_numbers_and_names_are_never_cut(width: int) -> None:
    said = on_a_terminal(width)
    assert "…" not in said
    for whole in ("147,734", "147,732"):
        assert whole in said
    assert max(len(line.rstrip("\r")) for line in said.split("\n")) <= width


def test_the_columns_that_matter_less_go_first() -> None:
    assert "0:01" in on_a_terminal(120) and "mutator" in on_a_terminal(60)
    assert "0:01" not in on_a_terminal(60)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_column_without_a_head_stays(width: int) -> None:
    said = on_a_terminal(width, MARKS)
    assert "wrong" in said and "the seed is valid" in said and said.count("words") == 30


FITS = """
from kernelfactory.cli.terminal import fits
print(fits(("attempt", "agent", "why"), [["1", "x" * 60, "because " * 40]]))
"""


@pytest.mark.parametrize(("width", "fit"), [(80, "False"), (120, "True")])
def test_whether_a_table_fits_is_known_before(width: int, fit: str) -> None:
    assert on_a_terminal(width, FITS).split() == [fit]
