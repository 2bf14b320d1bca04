"""The import shim: evaluators as people write them for other tools run as they are, and never see the candidate."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from kernelfactory.judge import Judge, JudgeFailed
from kernelfactory.model import Verdict

TOML = """
name = "packing"
editable = ["initial_program.py"]
kind = "function"

[metric]
name = "combined_score"
unit = "points"
goal = "max"

[call]
function = "initial_program"
seconds = 5
memory = "512MiB"
answer_bytes = "4MiB"

[measure]
evaluator = "evaluator:evaluate"
confirm = 2
seconds = 60
"""

SEED = """
import math

SIZE = 4
TABLE = {"a": [1, 2.5], (3, 4): None}
BEST = 0


def pack(size=SIZE, *, scale=1.0):
    global BEST
    BEST += 1
    return [(scale * (2 * i + 1) / (2 * size), 0.5, scale / (2 * size)) for i in range(size)]


class Packer:
    kind = "row"

    def __init__(self, size):
        self.size = size

    def run(self, part=None):
        return pack(part.size if part else self.size)


def thirds():
    yield 1
    yield 2


def picky(value):
    raise ValueError(f"not {value}")


if __name__ == "__main__":
    print(pack())
"""

HEAD = """
import importlib.util, json, math, os, pickle, subprocess, sys, tempfile, time, traceback


def load(path, name="program"):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def score(circles):
    for x, y, r in circles:
        if not (r > 0 and r <= x <= 1 - r and r <= y <= 1 - r):
            return 0.0
    for i, (x, y, r) in enumerate(circles):
        for a, b, s in circles[:i]:
            if math.hypot(x - a, y - b) < r + s - 1e-12:
                return 0.0
    return sum(r for _, _, r in circles)

"""
HONEST = 0.5

Evaluated = Callable[..., Judge]


@pytest.fixture
def evaluated(write_problem: Any, open_judge: Any) -> Evaluated:
    """A judge of a problem with this evaluator and this seed."""

    def make(text: str, *, seed: str = SEED, toml: tuple[tuple[str, str], ...] = (), head: str = HEAD) -> Judge:
        table = TOML
        for old, new in toml:
            assert old in table
            table = table.replace(old, new)
        files = {"problem.toml": table, "seed/initial_program.py": seed, "judge/evaluator.py": head + dedent(text)}
        judge: Judge = open_judge(write_problem(files))
        return judge

    return make


def seed_of(judge: Judge) -> Verdict:
    return judge.screen(judge.problem.seed)


def of(judge: Judge, text: str) -> Verdict:
    return judge.screen({"initial_program.py": dedent(text).encode()})


# ── how evaluators get at a program ──────────────────────────────────────────────────────────────

BY_PATH = """
def evaluate(program_path):
    circles = load(program_path).pack()
    return {"combined_score": score(circles)}
"""

BY_NAME = """
def evaluate(program_path):
    sys.path.insert(0, os.path.dirname(program_path))
    try:
        import initial_program
        return {"combined_score": score(initial_program.pack())}
    finally:
        sys.path.remove(os.path.dirname(program_path))
"""

BY_NAME_OF_FILE = """
def evaluate(program_path):
    sys.path.insert(0, os.path.dirname(os.path.abspath(program_path)))
    module = __import__(os.path.splitext(os.path.basename(program_path))[0])
    return {"combined_score": score(module.pack())}
"""

FROM_STAR = """
def evaluate(program_path):
    sys.path.insert(0, os.path.dirname(program_path))
    names = {}
    exec("from initial_program import *", names)
    return {"combined_score": score(names["pack"](names["SIZE"]))}
"""

EXECUTED = """
def evaluate(program_path):
    with open(program_path) as file:
        code = file.read()
    names = {}
    exec(compile(code, program_path, "exec"), names)
    return {"combined_score": score(names["pack"](names["SIZE"]))}
"""

EXECUTED_HERE = """
def evaluate(program_path):
    exec(open(program_path).read(), globals())
    circles = pack(SIZE)
    return {"combined_score": score(circles)}
"""

RUN_PATH = """
import runpy

def evaluate(program_path):
    names = runpy.run_path(program_path)
    return {"combined_score": score(names["pack"](names["SIZE"]))}
"""

RUN_PATH_AS_MAIN = RUN_PATH.replace("(program_path)\n", '(program_path, run_name="__main__")\n', 1)

SCRIPT = '''
def run_with_timeout(program_path, timeout_seconds):
    with tempfile.NamedTemporaryFile(suffix=".py", delete=False) as temp_file:
        temp_file.write(f"""
