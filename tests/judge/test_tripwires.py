"""Tripwires: what fires, what does not, and that hostile text leaves them harmless."""

from __future__ import annotations

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
    ("look-alike letters", "раss = 1  # two alphabets"),
    ("obfuscated names", "lIlI1lI = 1"),
    ("obfuscated names", "_0x3fa2 = 1"),
    ("hidden code", "f = chr(101) + chr(120) + chr(101)"),
    ("hidden code", "().__class__.__base__.__subclasses__()"),
    ("test files", "open('../tests/frozen.py')"),
    ("test files", "import_from('submission_tests.py')"),
    ("network", "s = connect(('127.0.0.1', 80))"),
    ("evaluator's files", "text = open('../judge/x')"),
]


@pytest.mark.parametrize(("rule", "line"), FIRES)
def test_a_line_fires(rule: str, line: str) -> None:
    (flag,) = flags({"a.py": f"x = 1\n{line}\ny = 2\n".encode()})
    assert (flag.rule, flag.where) == (rule, "a.py:2")
    assert "\u202e" not in flag.text


@pytest.mark.parametrize(
    "line",
    [
        "executable = 1",
        "process = evaluate(x)",
        "# grüße, naïve … 5 µs, x², nº 1, Δx",
        "# быстрее",
        "coding: utf-8",
        "gcd(2, 3)",
        "test = tests / 2",
        "latest_test = 'test'",
        "OOO = III",
        "ruler = 1",
    ],
)
def test_a_harmless_line_does_not(line: str) -> None:
    assert flags({"a.py": line.encode()}) == ()


SECRET = ("ruler.py", "screen/board_42.json", "kit.py", "__init__.py", "a")


@pytest.mark.parametrize("line", ["d = 'board_42.json'", "import ruler", "from ruler import measure", "# see ruler.py"])
def test_names_of_the_evaluator_s_files_fire(line: str) -> None:
    (flag,) = flags({"a.py": line.encode()}, {}, SECRET)
    assert flag.rule == "evaluator's files"
    assert flags({"a.py": line.encode()}) == (), "nobody said what they are called"


def test_names_that_the_seed_has_too_do_not() -> None:
    assert flags({"a.py": b"import kit; a = 'kit.py'; a"}, {"lib/kit.py": b""}, SECRET) == ()


def test_what_the_seed_says_too_does_not_count() -> None:
    seed = {"a.py": b"import ctypes\nx = 1\n", "b.py": b""}
    assert flags({"a.py": b"x = 2\nimport ctypes\n"}, seed) == ()
    (flag,) = flags({"a.py": b"import ctypes\nimport ctypes as c\n"}, seed)
    assert flag.where == "a.py:2"
    assert [f.where for f in flags({"b.py": b"import ctypes\n"}, seed)] == ["b.py:1"], "another file's lines"


def test_each_line_is_named_for_what_stands_on_it() -> None:
    text = "import ctypes\ngc.callbacks\n\nx = sys._getframe(); import socket\n"
    assert [(f.where, f.rule) for f in flags({"a.py": text.encode()})] == [
        ("a.py:1", "native memory"),
        ("a.py:2", "gc"),
        ("a.py:4", "frames"),
    ]


def test_a_byte_order_mark_is_no_hidden_text() -> None:
    assert flags({"a.py": "\ufeffx = 1".encode()}) == ()
    assert [f.rule for f in flags({"a.py": "\ufeffx = 1\ufeff".encode()})] == ["hidden text"]


def test_decoys_hide_nothing_quietly() -> None:
    found = flags({"a.py": b"x = 'a.py'\n" * 5000 + b"import ctypes\n"})
    assert found and {flag.rule for flag in found} <= {"native memory", "more signs than are looked at"}


def test_there_are_never_many_and_they_are_short() -> None:
    found = flags({"a.py": b"import ctypes " + b"x" * 9999 + b"\nimport ctypes" * 999})
    assert len(found) == MOST and all(len(flag.text) <= 120 for flag in found)


def test_bytes_of_any_kind_are_read() -> None:
    kinds = (bytes(range(256)), b"x = 1\n", b"chr(1)", b"lI", "ｅ ".encode(), "aб".encode(), "\u202e".encode(), b"'")
    for kind in kinds:
        flags({"a.bin": (kind * (1 << 20))[: 1 << 20]}, {"a.bin": b"y"}, SECRET)


def test_clean_text_has_no_control() -> None:
    assert clean("a\x1b[2J\x00\u202eb\u200b\ud800\n\tc") == "a?[2J??b??\n\tc"
