"""The machine, the workload and its reference, for trying kernels at one's desk.

Editing this file changes nothing but the reader's own experiments: the judge uses its own machine, its own
reference and its own inputs.
"""

import json
import operator
import random
from copy import copy
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Iterator

N_CORES = 1
VLEN = 8
SCRATCH_SIZE = 1536
SLOT_LIMITS = {"alu": 12, "valu": 6, "load": 2, "store": 2, "flow": 1, "debug": 64}
WORD = 2**32

# One step of the hash is a = (a op1 constant) op2 (a op3 shift), modulo 2**32. Bob Jenkins' public integer hash.
HASH_STAGES = [
    ("+", 0x7ED55D16, "+", "<<", 12),
    ("^", 0xC761C23C, "^", ">>", 19),
    ("+", 0x165667B1, "+", "<<", 5),
    ("+", 0xD3A2646C, "^", "<<", 9),
    ("+", 0xFD7046C5, "+", "<<", 3),
    ("^", 0xB55A4F09, "^", ">>", 16),
]

Instruction = dict[str, list[tuple]]


def cdiv(a: int, b: int) -> int:
    """a / b, rounded up."""
    return (a + b - 1) // b


ALU = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
    "cdiv": cdiv,
    "^": operator.xor,
    "&": operator.and_,
    "|": operator.or_,
    "<<": lambda a, b: a << b if b < 32 else 0,
    ">>": operator.rshift,
    "<": operator.lt,
    "==": operator.eq,
}


class CoreState(Enum):
    RUNNING = 1
    PAUSED = 2
    STOPPED = 3


@dataclass
class Core:
    """What one core holds: its scratch words, where it is in the program, and what `trace_write` left."""

    id: int
    scratch: list[int]
    trace_buf: list[int]
    pc: int = 0
    state: CoreState = CoreState.RUNNING


@dataclass
class DebugInfo:
    """Names for a viewer: scratch address -> (name, length)."""

    scratch_map: dict[int, tuple[str, int]] = field(default_factory=dict)


