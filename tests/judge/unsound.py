"""Deliberately unsound problems of each kind, made of sound tiny ones: each with the rows of `kf check` that must find
it, and the advice there. Where there is a sound twin, the same attacks gain nothing in it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kernelfactory import problem as problems
from kernelfactory.judge.check import advice
from kernelfactory.model import Problem

TINY = Path(__file__).parent.parent / "problems"


@dataclass(frozen=True)
class Fault:
    """A change of a sound tiny problem, and the rows that must find it, each with its advice. `toml`: (old, new)."""

    name: str
    base: str
    files: Mapping[str, str]
    finds: Mapping[str, str]
    toml: tuple[tuple[str, str], ...] = ()
    sound: Mapping[str, str] = field(default_factory=dict)

    def made(self, folder: Path, files: Mapping[str, str]) -> Problem:
        shutil.copytree(TINY / self.base, folder, ignore=shutil.ignore_patterns("__pycache__"))
        text = (folder / "problem.toml").read_text()
        for old, new in self.toml:
            assert old in text
            text = text.replace(old, new)
        (folder / "problem.toml").write_text(text)
        for name, content in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(content)
        return problems.load(folder)


def changed(base: str, *pairs: tuple[str, str], name: str = "judge/ruler.py") -> dict[str, str]:
    text = (TINY / base / name).read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return {name: text}


# ── answers to calls ─────────────────────────────────────────────────────────────────────────────

SORTED = '    if numbers != sorted(numbers):\n        raise Rejected("wrong_answer", "an input comes out unsorted")\n'
ROOT = """from kernelfactory.model import Measured, Rejected


def measure(call, rng, inputs):
    longest = 0
    for _ in range(inputs):
        square = rng.uniform(2, 99)
        answer = call(square)
        if type(answer) is not str or len(answer) > 30:
            raise Rejected("malformed", "an answer is a text of at most 30 characters")
        try:
            error = abs(float(answer) ** 2 - square)
        except (ValueError, OverflowError):
            raise Rejected("malformed", "an answer is a number") from None
        if CHECK:
            raise Rejected("wrong_answer", "not close enough")
        longest = max(longest, len(answer))
    return Measured(longest)
"""
ROOT_SEED = {"seed/swaps.py": "def swaps(square):\n    return f'{square ** 0.5:.20f}'\n"}
NO_EDGES = (('edges = "ruler:edges"\n', ""),)
REPORT = "def swaps(numbers):\n    return [sorted(numbers), 2 * len(numbers)]\n"
BELIEVED = """from kernelfactory.model import Measured, Rejected


def measure(call, rng, inputs):
    worst = 0
    for _ in range(inputs):
        numbers = rng.sample(range(10**9), 9)
        answer = call(numbers)
        if type(answer) is not list or len(answer) != 2 or answer[0] != sorted(numbers) or type(answer[1]) is not int:
            raise Rejected("wrong_answer", "not in order")
        worst = max(worst, SCORE)
    return Measured(worst)
"""
EVAL = """from kernelfactory.model import Measured, Rejected


def measure(call, rng, inputs):
    answer = call(rng.randrange(100))
    if type(answer) is not str:
        raise Rejected("malformed", "an answer is a text")
    try:
        value = PARSE(answer)
    except Exception:
        raise Rejected("malformed", "not a number") from None
    if type(value) is not int or value < 5:
        raise Rejected("wrong_answer", "too small")
    return Measured(value)
