"""Attacks on the calls of a jailed program, piece by piece: what crosses, who is waited for, what stands still."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelfactory.jail import Jail
from kernelfactory.judge import ruler_host
from kernelfactory.judge.calls import Calls, Kept
from kernelfactory.judge.inside import kfworker
from kernelfactory.judge.inside.kfworker import FRAME, Payload, Unsayable, decode, encode, frame, loads
from kernelfactory.judge.worker import Broken, Program, Spent, Worker, ready, waits
from kernelfactory.model import Answering, Rejected
from kernelfactory.process import cpu_seconds

# ── what crosses ─────────────────────────────────────────────────────────────────────────────────


def across(value: Any) -> Any:
    payload = bytearray()
    text = json.dumps(encode(value, payload)).encode()
    beside = Payload(bytes(payload))
    found = decode(loads(text), beside)
    beside.finish()
    return found


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
KEYS = st.one_of(st.none(), st.booleans(), st.integers(), TEXTS, st.binary())
VALUES = st.recursive(
    st.one_of(KEYS, st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(
        st.lists(inner),
        st.tuples(inner, inner),
        st.dictionaries(KEYS, inner),
        st.frozensets(KEYS).map(set),
    ),
    max_leaves=30,
)


@given(VALUES)
@settings(deadline=None)
def test_plain_data_crosses_as_it_is(value: Any) -> None:
    found = across(value)
    assert repr(found) == repr(value) or found == value
    assert type(found) is type(value)


ODD = [2**12_999, -(2**12_999), 5e-324, -0.0, 1.7976931348623157e308, "\U0010ffff\0", b""]


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
def test_what_is_odd_crosses_too(value: Any) -> None:
    assert repr(across(value)) == repr(value)


def test_views_of_bytes_cross_as_bytes() -> None:
    large = bytes(range(256)) * 4
    assert across([memoryview(large)[::2], bytearray(b"x"), large]) == [large[::2], b"x", large]


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: (v,), lambda v: {1: v}, lambda v: {"x": [v]}])
def test_nesting_crosses_up_to_a_depth_and_no_further(wrap: Callable[[Any], Any]) -> None:
    value: Any = 1
    for _ in range(kfworker.DEPTH // 2):
        value = wrap(value)
    assert across(value) == value
    for _ in range(kfworker.DEPTH):
        value = wrap(value)
    with pytest.raises(Unsayable, match="deep"):
        across(value)


UNSAYABLE = [float("nan"), float("inf"), 2**20_000, "\ud800", object(), print, {1: [float("-inf")]}]


@pytest.mark.parametrize("value", UNSAYABLE, ids=range(len(UNSAYABLE)))
def test_what_cannot_cross_is_refused_where_it_is_said(value: Any) -> None:
    with pytest.raises(Unsayable):
        across(value)


# ── what a hostile worker may say ────────────────────────────────────────────────────────────────


class Says:
    """A relay to a worker that says one thing: what the judge hands to the ruler, byte for byte."""

    def __init__(self, text: bytes, payload: bytes = b"") -> None:
        self.frame = FRAME.pack(len(text), len(payload)) + text + payload

    def __call__(self, wanted: Mapping[str, Any], request: bytes) -> tuple[dict[str, Any], bytes]:
        return {"wall": 1.0, "cpu": 1.0}, self.frame


HOSTILE: list[tuple[str, bytes, bytes]] = [
    ("nothing", b"", b""),
    ("no JSON", b"[", b""),
    ("no list", b'{"value":1}', b""),
    ("another word", b'["verdict",1]', b""),
    ("more words", b'["value",1,2]', b""),
    ("two documents", b'["value",1]["value",2]', b""),
    ("UTF-16", '["value",1]'.encode("utf-16"), b""),
    ("not UTF-8", b'["value","\xff"]', b""),
    ("a surrogate", b'["value","\\ud800"]', b""),
    ("NaN", b'["value",NaN]', b""),
    ("minus infinity", b'["value",-Infinity]', b""),
    ("1e999", b'["value",1e999]', b""),
    ("digits", b'["value",' + b"7" * 5000 + b"]", b""),
    ("bits", b'["value",' + b"7" * 4250 + b"]", b""),
    ("a plain object", b'["value",{}]', b""),
    ("two keys", b'["value",{"t":[],"s":[]}]', b""),
    ("one key twice", b'["value",{"t":[1],"t":[]}]', b""),
    ("unknown key", b'["value",{"x":[]}]', b""),
    ("no pairs", b'["value",{"d":["ab"]}]', b""),
    ("a pair of three", b'["value",{"d":[[1,2,3]]}]', b""),
    ("a pair that is a tuple", b'["value",{"d":[{"t":[1,2]}]}]', b""),
    ("a key twice", b'["value",{"d":[[1,2],[1,3]]}]', b""),
    ("a key twice by another name", b'["value",{"d":[[1,2],[true,3]]}]', b""),
    ("a list as a key", b'["value",{"d":[[[],2]]}]', b""),
    ("an item twice", b'["value",{"s":[1,1]}]', b""),
    ("nested lists", b'["value",' + b"[" * 5000 + b"]" * 5000 + b"]", b""),
    ("nested tuples", b'["value",' + b'{"t":[' * 400 + b"]}" * 400 + b"]", b""),
    ("nested dictionaries", b'["value",' + b'{"d":[[1,' * 200 + b"1" + b"]]}" * 200 + b"]", b""),
    ("before the payload", b'["value",{"b":[-1,1]}]', b"xx"),
    ("a negative length", b'["value",{"b":[0,-1]}]', b"xx"),
    ("behind the payload", b'["value",{"b":[0,3]}]', b"xx"),
    ("not from the start", b'["value",{"b":[1,1]}]', b"xx"),
    ("twice the same", b'["value",[{"b":[0,2]},{"b":[0,2]}]]', b"xx"),
    ("true as a place", b'["value",{"b":[false,true]}]', b"x"),
    ("a float as a place", b'["value",{"b":[0.0,1]}]', b"x"),
    ("bytes left", b'["value",1]', b"x"),
    ("a handle", b'["value",{"h":0}]', b""),
    ("kept", b'["kept",1,true]', b""),
    ("kept with words", b'["kept",1,true,"x"]', b""),
    ("kept by a name", b'["kept","x",true]', b""),
    ("objects", b'["value",{"a":["|O",[1],0,8]}]', b"x" * 8),
    ("a type to evaluate", b'["value",{"a":["(2,(2,f8),f8",[1],0,8]}]', b"x" * 8),
    ("a shape beyond all", b'["value",{"a":["<f8",[1000000000000000000000000000],0,0]}]', b""),
    ("a negative shape", b'["value",{"a":["<f8",[-1],0,8]}]', b"x" * 8),
    ("a shape of too much", b'["value",{"a":["<f8",[1099511627775,1099511627775,0],0,0]}]', b""),
    ("another shape", b'["value",{"a":["<f8",[2],0,8]}]', b"x" * 8),
    ("forty dimensions", b'["value",{"a":["<f8",[' + b"1," * 39 + b"1],0,8]}]", bytes(8)),
    ("NaN in an array", b'["value",{"a":["<f8",[1],0,8]}]', struct.pack("<d", float("nan"))),
    ("infinity in an array", b'["value",{"a":["<f4",[1],0,4]}]', struct.pack("<f", float("inf"))),
    ("times in an array", b'["value",{"a":["<M8",[1],0,8]}]', bytes(8)),
    ("unsayable, in its own words", b'["unsayable","input was 123456789"]', b""),
]


@pytest.mark.parametrize(("text", "payload"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_a_hostile_answer_is_a_rejection_and_nothing_else(text: bytes, payload: bytes) -> None:
    """Any other exception would be held against the problem, and nothing of it may be told."""
    with pytest.raises(Rejected) as caught:
        Calls(Says(text, payload), "candidate")(1)
    assert caught.value.code == "malformed" and "123456789" not in caught.value.reason


def test_an_exception_has_a_name_of_the_language() -> None:
    for said in ("KeyError", "input was 123456789", "SystemExit"):
        told = said if said == "KeyError" else "an exception"
        with pytest.raises(Rejected, match=f"^the program raised {told}$"):
            Calls(Says(json.dumps(["raised", said, False]).encode()), "candidate")(1)


def test_what_stays_in_the_worker_is_kept_for_those_who_ask_for_it() -> None:
    """The injected fault of the table above: `ask` itself, which the stand-in uses, does take it."""
    assert isinstance(Calls(Says(b'["kept",1,true]'), "candidate").ask()[0], Kept)


def test_arrays_cross_with_their_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    for made in (
        numpy.arange(12.0).reshape(3, 4)[:, ::2],
        numpy.array([[True], [False]]),
        numpy.array([1 + 2j], dtype=">c8"),
        numpy.zeros((0, 5), dtype="<i2"),
    ):
        found = across([made, b"x", made])
        assert found[1] == b"x"
        for each in (found[0], found[2]):
            assert each.dtype == made.dtype and each.shape == made.shape and (each == made).all()
    assert across(numpy.float32(0.5)) == 0.5 and type(across(numpy.int64(3))) is int
    for refused in (numpy.array([numpy.nan]), numpy.array([None]), numpy.array(["x"]), numpy.array([1j * numpy.inf])):
        with pytest.raises(Unsayable):
            across(refused)


# ── the ruler's process ──────────────────────────────────────────────────────────────────────────

TRUSTING = """
from kernelfactory.model import Measured
def measure(call, rng, inputs):
    return Measured(call(1))