import importlib.util, os, pickle, sys, traceback
sys.path.insert(0, os.path.dirname('{program_path}'))
try:
    spec = importlib.util.spec_from_file_location("program", '{program_path}')
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    print("calling")
    results = {{"circles": program.pack(), "size": program.SIZE}}
except Exception as error:
    traceback.print_exc()
    results = {{"error": str(error)}}
with open('{temp_file.name}.results', "wb") as file:
    pickle.dump(results, file)
""".encode())
    process = subprocess.Popen([sys.executable, temp_file.name], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        process.communicate(timeout=timeout_seconds)
        with open(temp_file.name + ".results", "rb") as file:
            results = pickle.load(file)
        if "error" in results:
            raise RuntimeError(results["error"])
        return results
    finally:
        process.kill()
        os.unlink(temp_file.name)

def evaluate(program_path):
    try:
        results = run_with_timeout(program_path, timeout_seconds=30)
        return {"combined_score": score(results["circles"]), "size": results["size"]}
    except Exception as e:
        return {"combined_score": 0.0, "error": str(e)}
'''

THREADS = """
import concurrent.futures

def evaluate(program_path):
    program = load(program_path)
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        futures = [pool.submit(program.pack, size) for size in range(1, 9)]
        found = [future.result(timeout=30) for future in futures]
    assert [len(circles) for circles in found] == list(range(1, 9))
    return {"combined_score": max(map(score, found))}
"""

PROCESSES = """
import concurrent.futures, multiprocessing

def one(arguments):
    path, size = arguments
    return load(path).pack(size)

def evaluate(program_path):
    with concurrent.futures.ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("METHOD")) as pool:
        found = list(pool.map(one, [(program_path, size) for size in range(1, 9)], timeout=60))
    assert [len(circles) for circles in found] == list(range(1, 9))
    return {"combined_score": max(map(score, found))}
"""

FORKED_WITH_THE_MODULE = """
import multiprocessing

def evaluate(program_path):
    program = load(program_path)
    program.pack()  # by this process; then by children that hold the same module

    def work(queue, size):
        queue.put(program.pack(size))

    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [context.Process(target=work, args=(queue, size)) for size in range(1, 9)]
    for child in children:
        child.start()
    mine = [program.pack(3) for _ in range(20)]
    found = [queue.get(timeout=30) for _ in children]
    for child in children:
        child.join(timeout=30)
    assert sorted(len(circles) for circles in found) == list(range(1, 9))
    return {"combined_score": max(map(score, found + mine))}
"""

PICKLED_FUNCTION = """
import concurrent.futures, multiprocessing

def evaluate(program_path):
    program = load(program_path)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        return {"combined_score": score(pool.submit(program.pack, 4).result(timeout=30))}
"""

ALARM = """
import signal

class TimeOut(Exception):
    pass

def handler(signum, frame):
    raise TimeOut()

def evaluate(program_path):
    program = load(program_path)
    signal.signal(signal.SIGALRM, handler)
    late = 0
    for _ in range(60):  # some are cut short; no answer may be taken for another's
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.002)
            for size in range(1, 200):
                assert len(program.pack(size)) == size
        except TimeOut:
            late += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return {"combined_score": score(program.pack()), "late": late}
"""

CLASSES = """
def evaluate(program_path):
    program = load(program_path)
    assert program.Packer.kind == "row"
    small, large = program.Packer(2), program.Packer(size=6)
    assert (small.size, len(large.run()), len(large.run(small)), len(large.run(part=small))) == (2, 6, 2, 2)
    return {"combined_score": score(program.Packer(4).run())}
"""

CONSTANTS = """
def evaluate(program_path):
    program = load(program_path)
    assert program.SIZE == 4 and program.TABLE == {"a": [1, 2.5], (3, 4): None}
    assert (hasattr(program, "pack"), hasattr(program, "missing"), callable(program.pack)) == (True, False, True)
    assert getattr(program, "missing", 5) == 5 and {"pack", "Packer", "SIZE"} <= set(dir(program))
    before = program.BEST
    circles = program.pack(4, scale=1.0)
    assert program.BEST == before + 1  # as it is now, not as it was
    return {"combined_score": score(circles)}