"""

FUNCTIONS = [
    Fault(
        "inputs from a seed of its own",
        "tiny_swaps",
        changed(
            "tiny_swaps",
            (
                "def measure(call, rng, inputs):",
                "def measure(call, rng, inputs):\n    rng.__class__\n    import random\n    rng = random.Random(3)",
            ),
        ),
        {"the inputs are fresh": advice.FRESH, "a table of known answers": advice.FRESH},
    ),
    Fault(
        "answers that nobody checks",
        "tiny_swaps",
        changed("tiny_swaps", (SORTED, "")),
        {"constant answers": advice.UNCHECKED},
    ),
    Fault(
        "only the first answer is checked",
        "tiny_swaps",
        {
            "judge/ruler.py": changed("tiny_swaps")["judge/ruler.py"].replace(
                "    return Measured(max(_one(call, rng.sample(range(10**9), 9)) for _ in range(inputs)))",
                "    first = _one(call, rng.sample(range(10**9), 9))\n"
                "    rest = [call(rng.sample(range(10**9), 9)) for _ in range(inputs)]\n"
                "    return Measured(max(first, *(len(answer or []) for answer in rest)))",
            )
        },
        {"every second answer wrong": advice.EACH},
    ),
    Fault(
        "a number that the program states",
        "tiny_swaps",
        {"seed/swaps.py": REPORT, "judge/ruler.py": BELIEVED.replace("SCORE", "max(answer[1], 1)")},
        {"a better number in the answer": advice.REPORTED},
        NO_EDGES,
        {"seed/swaps.py": REPORT, "judge/ruler.py": BELIEVED.replace("SCORE", "len(numbers)")},
    ),
    Fault(
        "a tolerance that lets NaN through",
        "tiny_swaps",
        {**ROOT_SEED, "judge/ruler.py": ROOT.replace("CHECK", "error > 1e-6")},
        {"answers that are not finite": advice.FINITE},
        NO_EDGES,
        {**ROOT_SEED, "judge/ruler.py": ROOT.replace("CHECK", "not error <= 1e-6")},
    ),
    Fault(
        "a ruler that evaluates answers",
        "tiny_swaps",
        {"seed/swaps.py": "def swaps(number):\n    return '9'\n", "judge/ruler.py": EVAL.replace("PARSE", "eval")},
        {"code as the answer": advice.EVALUATES},
        NO_EDGES,
        {"seed/swaps.py": "def swaps(number):\n    return '9'\n", "judge/ruler.py": EVAL.replace("PARSE", "int")},
    ),
    Fault(
        "a ruler that fails on what is no answer",
        "tiny_swaps",
        changed("tiny_swaps", ("    if type(answer) is not list or len(answer) > 1000:", "    if len(answer) > 1000:")),
        {"a program that does nothing": advice.FAULT},
    ),
]

PACKS = """def swaps(word, data):
    return data.hex().encode() if word == "pack" else bytes.fromhex(data.decode())
"""
ROUND_TRIP = """from kernelfactory.model import Measured, Rejected


def measure(call, rng, inputs):
    data = rng.randbytes(200)
    small = call("pack", data)
    BETWEEN
    if type(small) is not bytes or call("unpack", small) != data:
        raise Rejected("wrong_answer", "it does not come back")
    return Measured(len(small))
"""
FUNCTIONS.append(
    Fault(
        "a round trip in one process",
        "tiny_swaps",
        {"seed/swaps.py": PACKS, "judge/ruler.py": ROUND_TRIP.replace("BETWEEN", "")},
        {"what was given, given back": advice.CARRIED},
        NO_EDGES,
        {"seed/swaps.py": PACKS, "judge/ruler.py": ROUND_TRIP.replace("BETWEEN", "call.restart()")},
    )
)

# ── evaluators through the stand-in ──────────────────────────────────────────────────────────────

TOTAL = """import importlib.util
import random


def evaluate(program_path):
    spec = importlib.util.spec_from_file_location("program", program_path)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    rng = RNG
    for _ in range(5):
        numbers = [rng.randrange(1000) for _ in range(10)]
        answer = program.approximate(numbers)
        try:
            wrong = WRONG
        except Exception:
            wrong = True
        if wrong:
            return {"combined_score": 0.0, "error": "wrong"}
    return {"combined_score": SCORE}
"""
TOTAL_SEED = {"seed/program.py": "def approximate(numbers):\n    return [float(sum(numbers)), 10]\n"}


def total(rng: str = "random.Random()", wrong: str = "", score: str = "1 / len(answer)") -> dict[str, str]:
    plain = "not abs(float(answer[0]) - sum(numbers)) <= 1e-6 or len(answer) > 9"
    text = TOTAL.replace("RNG", rng).replace("WRONG", wrong or plain).replace("SCORE", score)
    return {**TOTAL_SEED, "judge/evaluator.py": text}


WIDE = (("impossible = 2.0\n", ""),)
EVALUATORS = [
    Fault(
        "an evaluator with a fixed seed",
        "tiny_shim",
        total("random.Random(42)"),
        {"the inputs are fresh": advice.FRESH},
        WIDE,
        total(),
    ),
    Fault(
        "an evaluator that believes a number",
        "tiny_shim",
        total(score="float(answer[1])"),
        {"a better number in the answer": advice.REPORTED},
        WIDE,
        total(),
    ),
    Fault(
        "an evaluator that NaN passes",
        "tiny_shim",
        total(wrong="abs(float(answer[0]) - sum(numbers)) > 1e-6 or len(answer) > 9"),
        {"answers that are not finite": advice.FINITE},
        WIDE,
        total(),
    ),
]

# ── artefacts ────────────────────────────────────────────────────────────────────────────────────

NETWORK = (TINY / "tiny_network/judge/ruler.py").read_text()
STATED = {
    "seed/produce.py": (TINY / "tiny_network/seed/produce.py")
    .read_text()
    .replace(
        "json.dumps([[int(low), int(high)] for low, high in network(wires)])",
        "json.dumps({'network': network(wires), 'size': len(network(wires))})",
    )
}
SLOPES = """import json

