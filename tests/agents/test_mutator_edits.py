"""The mutator's operators on small texts: what comes out is a program, differs, and is what the name says."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelfactory.agents.mutator import loops, merge, names, statements
from kernelfactory.agents.mutator.operators import OPERATORS
from kernelfactory.agents.mutator.statements import Edit
from kernelfactory.agents.mutator.syntax import PYTHON, C, Code, Grammar, body_of, grammar_for, problem_with, text

PROGRAM = b'''\
"""Some text
  over two lines."""
import math

SIZES = {"a": [1, 2], "b": [3]}


def area(items, scale=2):
    total = make("total")
    other = make("other")
    for i in range(10):
        part = items[i] * scale  # a comment
        # another one
        emit({"a": [(total, part)], "b": [part]})
        emit({"a": [(other, i)]})
        for j in range(0, i):
            if part < j: emit({"b": [j]})
            emit({"a": [(part, j, """x
  y""")]})
            pass
        emit({"c": [i]})
    for j in range(4):
        for k in range(3, 9, 2):
            emit(j + k)
    for j in range(4):
        emit(j, total)
    return math.sqrt(total) if total > other else total - 0.5


class Thing:
    def go(self, *args, key=1):
        while key:
            key -= 1
            self.count = [key, *args]
        return self
'''

MATMUL = b"""\
#include <stddef.h>

void multiply(size_t n, const float *a, const float *b, float *c) {
    float zero = 0.0f;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; ++j) {
            float sum = zero;
            for (size_t k = 0; k < n; k += 1) {
                sum += a[i * n + k] * b[k * n + j];
            }
            c[i * n + j] = sum; // one more
        }
    }
}

static const int table[2][2] = {{1, 2}, {3, 4}};