"""

RAISING = """
def evaluate(program_path):
    program = load(program_path)
    caught = []
    for error in (ValueError, Exception):
        try:
            program.picky(1)
        except error as e:
            caught.append(str(e))
    assert caught == ["the program raised ValueError"] * 2, caught
    return {"combined_score": score(program.pack())}
"""

METRICS_OBJECT = """
from dataclasses import dataclass, field

@dataclass
class EvaluationResult:
    metrics: dict
    artifacts: dict = field(default_factory=dict)

def evaluate(program_path):
    value = score(load(program_path).pack())
    return EvaluationResult(metrics={"combined_score": value, "validity": 1.0}, artifacts={"note": "x" * 1000})
"""

CASCADE = """
def evaluate_stage1(program_path):
    raise AssertionError("not asked for")

def evaluate_stage2(program_path):
    raise AssertionError("not asked for")

def evaluate(program_path):
    return {"combined_score": score(load(program_path).pack()), "eval_time": time.time(), "name": "x", "ok": True}
"""

CHATTY = """
def evaluate(program_path):
    for line in range(20000):
        print("trial", line, "x" * 80)
        print("x" * 80, file=sys.stderr)
    os.system("echo from a shell; cat > /dev/null")  # reads what there is to read
    sys.stdin.read()
    return {"combined_score": score(load(program_path).pack())}
"""

A_NUMBER = "def evaluate(program_path):\n    return score(load(program_path).pack())\n"

RESULTS_FOLDER = """
def evaluate(program_path: str, results_dir: str):
    circles = load(program_path).pack()
    with open(os.path.join(results_dir, "correct.json"), "w") as file:
        json.dump({"correct": score(circles) > 0, "error": None}, file)
    with open(os.path.join(results_dir, "metrics.json"), "w") as file:
        json.dump({"combined_score": score(circles), "public": {"circles": len(circles)}, "private": {}}, file)
"""

STYLES = {
    "by path": BY_PATH,
    "by name": BY_NAME,
    "by name of file": BY_NAME_OF_FILE,
    "from import *": FROM_STAR,
    "text executed": EXECUTED,
    "text executed here": EXECUTED_HERE,
    "runpy": RUN_PATH,
    "runpy as main": RUN_PATH_AS_MAIN,
    "script and pickle": SCRIPT,
    "threads": THREADS,
    "processes forked": PROCESSES.replace("METHOD", "fork"),
    "forked with the module": FORKED_WITH_THE_MODULE,
    "pickled function": PICKLED_FUNCTION,
    "alarm": ALARM,
    "classes": CLASSES,
    "constants": CONSTANTS,
    "exceptions": RAISING,
    "metrics object": METRICS_OBJECT,
    "cascade": CASCADE,
    "chatty": CHATTY,
    "a number": A_NUMBER,
    "results folder": RESULTS_FOLDER,
}


@pytest.mark.parametrize("style", STYLES)
def test_an_evaluator_of_this_style_runs_as_it_is(evaluated: Evaluated, style: str) -> None:
    judge = evaluated(STYLES[style])
    for verdict in (seed_of(judge), judge.confirm(judge.problem.seed)):
        assert (verdict.verdict, verdict.score) == ("accepted", HONEST), (verdict.reason, verdict.instruments)
        assert (verdict.trust, verdict.ruler.backend) == ("judged", "python")


def test_the_stand_in_of_one_program_is_never_anothers(evaluated: Evaluated) -> None:
    """Whatever an evaluator keeps from an evaluation, the next one is of another program."""
    caching = """
    seen = {}

    def evaluate(program_path):
        sys.path.insert(0, os.path.dirname(program_path))
        import initial_program
        seen.setdefault("size", initial_program.SIZE)
        exec(open(program_path).read(), globals())
        return {"combined_score": seen["size"], "size": SIZE, "module": initial_program.SIZE}
    """
    judge = evaluated(caching)
    for size in (1, 2, 3):
        verdict = of(judge, f"SIZE = {size}")
        assert (verdict.score, verdict.measures) == (size, {"size": size, "module": size})


# ── what cannot work says so ─────────────────────────────────────────────────────────────────────

SWALLOWING = """
def evaluate(program_path):
    try:
        program = load(program_path)
        return {"combined_score": float(ACT)}
    except BaseException as e:
        return {"combined_score": 0.0, "error": str(e)}
