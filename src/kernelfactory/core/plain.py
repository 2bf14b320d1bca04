"""The VLIW machine in plain Python: exactly what the C core does, for where no C compiler is. Refuses to be fast."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import repeat

from kernelfactory.core import text, workload
from kernelfactory.core.text import MASK, Bundle, Decoded
from kernelfactory.core.vliw import CYCLES, ENGINES, SCRATCH, TRACE_ROOM, VECTOR, Ran, Size


def _shift_left(a: int, b: int) -> int:
    return a << b if b < 32 else 0


def _shift_right(a: int, b: int) -> int:
    return a >> b if b < 32 else 0


def _ceiling(a: int, b: int) -> int:
    return (a + b - 1) // b


FUNCTIONS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "cdiv": _ceiling,
    "^": operator.xor, "&": operator.and_, "|": operator.or_, "<<": _shift_left, ">>": _shift_right,
    "%": operator.mod, "<": operator.lt, "==": operator.eq,
}  # fmt: skip


class Fault(Exception):
    """What a run ends with; the class of error is its only argument."""


class Machine:
    """One input's machine. Slots note their writes, which land at the end of the bundle, in order."""

    def __init__(self, memory: Sequence[int], runs: int) -> None:
        self.scratch = [0] * SCRATCH
        self.memory = list(memory)
        self.runs = runs
        self.noted: list[tuple[int, list[int]]] = []
        self.stored: list[tuple[int, list[int]]] = []
        self.trace: list[int] = []
        self.traced: list[int] = []
        self.next = 0
        self.stop = ""

    def alu(self, function: Callable[[int, int], int], d: int, a: int, b: int) -> None:
        self.noted.append((d, [function(self.scratch[a], self.scratch[b]) & MASK]))

    def valu(self, function: Callable[[int, int], int], d: int, a: int, b: int) -> None:
        pairs = zip(self.vector(a), self.vector(b), strict=True)
        self.noted.append((d, [function(x, y) & MASK for x, y in pairs]))

    def vector(self, a: int) -> list[int]:
        return self.scratch[a : a + VECTOR]

    def vbroadcast(self, d: int, a: int) -> None:
        self.noted.append((d, [self.scratch[a]] * VECTOR))

    def multiply_add(self, d: int, a: int, b: int, c: int) -> None:
        triples = zip(self.vector(a), self.vector(b), self.vector(c), strict=True)
        self.noted.append((d, [(x * y + z) & MASK for x, y, z in triples]))

    def fetch(self, address: int, width: int) -> list[int]:
        if address + width > len(self.memory):
            raise Fault("IndexError")
        return self.memory[address : address + width]

    def load(self, d: int, a: int) -> None:
        self.noted.append((d, self.fetch(self.scratch[a], 1)))

    def vload(self, d: int, a: int) -> None:
        self.noted.append((d, self.fetch(self.scratch[a], VECTOR)))

    def const(self, d: int, value: int) -> None:
        self.noted.append((d, [value]))

    def store(self, a: int, s: int) -> None:
        self.stored.append((self.scratch[a], [self.scratch[s]]))

    def vstore(self, a: int, s: int) -> None:
        self.stored.append((self.scratch[a], self.vector(s)))

    def select(self, d: int, c: int, a: int, b: int) -> None:
        self.noted.append((d, [self.scratch[a if self.scratch[c] else b]]))

    def vselect(self, d: int, c: int, a: int, b: int) -> None:
        triples = zip(self.vector(c), self.vector(a), self.vector(b), strict=True)
        self.noted.append((d, [x if chosen else y for chosen, x, y in triples]))

    def add_imm(self, d: int, a: int, value: int) -> None:
        self.noted.append((d, [(self.scratch[a] + value) & MASK]))

    def jump(self, target: int) -> None:
        self.next = target

    def jump_indirect(self, landing: Sequence[int], a: int) -> None:
        self.next = landing[min(self.scratch[a], len(landing) - 1)]

    def cond_jump(self, c: int, target: int) -> None:
        if self.scratch[c]:
            self.next = target

    def halt(self) -> None:
        self.stop = "halted"

    def pause(self) -> None:
        if self.runs:
            self.stop = "paused"

    def trace_write(self, a: int) -> None:
        self.traced.append(self.scratch[a])

    def write_back(self) -> None:
        for address, words in self.stored:
            if address + len(words) > len(self.memory):
                raise Fault("IndexError")
        for d, words in self.noted:
            self.scratch[d : d + len(words)] = words
        for address, words in self.stored:
            self.memory[address : address + len(words)] = words
        self.trace += self.traced
        self.noted.clear()
        self.stored.clear()
        self.traced.clear()


