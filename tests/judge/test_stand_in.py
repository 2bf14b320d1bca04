"""The import shim: evaluators as people write them for other tools run as they are, and never see the candidate."""

from __future__ import annotations

import hashlib
import os
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
    return {"combined_score": score(load(program_path).pack())}
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
    return {"combined_score": score(pack(SIZE))}
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
