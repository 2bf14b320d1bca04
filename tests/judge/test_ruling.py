"""Verdicts on programs that answer calls: fresh inputs, edge cases, two sets of data, speedups, duels, faults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernelfactory.jail import Unprotected
from kernelfactory.judge import Judge, JudgeFailed
from kernelfactory.model import BadInput, Problem, Verdict

TOML = """
name = "asked"
editable = ["program.py"]
kind = "function"

[metric]
name = "cost"
unit = "points"
goal = "min"

[call]
function = "program:answer"
seconds = 2
memory = "512MiB"

[measure]
ruler = "ruler:measure"
screen = 3
confirm = 7
seconds = 5
memory = "512MiB"
"""
HEAD = "import math, os, time\nfrom pathlib import Path\nfrom kernelfactory.model import Measured, Rejected\n"
SEED = "def answer(number):\n    return [number + 1, 9]\n"

Asked = Callable[..., Judge]


def problem_of(write_problem: Any, ruler: str, *, seed: str = SEED, toml: Any = (), more: Any = None) -> Problem:
    table = TOML
    for old, new in toml:
        assert old in table
        table = table.replace(old, new)
    files = {"problem.toml": table, "seed/program.py": seed, "judge/ruler.py": HEAD + ruler, **(more or {})}
    found: Problem = write_problem(files)
    return found


@pytest.fixture
def asked(write_problem: Any, open_judge: Any) -> Asked:
    """A judge of a problem with this ruler."""

    def make(ruler: str, **more: Any) -> Judge:
        judge: Judge = open_judge(problem_of(write_problem, ruler, **more))
        return judge

    return make


def of(judge: Judge, text: str) -> Verdict:
    return judge.screen({"program.py": text.encode()})


CHECKED = """
def measure(call, rng, inputs):
    cost = 0
    for _ in range(inputs):
        number = rng.randrange(10**9)
        answer = call(number)
        if type(answer) is not list or [type(part) for part in answer] != [int, int]:
            raise Rejected("malformed", "a list of two whole numbers")
        if answer[0] != number + 1:
            raise Rejected("wrong_answer", "one more was asked for")
        cost = max(cost, answer[1])
    return Measured(cost, {"inputs": inputs})
"""


# ── asked and checked ────────────────────────────────────────────────────────────────────────────


def test_a_program_is_measured_by_its_answers(asked: Asked) -> None:
    judge = asked(CHECKED)
    screened, confirmed = judge.screen(judge.problem.seed), judge.confirm(judge.problem.seed)
    assert (screened.verdict, screened.score, screened.inputs, screened.confirmed) == ("accepted", 9, 3, False)
    assert (confirmed.verdict, confirmed.score, confirmed.inputs, confirmed.confirmed) == ("accepted", 9, 7, True)
    assert judge.confirm(judge.problem.seed, times=2).measures == {"inputs": 14}
    assert (screened.trust, screened.ruler.backend) == ("judged", "python")
    assert of(judge, "def answer(number): return [number + 1, 4]").score == 4


WRONG = [
    ("def answer(number): return [number, 1]", "wrong_answer", "one more was asked for"),
    ("def answer(number): return (number + 1, 1)", "malformed", "a list of two whole numbers"),
    ("def answer(number): return [number + 1, True]", "malformed", "a list of two whole numbers"),
    ("def answer(number): return object()", "malformed", "no plain data"),
    ("def answer(number): return [number + 1, float('nan')]", "malformed", "no plain data"),
    ("def answer(number): raise KeyError(number)", "crashed", "the program raised KeyError"),
    ("def answer(number):\n    while True: pass", "timeout", "longer than 2 seconds to answer"),
    ("import os\ndef answer(number): os._exit(0)", "crashed", "ended instead of answering"),
    ("def other(): pass", "crashed", "does not load"),
    ("def answer(number: return", "crashed", "does not load"),
    ("def answer(number): return 'x' * (64 << 20)", "over_limit", "larger than allowed"),
]


@pytest.mark.parametrize(("text", "code", "words"), WRONG, ids=[case[0][:40] for case in WRONG])
def test_a_program_that_answers_otherwise_is_rejected(asked: Asked, text: str, code: str, words: str) -> None:
    judge = asked(CHECKED)
    verdict = of(judge, text)
    assert (verdict.verdict, verdict.score, verdict.reason_code) == ("rejected", None, code)
    assert verdict.reason is not None and words in verdict.reason
    assert judge.screen(judge.problem.seed).score == 9  # and the judge goes on


def test_why_it_does_not_load_is_shown_to_its_author(asked: Asked) -> None:
    assert of(asked(CHECKED), "import nothing_of_that_name").instruments == {
        "stderr": "ModuleNotFoundError: No module named 'nothing_of_that_name'"
    }


def test_a_quick_try_is_a_call_too(asked: Asked) -> None:
    judge = asked(CHECKED, toml=(('"ruler:measure"\n', '"ruler:measure"\nquick = "ruler:measure"\n'),))
    assert judge.quick(judge.problem.seed) == {"quick": True, "ok": True, "figure": 9, "reason": None}
    assert judge.quick({"program.py": b"1/0"})["reason"] == "the program does not load"


def test_what_was_built_is_called(asked: Asked) -> None:
    """[produce] makes the artefact in the jail; only the worker loads it."""
    seed = "import os\ndef answer(number): return [number + 1, int(open(os.environ['KF_ARTEFACT']).read())]\n"
    make = "import os\nos.write(int(os.environ['KF_ARTEFACT_FD']), open('number.txt', 'rb').read() * 2)\n"
    judge = asked(CHECKED, seed=seed, toml=BUILDS, more={"seed/make.py": make, "seed/number.txt": "1"})
    assert judge.screen(judge.problem.seed).score == 11
    assert judge.screen({"number.txt": b"0"}).score == 0
    assert judge.screen({"number.txt": b""}).reason_code == "malformed"


# ── edge cases ───────────────────────────────────────────────────────────────────────────────────

EDGES = """
def edges(call, rng):
    if call(0) != [1, 9]:
        raise Rejected("wrong_answer", "nothing is a number too")
    return Measured(call(-1)[1])
