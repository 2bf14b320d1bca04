"""What crosses between a ruler and a candidate: plain data, the same on both sides, and nothing else."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections import OrderedDict, namedtuple
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelfactory.judge.inside import kfworker
from kernelfactory.judge.inside.kfworker import Answers, Payload, Unsayable, decode, encode, frame, loads

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
KEYS = st.one_of(st.none(), st.booleans(), st.integers(), FLOATS, st.text(), st.binary(), st.tuples(st.integers()))
VALUES = st.recursive(
    st.one_of(KEYS, st.sets(st.integers()), st.sets(st.text())),
    lambda inner: st.one_of(
        st.lists(inner), st.lists(inner).map(tuple), st.dictionaries(KEYS, inner, max_size=5), st.tuples(inner, inner)
    ),
    max_leaves=25,
)


def crossed(value: Any) -> Any:
    """A value as the other side gets it: through the text and the payload of a frame."""
    payload = bytearray()
    text = json.dumps(encode(value, payload), allow_nan=False).encode()
    beside = Payload(bytes(payload))
    found = decode(loads(text), beside)
    beside.finish()
    return found


def same(a: Any, b: Any) -> bool:
    """Equal in types too, all the way down (a float's sign and bits with it)."""
    if type(a) is not type(b):
        return False
    if type(a) is float:
        return a == b and math.copysign(1, a) == math.copysign(1, b)
    if type(a) in (list, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if type(a) is dict:
        return len(a) == len(b) and all(same(x, y) and same(a[x], b[y]) for x, y in zip(a, b, strict=True))
    return bool(a == b)


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_what_is_sent_arrives(value: Any) -> None:
    assert same(crossed(value), value)


@pytest.mark.parametrize(
    "value",
    [
        -0.0,
        5e-324,
        sys.float_info.max,
        -sys.float_info.min / 3,
        2**64,
        -(2**9000),
        True,
        [True, 1, 1.0],
        {1: "a", "1": "b", (1, 2): {}, None: [], 2.5: set()},
        {"t": [1]},
        {"b": [0, 1], "h": 0},
        [[], (), {}, set(), "", b""],
        "\x00\x1f\u2028\U0001f600e\u0301",
        bytes(range(256)) * 3,
        [b"", b"a", b"", b"bc"],
    ],
    ids=repr,
)
def test_the_odd_ones_too(value: Any) -> None:
    assert same(crossed(value), value)


def test_the_comparison_itself_tells_things_apart() -> None:
    pairs = [(0.0, -0.0), (1, 1.0), (1, True), ([1], (1,)), ({1: 2}, {1.0: 2}), ({"a": [1]}, {"a": [1.0]})]
    assert not any(same(a, b) for a, b in pairs)


def test_what_looks_like_plain_data_becomes_it() -> None:
    """Subclasses cross as what they are at heart: whatever they do beside that stays."""
    point = namedtuple("point", "x y")

    class Lie(float):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = float.__hash__

    class Twice(list):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return 99

    found = crossed([point(1, 2), Lie(2.5), OrderedDict(a=1), bytearray(b"x"), memoryview(b"y"), frozenset([1])])
    assert same(found, [(1, 2), 2.5, {"a": 1}, b"x", b"y", {1}])
    assert same(crossed(Twice([1])), [1])


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def looped() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


UNSAYABLE = {
    "nan": math.nan,
    "infinity": [1, {"a": -math.inf}],
    "an object": object(),
    "a function": print,
    "a type": int,
    "a generator": (n for n in [1]),
    "a complex number": 1j,
    "too deep": deep(100),
    "itself": looped(),
    "too long a number": 1 << 14000,
    "half a character": "\ud800",
    "a range": range(3),
}


@pytest.mark.parametrize("what", UNSAYABLE)
def test_what_cannot_be_said_is_refused_by_the_one_who_says_it(what: str) -> None:
    with pytest.raises(Unsayable) as caught:
        encode(UNSAYABLE[what], bytearray())
    assert len(str(caught.value)) < 80


GARBAGE = [
    b"",
    b"{",
    b"NaN",
    b"[Infinity]",
    b"-Infinity",
    b"1e999",
    b'{"t": [1], "d": []}',
    b"{}",
    b'{"t": [1], "t": [2]}',
    b"\xff\xfe",
    b'"\xed\xa0\x80"',
    b"[" * 100_000,
    b"1" * 100_000,
    b"[1] [2]",
]


@pytest.mark.parametrize("text", GARBAGE, ids=lambda text: repr(text[:20]))
def test_a_text_that_is_not_strict_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        loads(text)


NO_VALUES = [
    b'{"t": 1}',
    b'{"x": []}',
    b'{"b": [0, 5]}',
    b'{"b": [1, 1]}',
    b'{"b": [0, -1]}',
    b'{"b": [0.0, 1]}',
    b'{"b": [true, 1]}',
    b'{"b": [0]}',
    b'{"d": [[1]]}',
    b'{"d": [1]}',
    b'{"d": ["ab"]}',
    b'{"d": [[[1], 2]]}',
    b'{"d": [[1, 2], [1, 3]]}',
    b'{"d": [[1, 2], [true, 3]]}',
    b'{"s": [[1]]}',
    b'{"s": [1, 1.0]}',
    b'{"h": 0}',
    b'{"a": [">f8", [1], 0]}',
    b'{"a": ["O", [1], 0, 4]}',
    b'{"a": ["f8", [-1], 0, 4]}',
    b'{"a": ["V4", [1], 0, 4]}',
    b'"\\ud800"',
    b"[" * 200 + b"]" * 200,
    b"9" * 4200,
]


@pytest.mark.parametrize("text", NO_VALUES, ids=lambda text: repr(text[:30]))
def test_a_value_in_another_form_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        decode(loads(text), Payload(b"abcd"))


def test_the_same_forms_are_taken_when_they_are_right() -> None:
    assert decode(loads(b'{"b": [0, 4]}'), Payload(b"abcd")) == b"abcd"
    assert decode(loads(b'{"d": [[{"t": [1]}, 2]]}'), Payload(b"")) == {(1,): 2}
    assert decode(loads(b'{"h": 3}'), Payload(b""), lambda number: number + 1) == 4
    assert decode(loads(b"[" * 100 + b"]" * 100), Payload(b"")) is not None


def test_payload_that_nobody_speaks_of_is_refused() -> None:
    beside = Payload(b"abcd")
    decode(loads(b'{"b": [0, 3]}'), beside)
    with pytest.raises(ValueError, match="more payload"):
        beside.finish()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=20))
