"""Commands: the user's own evaluator, whole, in the jail; its word in a strict form, and never more than its word."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernelfactory.files import read_tree
from kernelfactory.jail import Unprotected
from kernelfactory.judge import Judge, JudgeFailed
from kernelfactory.model import Problem, Verdict

TOML = """
name = "said"
editable = ["word.txt"]
kind = "command"

[metric]
name = "letters"
unit = "letters"
goal = "max"
impossible = 1000

[evaluate]
command = ["python", "evaluate.py"]
seconds = 5
memory = "512MiB"
"""
HEAD = """
import json, os, pathlib, subprocess, sys, time
word = open("word.txt").read()
def say(text):
    os.write(int(os.environ["KF_SCORE_FD"]), text if isinstance(text, bytes) else text.encode())
"""
SCORE = "say(json.dumps({'score': len(word)}))\n"

Said = Callable[..., Judge]


def problem_of(write_problem: Any, text: str, *, toml: Any = (), more: Any = None) -> Problem:
    table = TOML
    for old, new in toml:
        assert old in table
        table = table.replace(old, new)
    files = {"problem.toml": table, "seed/word.txt": "seed", "judge/evaluate.py": HEAD + text, **(more or {})}
    found: Problem = write_problem(files)
    return found


@pytest.fixture
def said(write_problem: Any, open_judge: Any) -> Said:
    """A judge of a problem with this evaluator."""

    def make(text: str, **more: Any) -> Judge:
        judge: Judge = open_judge(problem_of(write_problem, text, **more))
        return judge

    return make


def of(judge: Judge, word: str) -> Verdict:
    return judge.screen({"word.txt": word.encode()})


# ── what it says ─────────────────────────────────────────────────────────────────────────────────


def test_a_score_is_what_the_evaluator_says(said: Said) -> None:
    judge = said("print('noise')\nsay(json.dumps({'score': len(word), 'measures': {'half': len(word) / 2}}))\n")
    verdict = judge.screen(judge.problem.seed)
    assert (verdict.verdict, verdict.score, verdict.measures) == ("accepted", 4, {"half": 2.0})
    assert (verdict.trust, judge.trust, verdict.ruler.backend) == ("self-reported", "self-reported", "evaluator")
    assert (verdict.inputs, verdict.confirmed) == (1, False)
    assert of(judge, "x" * 1000).verdict == "quarantined"


def test_without_a_jail_it_is_worth_no_more(write_problem: Any, tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    with Judge(problem_of(write_problem, SCORE), Unprotected(), scratch=tmp_path / "room") as judge:
        verdict = judge.screen(judge.problem.seed)
        assert (verdict.verdict, verdict.score, verdict.trust) == ("accepted", 4, "self-reported")


def test_a_rejection_is_told_to_its_author_cleaned(said: Said) -> None:
    told = "say(json.dumps({'rejected': 'wrong_answer', 'reason': 'letters\\n\\x1b[2J only' + '!' * 300}))\n"
    verdict = of(said(f"if word != 'seed':\n    {told}else: {SCORE}"), "other")
    assert (verdict.verdict, verdict.reason_code, verdict.score) == ("rejected", "wrong_answer", None)
    assert verdict.reason is not None and verdict.reason.startswith("letters ?[2J only!") and len(verdict.reason) == 200


GOOD = ['{"score": 4}', ' {"score": -1.5e3, "measures": {}}\n', '{"measures": {"a": 1}, "score": 0}']
BAD = [
    "",
    "4",
    "[4]",
    "null",
    "{}",
    "{'score': 4}",
    '{"score": "4"}',
    '{"score": true}',
    '{"score": null}',
    '{"score": NaN}',
    '{"score": Infinity}',
    '{"score": 1e999}',
    '{"score": ' + "9" * 400 + "}",
    '{"score": ' + "9" * 5000 + "}",
    '{"score": 4, "score": 5}',
    '{"score": 4} {"score": 5}',
    '{"score": 4, "verdict": "accepted"}',
    '{"score": 4, "measures": {"a": "1"}}',
    '{"score": 4, "measures": {"a": 1, "a": 2}}',
    '{"score": 4, "measures": [1]}',
    '{"score": 4, "measures": {"a": {"b": 1}}}',
    json.dumps({"score": 4, "measures": {f"m{n}": n for n in range(65)}}),
    '{"rejected": "no such code"}',
    '{"rejected": "wrong_answer", "reason": 5}',
    '{"rejected": "wrong_answer", "score": 4}',
    '{"rejected": ["wrong_answer"]}',
    "[" * 50_000,
    '{"score": 4}\x00',
    '{"score": 4, "measures": {"a": NaN}}',
]
FORM = 'say(pathlib.Path(__file__).with_name("said.txt").read_bytes() if word != "seed" else b\'{"score": 4}\')\n'


def test_the_form_is_strict(said: Said) -> None:
    """Each in turn, said of a program; the seed is told in the right form, so that it is the program's fault."""
    judge = said(FORM, more={"judge/said.txt": ""})
    file = Path(judge.problem.folder) / "judge/said.txt"
    for text in GOOD:
        file.write_text(text)
        assert of(judge, "other").verdict == "accepted", text
    for text in BAD:
        file.write_text(text)
        verdict = of(judge, "other")
        assert (verdict.verdict, verdict.reason_code, verdict.score) == ("rejected", "malformed", None), text[:80]


def test_many_bytes_are_no_score(said: Said) -> None:
    judge = said("if word == 'seed': " + SCORE + "else:\n    while True: say(b' ' * 4096)\n")
    assert of(judge, "other").reason_code in ("over_limit", "timeout")