"""
AS_SCRIPT = """
def evaluate(program_path):
    done = subprocess.run([sys.executable, program_path], capture_output=True, text=True)
    return {"combined_score": float(done.stdout or 0)}
"""
ONE_KEY = 'def evaluate(program_path):\n    load(program_path)\n    return {"fitness": 1.0, "speed": 2}\n'

FAULTS = {
    "a callback": (
        SWALLOWING.replace("ACT", "program.pack(lambda size: 4)"),
        "the ruler of packing failed: the ruler passed a function to the candidate: only plain data crosses; kf check",
    ),
    "an object of the evaluator's": (SWALLOWING.replace("ACT", "program.pack(object())"), "the ruler passed object to"),
    "a number that is none": (
        SWALLOWING.replace("ACT", "program.pack(math.nan)"),
        "passed a number that is not finite",
    ),
    "run as a script": (AS_SCRIPT, "the evaluator runs the program as a script: a stand-in can only be imported"),
    "another key": (ONE_KEY, "has no 'combined_score' (it has: fitness, speed); set measure.score"),
    "a text for a score": (ONE_KEY.replace('"fitness": 1.0', '"combined_score": "1"'), "'combined_score' is no number"),
    "nothing": (ONE_KEY.replace("return", "print()  #"), "has no 'combined_score' (it has: NoneType)"),
    "a score that is none": (
        ONE_KEY.replace('"fitness": 1.0', '"combined_score": math.nan'),
        "must be a finite number",
    ),
    "an exception": (ONE_KEY.replace("return", "raise KeyError  #"), "KeyError (evaluator.py:24)"),
    "the end of its process": (ONE_KEY.replace("return", "os._exit(0) #"), "the ruler of packing failed"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_what_an_evaluator_cannot_do_is_the_problems_fault(evaluated: Evaluated, case: str) -> None:
    text, words = FAULTS[case]
    judge = evaluated(text)
    for files in (judge.problem.seed, {"initial_program.py": SEED.replace("SIZE = 4", "SIZE = 5").encode()}):
        with pytest.raises(JudgeFailed) as caught:
            judge.screen(files)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_evaluator_that_lacks_what_it_imports_does_not_load(evaluated: Evaluated) -> None:
    head = "from some_tool.evaluation_result import EvaluationResult\n"
    with pytest.raises(
        JudgeFailed, match=r"the ruler of packing does not load: ModuleNotFoundError \(evaluator.py:1\)"
    ):
        evaluated(A_NUMBER, head=head + HEAD)


OPAQUE_USES = {
    "iterated": "sum(program.thirds())",
    "counted": "len(program.Packer(3))",
    "converted": "program.Packer(3)",
    "indexed": "program.thirds()[0]",
    "compared": "program.Packer(1) < 2",
    "set": "setattr(program.Packer(1), 'size', 2) or 1",
}


@pytest.mark.parametrize("use", OPAQUE_USES)
def test_an_answer_that_is_no_plain_data_is_refused_clearly(evaluated: Evaluated, use: str) -> None:
    verdict = seed_of(evaluated(SWALLOWING.replace("ACT", OPAQUE_USES[use])))
    assert (verdict.verdict, verdict.reason_code) == ("rejected", "malformed")
    assert verdict.reason is not None and "only plain data crosses" in verdict.reason


def test_also_where_another_process_uses_it(evaluated: Evaluated) -> None:
    script = SCRIPT.replace("program.pack()", "list(program.thirds())")
    verdict = seed_of(evaluated(script))
    assert verdict.reason is not None and "only plain data crosses" in verdict.reason


def test_a_list_of_objects_or_of_what_is_not_finite_is_no_answer(evaluated: Evaluated) -> None:
    judge = evaluated("def evaluate(program_path):\n    return score(load(program_path).pack())\n")
    for text in (
        "pack = lambda: [object()]",
        "pack = lambda: [(0.5, 0.5, float('nan'))]",
        "pack = lambda: float('inf')",
    ):
        verdict = of(judge, text)
        assert (verdict.verdict, verdict.reason_code) == ("rejected", "malformed"), verdict


# ── a program that fails ─────────────────────────────────────────────────────────────────────────

SCORE_OR_NOTHING = """
def evaluate(program_path):
    try:
        return {"combined_score": 1 - score(load(program_path).pack())}
    except Exception as e:
        traceback.print_exc()
        return {"combined_score": 0.0WORDS}