class Machine:
    """Runs a program: a list of bundles {engine: [slot, ...]}.

    All reads of a bundle see the state before it, all its writes land at its end; when several slots write one
    place, the last one wins. `cycle` counts the bundles that name an engine other than `debug`.
    """

    def __init__(
        self,
        mem_dump: list[int],
        program: list[Instruction],
        debug_info: DebugInfo,
        n_cores: int = N_CORES,
        scratch_size: int = SCRATCH_SIZE,
        trace: bool = False,
        value_trace: dict[Any, int] | None = None,
    ):
        self.mem = copy(mem_dump)
        self.program = program
        self.debug_info = debug_info
        self.cores = [Core(number, [0] * scratch_size, []) for number in range(n_cores)]
        self.value_trace = {} if value_trace is None else value_trace
        self.cycle = 0
        self.enable_pause = True
        self.enable_debug = True
        self.prints = False
        self.events: list[dict] | None = [] if trace else None
        self.scratch_write: dict[int, int] = {}
        self.mem_write: dict[int, int] = {}

    # ── running ──

    def run(self) -> None:
        """Runs until every core has stopped or paused; a paused one goes on behind its pause."""
        for core in self.cores:
            if core.state is CoreState.PAUSED:
                core.state = CoreState.RUNNING
        while any(core.state is CoreState.RUNNING for core in self.cores):
            costs = False
            for core in self.cores:
                if core.state is not CoreState.RUNNING:
                    continue
                if core.pc >= len(self.program):
                    core.state = CoreState.STOPPED
                    continue
                bundle = self.program[core.pc]
                core.pc += 1
                self.step(core, bundle)
                costs = costs or any(engine != "debug" for engine in bundle)
            self.cycle += costs
        if self.events is not None:
            self.write_trace()

    def step(self, core: Core, bundle: Instruction) -> None:
        """Carries one bundle out on one core."""
        engines = {"alu": self.alu, "valu": self.valu, "load": self.load, "store": self.store, "flow": self.flow}
        self.scratch_write = {}
        self.mem_write = {}
        for engine, slots in bundle.items():
            if engine == "debug":
                if self.enable_debug:
                    for slot in slots:
                        self.debug(core, *slot)
                continue
            carry_out = engines[engine]
            assert len(slots) <= SLOT_LIMITS[engine], f"{len(slots)} slots for {engine}"
            for slot in slots:
                if self.events is not None:
                    self.note_event(core, engine, slot)
                carry_out(core, *slot)
        for address, value in self.scratch_write.items():
            core.scratch[address] = value
        for address, value in self.mem_write.items():
            self.mem[address] = value
        if self.prints:
            print(f"cycle {self.cycle} core {core.id}: {bundle}")

    # ── engines ──

    def alu(self, core: Core, op: str, dest: int, a: int, b: int) -> None:
        left, right = core.scratch[a], core.scratch[b]
        if op not in ALU:
            raise NotImplementedError(f"alu has no {op!r}")
        self.scratch_write[dest] = ALU[op](left, right) % WORD

    def valu(self, core: Core, *slot: Any) -> None:
        match slot:
            case ("vbroadcast", dest, source):
                for lane in range(VLEN):
                    self.scratch_write[dest + lane] = core.scratch[source]
            case ("multiply_add", dest, a, b, c):
                for lane in range(VLEN):
                    product = core.scratch[a + lane] * core.scratch[b + lane]
                    self.scratch_write[dest + lane] = (product + core.scratch[c + lane]) % WORD
            case (op, dest, a, b):
                for lane in range(VLEN):
                    self.alu(core, op, dest + lane, a + lane, b + lane)
            case _:
                raise NotImplementedError(f"valu has no {slot!r}")

    def load(self, core: Core, *slot: Any) -> None:
        match slot:
            case ("load", dest, address):
                self.scratch_write[dest] = self.mem[core.scratch[address]]
            case ("load_offset", dest, address, offset):
                self.scratch_write[dest + offset] = self.mem[core.scratch[address + offset]]
            case ("vload", dest, address):
                start = core.scratch[address]
                for lane in range(VLEN):
                    self.scratch_write[dest + lane] = self.mem[start + lane]
            case ("const", dest, value):
                self.scratch_write[dest] = value % WORD
            case _:
                raise NotImplementedError(f"load has no {slot!r}")

    def store(self, core: Core, *slot: Any) -> None:
        match slot:
            case ("store", address, source):
                self.mem_write[core.scratch[address]] = core.scratch[source]
            case ("vstore", address, source):
                start = core.scratch[address]
                for lane in range(VLEN):
                    self.mem_write[start + lane] = core.scratch[source + lane]
            case _:
                raise NotImplementedError(f"store has no {slot!r}")

    def flow(self, core: Core, *slot: Any) -> None:
        scratch = core.scratch
        match slot:
            case ("select", dest, condition, a, b):
                self.scratch_write[dest] = scratch[a] if scratch[condition] else scratch[b]
            case ("vselect", dest, condition, a, b):
                for lane in range(VLEN):
                    chosen = a if scratch[condition + lane] else b
                    self.scratch_write[dest + lane] = scratch[chosen + lane]
            case ("add_imm", dest, a, immediate):
                self.scratch_write[dest] = (scratch[a] + immediate) % WORD
            case ("jump", target):
                core.pc = target
            case ("jump_indirect", address):
                core.pc = scratch[address]
            case ("cond_jump", condition, target):
                core.pc = target if scratch[condition] else core.pc
            case ("cond_jump_rel", condition, distance):
                core.pc += distance if scratch[condition] else 0
            case ("halt",):
                core.state = CoreState.STOPPED
            case ("pause",):
                core.state = CoreState.PAUSED if self.enable_pause else core.state
            case ("coreid", dest):
                self.scratch_write[dest] = core.id
            case ("trace_write", source):
                core.trace_buf.append(scratch[source])
            case _:
                raise NotImplementedError(f"flow has no {slot!r}")

    def debug(self, core: Core, *slot: Any) -> None:
        """Compares scratch words with what the reference left in `value_trace` under the same key."""
        match slot:
            case ("compare", address, key):
                found, expected = core.scratch[address], self.value_trace[key]
            case ("vcompare", address, keys):
                found = core.scratch[address : address + VLEN]
                expected = [self.value_trace[key] for key in keys]
            case _:
                return
        assert found == expected, f"{slot!r} at pc {core.pc - 1}: found {found}, expected {expected}"

    # ── looking at it ──

    def note_event(self, core: Core, engine: str, slot: tuple) -> None:
        assert self.events is not None
        self.events.append(
            {
                "name": str(slot[0]),
                "ph": "X",
                "ts": self.cycle,
                "dur": 1,
                "pid": core.id,
                "tid": list(SLOT_LIMITS).index(engine),
                "args": {"slot": self.rewrite_slot(slot)},
            }
        )

    def rewrite_slot(self, slot: tuple) -> str:
        """The slot in words: addresses that have a name are shown by it."""
        names = self.debug_info.scratch_map
        return " ".join([str(slot[0]), *(names[x][0] if x in names else str(x) for x in slot[1:])])

    def write_trace(self) -> None:
        """Leaves `trace.json` in the current folder: Chrome trace events, one row an engine, a microsecond a cycle."""
        with open("trace.json", "w") as file:
            json.dump(self.events, file)


