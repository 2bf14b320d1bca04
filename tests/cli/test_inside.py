"""measure, submit, abandon, renew: the real commands against a real socket that speaks the desk's protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kernelfactory.model import LostClaim
from kernelfactory.wire import Listener

VERDICT = {
    "verdict": "accepted", "score": 120000, "metric": "cycles", "goal": "min", "reason": None, "reason_code": None,
    "best_here": 119000, "parent_score": 147734, "best_score": 118000, "attempt": 7, "measurement": 3,
    "instruments": {"load": {"slots": 12, "floor": 0.5}, "gap\x1b[2J": 3.0},
}  # fmt: skip
REJECTED = {
    **VERDICT,
    "verdict": "rejected",
    "score": None,
    "reason": "memory differs\x1b[2J",
    "reason_code": "wrong_answer",
}


class Desk:
    """Answers what it is told to and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: Mapping[str, Any] = VERDICT
        self.lost = False

    def __call__(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(dict(request))
        if self.lost:
            raise LostClaim("the lease of this attempt is over")
        return self.answer


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A lent folder whose path is longer than a socket's name may be."""
    folder = tmp_path / ("deep" * 20) / "work"
    (folder / ".kf").mkdir(parents=True)
    (folder / "src" / "inner").mkdir(parents=True)
    (folder / ".kf" / "token").write_text("secret-token\n")
    return folder


@pytest.fixture
def desk(workspace: Path) -> Iterator[Desk]:
    made = Desk()
    listener = Listener(workspace / ".kf" / "desk.sock", made)
    yield made
    listener.close()


def test_measure_asks_with_the_token_and_prints_the_answer(kf: Any, workspace: Path, desk: Desk) -> None:
    done = kf("measure", "--json", cwd=workspace)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == VERDICT
    assert desk.asked == [{"verb": "measure", "token": "secret-token", "quick": False}]


def test_measure_for_people_shows_verdict_comparison_and_instruments(kf: Any, workspace: Path, desk: Desk) -> None:
    done = kf("measure", cwd=workspace / "src" / "inner")
    assert done.stdout.splitlines() == [
        "accepted: 120,000 cycles (min)",
        "  best here 119,000, parent 147,734, best of all 118,000",
        '  load: {"slots": 12, "floor": 0.5}',
        "  gap[2J: 3",
    ]


def test_a_rejection_is_exit_1_and_harmless_to_look_at(kf: Any, workspace: Path, desk: Desk) -> None:
    desk.answer = REJECTED
    done = kf("measure", cwd=workspace)
    assert (done.returncode, done.stdout) == (1, "rejected: memory differs[2J\n")
    assert json.loads(kf("measure", "--json", cwd=workspace).stdout)["score"] is None


def test_a_quick_try_says_that_it_is_none(kf: Any, workspace: Path, desk: Desk) -> None:
    desk.answer = {"quick": True, "ok": True, "figure": 900, "reason": None}
    done = kf("measure", "--quick", cwd=workspace)
    assert (done.returncode, done.stdout) == (0, "quick: 900 (a hint at a smaller size, not a verdict)\n")
    desk.answer = {"quick": True, "ok": False, "figure": None, "reason": "wrong"}
    assert kf("measure", "--quick", cwd=workspace).returncode == 1
    assert [ask["quick"] for ask in desk.asked] == [True, True]


@pytest.mark.parametrize("verb", ["submit", "abandon", "renew"])
def test_the_other_verbs(kf: Any, workspace: Path, desk: Desk, verb: str) -> None:
    desk.answer = {"attempt": 7, "lease_until": 123.0}
    done = kf(verb, "--json", cwd=workspace)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"attempt": 7, "lease_until": 123.0})
    assert desk.asked == [{"verb": verb, "token": "secret-token"}]
    assert ": attempt 7, yours until " in kf(verb, cwd=workspace).stdout


def test_a_lost_claim_is_one_line_and_exit_2(kf: Any, workspace: Path, desk: Desk) -> None:
    desk.lost = True
    done = kf("measure", "--json", cwd=workspace)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "kf: the lease of this attempt is over\n"


def test_outside_a_workspace_and_after_the_run(kf: Any, workspace: Path, tmp_path: Path) -> None:
    outside = kf("measure", cwd=tmp_path)
    assert (outside.returncode, outside.stdout) == (2, "")
    assert "no workspace here" in outside.stderr
    alone = kf("measure", cwd=workspace)
    assert (alone.returncode, alone.stdout) == (2, "")
    assert alone.stderr.count("\n") == 1 and "nobody answers" in alone.stderr


def test_the_last_words_of_a_crashed_build_are_quoted_and_harmless(kf: Any, workspace: Path, desk: Desk) -> None:
    said = "boom\x1b[31m\nValueError: x\u202e\n"
    desk.answer = {**REJECTED, "reason": "it ended with status 1", "instruments": {"stderr": said}}
    done = kf("measure", cwd=workspace)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "rejected: it ended with status 1",
        "  its own last words:",
        "  | boom[31m",
        "  | ValueError: x",
    ]
    desk.answer = {**REJECTED, "instruments": {}}
    assert "last words" not in kf("measure", cwd=workspace).stdout
    desk.answer = {"quick": True, "ok": False, "figure": None, "reason": "it crashed", "stderr": said}
    assert "  | ValueError: x\n" in kf("measure", "--quick", cwd=workspace).stdout


def test_what_is_handed_in_or_renewed_is_said_in_words(kf: Any, workspace: Path, desk: Desk) -> None:
    desk.answer = {"attempt": 1, "handed_in": True}
    assert kf("submit", cwd=workspace).stdout == "handed in: attempt 1\n"
    desk.answer = {"attempt": 1, "lease_until": 1795522233.873}
    said = kf("renew", cwd=workspace, env={"TZ": "UTC"}).stdout
    assert said == "renewed: attempt 1, yours until 12:10:33\n"
