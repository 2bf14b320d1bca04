"""The text of a program to slots, in Python, as strict as parse.c. Refuses to run anything; the text is hostile."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from kernelfactory.core import vliw
from kernelfactory.core.vliw import ENGINES, SCRATCH, SLOT_LIMITS, VECTOR, refused
from kernelfactory.model import Rejected

MASK = 0xFFFFFFFF
ARITHMETIC = ("+", "-", "*", "//", "cdiv", "^", "&", "|", "<<", ">>", "%", "<", "==")
SHAPES = {
    "alu": dict.fromkeys(ARITHMETIC, "sss"),
    "valu": {**dict.fromkeys(ARITHMETIC, "vvv"), "vbroadcast": "vs", "multiply_add": "vvvv"},
    "load": {"load": "ss", "load_offset": "ssi", "vload": "vs", "const": "si"},
    "store": {"store": "ss", "vstore": "sv"},
    "flow": {
        "select": "ssss", "vselect": "vvvv", "add_imm": "ssi", "jump": "i", "jump_indirect": "s", "cond_jump": "si",
        "cond_jump_rel": "si", "halt": "", "pause": "", "coreid": "s", "trace_write": "s",
    },
}  # fmt: skip
"""Operands by engine and operation: s a scratch address, v one of a vector, i an immediate."""

# No possessive quantifiers: on groups they match wrongly before CPython 3.11.5.
_BLANK = rb"[ \t\n\r]*"
_OPERAND = _BLANK + rb"," + _BLANK + rb"-?(?:0|[1-9][0-9]*)"
_blank = re.compile(_BLANK)
_name = re.compile(rb'"([ !#-\[\]-~]*)"')
_engine = re.compile(_name.pattern + _BLANK + rb"(:?)" + _BLANK + rb"(\[?)" + _BLANK)
_slot = re.compile(rb"\[" + _BLANK + _name.pattern + rb"((?:" + _OPERAND + rb"){0,5})" + _BLANK + rb"\]")
_flat = re.compile(rb"\{[^{}]*\}")
_integer = re.compile(rb"-?[0-9]+")
_letters = re.compile(rb"[ !#-\[\]-~]*")
_escape = re.compile(rb'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_scalar = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")


@dataclass(frozen=True, slots=True)
class Slot:
    """A decoded slot. `operands` as in the text, but immediates modulo 2^32, load_offset as load, coreid as const,
    cond_jump_rel as cond_jump, and jump targets as numbers of costly bundles."""

    engine: str
    operation: str
    operands: tuple[int, ...]


@dataclass(slots=True)
class Bundle:
    """A bundle that costs a cycle: its number in the text, its slots in order, how many by engine."""

    number: int
    slots: list[Slot]
    used: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Decoded:
    """The costly bundles, and for every number in the text the costly bundle that is reached from there."""

    bundles: list[Bundle]
    landing: list[int]


def _range(engine: str, operation: str, values: list[int]) -> int:
    """ACCEPTED, or why these operands will not do."""
    limits = {"s": SCRATCH - 1, "v": SCRATCH - VECTOR}
    for kind, value in zip(SHAPES[engine][operation], values, strict=True):
        if kind != "i" and not 0 <= value <= limits[kind]:
            return vliw.RANGE
    if operation == "load_offset" and not all(0 <= value + values[2] < SCRATCH for value in values[:2]):
        return vliw.RANGE
    return vliw.ACCEPTED


def _lowered(slot: Slot, number: int) -> Slot | None:
    """Operations that are others in disguise; jump targets still as numbers in the text. None: a negative target."""
    values = slot.operands
    if slot.operation == "load_offset":
        return Slot("load", "load", (values[0] + values[2], values[1] + values[2]))
    if slot.operation == "coreid":
        return Slot("flow", "const", (values[0], 0))
    if slot.operation == "cond_jump_rel":
        slot = Slot("flow", "cond_jump", (values[0], values[1] + number + 1))
    if slot.operation in ("jump", "cond_jump"):
        return slot if slot.operands[-1] >= 0 else None
    if slot.operation in ("const", "add_imm"):
        return Slot(slot.engine, slot.operation, (*values[:-1], values[-1] & MASK))
    return slot


class _Reader:
    """Goes through one text. Methods take and give offsets."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.bundles: list[Bundle] = []
        self.length = 0
        self.repeated: dict[bytes, Bundle] = {}
        self.seen: dict[tuple[str, bytes], Slot] = {}

    def refuse(self, number: int) -> Rejected:
        return refused(number, self.length)

    def blank(self, at: int) -> int:
        match = _blank.match(self.text, at)
        return match.end() if match else at

    def is_at(self, at: int, byte: bytes) -> bool:
        return self.text[at : at + 1] == byte

    def sequence(self, at: int, close: bytes, item: Callable[[int], int]) -> int:
        """Items and commas up to `close`; `at` behind the opening bracket."""
        at = self.blank(at)
        if self.is_at(at, close):
            return at + 1
        while True:
            at = self.blank(item(at))
            if self.is_at(at, close):
                return at + 1
            if not self.is_at(at, b","):
                raise self.refuse(vliw.SYNTAX)
            at = self.blank(at + 1)

    def slot(self, engine: str, at: int) -> tuple[Slot, int]:
        match = _slot.match(self.text, at)
        if match is None:
            raise self.refuse(vliw.OPERAND if self.is_at(at, b"[") else vliw.NO_SLOTS)
        known = self.seen.get((engine, match[0]))
        if known is None:
            known = self.decode(engine, match[1].decode(), match[2])
            self.seen[engine, match[0]] = known
        return known, match.end()

    def decode(self, engine: str, operation: str, operands: bytes) -> Slot:
        literals = _integer.findall(operands)
        if len(literals) != len(SHAPES[engine].get(operation, "no such")):
            raise self.refuse(vliw.OPERATION)
        if any(len(literal.lstrip(b"-")) > vliw.MAX_DIGITS for literal in literals):
            raise self.refuse(vliw.DIGITS)
        values = [int(literal) for literal in literals]
        why = _range(engine, operation, values)
        if why:
            raise self.refuse(why)
        return Slot(engine, operation, tuple(values))

    def engine_name(self, at: int) -> tuple[str, int]:
        """The name, and where its slots begin."""
        match = _engine.match(self.text, at)
        if match is None:
            raise self.refuse(vliw.SYNTAX)
        name = match[1].decode()
        if name not in SHAPES and name != "debug":
            raise self.refuse(vliw.ENGINE)
        if not match[2] or not match[3]:
            raise self.refuse(vliw.NO_SLOTS if match[2] else vliw.SYNTAX)
        return name, match.end()

    def engine(self, at: int, found: dict[str, list[Slot]]) -> int:
        """One engine and its slots, into `found`."""
        name, at = self.engine_name(at)
        if name in found:
            raise self.refuse(vliw.TWICE)
        slots = found[name] = []
        if name == "debug":
            return self.sequence(at, b"]", lambda at: self.skip(at, 1))

        def one(at: int) -> int:
            if len(slots) == SLOT_LIMITS[name]:
                raise self.refuse(vliw.TOO_MANY_SLOTS)
            slot, at = self.slot(name, at)
            lowered = _lowered(slot, self.length)
            if lowered is None:
                raise self.refuse(vliw.TARGET)
            slots.append(lowered)
            return at

        return self.sequence(at, b"]", one)

    def string(self, at: int) -> int:
        """A string of any content; `at` its quote."""
        if not self.is_at(at, b'"'):
            raise self.refuse(vliw.SYNTAX)
        at += 1
        while True:
            letters = _letters.match(self.text, at)
            at = letters.end() if letters else at
            if self.is_at(at, b'"'):
                return at + 1
            escape = _escape.match(self.text, at)
            if escape is None:
                raise self.refuse(vliw.SYNTAX)
            at = escape.end()

    def skip(self, at: int, depth: int) -> int:
        """Any JSON value inside `depth` others."""
        first = self.text[at : at + 1]
        if first == b'"':
            return self.string(at)
        if first not in (b"[", b"{"):
            match = _scalar.match(self.text, at)
            if match is None:
                raise self.refuse(vliw.SYNTAX)
            return match.end()
        if depth >= vliw.MAX_DEPTH:
            raise self.refuse(vliw.DEPTH)
        if first == b"[":
            return self.sequence(at + 1, b"]", lambda at: self.skip(at, depth + 1))
        return self.sequence(at + 1, b"}", lambda at: self.pair(at, depth + 1))

    def pair(self, at: int, depth: int) -> int:
        """A key and a value."""
        at = self.blank(self.string(at))
        if not self.is_at(at, b":"):
            raise self.refuse(vliw.SYNTAX)
        return self.skip(self.blank(at + 1), depth)

    def bundle(self, at: int) -> int:
        if self.length == vliw.MAX_BUNDLES:
            raise self.refuse(vliw.BUNDLES)
        if not self.is_at(at, b"{"):
            raise self.refuse(vliw.NO_BUNDLE)
        flat = _flat.match(self.text, at)
        known = self.repeated.get(flat[0]) if flat else None
        if known is None or flat is None:
            return self.new_bundle(at, flat[0] if flat else b"")
        self.bundles.append(Bundle(self.length, known.slots, known.used))
        self.length += 1
        return flat.end()

    def new_bundle(self, at: int, flat: bytes) -> int:
        """`flat`: the bundle's text if it holds no other object; kept, as most bundles are met again, save those whose
        slots depend on where they stand."""
        found: dict[str, list[Slot]] = {}
        end = self.sequence(at + 1, b"}", lambda at: self.engine(at, found))
        found.pop("debug", None)
        if found:
            slots = [slot for engine in found.values() for slot in engine]
            used = tuple(len(found.get(engine, ())) for engine in ENGINES)
            self.bundles.append(Bundle(self.length, slots, (*used, int(len(slots) > 1))))
            if len(flat) == end - at and not any("jump" in slot.operation for slot in slots):
                self.repeated[flat] = self.bundles[-1]
        self.length += 1
        return end


def parse(text: bytes) -> Decoded:
    """Raises Rejected (malformed, over_limit)."""
    reader = _Reader(text)
    if len(text) > vliw.MAX_TEXT:
        raise reader.refuse(vliw.TEXT_SIZE)
    start = reader.blank(0)
    if not reader.is_at(start, b"["):
        raise reader.refuse(vliw.NO_BUNDLE)
    if reader.blank(reader.sequence(start + 1, b"]", reader.bundle)) != len(text):
        raise reader.refuse(vliw.TRAILING)
    landing: list[int] = []
    for index, bundle in enumerate(reader.bundles):
        landing += [index] * (bundle.number + 1 - len(landing))
    landing += [len(reader.bundles)] * (reader.length + 1 - len(landing))
    for bundle in reader.bundles:
        for i, slot in enumerate(bundle.slots):
            if slot.operation in ("jump", "cond_jump"):
                target = landing[min(slot.operands[-1], reader.length)]
                bundle.slots[i] = Slot(slot.engine, slot.operation, (*slot.operands[:-1], target))
    return Decoded(reader.bundles, landing)