"""
FAILING = {
    "raises": ("def pack():\n    raise ValueError('x')", "crashed", "the program raised ValueError"),
    "raises what looks absent": (
        "def pack():\n    raise AttributeError('pack')",
        "crashed",
        "the program raised AttributeError",
    ),
    "ends": ("import os\ndef pack():\n    os._exit(0)", "crashed", "the program ended instead of answering"),
    "hangs": ("def pack():\n    while True: pass", "timeout", "took longer than 1 seconds to answer"),
    "too large": ("def pack():\n    return 'x' * (5 << 20)", "over_limit", "larger than allowed"),
    "no plain data": ("def pack():\n    return [object()]", "malformed", "no plain data"),
    "does not load": ("1/0", "crashed", "the program does not load"),
}
MINIMAL = (('goal = "max"', 'goal = "min"'), ("seconds = 5\n", "seconds = 1\n"))


@pytest.mark.parametrize("words", ["", ', "error": str(e)'], ids=["silent", "names the error"])
@pytest.mark.parametrize("case", FAILING)
def test_a_failure_is_no_score_where_less_is_better(evaluated: Evaluated, case: str, words: str) -> None:
    text, code, reason = FAILING[case]
    verdict = of(evaluated(SCORE_OR_NOTHING.replace("WORDS", words), toml=MINIMAL), text)
    assert (verdict.verdict, verdict.score, verdict.reason_code) == ("rejected", None, code)
    assert verdict.reason is not None and reason in verdict.reason


def test_an_error_that_the_evaluator_names_is_no_score_either(evaluated: Evaluated) -> None:
    checking = """
    def evaluate(program_path):
        program = load(program_path)
        if not hasattr(program, "pack"):
            return {"combined_score": 0.0, "error": "no pack()"}
        return {"combined_score": 1 - score(program.pack()), "error": 0.25}
    """
    judge = evaluated(checking, toml=MINIMAL)
    assert seed_of(judge).score == 0.5
    verdict = of(judge, "SIZE = 1")
    assert (verdict.verdict, verdict.reason_code) == ("rejected", "wrong_answer")
    assert of(evaluated(checking), "SIZE = 1").score == 0.0  # where more is better, it is for the evaluator to say


def test_an_exception_that_an_evaluator_tolerates_stays_tolerated(evaluated: Evaluated) -> None:
    """Where more is better; what does not answer at all has no score."""
    trying = """
    def evaluate(program_path):
        total = 0
        for size in (1, 2, 3):
            try:
                total += len(load(program_path).pack(size))
            except ValueError:
                pass
        return {"combined_score": total}
    """
    assert of(evaluated(trying), "def pack(size):\n    return [1][: 1 // (size - 2) + 1]").verdict == "rejected"
    tolerated = "def pack(size):\n    if size == 2: raise ValueError\n    return [1]"
    assert of(evaluated(trying), tolerated).score == 2
    ended = "import os\ndef pack(size):\n    if size == 2: os._exit(1)\n    return [1]"
    assert of(evaluated(trying.replace("ValueError", "Exception")), ended).reason_code == "crashed"


def test_a_loading_error_is_shown_to_the_agent_and_nothing_later(evaluated: Evaluated) -> None:
    judge = evaluated(BY_PATH)
    broken = of(judge, "import nothing_of_that_name")
    assert broken.instruments["stderr"] == "ModuleNotFoundError: No module named 'nothing_of_that_name'"
    late = of(judge, "def pack():\n    raise ValueError('the input was a secret')")
    assert "secret" not in repr(late)


def test_an_evaluator_that_fails_on_this_program_alone_is_no_fault_of_the_problems(evaluated: Evaluated) -> None:
    judge = evaluated(BY_PATH)
    for text in ("pack = lambda: 'no circles'", "pack = lambda: [(0.5, 0.5)]", "pack = lambda: None", "pack = 7"):
        verdict = of(judge, text)
        assert (verdict.verdict, verdict.reason_code) == ("rejected", "malformed")
        assert verdict.reason == "the evaluator failed on what the program answered"
    assert seed_of(judge).score == HONEST


def test_an_iteration_of_the_evaluators_is_never_ended_from_there(evaluated: Evaluated) -> None:
    """map() would take a StopIteration for the end of the inputs, and all() of nothing is True."""
    mapping = """
    def evaluate(program_path):
        return {"combined_score": float(all(value > 5 for value in map(load(program_path).pack, [1, 2, 3])))}
    """
    judge = evaluated(mapping)
    assert of(judge, "def pack(size):\n    return 6").score == 1
    ending = of(judge, "def pack(size):\n    raise StopIteration")
    assert (ending.verdict, ending.reason_code) == ("rejected", "crashed")


# ── what would fool the evaluator if it imported the program itself ──────────────────────────────

FRAME_WALK = """
import sys

