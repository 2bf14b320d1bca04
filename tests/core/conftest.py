"""Shared for the core's tests: both backends, golden data, the naive kernel, random programs and texts."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest

from kernelfactory import core
from kernelfactory.core import build
from kernelfactory.core.text import ARITHMETIC, SHAPES

GOLDEN = Path(__file__).parent.parent / "golden" / "vliw"
BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"
Bundles = list[dict[str, list[list[Any]]]]


def compiled() -> core.Core:
    build.build()
    found = core.load()
    if found is None:
        if "core" in os.environ.get("KF_REQUIRE", "").split(","):
            pytest.fail("KF_REQUIRE names core, but no C compiler works here")
        pytest.skip("no C compiler works here")
    return found


@pytest.fixture(scope="session")
def c_core() -> core.Core:
    return compiled()


@pytest.fixture(scope="session", params=["c", "python"])
def backend(request: pytest.FixtureRequest) -> core.Backend:
    return compiled() if request.param == "c" else core.Plain()


@pytest.fixture(scope="session")
def machine_cases() -> dict[str, dict[str, Any]]:
    """By file name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((GOLDEN / "machine").glob("*.json"))}


@pytest.fixture(scope="session")
def golden() -> Path:
    return GOLDEN


def load_file(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def stand_in() -> ModuleType:
    """The plain machine of the benchmarks: a third implementation, which shares nothing with the backends."""
    return load_file("plain_machine", BENCHMARKS / "_plain_machine.py")


@pytest.fixture(scope="session")
def judge_benchmark() -> ModuleType:
    return load_file("judge_benchmark", BENCHMARKS / "judge.py")


@pytest.fixture(scope="session")
def ruler() -> ModuleType:
    return load_file("ruler", Path(core.__file__).parent.parent / "problems" / "vliw_tree" / "judge" / "ruler.py")


# ── the naive kernel ─────────────────────────────────────────────────────────────────────────────

HASH = (
    ("+", 0x7ED55D16, "+", "<<", 12),
    ("^", 0xC761C23C, "^", ">>", 19),
    ("+", 0x165667B1, "+", "<<", 5),
    ("+", 0xD3A2646C, "^", "<<", 9),
    ("+", 0xFD7046C5, "+", "<<", 3),
    ("^", 0xB55A4F09, "^", ">>", 16),
)


class Naive:
    """One slot a bundle, scalars only, everything unrolled: the program that costs 147,734 cycles."""

    def __init__(self, rounds: int, batch: int) -> None:
        self.bundles: Bundles = []
        self.cells: dict[Any, int] = {}
        for word, name in enumerate(("rounds", "n", "batch", "height", "tree", "indices", "values")):
            self.put("load", "const", self.cell("t1"), word)
            self.put("load", "load", self.cell(name), self.cell("t1"))
        for value in (0, 1, 2):
            self.constant(value)
        self.put("flow", "pause")
        if rounds and batch:
            for step in HASH:
                self.constant(step[1])
            for value in (*range(batch), *(step[4] for step in HASH)):
                self.constant(value)
        for _ in range(rounds):
            for element in range(batch):
                self.element(element)
        self.put("flow", "pause")

    def cell(self, name: Any) -> int:
        return self.cells.setdefault(name, len(self.cells))

    def put(self, engine: str, *slot: Any) -> None:
        self.bundles.append({engine: [list(slot)]})

    def constant(self, value: int) -> int:
        if ("constant", value) not in self.cells:
            self.put("load", "const", self.cell(("constant", value)), value)
        return self.cell(("constant", value))

    def alu(self, op: str, d: str, a: Any, b: Any) -> None:
        a, b = (self.constant(x) if isinstance(x, int) else self.cell(x) for x in (a, b))
        self.put("alu", op, self.cell(d), a, b)

    def element(self, i: int) -> None:
        cell = self.cell
        for base, offset, target in (("indices", i, "index"), ("values", i, "value"), ("tree", "index", "node")):
            self.alu("+", "address", base, offset)
            self.put("load", "load", cell(target), cell("address"))
        self.alu("^", "value", "value", "node")
        for op1, constant, op2, shift, k in HASH:
            self.alu(op1, "t1", "value", constant)
            self.alu(shift, "t2", "value", k)
            self.alu(op2, "value", "t1", "t2")
        self.alu("%", "t1", "value", 2)
        self.alu("==", "t1", "t1", 0)
        self.put("flow", "select", cell("t1"), cell("t1"), self.constant(1), self.constant(2))
        self.alu("*", "index", "index", 2)
        self.alu("+", "index", "index", "t1")
        self.alu("<", "t1", "index", "n")
        self.put("flow", "select", cell("index"), cell("t1"), cell("index"), self.constant(0))
        for base, source in (("indices", "index"), ("values", "value")):
            self.alu("+", "address", base, i)
            self.put("store", "store", cell("address"), cell(source))


@pytest.fixture(scope="session")
def naive() -> Callable[[int, int], Bundles]:
    """naive(rounds, batch): the program, a list of its own."""
    made = cache(lambda rounds, batch: Naive(rounds, batch).bundles)
    return lambda rounds, batch: list(made(rounds, batch))


# ── random programs and texts ────────────────────────────────────────────────────────────────────

WORDS = 48
CONSTANTS = (0, 1, 2, 3, 31, 32, 33, 2**31, 2**32 - 1, 2**32, -1, -(2**40), 10**25, -(10**25))


class RandomProgram:
    """Cells 0..7 mostly hold addresses in range, 8..39 data from memory (so other in every lane), 40.. results."""

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.length = dice.randrange(1, 24)

    def address(self) -> int:
        return self.dice.randrange(8) if self.dice.random() < 0.97 else self.dice.randrange(60)

    def cell(self, kind: str) -> int:
        top = 1536 if kind == "s" else 1529
        return self.dice.randrange(8, 64) if self.dice.random() < 0.95 else self.dice.randrange(top - 12, top)

    def operation(self, engine: str) -> str:
        if engine in ("alu", "valu") and self.dice.random() < 0.9:
            return self.dice.choice([op for op in ARITHMETIC if op not in ("//", "%", "cdiv")])
        if engine == "flow" and self.dice.random() < 0.5:
            return self.dice.choice(["cond_jump", "cond_jump_rel", "select", "vselect"])
        return self.dice.choice(list(SHAPES[engine]))

    def immediate(self, operation: str, bundle: int) -> int:
        if operation == "cond_jump_rel":
            return self.dice.randrange(-bundle - 1, self.length - bundle + 2)
        if "jump" in operation:
            return self.dice.randrange(self.length + 3)
        return self.dice.randrange(8) if operation == "load_offset" else self.dice.choice(CONSTANTS)

    def slot(self, engine: str, bundle: int) -> list[Any]:
        operation = self.operation(engine)
        kinds = SHAPES[engine][operation]
        operands = [self.immediate(operation, bundle) if kind == "i" else self.cell(kind) for kind in kinds]
        if engine in ("load", "store") and operation != "const":
            operands[0 if engine == "store" else 1] = self.address()
        if operation == "load_offset":
            operands[:2] = min(operands[0], 1528), 0
        return [operation, *operands]

    def bundle(self, number: int) -> dict[str, list[list[Any]]]:
        engines = [engine for engine in (*SHAPES, "debug") if self.dice.random() < 0.35]
        self.dice.shuffle(engines)
        most = {"debug": 2, **core.SLOT_LIMITS}
        out: dict[str, list[list[Any]]] = {}
        for engine in engines:
            count = self.dice.randrange(most[engine] + 1)
            debug = ["compare", self.dice.randrange(9), [0, 1.5, "x\n", None, {"a": True}]]
            out[engine] = [debug if engine == "debug" else self.slot(engine, number) for _ in range(count)]
        return out

    def start(self) -> Bundles:
        values = [self.dice.randrange(WORDS - 7 * (cell % 2 == 0)) for cell in range(8)]
        consts: Bundles = [{"load": [["const", i, values[i]], ["const", i + 1, values[i + 1]]]} for i in range(0, 8, 2)]
        other_in_every_lane: Bundles = [
            {"load": [["vload", 8, 0], ["vload", 16, 2]]},
            {"load": [["vload", 24, 4], ["const", 40, 31]]},
            {"alu": [["&", 6, 8, 40], ["&", 7, 16, 40]]},
        ]
        return consts + other_in_every_lane

    def bundles(self) -> Bundles:
        start = self.start()
        self.length += len(start)
        return start + [self.bundle(number) for number in range(len(start), self.length)]


@pytest.fixture(scope="session")
def random_program() -> Callable[[Random], Bundles]:
    return lambda dice: RandomProgram(dice).bundles()


@pytest.fixture(scope="session")
def random_memories() -> Callable[[Random, int], list[list[int]]]:
    """As many memories as asked for: some words the same in all of them, some small, some any."""

    def make(dice: Random, count: int) -> list[list[int]]:
        common = [dice.getrandbits(32) for _ in range(WORDS)]
        out = []
        for _ in range(count):
            ways = [lambda i: common[i], lambda i: dice.randrange(3), lambda i: dice.getrandbits(32)]
            weights = [8, 1, 1] if dice.random() < 0.5 else [1, 1, 1]
            out.append([dice.choices(ways, weights)[0](i) for i in range(WORDS)])
        return out

    return make


TOKENS = (
    b"[", b"]", b"{", b"}", b",", b":", b'"', b'"alu"', b'"flow"', b'"debug"', b'"store"', b"null", b"true", b"-0",
    b"-1", b"01", b"1.0", b"1e3", b"1536", b"1529", b"4294967296", b"9" * 18, b"1" + b"0" * 999, b"1" + b"0" * 1000,
    b"\0", b"\xc3\xa9", b"\\u0061", b"\\", b" ", b"\t\r\n", b"\x0b", b'["halt"]', b'["jump",0]', b'["+",1,2,3]',
    b'"debug":[[1.5,"\\n"]]', b"{}", b"[" * 31, b"[" * 40, b'["load_offset",8,8,-8]', b'["cond_jump_rel",8,-1]',
    b"nul", b"NaN", b"\xef\xbb\xbf", b"//", b"\x7f",
)  # fmt: skip


def mutated(dice: Random, text: bytes) -> bytes:
    """A text with one to three places changed."""
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        at = dice.randrange(len(text) + 1)
        end = min(len(text), at + dice.choice([0, 0, 1, 1, 2, 5, 30]))
        new = dice.choice([b"", dice.choice(TOKENS), bytes([dice.randrange(256)]), text[at:end] * 2])
        text = text[:at] + new + text[end:]
    return text[: dice.randrange(len(text) + 1)] if dice.random() < 0.05 else text


@pytest.fixture(scope="session")
def mutate() -> Callable[[Random, bytes], bytes]:
    return mutated