FAILING = {
    "raises": ("raise ValueError('x')", "crashed", "ended with status 1", "ValueError: x"),
    "ends without a word": ("os._exit(0)", "malformed", "is not as docs/judge.md says", ""),
    "hangs": ("time.sleep(60)", "timeout", "longer than 1 seconds", ""),
    "says a score and fails": (SCORE + "    raise SystemExit(3)", "crashed", "ended with status 3", ""),
}


@pytest.mark.parametrize("case", FAILING)
def test_an_evaluator_that_fails_on_one_program_alone_rejects_it(said: Said, case: str) -> None:
    text, code, words, stderr = FAILING[case]
    judge = said(f"if word != 'seed':\n    {text}\n{SCORE}", toml=(("seconds = 5", "seconds = 1"),))
    verdict = of(judge, "other")
    assert (verdict.verdict, verdict.reason_code) == ("rejected", code)
    assert (
        verdict.reason is not None and words in verdict.reason and stderr in str(verdict.instruments.get("stderr", ""))
    )
    assert judge.screen(judge.problem.seed).score == 4


@pytest.mark.parametrize("case", FAILING)
def test_an_evaluator_that_fails_on_the_seed_too_is_at_fault(said: Said, case: str) -> None:
    judge = said(f"if True:\n    {FAILING[case][0]}\n", toml=(("seconds = 5", "seconds = 1"),))
    with pytest.raises(JudgeFailed, match="the evaluator of said fails on the seed too: "):
        of(judge, "other")


# ── how it runs ──────────────────────────────────────────────────────────────────────────────────


DRAWN = """
drawn = int(os.environ["KF_SEED"])
say(json.dumps({"score": drawn % 900, "measures": {"own": drawn % 900, "seed": drawn}}))
"""


def test_a_confirmation_is_three_runs_and_the_worst_counts(said: Said) -> None:
    judge = said(DRAWN)
    assert len({judge.screen(judge.problem.seed).measures["seed"] for _ in range(5)}) == 5  # another in every run
    confirmed = [judge.confirm(judge.problem.seed) for _ in range(12)]
    assert all(verdict.inputs == 3 and verdict.confirmed for verdict in confirmed)
    pairs = [(verdict.score or 0, verdict.measures["own"]) for verdict in confirmed]
    assert all(score <= own for score, own in pairs)
    assert any(score < own for score, own in pairs)  # (1 / 3) ** 12: the last of three was always the worst


def test_the_worst_is_the_largest_where_less_is_better(said: Said) -> None:
    judge = said(DRAWN, toml=(('goal = "max"', 'goal = "min"'), ("impossible = 1000", "impossible = -1")))
    confirmed = [judge.confirm(judge.problem.seed) for _ in range(12)]
    pairs = [(verdict.score or 0, verdict.measures["own"]) for verdict in confirmed]
    assert all(score >= own for score, own in pairs) and any(score > own for score, own in pairs)


LOOKS = """
found = {}
def tried(name, act):
    try:
        act()
        found[name] = 1
    except OSError:
        found[name] = 0
judge = pathlib.Path(__file__).parent
tried("its copy", lambda: pathlib.Path("new.txt").write_text(word))
tried("over a file", lambda: pathlib.Path("word.txt").write_text("changed"))
tried("tmp", lambda: pathlib.Path("/tmp/x").write_text("x"))
tried("judge", lambda: (judge / "evaluate.py").write_text("x"))
tried("beside", lambda: (judge / "x").write_text("x"))
tried("network", lambda: __import__("socket").create_connection(("127.0.0.1", 22), 0.2))
tried("secrets", lambda: open("/etc/passwd").read())
tried("processes", lambda: subprocess.run([sys.executable, "-c", "0"], check=True))
found["left"] = len(list(pathlib.Path().iterdir()))
found["home"] = float(os.environ["HOME"] == "/tmp" and len(os.environ) < 12)
say(json.dumps({"score": len(word), "measures": found}))
"""


def test_it_may_write_in_its_copy_and_nowhere_else(said: Said) -> None:
    judge = said(LOOKS)
    folder = judge.problem.folder
    before = read_tree(folder, ["**"])
    for _ in range(2):  # and nothing of one run is there in the next
        assert judge.screen(judge.problem.seed).measures == {
            "its copy": 1, "over a file": 1, "tmp": 1, "judge": 0, "beside": 0, "network": 0, "secrets": 0,
            "processes": 1, "left": 2, "home": 1.0,
        }  # fmt: skip
    assert read_tree(folder, ["**"]) == before
    assert list(judge.scratch.iterdir()) == []


def test_only_editable_files_come_with_a_program(said: Said) -> None:
    judge = said("say(json.dumps({'score': len(os.listdir())}))\n", more={"seed/fixed.txt": "x"})
    assert (
        judge.screen({"word.txt": b"x", "fixed.txt": b"y", "sitecustomize.py": b"1/0", "evaluate.py": b"1/0"}).score
        == 2
    )


def test_a_program_may_claim_anything_and_is_never_more_than_self_reported(said: Said) -> None:
    """What runs in the evaluator's process says what it likes: the level is what tells."""
    judge = said("exec(word)\n" + SCORE, more={"seed/word.txt": "pass"})
    claimed = of(judge, "say('{\"score\": 999}')\nos._exit(0)")
    assert (claimed.verdict, claimed.score, claimed.trust) == ("accepted", 999, "self-reported")


def test_a_quick_try_is_not_there(said: Said) -> None:
    judge = said(SCORE)
    assert judge.quick(judge.problem.seed)["ok"] is False
