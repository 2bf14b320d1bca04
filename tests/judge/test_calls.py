"""The ruler's end of a candidate: what is asked, what an answer may say, and which clock tells the time."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from kernelfactory.judge.calls import Calls, Kept, Raised, Unsendable
from kernelfactory.judge.inside.kfworker import FRAME, encode, frame
from kernelfactory.model import Rejected


class Line:
    """A judge that gives prepared answers, and keeps what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.heard: list[tuple[dict[str, Any], Any]] = []

    def __call__(self, wanted: dict[str, Any], request: bytes) -> tuple[dict[str, Any], bytes]:
        text = FRAME.unpack_from(request)[0] if request else 0
        self.heard.append((wanted, json.loads(request[FRAME.size :][:text] or b"null")))
        answer = self.answers.pop(0)
        if isinstance(answer, dict):
            return answer, b""
        return {"wall": 2.0, "cpu": 0.5}, answer if isinstance(answer, bytes) else said(answer)


def said(value: Any) -> bytes:
    payload = bytearray()
    return frame(["value", encode(value, payload)], bytes(payload))


def test_a_call_is_an_answer() -> None:
    line = Line([1, b"xy", (2.5, None)], 7)
    call = Calls(line, "candidate")
    assert call([3, 4], limit=5) == [1, b"xy", (2.5, None)]
    wanted, asked = line.heard[0]
    assert wanted["who"] == "candidate"
    assert asked == {"of": 0, "name": None, "args": [[3, 4]], "kwargs": {"d": [["limit", 5]]}}
    assert call() == 7


@pytest.mark.parametrize(("clock", "seconds"), [("cpu", 0.5), ("wall", 2.0)])
def test_the_clock_is_the_problems(clock: str, seconds: float) -> None:
    call = Calls(Line(1, 2), "candidate", clock=clock)
    assert call.timed() == (1, seconds)
    assert call.baseline.timed() == (2, seconds)


def test_the_baseline_and_a_fresh_process_are_asked_for() -> None:
    line = Line(1, {}, {})
    call = Calls(line, "candidate", bar=1.5)
    assert call.bar == 1.5 and call.baseline.bar is None
    call.baseline()
    call.restart()
    call.baseline.restart()
    assert [wanted["who"] for wanted, _ in line.heard] == ["baseline", "candidate", "baseline"]
    assert [wanted.get("restart", False) for wanted, _ in line.heard] == [False, True, True]


@pytest.mark.parametrize(
    ("code", "found"), [("timeout", "timeout"), ("over_limit", "over_limit"), ("made up", "crashed")]
)
def test_a_program_that_does_not_answer_is_rejected(code: str, found: str) -> None:
    with pytest.raises(Rejected, match="why") as caught:
        Calls(Line({"failed": code, "reason": "why"}), "candidate")()
    assert caught.value.code == found


@pytest.mark.parametrize("value", [object(), print, float("nan"), [1, {2: object()}], "\ud800"])
def test_what_a_ruler_cannot_send_is_the_rulers_fault(value: Any) -> None:
    line = Line(1)
    with pytest.raises(Unsendable, match=r"the ruler passed .* to the candidate: only plain data crosses"):
        Calls(line, "candidate")(value)
    assert line.heard == []


REFUSED = [
    frame(["raised", "ValueError", False]),
    frame(["raised", "a name with 17 in it", False]),
    frame(["unsayable", "the input was 17"]),
    frame(["kept", 1, True]),
    frame(["value"]),
    frame(["value", 1, 2]),
    frame(["ready"]),
    frame({"value": 1}),
    frame(["value", {"h": 1}]),
    frame(["value", 1], b"more"),
    frame(["raised", "ValueError", 1]),
    frame(["kept", "1", True]),
    FRAME.pack(3, 0) + b"NaN",
    FRAME.pack(2, 0) + b"\xff\xff",
    frame(["value", {"t": [{"b": [5, 5]}]}], b"x"),
]


@pytest.mark.parametrize("answer", REFUSED, ids=lambda answer: repr(answer[12:50]))
def test_an_answer_that_is_no_plain_data_is_a_rejection(answer: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        Calls(Line(answer), "candidate")()
    assert caught.value.code in ("crashed", "malformed") and "17" not in caught.value.reason


def test_who_asks_for_it_gets_what_stays_in_the_worker() -> None:
    found, _ = Calls(Line(frame(["kept", 4, True])), "candidate").ask(name="solve")
    assert isinstance(found, Kept) and (found.number, found.called) == (4, True)


def test_exceptions_of_a_program_travel_between_processes() -> None:
    raised = pickle.loads(pickle.dumps(Raised("ValueError", True)))
    assert (raised.code, raised.reason, raised.absent) == ("crashed", "the program raised ValueError", True)