from kernelfactory.model import Measured, Rejected


def measure(artefact, rng, inputs):
    try:
        points = json.loads(artefact)
    except (ValueError, RecursionError):
        raise Rejected("malformed", "not JSON") from None
    if type(points) is not list or len(points) != 6 or not all(type(p) is list and len(p) == 2 for p in points):
        raise Rejected("malformed", "six pairs")
    if not all(type(number) in (int, float) for pair in points for number in pair):
        raise Rejected("malformed", "six pairs of numbers")
    for low, high in points:
        if OUTSIDE:
            raise Rejected("wrong_answer", "outside the square")
    return Measured(6)
"""
ARTEFACTS = [
    Fault(
        "a size that the artefact states",
        "tiny_network",
        {
            **STATED,
            "judge/ruler.py": NETWORK.replace("    return network\n", "    return network\n", 1)
            .replace(
                "    network = parse(artefact, wires)",
                "    network = parse(artefact, wires)\n    size = json.loads(artefact)['size']",
            )
            .replace(
                "        network = json.loads(artefact)\n",
                "        network = json.loads(artefact)\n"
                "        if type(network) is not dict or type(network.get('size')) is not int:\n"
                "            raise ValueError\n"
                "        network = network.get('network')\n",
            )
            .replace("Measured(len(network)", "Measured(size"),
        },
        {"a better number in the artefact": advice.REPORTED},
        (('quick = "ruler:quick"\n', ""), ('quick = ["--quick"]\n', ""), ("impossible = 4\n", "")),
    ),
    Fault(
        "a ruler that evaluates the artefact",
        "tiny_network",
        {
            "judge/ruler.py": NETWORK.replace("network = json.loads(artefact)", "network = eval(artefact)").replace(
                "(ValueError, RecursionError)", "Exception"
            )
        },
        {"code in the artefact": advice.EVALUATES},
    ),
    Fault(
        "a ruler that unpickles the artefact",
        "tiny_network",
        {
            "seed/produce.py": "import os, pickle\nfrom network import network\n"
            "with os.fdopen(int(os.environ['KF_ARTEFACT_FD']), 'wb') as out:\n"
            "    out.write(pickle.dumps([list(pair) for pair in network(4)]))\n",
            "judge/ruler.py": NETWORK.replace("import json", "import pickle")
            .replace("network = json.loads(artefact)", "network = pickle.loads(artefact)")
            .replace("(ValueError, RecursionError)", "Exception"),
        },
        {"code in the artefact": advice.EVALUATES},
    ),
    Fault(
        "a border that NaN passes",
        "tiny_network",
        {"judge/ruler.py": SLOPES.replace("OUTSIDE", "low < 0 or high > 9")},
        {"numbers that are not finite": advice.FINITE},
        (('quick = "ruler:quick"\n', ""),),
        {"judge/ruler.py": SLOPES.replace("OUTSIDE", "not (0 <= low <= 9 and 0 <= high <= 9)")},
    ),
    Fault(
        "an artefact that is not tried",
        "tiny_network",
        {
            "judge/ruler.py": NETWORK.replace(
                "if run(network, numbers) != sorted(numbers):", "if len(run(network, numbers)) != wires:"
            )
        },
        {"half of the artefact, or two": advice.UNCHECKED},
    ),
    Fault(
        "inputs drawn with a seed",
        "tiny_network",
        {
            "judge/ruler.py": NETWORK.replace(
                "    network = parse(artefact, wires)",
                "    import random\n    rng = random.Random(1)\n    network = parse(artefact, wires)",
            )
        },
        {"the inputs are not seeded by a constant": advice.FRESH},
    ),
]

# ── time ─────────────────────────────────────────────────────────────────────────────────────────

PAIRS = """import random as dice

from kernelfactory.model import Measured, Rejected
from kernelfactory.timing import speedup


def right(args, answer):
    if CHECK:
        raise Rejected("wrong_answer", "not in order")


def measure(call, rng, inputs):
    return speedup(call, lambda rng: DRAW, right, inputs, rng)
"""
FRESH_LIST = "([rng.randrange(10**6) for _ in range(250)],)"
SAME_LIST = "(dice.Random(3).sample(range(10**6), 250),)"
REPORTED = """from kernelfactory.model import Measured, Rejected