"""


def test_edge_cases_are_for_confirmations(asked: Asked) -> None:
    toml = (('"ruler:measure"\n', '"ruler:measure"\nedges = "ruler:edges"\n'),)
    judge = asked(CHECKED + EDGES, toml=toml)
    special = b"def answer(number): return [number + 1 if number else 7, 9]"
    assert judge.screen({"program.py": special}).verdict == "accepted"
    confirmed = judge.confirm({"program.py": special})
    assert (confirmed.verdict, confirmed.reason) == ("rejected", "nothing is a number too")
    worse = b"def answer(number): return [number + 1, 9 if number >= 0 else 20]"
    assert (judge.screen({"program.py": worse}).score, judge.confirm({"program.py": worse}).score) == (9, 20)
    assert judge.confirm(judge.problem.seed).score == 9
    unasked = asked(CHECKED + EDGES)  # the fault: no edges named, and the same program passes
    assert unasked.confirm({"program.py": special}).verdict == "accepted"


# ── two sets of data ─────────────────────────────────────────────────────────────────────────────

SETS = """
HERE = Path(__file__).parent
def measure(call, rng, inputs):
    seen = [sorted(path.name for path in (HERE / name).iterdir()) for name in ("screen", "confirm")]
    return Measured(1, {"screen": len(seen[0]), "confirm": len(seen[1])})
