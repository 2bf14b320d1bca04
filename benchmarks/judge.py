"""Text to verdict on 8 inputs by the ruler of vliw_tree, warm and cold, against a plain Python machine and reference.

Two programs: the naive kernel that the problem ships as its seed, and a short one that is synthetic: dense bundles that
compute nothing sensible (its verdict is a wrong answer, after the whole way). Both ways work on the same inputs.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

HERE = Path(__file__).parent
INPUTS = 8
SEED = 20240229
ROUNDS = 31
LIMITS = {"naive": 0.020, "short": 0.0015}
RATIO = 250
COLD = """
import sys, time
started = time.perf_counter()
sys.path.insert(0, sys.argv[1])
import judge
text = sys.stdin.buffer.read()
read = time.perf_counter()
ruler = judge.load_ruler()
judge.verdict(ruler, text)
print(time.perf_counter() - read)
"""

Bundles = list[dict[str, list[list[Any]]]]


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def problem() -> Path:
    import kernelfactory

    return Path(kernelfactory.__file__).parent / "problems" / "vliw_tree"


def load_ruler() -> ModuleType:
    return load("ruler", problem() / "judge" / "ruler.py")


def naive() -> bytes:
    """The seed's artefact, as its own producer writes it."""
    environment = {**os.environ, "KF_ARTEFACT_FD": "1"}
    command = [sys.executable, "produce.py"]
    return subprocess.run(command, cwd=problem() / "seed", env=environment, check=True, capture_output=True).stdout


def short(cycles: int = 1500, slots: int = 13000) -> bytes:
    """`slots` slots in `cycles` bundles: random operations on random cells; addresses stay constants in range."""
    dice = Random(1)
    cells, vectors, addresses = range(1300, 1500), range(0, 1200, 8), range(1200, 1232)

    def bundle(number: int, count: int) -> dict[str, list[list[Any]]]:
        if number < len(addresses) // 2:
            pair = addresses[2 * number : 2 * number + 2]
            loads = [["const", cell, dice.randrange(7, 2500)] for cell in pair]
        else:
            loads = [
                ["vload", dice.choice(vectors), dice.choice(addresses)],
                ["load", dice.choice(cells), dice.choice(addresses)],
            ]
        valu = [[dice.choice(["+", "^", "<<", ">>", "&", "*"]), *dice.choices(vectors, k=3)] for _ in range(4)]
        valu.append(["multiply_add", *dice.choices(vectors, k=4)])
        store = [["vstore", dice.choice(addresses), dice.choice(vectors)]]
        alu = [[dice.choice(["+", "^", "-"]), *dice.choices(cells, k=3)] for _ in range(count - 8)]
        return {"load": loads, "valu": valu, "store": store, "alu": alu}

    fewer = cycles * 9 - slots
    bundles = [bundle(number, 8 if number < fewer else 9) for number in range(cycles)]
    return json.dumps(bundles, separators=(",", ":")).encode()


def verdict(ruler: ModuleType, text: bytes) -> str:
    """The whole way from the text to an answer."""
    from kernelfactory.model import Rejected

    try:
        return f"{ruler.measure(text, Random(SEED), INPUTS).score} cycles"
    except Rejected as rejected:
        return f"{rejected.code}"


def plain(stand_in: ModuleType, text: bytes, images: list[list[int]]) -> list[bool]:
    """The same inputs on the stand-in (which gets the program parsed already): is each answer right?"""
    bundles, right = json.loads(text), []
    for image in images:
        machine = stand_in.PlainMachine(bundles, image)
        machine.run()
        right.append(machine.memory[-256:] == stand_in.reference(image))
    return right


def times(call: Callable[[], object], rounds: int) -> list[float]:
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return taken


def cold(text: bytes) -> float:
    """Seconds of the first verdict of a new process, import of the ruler included."""
    command = [sys.executable, "-c", COLD, str(HERE)]
    return min(float(subprocess.run(command, input=text, check=True, capture_output=True).stdout) for _ in range(5))


def figures(name: str, text: bytes, ruler: ModuleType, stand_in: ModuleType) -> dict[str, Any]:
    from kernelfactory import core

    dice = Random(SEED)
    images = [core.Plain().image(ruler.OFFICIAL, dice.getrandbits(64)) for _ in range(INPUTS)]
    answer = verdict(ruler, text)
    warm = times(lambda: verdict(ruler, text), ROUNDS)
    slow = times(lambda: plain(stand_in, text, images), 1 if name == "naive" else 3)
    return {
        "verdict": answer,
        "bytes": len(text),
        "warm_seconds_min": min(warm),
        "warm_seconds_median": statistics.median(warm),
        "cold_seconds_min": cold(text),
        "plain_seconds_min": min(slow),
        "ratio": min(slow) / min(warm),
        "ratio_at_median": statistics.median(slow) / statistics.median(warm),
        "limit_seconds": LIMITS[name],
        "holds": statistics.median(warm) <= LIMITS[name] and min(slow) / min(warm) >= RATIO,
    }


def main() -> dict[str, Any]:
    """Minima and medians in seconds, and how many times the stand-in takes longer; the backend in use."""
    ruler, stand_in = load_ruler(), load("plain_machine", HERE / "_plain_machine.py")
    programs = {"naive": naive(), "short": short()}
    return {"backend": ruler.BACKEND, "inputs": INPUTS} | {
        name: figures(name, text, ruler, stand_in) for name, text in programs.items()
    }


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