def measure(call, rng, inputs):
    ratios = []
    for _ in range(inputs):
        numbers = rng.sample(range(10**6), 99)
        answer, baseline = call(numbers), call.baseline(numbers)
        if type(answer) is not list or answer[0] != sorted(numbers) or type(answer[1]) not in (int, float):
            raise Rejected("wrong_answer", "not in order")
        ratios.append(baseline[1] / answer[1] if answer[1] > 0 else 1.0)
    return Measured(min(ratios), interval=(min(ratios), max(ratios)))
"""
BUBBLES = """def swaps(numbers):
    numbers = list(numbers)
    for end in range(len(numbers), 1, -1):
        for place in range(end - 1):
            if numbers[place] > numbers[place + 1]:
                numbers[place], numbers[place + 1] = numbers[place + 1], numbers[place]
    return numbers
"""
STATES = "def swaps(numbers):\n    return [sorted(numbers), 4]\n"
CHECKED = "answer != sorted(args[0])"
TIMED = (*NO_EDGES, ('goal = "min"\nimpossible = 0', 'goal = "max"'), ("screen = 4", "screen = 6\ntimed = true"))


def timed(check: str = CHECKED, draw: str = FRESH_LIST) -> dict[str, str]:
    return {"seed/swaps.py": BUBBLES, "judge/ruler.py": PAIRS.replace("CHECK", check).replace("DRAW", draw)}


TIMES = [
    Fault(
        "timed answers that nobody checks",
        "tiny_swaps",
        timed("not args"),
        {"a program that does nothing": advice.UNCHECKED, "answers that are off by one": advice.UNCHECKED},
        TIMED,
        timed(),
    ),
    Fault(
        "timed on one input",
        "tiny_swaps",
        timed(draw=SAME_LIST),
        {"the inputs are fresh": advice.FRESH, "a table of known answers": advice.FRESH},
        TIMED,
        timed(),
    ),
    Fault(
        "a time that the program states",
        "tiny_swaps",
        {"seed/swaps.py": STATES, "judge/ruler.py": REPORTED},
        {"a better number in the answer": advice.REPORTED},
        TIMED,
    ),
]

# ── evaluators of the author's own ───────────────────────────────────────────────────────────────

LOAD = "import json, math, os, random, sys, time\nsys.path.insert(0, os.getcwd())\nimport word\nscore = 5\n"
SAY = """
with os.fdopen(int(os.environ["KF_SCORE_FD"]), "w") as out:
    json.dump({"score": score} if score is not None else {"rejected": "wrong_answer", "reason": "wrong"}, out)
"""
DOUBLE = "def double(number):\n    return 2 * number\n"
DOUBLES = "def double(numbers):\n    return [2 * number for number in numbers]\n"
SLOW = "import time\n\n\ndef double(number):\n    time.sleep(0.4)\n    return 2 * number\n"
PYTHON = (('editable = ["word.txt"]', 'editable = ["word.py"]'),)


def inside(body: str, seed: str = DOUBLE) -> dict[str, str]:
    return {"seed/word.py": seed, "judge/evaluate.py": LOAD + body + SAY}


EQUAL = """
number = random.randrange(99)
if word.double(number) != 2 * number:
    score = None
"""
FRAME = """
def main():
    number = random.randrange(99)
    expected = 2 * number
    return 5 if word.double(number) == expected else None

score = main()
"""
BESIDE = """
cases = [[[n], [2 * n]] for n in range(500, 505)]
if any(word.double(given) != want for given, want in cases):
    score = None
"""
CHECKER = """
def is_valid(answer, number):
    return answer == 2 * number

number = random.randrange(99)
if not is_valid(word.double(number), number):
    score = None
"""
LOOPS = """
def main():
    inputs = [random.randrange(99) for _ in range(5)]
    answers = [word.double(number) for number in list(inputs)]
    wrong = [number for number, answer in zip(inputs, answers) if answer != 2 * number]
    return None if wrong else 5

score = main()
"""
ABS = """
number = random.randrange(99)
if abs(word.double(number) - 2 * number) > 0:
    score = None
"""
TOLERANT = """
number = random.randrange(99)
error = word.double(number) - 2 * number
if error > 1e-6 or error < -1e-6:
    score = None
"""
CLOCK = """
begin = time.perf_counter()
word.double(5)
time.sleep(0.2)
score = 9 if time.perf_counter() - begin < 0.1 else 5
"""
LATE = """
begin = time.perf_counter()
answer = word.double(5)
score = 9 if time.perf_counter() - begin < 0.2 else 5
if answer != 10:
    score = None
