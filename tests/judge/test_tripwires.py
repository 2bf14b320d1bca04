"""Tripwires: what fires, what does not, and that hostile text leaves them harmless."""

from __future__ import annotations

import time

import pytest

from kernelfactory.judge.tripwires import MOST, clean, flags

FIRES = [
    ("frames", "f = sys._getframe(1).f_back"),
    ("gc", "for o in gc.get_objects():"),
    ("native memory", "import ctypes"),
    ("native memory", "open('/proc/self/mem')"),
    ("native memory", "open(f'/proc/{os.getppid()}/mem')"),
    ("network", "import socket"),
    ("processes", "os.fork()"),
    ("hidden code", "exec(zlib.decompress(x))"),
    ("hidden code", "# -*- coding: unicode_escape -*-"),
    ("look-alike letters", "ｐrint(1)"),
    ("hidden text", "x = 1 # \u202e"),
]


@pytest.mark.parametrize(("rule", "line"), FIRES)
def test_a_line_fires(rule: str, line: str) -> None:
    (flag,) = flags({"a.py": f"x = 1\n{line}\ny = 2\n".encode()})
    assert (flag.rule, flag.where) == (rule, "a.py:2")
    assert "\u202e" not in flag.text


@pytest.mark.parametrize(
    "line", ["executable = 1", "process = evaluate(x)", "# grüße, naïve", "coding: utf-8", "gcd(2, 3)"]
)
def test_a_harmless_line_does_not(line: str) -> None:
    assert flags({"a.py": line.encode()}) == ()


def test_there_are_never_many_and_they_are_short() -> None:
    found = flags({"a.py": b"import ctypes " + b"x" * 9999 + b"\nimport ctypes" * 999})
    assert len(found) == MOST and all(len(flag.text) <= 120 for flag in found)


def test_bytes_of_any_kind_are_read_fast() -> None:
    started = time.monotonic()
    flags({"a.bin": bytes(range(256)) * 4000, "b.py": b"x = 1\n" * 200_000})
    assert time.monotonic() - started < 5


def test_clean_text_has_no_control() -> None:
    assert clean("a\x1b[2J\x00\u202eb\u200b\ud800\n\tc") == "a?[2J??b??\n\tc"