Step = tuple[Bundle, list[tuple[Callable[..., None], tuple[object, ...]]]]


def _steps(decoded: Decoded, machine: type[Machine]) -> list[Step]:
    """Every bundle with the method and arguments of each slot."""
    steps = []
    for bundle in decoded.bundles:
        calls: list[tuple[Callable[..., None], tuple[object, ...]]] = []
        for slot in bundle.slots:
            if slot.operation in FUNCTIONS:
                calls.append((getattr(machine, slot.engine), (FUNCTIONS[slot.operation], *slot.operands)))
            elif slot.operation == "jump_indirect":
                calls.append((machine.jump_indirect, (decoded.landing, *slot.operands)))
            else:
                calls.append((getattr(machine, slot.operation), slot.operands))
        steps.append((bundle, calls))
    return steps


class PlainProgram:
    """A decoded program; `machine` is the class that runs it."""

    def __init__(self, decoded: Decoded, machine: type[Machine]) -> None:
        self.decoded = decoded
        self.machine = machine
        self.steps = _steps(decoded, machine)

    def one(self, memory: Sequence[int], cap: int, runs: int) -> tuple[Machine, Ran]:
        """Runs one input to its end, whichever that is."""
        m = self.machine(memory, runs)
        visits = [0] * len(self.steps)
        at = cycles = 0
        pc, error = len(self.decoded.landing) - 1, None
        while at < len(self.steps):
            bundle, calls = self.steps[at]
            m.next = at + 1
            try:
                if cycles >= cap:
                    raise Fault(CYCLES)
                for method, arguments in calls:
                    method(m, *arguments)
                m.write_back()
            except (Fault, ZeroDivisionError) as fault:
                error = fault.args[0] if isinstance(fault, Fault) else "ZeroDivisionError"
                pc = bundle.number
                break
            visits[at] += 1
            cycles += 1
            at = m.next
            if m.stop and self.stops(m):
                pc = bundle.number + 1
                break
        ran = Ran(cycles, self.used(visits), error, pc if error else 0, pc, m.stop == "paused", len(m.trace))
        return m, ran

    def stops(self, m: Machine) -> bool:
        """Does the machine stand still now? A paused one may be started again."""
        if m.stop == "paused":
            m.runs -= 1
            m.stop = "paused" if m.runs == 0 else ""
        return bool(m.stop)

    def used(self, visits: list[int]) -> tuple[int, ...]:
        totals = [0] * (len(ENGINES) + 1)
        for (bundle, _), count in zip(self.steps, visits, strict=True):
            if count:
                for i, slots in enumerate(bundle.used):
                    totals[i] += slots * count
        return tuple(totals)

    def run(self, memories: Sequence[Sequence[int]], cycles: int, runs: int = 0) -> list[Ran]:
        out = []
        for memory in memories:
            m, ran = self.one(memory, cycles, runs)
            trace = tuple(m.trace[:TRACE_ROOM])
            out.append(replace(ran, memory=tuple(m.memory), scratch=tuple(m.scratch), trace=trace))
        return out

    def measure(self, size: Size, seeds: Sequence[int], cycles: int) -> list[Ran]:
        out = []
        for image in map(workload.image, repeat(size), seeds):
            expected = workload.reference(image)
            m, ran = self.one(image, cycles, 0)
            got = m.memory[len(image) - size.batch :]
            out.append(replace(ran, wrong=sum(map(operator.ne, got, expected))))
        return out


class Plain:
    """The backend without C. `machine` may be another class: how the tests prove that they notice a faulty one."""

    name = "python"

    def __init__(self, machine: type[Machine] = Machine) -> None:
        self.machine = machine

    def parse(self, data: bytes) -> PlainProgram:
        return PlainProgram(text.parse(data), self.machine)

    def image(self, size: Size, seed: int) -> list[int]:
        return workload.image(size, seed)

    def reference(self, image: Sequence[int]) -> list[int]:
        return workload.reference(image)

    def hash_steps(self, value: int) -> list[int]:
        return workload.hash_steps(value)