def forged(artefact, rng, inputs):
    return Measured(99)
"""


def sent(header: Mapping[str, Any], payload: bytes = b"", claimed: int | None = None) -> bytes:
    text = json.dumps(header).encode()
    return FRAME.pack(len(text), len(payload) if claimed is None else claimed) + text + payload


def test_the_rest_of_a_torn_frame_is_no_request(tmp_path: Path) -> None:
    """An answer too large for the ruler's memory is left half read; what a candidate hid in it must not be obeyed."""
    (tmp_path / "ruler.py").write_text(TRUSTING)
    request = {"function": "measure", "inputs": [1], "kind": "function", "clock": "cpu"}
    hidden = sent({"function": "forged", "inputs": [1], "kind": "artefact"})
    torn = sent({"wall": 1.0, "cpu": 1.0}, claimed=1 << 62) + hidden
    done = subprocess.run(
        [sys.executable, "-I", "-B", ruler_host.__file__, str(tmp_path), "ruler"],
        input=sent(request) + torn,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert b'"rejected": "over_limit"' in done.stdout and b"99" not in done.stdout
    assert done.returncode == 1
    whole = sent({"wall": 1.0, "cpu": 1.0}, frame(["value", 5]))  # a whole answer, and the next request is heard
    heard = subprocess.run(
        [sys.executable, "-I", "-B", ruler_host.__file__, str(tmp_path), "ruler"],
        input=sent(request) + whole + hidden,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert b'"score": 5' in heard.stdout and b'"score": 99' in heard.stdout and heard.returncode == 0


# ── one program in its process ───────────────────────────────────────────────────────────────────


def question(*args: Any) -> bytes:
    payload = bytearray()
    said = {"of": 0, "name": None, "args": encode(list(args), payload), "kwargs": {"d": []}}
    return frame(said, bytes(payload))


@pytest.fixture
def worker(jail: Jail, tmp_path: Path) -> Callable[..., Any]:
    @contextmanager
    def made(text: str, *, still: bool = True, threads: int = 1) -> Iterator[Worker]:
        tmp_path.chmod(0o755)
        answering = Answering(function="program:answer", seconds=5, memory=512 << 20, threads=threads)
        programs = {"candidate": Program({"program.py": text.encode()}, b"")}
        with ready(programs, answering, jail, tmp_path, still=still) as workers:
            yield workers._workers["candidate"]

    return made


BUSY = """
import __main__, os
written = __main__._write
def busy(descriptor, data):
    written(descriptor, data)
    while b"ready" not in data:
        pass
__main__._write = busy
def answer(number):
    return number
"""
BUSY_CHILDREN = """
import os, signal
def spin():
    while True:  # and a new one for each that is caught
        if os.fork():
            os._exit(0)
        for _ in range(2000):
            pass
def answer(number):
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in range(3):
        if os.fork() == 0:
            spin()
    return number
"""


def used(tree: list[int]) -> list[float | None]:
    return [cpu_seconds(pid) for pid in tree]


@pytest.mark.parametrize(("text", "threads"), [(BUSY, 1), (BUSY_CHILDREN, 4)])
def test_who_is_not_asked_stands_still(worker: Callable[..., Any], text: str, threads: int) -> None:
    with worker(text, threads=threads) as one:
        one.ask(question(1))
        tree = one._child.tree()
        before = used(tree[1:])
        time.sleep(0.1)
        assert used(tree[1:]) == before and one._child.tree() == tree


WAKES = """
import __main__, ctypes, signal, struct, time
libc, written = ctypes.CDLL(None), __main__._write
def timer(after):
    made = ctypes.c_void_p()
    libc.timer_create(1, struct.pack("QiiQ", 0, signal.SIGCONT, 0, 0) + bytes(64), ctypes.byref(made))
    libc.timer_settime(made, 0, struct.pack("4q", 0, 0, after // 10**9, after % 10**9), None)
def busy(descriptor, data):
    if b"ready" in data:
        return written(descriptor, data)
    for number in range(1, 30):
        timer(number * 40_000_000)
    written(descriptor, data)
    end = time.monotonic() + 1
    while time.monotonic() < end:
        pass
__main__._write = busy
def answer(number):
    return number
"""


def test_who_wakes_itself_is_found_out(worker: Callable[..., Any]) -> None:
    """A timer's SIGCONT makes a stopped process go on; what it used meanwhile tells."""
    with worker(WAKES) as one:
        one.ask(question(1))
        time.sleep(1.3)
        with pytest.raises(Broken, match="runs on while it is stopped") as caught:
            one.ask(question(2))
        assert caught.value.refusal.code == "over_limit" and one.restless


@pytest.mark.parametrize(("text", "threads"), [(BUSY, 1), (BUSY_CHILDREN, 4), ("def answer(number): return number", 1)])
def test_who_stands_still_is_not_blamed(worker: Callable[..., Any], text: str, threads: int) -> None:
    with worker(text, threads=threads) as one:
        one.ask(question(1))
        time.sleep(0.2)
        one.look()
        assert not one.restless


ENDS_ITS_FIRST_THREAD = """
import __main__, ctypes, threading
def answer(number):
    return number
def spin():
    while True:
        pass
def gone(requests, answers, worker):
    def serve():
        threading.Thread(target=spin, daemon=True).start()
        loop(requests, answers, worker)
    threading.Thread(target=serve).start()
    ctypes.CDLL(None).syscall(93 if __import__("os").uname().machine == "aarch64" else 60, 0)
loop, __main__._answer_all = __main__._answer_all, gone
"""


def test_who_seems_gone_is_stopped_too(worker: Callable[..., Any]) -> None:
    """A process whose first thread has ended looks like a dead one, and its other threads work on."""
    with worker(ENDS_ITS_FIRST_THREAD, threads=4) as one:
        one.ask(question(1))
        tree = one._child.tree()
        before = used(tree[1:])
        time.sleep(0.2)
        assert used(tree[1:]) == before and any(before)


def test_the_injected_fault_a_worker_that_is_not_stopped_works_on(worker: Callable[..., Any]) -> None:
    with worker(BUSY, still=False) as one:
        one.ask(question(1))
        tree = one._child.tree()
        before = used(tree[1:])
        time.sleep(0.1)
        assert used(tree[1:]) != before


TWICE = """
import __main__
written = __main__._write
__main__._write = lambda descriptor, data: written(descriptor, data if b"ready" in data else data + data)
def answer(number):
    return number
"""


def test_an_answer_before_the_question_is_forged(worker: Callable[..., Any]) -> None:
    with worker("def answer(number): return number") as one:
        assert one.ask(question(1))[2] == frame(["value", 1])
        assert one.ask(question(2))[2] == frame(["value", 2])
    with worker(TWICE) as one:
        one.ask(question(1))
        with pytest.raises(Broken) as caught:
            one.ask(question(2))
    assert caught.value.refusal.code == "forged"


CRASHES = "import os\ndef answer(number): os._exit(3)\n"
TELLS = b"raise ValueError('input was 123456789')\n"


def test_last_words_are_told_only_of_a_first_start(worker: Callable[..., Any]) -> None:
    """Whoever starts again may have seen an input in another process; its first words are its own."""
    with worker(TELLS.decode()) as one, pytest.raises(Broken) as first:
        one.ask(question(1))
    assert "123456789" in first.value.refusal.said
    with worker(CRASHES) as one:
        with pytest.raises(Broken, match="instead of answering"):
            one.ask(question(1))
        Path(one._folder, "tree/program.py").write_bytes(TELLS)
        with pytest.raises(Broken, match="does not load") as again:
            one.ask(question(1))
    assert again.value.refusal.said == ""


# ── waiting is not computing ─────────────────────────────────────────────────────────────────────

HONEST = [Spent(0.01, 0.0003), Spent(0.01, 0.0001), Spent(0.012, -0.004), Spent(0.01, 0.02)]


@pytest.mark.parametrize(
    ("mine", "theirs", "wait"),
    [
        (HONEST, HONEST, False),
        ([Spent(0.0001, 0.0004)] * 8, HONEST, False),  # much faster: the pauses of the pipe stay
        ([Spent(0.0001, 0.05)] * 8, HONEST, True),
        ([Spent(0.0001, 0.05)] * 7 + [Spent(0.01, 0.0)], HONEST, True),
        ([Spent(0.0001, 0.05)] * 4 + [Spent(0.01, 0.0)] * 4, HONEST, False),  # that would be an unlucky machine
        ([Spent(0.0001, 0.05)] * 8, [Spent(0.01, 0.05)] * 8, False),  # so does the baseline, on this machine
        ([Spent(0.2, 0.05)] * 8, HONEST, False),  # computes for longer than it waits
        ([Spent(0.0001, 0.05)] * 2, HONEST, False),  # too few to tell
        ([Spent(0.0001, 0.05)] * 8, [], False),
    ],
)
def test_waiting_is_told_from_computing(mine: list[Spent], theirs: list[Spent], wait: bool) -> None:
    assert waits(mine, theirs) is wait


def test_what_is_waited_for_is_seen(worker: Callable[..., Any]) -> None:
    with worker("def answer(number): return sum(range(number))") as one:
        for _ in range(5):
            one.ask(question(300_000))
        working = list(one.spent)
    with worker("import time\ndef answer(number):\n    time.sleep(0.2)\n    return number") as one:
        for _ in range(5):
            one.ask(question(1))
        sleeping = list(one.spent)
    assert waits(sleeping, working) and not waits(working, sleeping)