int look(int x) {
    int found = 0;
    for (int i = 0; i < 2; i++) for (int j = 0; j < 2; j++) found += table[i][j] == x;
    for (int i = 0; i < 2; i++) { found += i; }
    while (found > 10) { found /= 2; found--; }
    return found;
}
"""

TRICKY = [
    (PYTHON, b""),
    (PYTHON, b"x = 1"),
    (PYTHON, b"def f(): return [1, 2, 3]\n"),
    (PYTHON, b"if a: b = 1; c = 2\nelse:\n\tb = {1: [2], 3: [4]}\n\tc = 3\n"),
    (PYTHON, "größe = ['ä', 'ö']\nfor ß in größe:\n    print(ß)\n    print(ß + 'ü')\n".encode()),
    (PYTHON, b"for i in range(4):\r\n    f([i])\r\n    f([i + 1])\r\n"),
    (PYTHON, b"async def f():\n    async for x in y:\n        await z([x])\n        await z([x])\n"),
    (C, b""),
    (C, b"int x;"),
    (
        C,
        b"int f(int n) { int i, s = 0; for (i = 0; i < n; i++) if (i) s++; else s--; do { s--; } while (s); return s; }",
    ),
]

# Every operator's result parses, but for this one: it mixes lines of two texts.
UNSURE = {"hunk"}


def edits(name: str, code: Code, count: int, donors: list[Code] | None = None) -> list[Edit]:
    found = [OPERATORS[name][0](code, Random(number), donors or []) for number in range(count)]
    return [edit for edit in found if edit is not None]


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_what_comes_out_parses(name: str) -> None:
    samples = [Code(PROGRAM, PYTHON), Code(MATMUL, C)]
    if name == "hunk":
        samples = [Code(PROGRAM, PYTHON)]
    made = 0
    for code in samples:
        donors = [Code(code.source.replace(b"total", b"sum").replace(b"zero", b"one"), code.grammar)]
        for edit in edits(name, code, 60, donors):
            made += 1
            assert name in UNSURE or not edit.code.root.has_error, edit.code.source.decode()
            assert edit.where.isascii()
    assert made


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_odd_texts_break_nothing(name: str) -> None:
    for grammar, source in TRICKY:
        for edit in edits(name, Code(source, grammar), 20, [Code(source, grammar)]):
            assert isinstance(problem_with(edit.code), (str, type(None)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(sorted(set(OPERATORS) - UNSURE)), min_size=1, max_size=6))
def test_edits_on_edits_still_parse(seed: int, chain: list[str]) -> None:
    rng = Random(seed)
    for start in (Code(PROGRAM, PYTHON), Code(MATMUL, C)):
        code = start
        for name in chain:
            edit = OPERATORS[name][0](code, rng, [start])
            if edit is not None and problem_with(edit.code) is None:
                assert not edit.code.root.has_error
                code = edit.code


def only(source: str, operator: Callable[..., Edit | None], wanted: str, grammar: object = PYTHON) -> None:
    """Some roll of the dice makes exactly the wanted text."""
    code = Code(source.encode(), PYTHON if grammar is PYTHON else C)
    found = {edit.code.source.decode() for n in range(200) if (edit := operator(code, Random(n), [])) is not None}
    assert wanted in found, "\n----\n".join(sorted(found))


def test_delete_leaves_a_stand_in() -> None:
    only("if x:\n    f()\n", statements.delete, "if x:\n    pass\n")
    only("f()\ng()\nh()\n", statements.delete, "f()\nh()\n")


def test_move_copy_swap() -> None:
    only("f()\ng()\nh()\n", statements.move, "g()\nh()\nf()\n")
    only("f()\nfor x in y:\n    g()\n", statements.copy, "f()\nfor x in y:\n    f()\n    g()\n")
    only("f()\nif a:\n    b()\n", statements.swap, "if a:\n    b()\nf()\n")
    only("f(a, b)\n", statements.swap, "f(b, a)\n")


def test_join_makes_one_of_two() -> None:
    only("f([1])\nf([2, 3])\n", statements.join, "f([1, 2, 3])\n")
    only('f({"a": [1]})\ng()\nf({"b": [2], "a": [3]})\n', statements.join, 'f({"a": [1, 3], "b": [2]})\ng()\n')
    only('f({"a": [1]})\ng()\nf({"b": [2]})\n', statements.join, 'g()\nf({"a": [1], "b": [2]})\n')
    assert (
        merge.merge(Code(b"f([1])\ng([2])\n", PYTHON), *Code(b"f([1])\ng([2])\n", PYTHON).blocks[0].statements) is None
    )
    assert merge.merge(Code(b"f(1)\nf(1)\n", PYTHON), *Code(b"f(1)\nf(1)\n", PYTHON).blocks[0].statements) is None


def test_pour_and_split() -> None:
    only('f({"a": [1, 2]})\nf({"a": [3]})\n', statements.pour, 'f({"a": [1]})\nf({"a": [3, 2]})\n')
    only('f({"a": [1], "b": [2]})\nf({"a": [3]})\n', statements.pour, 'f({"a": [1]})\nf({"a": [3], "b": [2]})\n')
    only("f([1, 2, 3])\n", statements.split, "f([2])\nf([1, 3])\n")


def test_hoist_and_sink() -> None:
    only("for x in y:\n    f()\n    g(x)\n", statements.hoist, "f()\nfor x in y:\n    g(x)\n")
    only("f()\nfor x in y:\n    g(x)\nh()\n", statements.sink, "for x in y:\n    f()\n    g(x)\nh()\n")
    only("f()\nfor x in y:\n    g(x)\nh()\n", statements.sink, "f()\nfor x in y:\n    g(x)\n    h()\n")


def test_loops() -> None:
    nest = "for a in x:\n    for b in y:\n        f(a, b)\n"
    only(nest, loops.interchange, "for b in y:\n    for a in x:\n        f(a, b)\n")
    two = "for a in x:\n    f(a)\nfor a in x:\n    g(a)\n"
    one = "for a in x:\n    f(a)\n    g(a)\n"
    only(two, loops.join_loops, one)
    only(one, loops.split_loop, two)
    only("for a in range(n):\n    f(a)\n", loops.repeat, "for a in range(0, n, 2):\n    f(a)\n    f((a + 1))\n")
    only("for a in range(1, n, 3):\n    f(a)\n", loops.repeat, "for a in range(1, n, 6):\n    f(a)\n    f((a + 3))\n")


def test_jam_gives_each_turn_its_own_names_and_joins_by_shape() -> None:
    source = 'def run(n):\n    t = new()\n    for a in range(n):\n        s = a + t\n        f({"x": [s]})\n        f({"y": [t]})\n'
    joined = (
        "def run(n):\n    t = new()\n    t_2 = new()\n    for a in range(0, n, 2):\n        s = a + t\n        s_2 = (a + 1) + t_2\n"
        '        f({"x": [s, s_2]})\n        f({"y": [t]})\n        f({"y": [t_2]})\n'
    )
    only(source, loops.jam, joined)


def test_jam_makes_names_that_differ_from_each_other() -> None:
    """Also where two names have one stem, as after an earlier jam."""
    head = "def run(n):\n    t = new()\n    t_2 = new()\n    for a in range(n):\n        f(t, t_2)\n"
    found = {edit.code.source.decode() for edit in edits("jam", Code(head.encode(), PYTHON), 60)}
    assert any("        f(t, t_2)\n        f(t_3, t_4)\n" in source for source in found)
    assert not any("f(t_3, t_3)" in source for source in found)


def test_jam_goes_through_inner_loops() -> None:
    source = "def run(n):\n    for a in range(n):\n        for b in c:\n            f([a, b])\n"
    only(
        source,
        loops.jam,
        "def run(n):\n    for a in range(0, n, 2):\n        for b in c:\n            f([a, b, (a + 1), b])\n",
    )


def test_names() -> None:
    source = "def run(n):\n    t = new()\n    for a in n:\n        f(t)\n        g(t)\n        h(t)\n"
    only(
        source,
        names.split_name,
        "def run(n):\n    t = new()\n    t_2 = new()\n    for a in n:\n        f(t)\n        g(t_2)\n        h(t_2)\n",
    )
    only("def run(n, m):\n    return n + m\n", names.rename, "def run(n, m):\n    return m + m\n")


def test_numbers_and_operators() -> None:
    only("x = 8\n", OPERATORS["number"][0], "x = 16\n")
    only("x = a + b\n", OPERATORS["operator"][0], "x = a * b\n")
    only("int f(int a) { return a < 3; }", OPERATORS["operator"][0], "int f(int a) { return a >= 3; }", C)


def test_numbers_are_scaled_near_and_far() -> None:
    def numbers(source: str, grammar: Grammar = PYTHON) -> set[bytes]:
        code = Code(source.encode(), grammar)
        return {edit.code.source for edit in edits("scale", code, 400)}

    found = {float(text.removeprefix(b"x = ")) for text in numbers("x = 0.5\n")}
    assert {0.05 <= x <= 5.0 for x in found} == {True} and max(found) > 1.0 and min(found) < 0.25
    assert any(0 < abs(x - 0.5) < 0.001 for x in found) and any(0.01 < abs(x - 0.5) < 0.1 for x in found)
    wholes = {text.removeprefix(b"x = ") for text in numbers("x = 1000\n")}
    assert all(text.strip().isdigit() for text in wholes), "a whole number stays one"
    assert max(map(int, wholes)) > 3000 and min(map(int, wholes)) < 300 and b"1000\n" not in wholes
    assert numbers("x = 1\n") >= {b"x = 0\n", b"x = 2\n", b"x = 5\n"}
    assert numbers("x = 0\n") == {b"x = 1\n"}
    assert all(text.endswith(b"f;\n") for text in numbers("float x = 2.5f;\n", C))
    assert numbers("x = 0xff\ny = 1_000\n") == set(), "other ways to write a number are left alone"
    assert numbers("x = " + "9" * 400 + "\n") == set(), "no number that float() can't hold"


def test_numbers_that_names_are_set_to_change_more_often() -> None:
    code = Code(b"a = 7\nf(7, 7, 7)\n", PYTHON)
    named = sum(b"f(7, 7, 7)" in edit.code.source for edit in edits("scale", code, 400))
    assert named > 400 * 0.5


def test_crossover_takes_text_from_another_program() -> None:
    mine = Code(b"def f():\n    return 1\n\n\ndef g():\n    return 2\n", PYTHON)
    other = Code(b"def f():\n    return 10\n\n\ndef g():\n    return 20\n", PYTHON)
    for name in ("hunk", "function"):
        found = {edit.code.source for edit in edits(name, mine, 40, [other])}
        assert b"def f():\n    return 10\n\n\ndef g():\n    return 2\n" in found
    assert any(b"20" in edit.code.source for edit in edits("statement", mine, 40, [other]))
    assert edits("hunk", mine, 10, []) == []


def test_c_interchange_and_jam_on_the_loops_of_a_product(tmp_path: Path) -> None:
    flat = MATMUL.replace(b"            float sum = zero;\n", b"").replace(
        b"            c[i * n + j] = sum; // one more\n", b""
    )
    flat = flat.replace(b"sum +=", b"c[i * n + j] +=")
    code = Code(flat, C)
    heads = set()
    for edit in edits("interchange", code, 40):
        first = edit.code.loops[0]
        body = body_of(first)
        assert body is not None
        heads.add(text(first)[: body[0].start_byte - first.start_byte].strip())
    assert b"for (size_t j = 0; j < n; ++j)" in heads
    jammed = [edit.code.source for edit in edits("jam", Code(MATMUL, C), 60)]
    assert any(b"sum_2 += a[(i + 1) * n + k] * b[k * n + j];" in source and b"i += 2" in source for source in jammed)


CHECK = b"""
#include <stdio.h>
void multiply(size_t n, const float *a, const float *b, float *c);
int main(void) {
    static float a[64], b[64], c[64];
    for (int i = 0; i < 64; i++) { a[i] = (float)(i % 7); b[i] = (float)(i % 5); }
    multiply(8, a, b, c);
    for (int i = 0; i < 64; i++) printf("%g ", c[i]);
    return 0;
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")
def test_c_edits_compile_and_jam_keeps_the_answer(tmp_path: Path) -> None:
    def answer(source: bytes) -> bytes:
        (tmp_path / "a.c").write_bytes(source + CHECK)
        subprocess.run(["cc", "-w", "-O0", "-o", "a.out", "a.c"], cwd=tmp_path, check=True)
        return subprocess.run(["./a.out"], cwd=tmp_path, check=True, capture_output=True, timeout=10).stdout

    wanted = answer(MATMUL)
    jams = {edit.code.source for edit in edits("jam", Code(MATMUL, C), 20)}
    jams = {source for source in jams if b"sum_2" in source and b"k += 1" in source}
    assert jams
    assert {answer(source) for source in jams} == {wanted}


def test_language_is_told_by_the_name() -> None:
    assert grammar_for("a/b.py") is PYTHON
    assert grammar_for("x.c") is grammar_for("x.h") is C
    assert grammar_for("x.md") is None


def test_what_is_no_program_is_seen() -> None:
    assert problem_with(Code(b"x = = 1\n", PYTHON)) == "doesn't parse"
    assert problem_with(Code(b"return 1\n", PYTHON)) == "doesn't compile (SyntaxError)"
    assert problem_with(Code(b"int f( {", C)) == "doesn't parse"
    assert problem_with(Code(b"x = 1\n" * 200_000, PYTHON)) == "too long"
    assert problem_with(Code(PROGRAM, PYTHON)) is None


def test_loops_on_one_line_stay_as_they_are() -> None:
    """In Python a second line under such a loop would be no program."""
    code = Code(b"def f(n):\n    g()\n    for a in range(n): h(a)\n    for a in range(n):\n        k(a)\n", PYTHON)
    assert [text(loop).splitlines()[0] for loop in code.loops] == [b"for a in range(n):"]
    for name in ("jam", "repeat", "sink", "hoist", "split-loop", "join-loops", "move"):
        assert not [e.code.source for e in edits(name, code, 40) if e.code.root.has_error], name