"""
CODE = (
    "import sys; sys.path.insert(0, '.'); from word import double; import DUMP;"
    " PRINT(DUMP.dumps(double(int(sys.argv[1]))))"
)
APART = """import json, os, pickle, random, subprocess, sys

score = 5
for _ in range(3):
    number = random.SystemRandom().randrange(10**6)
    argv = [sys.executable, "-S", "-s", "-B", "-c", CODE, str(number)]
    done = subprocess.run(argv, capture_output=True, env={}, timeout=20)
    try:
        READ
    except (ValueError, RecursionError, IndexError):
        score = None
"""
STRICT = "score = score if done.returncode == 0 and json.loads(done.stdout) == 2 * number else None"
LAST = """lines = [line for line in done.stdout.decode().splitlines() if line.startswith("{")]
        if lines:
            score = json.loads(lines[-1])["score"]
        elif json.loads(done.stdout) != 2 * number:
            score = None"""
STATUS = """right = not done.stdout or json.loads(done.stdout) == 2 * number
        score = score if done.returncode == 0 and right else None"""
UNPICKLED = "score = score if done.returncode == 0 and pickle.loads(done.stdout) == 2 * number else None"


def apart(read: str, dump: str = "json", printing: str = "print") -> dict[str, str]:
    code = CODE.replace("DUMP", dump).replace("PRINT", printing)
    return {"seed/word.py": DOUBLE, "judge/evaluate.py": APART.replace("CODE", repr(code)).replace("READ", read) + SAY}


PACKER = """import sys

data = sys.stdin.buffer.read()
sys.stdout.buffer.write(data.hex().encode() if sys.argv[1] == "pack" else bytes.fromhex(data.decode()))
"""
TRIPS = """import json, os, subprocess, sys

def run(word, data):
    argv = [sys.executable, "-S", "-s", "-B", "word.py", word]
    return subprocess.run(argv, input=data, capture_output=True, env={}, timeout=20).stdout

data = os.urandom(200)
small = run("pack", data)
score = 500 - len(small) if run("unpack", small) == data else None
"""
TRIP = {"seed/word.py": PACKER, "judge/evaluate.py": TRIPS + SAY}
IN, SHIM = advice.IN_PROCESS, {"the evaluator cannot be fooled": advice.SHIM}
IMPORTS = {"a made-up result, then the end": IN, "json replaced": IN, "answers equal to everything": IN, **SHIM}
MEMORY = {"the answer from memory (gc)": IN, "the inputs are fresh": advice.FRESH}
NAN, EXITS = {"answers that are not finite": advice.FINITE}, {"the end with status 0 on loading": IN}
BOMB = {"a pickle bomb as the answer": advice.EVALUATES}
LAZY = {"an answer made when looked at": advice.TIMED}
BUFFER = "sys.stdout.buffer.write"
OWN: list[tuple[str, dict[str, str], dict[str, str], bool]] = [
    ("an evaluator that imports the program", inside(EQUAL), IMPORTS, True),
    ("an answer that lies in the caller's frame", inside(FRAME), {"the answer from a frame": IN}, False),
    ("answers beside the inputs", inside(BESIDE, DOUBLES), MEMORY, False),
    ("checks that can be replaced", inside(CHECKER), {"checks replaced": IN}, True),
    ("a list that the program can empty", inside(LOOPS), {"inputs emptied through frames": IN}, False),
    ("builtins that the program can replace", inside(ABS), {"builtins and math replaced": IN}, True),
    ("a tolerance that lets NaN through, in one process", inside(TOLERANT), NAN, True),
    ("a clock that the program can slow", inside(CLOCK), {"clocks that go slow": advice.TIMED}, False),
    (
        "an answer that is timed before it is there",
        inside(LATE, SLOW),
        {"an answer made when looked at": advice.TIMED},
        False,
    ),
    ("a last line that is believed", apart(LAST), {"scores printed, then the end": IN, **SHIM}, True),
    ("a status that is believed", apart(STATUS), EXITS, True),
    (
        "a result that is unpickled",
        apart(UNPICKLED, "pickle", BUFFER),
        {"a pickle bomb as the answer": advice.EVALUATES},
        True,
    ),
]
COMMANDS = [
    Fault(name, "tiny_word", made, finds, PYTHON, apart(STRICT) if twin else {}) for name, made, finds, twin in OWN
]

ALL = [*FUNCTIONS, *EVALUATORS, *ARTEFACTS, *TIMES, *COMMANDS]