# ── the workload ──


@dataclass
class Tree:
    """A perfect binary tree, level by level from the root: the children of node j are 2j+1 and 2j+2."""

    height: int
    values: list[int]

    @staticmethod
    def generate(height: int) -> "Tree":
        n_nodes = 2 ** (height + 1) - 1
        return Tree(height, [random.randint(0, 2**30 - 1) for _ in range(n_nodes)])


@dataclass
class Input:
    """A batch of elements, each with an index into the tree (the root at first) and a value."""

    indices: list[int]
    values: list[int]
    rounds: int

    @staticmethod
    def generate(forest: Tree, batch_size: int, rounds: int) -> "Input":
        return Input([0] * batch_size, [random.randint(0, 2**30 - 1) for _ in range(batch_size)], rounds)


def myhash(a: int) -> int:
    """The 32-bit hash of the workload, in its six steps."""
    for op1, constant, op2, op3, shift in HASH_STAGES:
        a = ALU[op2](ALU[op1](a, constant) % WORD, ALU[op3](a, shift) % WORD) % WORD
    return a


def reference_kernel(t: Tree, inp: Input) -> None:
    """What is computed, on the objects: `inp` is changed in place."""
    for _ in range(inp.rounds):
        for i in range(len(inp.indices)):
            index = inp.indices[i]
            value = myhash(inp.values[i] ^ t.values[index])
            index = 2 * index + (1 if value % 2 == 0 else 2)
            inp.indices[i] = index if index < len(t.values) else 0
            inp.values[i] = value


def build_mem_image(t: Tree, inp: Input) -> list[int]:
    """The flat memory: seven header words, then the tree's values, the indices, the values."""
    header = 7
    indices_p = header + len(t.values)
    values_p = indices_p + len(inp.indices)
    first = [inp.rounds, len(t.values), len(inp.indices), t.height, header, indices_p, values_p]
    return first + t.values + inp.indices + inp.values


def reference_kernel2(mem: list[int], trace: dict[Any, int] | None = None) -> Iterator[list[int]]:
    """What is computed, on the memory image, in place. Yields the memory before the work and after it.

    Into `trace` go all values on the way, under (round, element, name), for `debug` slots to compare with.
    """
    trace = {} if trace is None else trace
    rounds, n_nodes, batch_size, _, forest_p, indices_p, values_p = mem[:7]
    yield mem
    for rnd in range(rounds):
        for i in range(batch_size):
            index, value = mem[indices_p + i], mem[values_p + i]
            trace[rnd, i, "idx"] = index
            trace[rnd, i, "val"] = value
            trace[rnd, i, "node_val"] = mem[forest_p + index]
            value ^= mem[forest_p + index]
            for stage, (op1, constant, op2, op3, shift) in enumerate(HASH_STAGES):
                value = ALU[op2](ALU[op1](value, constant) % WORD, ALU[op3](value, shift) % WORD) % WORD
                trace[rnd, i, "hash_stage", stage] = value
            trace[rnd, i, "hashed_val"] = value
            index = 2 * index + (1 if value % 2 == 0 else 2)
            trace[rnd, i, "next_idx"] = index
            index = index if index < n_nodes else 0
            trace[rnd, i, "wrapped_idx"] = index
            mem[indices_p + i], mem[values_p + i] = index, value
    yield mem
