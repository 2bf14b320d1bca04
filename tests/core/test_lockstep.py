"""The backends against one another and against the plain machine of the benchmarks: random programs, other memory in
every lane, branches that part, texts that are broken. Faults put into copies of the C sources must be noticed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernelfactory import core
from kernelfactory.core import build, place
from kernelfactory.core.plain import Machine
from kernelfactory.model import Rejected

CAP = 200
PROGRAMS = 600
Differ = Callable[[core.Backend, core.Backend], str | None]


def answer(backend: core.Backend, text: bytes, memories: list[list[int]], runs: int) -> Any:
    """Everything that a backend says of a text."""
    try:
        program = backend.parse(text)
    except Rejected as rejected:
        return rejected.code
    return program.run(memories, CAP, runs)


@pytest.fixture(scope="session")
def differ(random_program: Any, random_memories: Any) -> Differ:
    """The first random program on which two backends differ."""

    def make(one: core.Backend, other: core.Backend) -> str | None:
        for seed in range(PROGRAMS):
            dice = Random(seed)
            text = json.dumps(random_program(dice), separators=dice.choice([None, (",", ":")])).encode()
            memories = random_memories(dice, dice.choice([1, 2, 7, 8, 9, 17]))
            runs = dice.choice([0, 0, 1, 2])
            if answer(one, text, memories, runs) != answer(other, text, memories, runs):
                return f"seed {seed}"
        return None

    return make


def test_backends_agree_on_random_programs(c_core: core.Core, differ: Differ) -> None:
    assert differ(c_core, core.Plain()) is None


def test_random_programs_reach_what_matters(c_core: core.Core, random_program: Any, random_memories: Any) -> None:
    """Lanes that part and meet different ends, errors of both classes, the cap, pauses, stores."""
    parted, ends = 0, set()
    for seed in range(PROGRAMS):
        dice = Random(seed)
        program, memories = random_program(dice), random_memories(dice, 8)
        runs = c_core.parse(json.dumps(program).encode()).run(memories, CAP, 1)
        ends |= {(ran.error, ran.paused) for ran in runs}
        parted += len({(ran.error, ran.cycles, ran.pc) for ran in runs}) > 1
    assert parted > 60
    assert ends == {(None, False), (None, True), ("IndexError", False), ("ZeroDivisionError", False), ("cycles", False)}


def test_backends_agree_with_the_plain_machine(
    c_core: core.Core, stand_in: ModuleType, random_program: Any, random_memories: Any
) -> None:
    for seed in range(1000, 1200):
        dice = Random(seed)
        bundles, memories = random_program(dice), random_memories(dice, 9)
        runs = c_core.parse(json.dumps(bundles).encode()).run(memories, CAP)
        for ran, memory in zip(runs, memories, strict=True):
            assert outcome(stand_in, bundles, memory) == (ran.error, ran.cycles, *shown(ran)), f"seed {seed}"


def shown(ran: core.Ran) -> tuple[Any, ...]:
    return () if ran.error else (list(ran.memory), list(ran.scratch), list(ran.trace))


def outcome(stand_in: ModuleType, bundles: Any, memory: list[int]) -> tuple[Any, ...]:
    machine = stand_in.PlainMachine(bundles, memory)
    try:
        while machine.state == "running" and machine.pc < len(bundles):
            bundle = bundles[machine.pc]
            if machine.cycles >= CAP and set(bundle) - {"debug"}:
                return ("cycles", CAP)
            machine.pc += 1
            machine.carry_out(bundle)
            machine.cycles += bool(set(bundle) - {"debug"})
    except (IndexError, ZeroDivisionError) as error:
        return (type(error).__name__, machine.cycles)
    return (None, machine.cycles, machine.memory, machine.scratch, machine.traced[:64])


def test_threads_do_not_meet(c_core: core.Core, random_program: Any, random_memories: Any) -> None:
    """Many programs at once give what they give one by one."""
    dice = Random(5)
    works = [(json.dumps(random_program(dice)).encode(), random_memories(dice, 9)) for _ in range(200)]
    alone = [answer(c_core, *work, 1) for work in works]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda work: answer(c_core, *work, 1), works)) == alone


# ── texts ────────────────────────────────────────────────────────────────────────────────────────


def test_backends_agree_on_broken_texts(c_core: core.Core, random_program: Any, mutate: Any) -> None:
    plain, answers = core.Plain(), set()
    for seed in range(4000):
        dice = Random(seed)
        text = mutate(dice, json.dumps(random_program(dice)[dice.randrange(8) :][:6]).encode())
        a, b = (answer(backend, text, [[1, 2, 3]], 0) for backend in (c_core, plain))
        assert a == b, text
        answers.add(a if isinstance(a, str) else "accepted")
    assert answers == {"malformed", "accepted"}


LETTERS = [bytes([c]) for c in b'[]{},:"-0123456789.eE+ \n\\unltrfa']
PARTS = st.lists(st.sampled_from([*LETTERS, b'"alu"', b'"debug"', b'["+",1,2,3]']), max_size=24)
PLACES = st.sampled_from([b"[%s]", b'[{"debug":[%s]}]', b'[{"alu":[%s]}]', b"%s"])


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(parts=PARTS, where=PLACES)
def test_backends_agree_on_any_bytes(c_core: core.Core, parts: list[bytes], where: bytes) -> None:
    text = where.replace(b"%s", b"".join(parts))
    assert answer(c_core, text, [[0]], 0) == answer(core.Plain(), text, [[0]], 0)


def test_accepted_texts_are_json(c_core: core.Core, random_program: Any, mutate: Any) -> None:
    """Whatever is accepted is JSON for Python's own reader too (which is laxer), with integers for operands."""
    accepted = 0
    for seed in range(4000, 6000):
        dice = Random(seed)
        text = mutate(dice, json.dumps(random_program(dice)[dice.randrange(8) :][:4]).encode())
        try:
            c_core.parse(text)
        except Rejected:
            continue
        accepted += 1
        for bundle in json.loads(text):
            slots = [slot for engine, slots in bundle.items() if engine != "debug" for slot in slots]
            assert all(type(operand) is int for slot in slots for operand in slot[1:])
    assert accepted > 100