"""
DATA = {"judge/screen/a.txt": "1", "judge/confirm/b.txt": "2", "judge/confirm/c.txt": "3"}


def test_what_measures_for_agents_never_sees_the_other_set(asked: Asked) -> None:
    judge = asked(SETS, more=DATA)
    for _ in range(2):  # also after a confirmation's process is at hand
        assert judge.screen(judge.problem.seed).measures == {"screen": 1, "confirm": 0}
        assert judge.confirm(judge.problem.seed).measures == {"screen": 1, "confirm": 2}


def test_without_a_jail_both_sets_are_there(write_problem: Any, tmp_path: Path) -> None:
    """What `--unprotected` gives up: the ruler itself has to keep them apart then, and the trust level says so."""
    of_sets = problem_of(write_problem, SETS, more=DATA)
    (tmp_path / "room").mkdir()
    with Judge(of_sets, Unprotected(), scratch=tmp_path / "room") as judge:
        verdict = judge.screen(of_sets.seed)
        assert (verdict.measures, verdict.trust) == ({"screen": 1, "confirm": 2}, "unprotected")


def test_one_set_without_the_other_is_no_problem(write_problem: Any) -> None:
    with pytest.raises(BadInput, match="judge/screen/ and judge/confirm/: one of them is missing"):
        problem_of(write_problem, SETS, more={"judge/screen/a.txt": "1"})


# ── whose fault ──────────────────────────────────────────────────────────────────────────────────

FAULTS = {
    "raises": "1/0",
    "raises with an input": "raise SystemError('the input was 17')",
    "not a number": "return Measured(math.nan)",
    "infinite": "return Measured(-math.inf)",
    "a text": "return Measured('5')",
    "nothing": "return None",
    "garbage on its pipe": "os.write(4, b'garbage' * 99); os.write(3, b'garbage' * 99); return Measured(5)",
    "ends": "os._exit(0)",
    "sends what cannot be sent": "call(lambda: 1); return Measured(5)",
    "asks for a baseline that fails": "call.baseline(0, 0, 0)",
    "a measure that is none": "return Measured(5, {'x': math.inf})",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_ruler_that_fails_is_no_verdict_on_anybody(asked: Asked, fault: str) -> None:
    judge = asked(f"def measure(call, rng, inputs):\n    if call(1)[1] == 5: return Measured(5)\n    {FAULTS[fault]}\n")
    with pytest.raises(JudgeFailed, match="asked") as caught:
        judge.screen(judge.problem.seed)
    assert "17" not in str(caught.value) and "\n" not in str(caught.value)
    assert of(judge, "def answer(number): return [number, 5]").score == 5  # the ruler works for this one


def test_a_ruler_that_hangs_on_everything_is_at_fault(asked: Asked) -> None:
    judge = asked("def measure(call, rng, inputs):\n    time.sleep(60)\n", toml=(("seconds = 5", "seconds = 1"),))
    with pytest.raises(JudgeFailed, match="asked fails on the seed too: measuring took longer than 1 seconds"):
        judge.screen(judge.problem.seed)


def test_a_ruler_that_hangs_on_one_program_is_that_programs_timeout(asked: Asked) -> None:
    ruler = "def measure(call, rng, inputs):\n    time.sleep(call(1)[1])\n    return Measured(1)\n"
    seed = "def answer(number): return [number, 0]"
    judge = asked(ruler, seed=seed, toml=(("seconds = 5", "seconds = 1"),))
    verdict = of(judge, "def answer(number): return [number, 60]")
    assert (verdict.verdict, verdict.reason_code) == ("rejected", "timeout")


def test_a_ruler_that_swallows_a_failure_decides_alone(asked: Asked) -> None:
    """A ruler is trusted (an evaluator that was written for another tool is not: see test_stand_in)."""
    judge = asked("""
def measure(call, rng, inputs):
    try:
        return Measured(call(1)[1])
    except Rejected:
        return Measured(99)
""")
    assert of(judge, "def answer(number): raise ValueError").score == 99


BUILT = '[produce]\ncommand = ["python", "make.py"]\n\n[call]'
BUILDS = ('editable = ["program.py"]', 'editable = ["number.txt"]'), ("[call]", BUILT)


def test_a_seed_whose_build_fails_is_the_problems_fault(asked: Asked) -> None:
    make = """
import os
data = open("number.txt", "rb").read()
if data == b"1":
    raise SystemExit(1)
os.write(int(os.environ["KF_ARTEFACT_FD"]), data)
"""
    judge = asked(CHECKED, toml=BUILDS, more={"seed/make.py": make, "seed/number.txt": "1"})
    with pytest.raises(JudgeFailed, match=r"the baseline of asked cannot be built: .* ended with status 1"):
        judge.screen({"number.txt": b"2"})


# ── speedups ─────────────────────────────────────────────────────────────────────────────────────

TIMED = """
from kernelfactory.timing import speedup

def draw(rng):
    return (rng.randrange(2_000_000, 2_001_000),)

def check(args, answer):
    if type(answer) is not int or answer != args[0] * (args[0] - 1) // 2:
        raise Rejected("wrong_answer", "the sum is wrong")

def measure(call, rng, inputs):
    return speedup(call, draw, check, inputs, rng)
