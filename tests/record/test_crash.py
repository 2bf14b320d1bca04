"""A writer killed with SIGKILL at any moment: the record is intact and holds every row that was acknowledged, once."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from kernelfactory.record import Record

WRITER = Path(__file__).with_name("writer.py")


def killed(folder: Path, seconds: float, *fault: str) -> list[list[str]]:
    """What a writer had acknowledged when it was killed, `seconds` after it was ready."""
    writer = subprocess.Popen([sys.executable, WRITER, folder, *fault], stdout=subprocess.PIPE, text=True)
    assert writer.stdout.readline() == "ready\n"
    time.sleep(seconds)
    writer.send_signal(signal.SIGKILL)
    said, _ = writer.communicate()
    return [line.split() for line in said.splitlines(keepends=True) if line.endswith("\n")]


def missing(folder: Path, said: list[list[str]]) -> list[list[str]]:
    """The acknowledged facts that the record does not hold exactly once."""
    with Record.open(folder) as record:
        rows = {str(row.attempt): row for row in record.attempts()}
        judged = Counter(str(event.attempt) for event in record.events() if event.kind == "judged")
        measured = Counter(str(m.measurement) for number in rows for m in record.measurements(int(number)))
        spent = record.spent()
        assert (spent.attempts, spent.measurements) == (len(rows), sum(measured.values()))

    def held(what: str, number: str, measurement: str = "") -> bool:
        row = rows.get(number)
        if row is None or (measurement and measured[measurement] != 1):
            return False
        if what == "submitted":
            return row.state in ("submitted", "judged")
        return what != "judged" or (judged[number] == 1 and str(row.measurement) == measurement)

    return [line for line in said if not held(*line)]


@pytest.fixture
def made(book):
    book.seed()
    book.record.close()
    return book.record.folder


def test_nothing_acknowledged_is_lost(made):
    dice, said = random.Random(), []
    for _ in range(5):
        said += killed(made, dice.uniform(0.02, 0.3))
        assert missing(made, said) == []
    assert len(said) > 20
    db = sqlite3.connect(made / "record.db")
    assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    db.close()


def test_the_check_sees_a_writer_that_speaks_too_soon(made):
    lost = []
    for _ in range(20):
        lost += missing(made, killed(made, random.uniform(0.05, 0.3), "early"))
        if lost:
            break
    assert lost