def test_any_bytes_give_a_value_or_a_refusal(text: bytes, payload: bytes) -> None:
    try:
        found = decode(loads(text), Payload(payload))
    except ValueError:
        return
    assert same(crossed(found), found)


# ── numpy, where it is ───────────────────────────────────────────────────────────────────────────


def test_arrays_cross() -> None:
    numpy = pytest.importorskip("numpy", reason="numpy is not installed here")
    for kind in ("f8", "f4", "i8", "i1", "u2", "bool", "c16", ">i4"):
        for shape in ((), (0,), (3,), (2, 3), (2, 0, 1)):
            array = numpy.ones(shape, dtype=kind)
            found = crossed(array)
            if shape == () and kind != "c16":
                assert type(found) in (int, float, bool) and found == 1
            else:
                assert (found.dtype, found.shape) == (array.dtype, array.shape) and (found == array).all()
    found = crossed({"x": [numpy.arange(4).reshape(2, 2).T, numpy.float64(0.5), numpy.int32(3)]})
    assert found["x"][0].tolist() == [[0, 2], [1, 3]] and same(found["x"][1:], [0.5, 3])
    assert found["x"][0].flags.writeable
    for wrong in (numpy.array([math.nan]), numpy.array([object()]), numpy.array(["a"]), numpy.array(["2020"], "M8[Y]")):
        with pytest.raises(Unsayable):
            encode(wrong, bytearray())