"""
LOOP = "def answer(number):\n    total = 0\n    for each in range(number):\n        total += each\n    return total\n"
FORMULA = "def answer(number): return number * (number - 1) // 2\n"
DAWDLING = LOOP.replace("total += each", "total += each; each + each; each * each; each - each; each + 1; each * 3")
SPEED = (
    ('goal = "min"', 'goal = "max"'),
    ('"ruler:measure"\n', '"ruler:measure"\ntimed = true\n'),
    ("screen = 3", "screen = 8"),
    ("confirm = 7", "confirm = 10"),
    ("seconds = 5\n", "seconds = 120\n"),
    ("seconds = 2\n", "seconds = 30\n"),
)


@pytest.fixture
def timed(asked: Asked) -> Judge:
    return asked(TIMED, seed=LOOP, toml=SPEED)


def test_a_speedup_has_an_interval_and_checked_answers(timed: Judge) -> None:
    faster = of(timed, FORMULA)
    assert faster.verdict == "accepted" and faster.interval is not None and faster.score is not None
    assert 2 < faster.interval[0] <= faster.score <= faster.interval[1]
    slower = of(timed, DAWDLING)
    assert slower.interval is not None and slower.interval[1] < 1
    wrong = of(timed, "def answer(number): return 1")
    assert (wrong.verdict, wrong.reason_code) == ("rejected", "wrong_answer")


def test_a_clearly_slower_program_ends_early(timed: Judge) -> None:
    verdict = timed.screen({"program.py": DAWDLING.encode()}, bar=50.0)
    assert verdict.verdict == "accepted" and verdict.interval is not None and verdict.interval[1] < 50
    assert str(verdict.instruments["ended"]).startswith("early") and verdict.instruments["pairs"] <= 8
    assert timed.screen({"program.py": DAWDLING.encode()}).instruments["pairs"] == 8


def test_a_duel_is_between_the_two(timed: Judge) -> None:
    formula, loop, dawdling = ({"program.py": text.encode()} for text in (FORMULA, LOOP, DAWDLING))
    won = timed.duel(formula, loop)
    assert won.better and not won.worse and won.low <= won.ratio <= won.high and won.pairs == 10
    lost = timed.duel(dawdling, loop)
    assert lost.worse and not lost.better
    assert timed.duel(dawdling, formula).high < lost.low  # the other one is the baseline, and not the seed


def test_a_duel_with_a_program_that_does_not_answer_has_no_winner(timed: Judge) -> None:
    formula, wrong, broken = (
        {"program.py": text} for text in (FORMULA.encode(), b"def answer(number): return 1", b"1/0")
    )
    for pair in ((formula, wrong), (wrong, formula), (formula, broken), (broken, formula)):
        with pytest.raises(JudgeFailed):
            timed.duel(*pair)


def test_only_timed_problems_have_duels(asked: Asked) -> None:
    judge = asked(CHECKED)
    with pytest.raises(BadInput, match="asked is not timed"):
        judge.duel(judge.problem.seed, judge.problem.seed)


def test_a_timed_ruler_without_an_interval_is_at_fault(asked: Asked) -> None:
    for measured in ("Measured(2.0)", "Measured(2.0, interval=(3.0, 4.0))", "Measured(2.0, interval=(1.0, math.nan))"):
        judge = asked(f"def measure(call, rng, inputs):\n    return {measured}\n", seed=LOOP, toml=SPEED)
        with pytest.raises(JudgeFailed, match="the ruler of asked"):
            judge.screen(judge.problem.seed)


def test_a_baseline_that_answers_wrongly_is_the_problems_fault(asked: Asked) -> None:
    judge = asked(TIMED, seed="def answer(number): return 1", toml=SPEED)
    with pytest.raises(JudgeFailed, match=r"the ruler of asked failed: ValueError"):
        of(judge, FORMULA)


def test_a_program_that_leaves_its_work_to_the_pause_gains_nothing(timed: Judge) -> None:
    """It would compute in a thread while the baseline runs: there are no threads, and it stands still meanwhile."""
    hiding = "import threading\ndef answer(number):\n    threading.Thread(target=print).start()\n    return 1\n"
    verdict = of(timed, hiding)
    assert (verdict.verdict, verdict.reason_code) == ("rejected", "crashed")
