"""A plain Python stand-in for the public machine and its reference: what the judge is measured against.

Straightforward on purpose: one dict of noted writes a bundle, one if after another. It takes programs as lists of
dicts, negative addresses and pauses included, as the public machine does.
"""

from __future__ import annotations

LIMITS = {"alu": 12, "valu": 6, "load": 2, "store": 2, "flow": 1}
WORD = 2**32


def arithmetic(op, a, b):
    if op == "+":
        result = a + b
    elif op == "-":
        result = a - b
    elif op == "*":
        result = a * b
    elif op == "//":
        result = a // b
    elif op == "cdiv":
        result = (a + b - 1) // b
    elif op == "^":
        result = a ^ b
    elif op == "&":
        result = a & b
    elif op == "|":
        result = a | b
    elif op == "<<":
        result = a << b if b < 32 else 0
    elif op == ">>":
        result = a >> b
    elif op == "%":
        result = a % b
    elif op == "<":
        result = int(a < b)
    elif op == "==":
        result = int(a == b)
    else:
        raise NotImplementedError(op)
    return result % WORD


class PlainMachine:
    def __init__(self, program, memory, pause_enabled=False):
        self.program = program
        self.memory = list(memory)
        self.scratch = [0] * 1536
        self.pause_enabled = pause_enabled
        self.state = "running"
        self.pc = 0
        self.cycles = 0
        self.traced = []

    def run(self):
        if self.state == "paused":
            self.state = "running"
        while self.state == "running":
            if self.pc >= len(self.program):
                self.state = "stopped"
                break
            bundle = self.program[self.pc]
            self.pc += 1
            self.carry_out(bundle)
            if any(engine != "debug" for engine in bundle):
                self.cycles += 1

    def carry_out(self, bundle):
        engines = {"alu": self.alu, "valu": self.valu, "load": self.load, "store": self.store, "flow": self.flow}
        self.noted = {}
        self.stored = {}
        for engine, slots in bundle.items():
            if engine == "debug":
                continue
            carry_out = engines[engine]
            if len(slots) > LIMITS[engine]:
                raise AssertionError(f"too many slots: {engine}")
            for slot in slots:
                carry_out(*slot)
        for cell, value in self.noted.items():
            self.scratch[cell] = value
        for address, value in self.stored.items():
            self.memory[address] = value

    def alu(self, op, d, a, b):
        a, b = self.scratch[a], self.scratch[b]
        self.noted[d] = arithmetic(op, a, b)

    def valu(self, *slot):
        if len(slot) == 3 and slot[0] == "vbroadcast":
            _, d, a = slot
            for i in range(8):
                self.noted[d + i] = self.scratch[a]
        elif len(slot) == 5 and slot[0] == "multiply_add":
            _, d, a, b, c = slot
            for i in range(8):
                product = self.scratch[a + i] * self.scratch[b + i]
                self.noted[d + i] = (product + self.scratch[c + i]) % WORD
        elif len(slot) == 4:
            op, d, a, b = slot
            for i in range(8):
                self.alu(op, d + i, a + i, b + i)
        else:
            raise NotImplementedError(slot)

    def load(self, *slot):
        match slot:
            case ("load", d, a):
                self.noted[d] = self.memory[self.scratch[a]]
            case ("load_offset", d, a, k):
                self.noted[d + k] = self.memory[self.scratch[a + k]]
            case ("vload", d, a):
                start = self.scratch[a]
                for i in range(8):
                    self.noted[d + i] = self.memory[start + i]
            case ("const", d, value):
                self.noted[d] = value % WORD
            case _:
                raise NotImplementedError(slot)

    def store(self, *slot):
        match slot:
            case ("store", a, s):
                self.stored[self.scratch[a]] = self.scratch[s]
            case ("vstore", a, s):
                start = self.scratch[a]
                for i in range(8):
                    self.stored[start + i] = self.scratch[s + i]
            case _:
                raise NotImplementedError(slot)

    def flow(self, *slot):
        match slot:
            case ("select", d, c, a, b):
                self.noted[d] = self.scratch[a] if self.scratch[c] else self.scratch[b]
            case ("vselect", d, c, a, b):
                for i in range(8):
                    self.noted[d + i] = self.scratch[a + i] if self.scratch[c + i] else self.scratch[b + i]
            case ("add_imm", d, a, value):
                self.noted[d] = (self.scratch[a] + value) % WORD
            case ("jump", target):
                self.pc = target
            case ("jump_indirect", a):
                self.pc = self.scratch[a]
            case ("cond_jump", c, target):
                if self.scratch[c]:
                    self.pc = target
            case ("cond_jump_rel", c, k):
                if self.scratch[c]:
                    self.pc += k
            case ("halt",):
                self.state = "stopped"
            case ("pause",):
                if self.pause_enabled:
                    self.state = "paused"
            case ("coreid", d):
                self.noted[d] = 0
            case ("trace_write", a):
                self.traced.append(self.scratch[a])
            case _:
                raise NotImplementedError(slot)


HASH = (
    ("+", 0x7ED55D16, "+", "<<", 12),
    ("^", 0xC761C23C, "^", ">>", 19),
    ("+", 0x165667B1, "+", "<<", 5),
    ("+", 0xD3A2646C, "^", "<<", 9),
    ("+", 0xFD7046C5, "+", "<<", 3),
    ("^", 0xB55A4F09, "^", ">>", 16),
)


def hashed(a):
    for op1, constant, op2, shift, k in HASH:
        a = arithmetic(op2, arithmetic(op1, a, constant), arithmetic(shift, a, k))
    return a


def reference(image):
    """The values that must come out of a memory image of the workload."""
    rounds, n, b = image[:3]
    tree, indices, values = image[7 : 7 + n], list(image[7 + n : 7 + n + b]), list(image[7 + n + b :])
    for _ in range(rounds):
        for i in range(b):
            values[i] = hashed(values[i] ^ tree[indices[i]])
            indices[i] = 2 * indices[i] + (1 if values[i] % 2 == 0 else 2)
            if indices[i] >= n:
                indices[i] = 0
    return values
