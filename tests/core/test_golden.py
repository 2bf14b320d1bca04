"""What the public machine did, against both backends and the plain machine. Every case is run or refused for a stated
reason; pauses are run as well."""

from __future__ import annotations

import json
import operator
from collections import Counter
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pytest

from kernelfactory import core
from kernelfactory.core.plain import FUNCTIONS, Machine
from kernelfactory.model import Rejected

CAP = 1_000_000
Cases = dict[str, dict[str, Any]]

RUN = 193
REFUSED = {
    "a scratch address lies in 0..1535, with all lanes of a vector": 68,
    "unknown operation or wrong number of operands": 44,
    "more slots than the engine has": 10,
    "a jump to a negative bundle number": 8,
    "unknown engine": 7,
}
"""The public machine takes or meets these while it runs; a strict judge refuses them before."""


def deviation(backend: core.Backend, case: Mapping[str, Any]) -> str | None:
    """What a backend does otherwise than the public machine; None if nothing. Raises Rejected."""
    expected, memory = case["expect"], case["memory"]
    program = backend.parse(json.dumps(case["program"]).encode())
    runs = case["runs"] if case["pause_enabled"] else 0
    ran = program.run([memory], CAP, runs)[0]
    if (ran.error, ran.cycles) != (expected["error"], expected["cycles"]):
        return f"{ran.error} after {ran.cycles} cycles"
    if ran.error:
        return None
    length, scratch = len(case["program"]), {str(i): word for i, word in enumerate(ran.scratch) if word}
    got = [list(ran.memory), scratch, list(ran.trace), min(ran.pc, length), ran.paused]
    wanted = [expected["memory"], expected["scratch_nonzero"], expected["traced"], min(expected["pc"], length)]
    if got != [*wanted, expected["state"] == "paused"]:
        return "another state at the end"
    each = [program.run([memory], CAP, n)[0].cycles for n in range(1, runs + 1)]
    return None if not runs or each == expected["cycles_after_each_run"] else f"cycles {each}"


def check(backend: core.Backend, cases: Cases) -> tuple[list[str], Counter[str]]:
    """Deviations, and how many cases were refused, by reason."""
    found, refused = [], Counter[str]()
    for name, case in cases.items():
        try:
            what = deviation(backend, case)
        except Rejected as rejected:
            refused[rejected.reason.partition(": ")[2]] += 1
            continue
        if what:
            found.append(f"{name}: {what}")
    return found, refused


def test_every_case_runs_as_recorded_or_is_refused(backend: core.Backend, machine_cases: Cases) -> None:
    found, refused = check(backend, machine_cases)
    assert found == []
    if backend.name == "python":  # its reader names a slot without an integer or a name before it counts operands
        refused["unknown operation or wrong number of operands"] += refused.pop("an operand is an integer literal")
    assert refused == REFUSED
    assert len(machine_cases) - refused.total() == RUN


def test_what_is_refused_has_a_reason_in_the_case(c_core: core.Core, machine_cases: Cases) -> None:
    """Refused without an error on the public machine: only for an address or target that is negative (it counts those
    from the end) or not used, or an engine that is never reached."""
    for name, case in machine_cases.items():
        try:
            c_core.parse(json.dumps(case["program"]).encode())
        except Rejected as rejected:
            slots = [slot for bundle in case["program"] for slots in bundle.values() for slot in slots]
            addresses = [x for s in slots for x in s[1 : -1 if s[:1] in (["const"], ["add_imm"]) else None]]
            out_of_range = any(type(x) is int and not 0 <= x <= 1528 for x in addresses)
            assert case["expect"]["error"] or out_of_range or "unknown engine" in rejected.reason, name


def test_the_plain_machine_does_as_recorded(stand_in: ModuleType, machine_cases: Cases) -> None:
    """All of them: it refuses nothing."""
    for name, case in machine_cases.items():
        expected, after, error = case["expect"], [], None
        machine = stand_in.PlainMachine(case["program"], case["memory"], case["pause_enabled"])
        try:
            for _ in range(case["runs"]):
                machine.run()
                after.append(machine.cycles)
        except (IndexError, ZeroDivisionError, NotImplementedError, TypeError, AssertionError, KeyError) as raised:
            error = type(raised).__name__
        assert (error, machine.cycles) == (expected["error"], expected["cycles"]), name
        if error is None:
            scratch = {str(i): word for i, word in enumerate(machine.scratch) if word}
            got = (machine.memory, scratch, machine.traced, machine.state, after)
            keys = ("memory", "scratch_nonzero", "traced", "state", "cycles_after_each_run")
            assert got == tuple(expected[key] for key in keys), name


# ── faults that must be noticed ──────────────────────────────────────────────────────────────────


def other(operation: str, function: Callable[[int, int], int]) -> type[Machine]:
    """A machine that computes one operation otherwise."""

    class Faulty(Machine):
        def alu(self, f: Callable[[int, int], int], d: int, a: int, b: int) -> None:
            super().alu(function if f is FUNCTIONS[operation] else f, d, a, b)

        def valu(self, f: Callable[[int, int], int], d: int, a: int, b: int) -> None:
            super().valu(function if f is FUNCTIONS[operation] else f, d, a, b)

    return Faulty


class LastFirst(Machine):
    """Of several writes to one cell the first one wins."""

    def write_back(self) -> None:
        self.noted.reverse()
        super().write_back()


class Halts(Machine):
    """halt cancels its bundle's stores."""

    def halt(self) -> None:
        super().halt()
        self.stored.clear()


class Early(Machine):
    """A store beyond the end fails where it stands, before what comes after it in the bundle."""

    def store(self, a: int, s: int) -> None:
        self.fetch(self.scratch[a], 1)
        super().store(a, s)


class Forgets(Machine):
    """pause is nothing even when it is enabled."""

    def pause(self) -> None:
        pass


FAULTS = {
    "shift count masked": other("<<", lambda a, b: a << (b & 31)),
    "cdiv wraps its sum": other("cdiv", lambda a, b: ((a + b - 1) & 0xFFFFFFFF) // b),
    "signed comparison": other("<", lambda a, b: (a ^ 2**31) < (b ^ 2**31)),
    "remainder of the other sign": other("%", lambda a, b: -(a % -b) if a >= 2**31 else a % b),
    "== as !=": other("==", operator.ne),
    "LastFirst": LastFirst,
    "Halts": Halts,
    "Early": Early,
    "Forgets": Forgets,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_noticed(fault: str, machine_cases: Cases) -> None:
    assert check(core.Plain(FAULTS[fault]), machine_cases)[0]