def pack():
    frame = sys._getframe()
    while frame:
        if "score" in frame.f_globals:
            frame.f_globals["score"] = lambda circles: 99.0
        frame = frame.f_back
    return [(0.5, 0.5, 0.4)]
"""
PATCHED_MODULE = """
import math

math.hypot = lambda *_: 9e9

def pack():
    return [(0.5, 0.5, 0.5)] * 198
"""
LYING_NUMBERS = """
class Lie(float):
    def __le__(self, other): return True
    __lt__ = __gt__ = __ge__ = __eq__ = __le__
    def __rsub__(self, other): return self
    def __radd__(self, other): return self
    __add__ = __radd__

def pack():
    return [(Lie(0.5), Lie(0.5), Lie(99.0))]
"""
PATCHED_BUILTIN = """
import builtins

builtins.enumerate = lambda things: []

def pack():
    return [(0.5, 0.5, 0.5)] * 198
"""
NAMES_OF_THE_EVALUATORS = """
def score(circles):
    return 99.0

def sum(numbers):
    return 99.0

def pack(size=1):
    return [(0.5, 0.5, 0.4)]

SIZE = 1
"""
STOLEN_EXIT = """
import os, sys

def pack():
    sys.stdout.write('{"combined_score": 99.0}')
    sys.stdout.flush()
    os._exit(0)
"""
HACKS = {
    "a frame walk": (BY_PATH, FRAME_WALK, 0.4),
    "a patched module": (BY_PATH, PATCHED_MODULE, 0.0),
    "a patched builtin": (BY_PATH, PATCHED_BUILTIN, 0.0),
    "numbers that lie": (BY_PATH, LYING_NUMBERS, 0.0),
    "names of the evaluator's": (EXECUTED_HERE, NAMES_OF_THE_EVALUATORS, 0.4),
    "the answer printed": (BY_PATH, STOLEN_EXIT, None),
}
ITSELF = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("evaluator", sys.argv[1])
evaluator = importlib.util.module_from_spec(spec)
spec.loader.exec_module(evaluator)
print(json.dumps({"combined_score": float(evaluator.evaluate(sys.argv[2])["combined_score"])}))
"""


@pytest.mark.parametrize("hack", HACKS)
def test_a_hack_that_fools_the_evaluator_does_nothing_through_the_stand_in(
    evaluated: Evaluated, tmp_path: Path, hack: str
) -> None:
    """The same evaluator, byte for byte, importing the program itself: fooled. Through the stand-in: the honest score
    of what the program answers, or a rejection."""
    text, program, honest = HACKS[hack]
    judge = evaluated(text)
    file = Path(judge.problem.folder) / "judge/evaluator.py"
    before = hashlib.sha256(file.read_bytes()).digest()
    (tmp_path / "initial_program.py").write_text(program)
    argv = [sys.executable, "-c", ITSELF, str(file), str(tmp_path / "initial_program.py")]
    fooled = subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, check=False).stdout
    assert json.loads(fooled)["combined_score"] >= 99.0
    verdict = of(judge, program)
    if honest is None:
        assert (verdict.verdict, verdict.reason_code) == ("rejected", "crashed")
    else:
        assert (verdict.verdict, verdict.score) == ("accepted", honest)
    assert (
        hashlib.sha256(file.read_bytes()).digest() == before == hashlib.sha256((HEAD + dedent(text)).encode()).digest()
    )


def test_an_evaluator_never_sees_the_programs_text(evaluated: Evaluated) -> None:
    """It reads the stand-in's, which is the same for every program: text that it may execute must not be foreign."""
    reading = """
    def evaluate(program_path):
        code = open(program_path).read()
        compile(code, program_path, "exec")
        load(program_path)
        return {"combined_score": len(code) - len(program_path), "marked": float("SIZE" in code or "pack" in code)}
    """
    judge = evaluated(reading)
    found = [of(judge, text) for text in ("pass", SEED, "SIZE = 5\n" * 999)]
    assert len({verdict.score for verdict in found}) == 1
    assert {verdict.measures["marked"] for verdict in found} == {0.0}