def test_an_array_without_numpy_is_refused() -> None:
    """In a process that has none: the forms of an array are no way to bring one in."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import kfworker as k\n"
        "try: k.decode({'a': ['<f8', [1], 0, 8]}, k.Payload(bytes(8)))\n"
        "except ValueError as error: print(error)"
    )
    argv = [sys.executable, "-I", "-S", "-c", code, str(Path(kfworker.__file__).parent)]
    assert (
        subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        == "an array, and there is no numpy here\n"
    )


# ── answering ────────────────────────────────────────────────────────────────────────────────────


class Program:
    size = 3

    def add(self, a: int, b: int = 1) -> int:
        return a + b

    def fail(self) -> None:
        raise KeyError("the input was 17")

    def gone(self) -> None:
        raise AttributeError("add")

    def made(self) -> object:
        return object()

    def floats(self) -> list[float]:
        return [math.nan]


def said(answers: Answers, request: dict[str, Any]) -> Any:
    answer = answers.answer(json.loads(json.dumps(request)), b"")
    text, payload = kfworker.FRAME.unpack_from(answer)
    assert len(answer) == kfworker.FRAME.size + text + payload
    return json.loads(answer[kfworker.FRAME.size :][:text])


def call(name: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    payload = bytearray()
    return {"of": 0, "name": name, "args": encode(list(args), payload), "kwargs": encode(kwargs, payload)}


def test_a_worker_answers() -> None:
    answers = Answers(Program(), keeping=False)
    assert said(answers, call("add", 2)) == ["value", 3]
    assert said(answers, call("add", 2, b=5)) == ["value", 7]
    assert said(answers, {"of": 0, "name": "size"}) == ["value", 3]
    assert said(answers, call("fail")) == ["raised", "KeyError", False]
    assert said(answers, {"of": 0, "name": "nothing"}) == ["raised", "AttributeError", True]
    assert said(answers, call("made"))[0] == said(answers, call("floats"))[0] == "unsayable"
    assert said(answers, {"of": 9, "name": "add"}) == ["raised", "KeyError", False]


def test_a_worker_that_keeps_what_cannot_be_said() -> None:
    answers = Answers(Program(), keeping=True)
    assert said(answers, call("made")) == ["kept", 1, False]
    assert said(answers, {"of": 0, "name": "add"}) == ["kept", 2, True]
    assert said(answers, {"of": 2, "name": None, "args": [4, 5]}) == ["value", 9]
    assert said(answers, {"of": 2, "args": [4, {"h": 1}]})[0] == "raised"  # an object is no number
    assert said(answers, call("floats"))[0] == "unsayable"  # a list of what is no number is not kept


# ── the process ──────────────────────────────────────────────────────────────────────────────────


def spoken(folder: Path, text: str, requests: bytes, *, of: str = "program") -> tuple[list[Any], str, int]:
    """What a worker of this text says on its pipe, what on its stderr, and its code."""
    (folder / "program.py").write_text(text)
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, str(kfworker.__file__), of],
        input=requests,
        capture_output=True,
        cwd=folder,
        env=env,
        check=False,
    )
    answers, at = [], 0
    while at < len(done.stdout):
        text_, payload = kfworker.FRAME.unpack_from(done.stdout, at)
        at += kfworker.FRAME.size
        answers.append(json.loads(done.stdout[at : at + text_]))
        at += text_ + payload
    return answers, done.stderr.decode(), done.returncode


def test_a_program_that_prints_and_reads_says_nothing_by_it(tmp_path: Path) -> None:
    text = (
        "import sys\nprint('hello')\nsys.stdout.flush()\ndef f():\n    print('more', sys.stdin.read())\n    return 1\n"
    )
    answers, stderr, code = spoken(tmp_path, text, frame(call("f")))
    assert (answers, code) == ([["ready"], ["value", 1]], 0)
    assert "hello" in stderr and "more" in stderr


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("def f(:", "SyntaxError: invalid syntax"),
        ("1/0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit('enough')", "SystemExit: enough"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise ValueError('x' * 9999)", "x"),
    ],
)
def test_a_program_that_does_not_load_says_why(tmp_path: Path, text: str, last: str) -> None:
    answers, _, code = spoken(tmp_path, text, b"")
    assert (
        len(answers) == 1 and answers[0][0] == "failed" and answers[0][1].endswith(last) and len(answers[0][1]) <= 1500
    )
    assert code == 1


def test_a_function_that_is_not_there_is_told(tmp_path: Path) -> None:
    answers, _, _ = spoken(tmp_path, "x = 1\n", b"", of="program:solve")
    assert answers == [["failed", "AttributeError: module 'program' has no attribute 'solve'"]]