# ── faults that must be noticed ──────────────────────────────────────────────────────────────────

C_FAULTS = {
    "branch follows one lane": ("lockstep.h", "if (taken != 0 && taken != LANES)", "if (0)"),
    "indirect jump follows one lane": ("lockstep.h", "EACH if (row[l] != row[0]) return KF_SPLIT;", ""),
    "a lane alone starts anew": ("machine.c", "if (apart || job->scratch)", "if (0)"),
    "addresses of one lane for all": ("lockstep.h", "apart |= address[l] ^ address[0];", ""),
    "one lane's error is everyone's": (
        "machine.c",
        "int apart = error != KF_FINE && error != KF_CYCLES",
        "int apart = error == KF_SPLIT",
    ),
    "a destination written before other sources are read": (
        "lockstep.h",
        "for (int i = 0; i < KF_VECTOR; i++)\n            memcpy(out",
        "memcpy(ROW(slot->x[0]), a, LANES * sizeof *out);\nfor (int i = 0; i < KF_VECTOR; i++)\n memcpy(out",
    ),
    "counts of a lane alone": (
        "machine.c",
        "struct kf_lanes one = group;",
        "struct kf_lanes one = group; one.even = 0;",
    ),
}


@pytest.mark.parametrize("fault", C_FAULTS)
def test_a_fault_in_the_c_core_is_noticed(fault: str, c_core: core.Core, differ: Differ, tmp_path: Path) -> None:
    name, right, wrong = C_FAULTS[fault]
    for source in place.sources(".c", ".h"):
        shutil.copy(place.FOLDER / source, tmp_path / source)
    text = (tmp_path / name).read_text()
    assert text.count(right) == 1
    (tmp_path / name).write_text(text.replace(right, wrong))
    made = build.compile_files(tmp_path, build.compilers()[0][1], tmp_path / "faulty.so", quickly=True)
    assert made and differ(core.Core(made), core.Plain())


class ReadsNew(Machine):
    """Writes of scratch land at once."""

    def alu(self, function: Callable[[int, int], int], d: int, a: int, b: int) -> None:
        super().alu(function, d, a, b)
        self.scratch[d] = self.noted[-1][1][0]


class Wraps(Machine):
    """A vector access wraps at the end of memory."""

    def fetch(self, address: int, width: int) -> list[int]:
        return [self.memory[(address + i) % len(self.memory)] for i in range(width)]


class StoresFirst(Machine):
    """Of several stores to one word the first one wins."""

    def write_back(self) -> None:
        self.stored.reverse()
        super().write_back()


@pytest.mark.parametrize("machine", [ReadsNew, Wraps, StoresFirst])
def test_a_fault_in_the_python_machine_is_noticed(machine: type[Machine], c_core: core.Core, differ: Differ) -> None:
    assert differ(c_core, core.Plain(machine))
