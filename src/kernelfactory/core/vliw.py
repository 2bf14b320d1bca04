"""What both backends of the VLIW machine share: sizes, results, refusals. Refuses to parse or run anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kernelfactory.model import ReasonCode, Rejected

ENGINES = ("alu", "valu", "load", "store", "flow")
SLOT_LIMITS = {"alu": 12, "valu": 6, "load": 2, "store": 2, "flow": 1}
SCRATCH = 1536
VECTOR = 8
MAX_TEXT = 32 << 20
MAX_BUNDLES = 1 << 20
MAX_DIGITS = 1000
MAX_DEPTH = 32
CYCLES = "cycles"
"""`Ran.error` of a run that reached its cap."""

REFUSALS: tuple[tuple[ReasonCode, str], ...] = (
    ("malformed", "accepted"),  # never raised: number 0 is no refusal
    ("malformed", "the text is not strict JSON"),
    ("malformed", "a program is an array of bundles, and a bundle an object {engine: [slots]}"),
    ("malformed", "unknown engine"),
    ("malformed", "an engine is named twice"),
    ("malformed", "the slots of an engine are an array of arrays"),
    ("malformed", "unknown operation or wrong number of operands"),
    ("malformed", "an operand is an integer literal"),
    ("malformed", f"an integer literal has at most {MAX_DIGITS} digits"),
    ("malformed", f"a scratch address lies in 0..{SCRATCH - 1}, with all lanes of a vector"),
    ("malformed", "a jump to a negative bundle number"),
    ("malformed", "more slots than the engine has"),
    ("malformed", "text after the program"),
    ("malformed", f"debug contents nested deeper than {MAX_DEPTH}"),
    ("over_limit", f"the text is longer than {MAX_TEXT} bytes"),
    ("over_limit", f"the program is longer than {MAX_BUNDLES} bundles"),
)
"""By the number that the parsers give (enum kf_refusal in vliw.h); the number behind the last means no memory."""

(ACCEPTED, SYNTAX, NO_BUNDLE, ENGINE, TWICE, NO_SLOTS, OPERATION, OPERAND, DIGITS, RANGE, TARGET, TOO_MANY_SLOTS,
 TRAILING, DEPTH, TEXT_SIZE, BUNDLES) = range(len(REFUSALS))  # fmt: skip


def refused(number: int, bundle: int) -> Rejected:
    """The error for refusal `number`, met in bundle `bundle` (from 0)."""
    code, text = REFUSALS[number]
    return Rejected(code, f"bundle {bundle}: {text}")


@dataclass(frozen=True, slots=True)
class Size:
    """A workload's size: a perfect tree of `height`, `rounds`, and `batch` elements."""

    height: int
    rounds: int
    batch: int

    @property
    def nodes(self) -> int:
        return (2 << self.height) - 1

    @property
    def words(self) -> int:
        """Length of the memory image."""
        return 7 + self.nodes + 2 * self.batch


@dataclass(frozen=True, slots=True)
class Ran:
    """One input's run. `used`: executed slots by engine (order of ENGINES), then bundles of more than one slot.
    `error`: None, "IndexError", "ZeroDivisionError" or CYCLES, met in bundle `bundle`. `wrong`: values that differ from
    the reference's. memory, scratch and trace are empty unless asked for."""

    cycles: int
    used: tuple[int, ...]
    error: str | None
    bundle: int
    pc: int
    paused: bool
    traced: int = 0
    wrong: int = 0
    memory: tuple[int, ...] = ()
    scratch: tuple[int, ...] = ()
    trace: tuple[int, ...] = ()


class Program(Protocol):
    """A text that was accepted."""

    def measure(self, size: Size, seeds: Sequence[int], cycles: int) -> list[Ran]:
        """Runs the program, pause and debug off, on the inputs drawn from `seeds` (64 bits each), each for at most
        `cycles`, and compares with the reference."""

    def run(self, memories: Sequence[Sequence[int]], cycles: int, runs: int = 0) -> list[Ran]:
        """Runs it on memories of one length. `runs`: 0 switches pause off, else how often a paused machine is
        started. Gives memory, scratch and the first 64 traced words."""


class Backend(Protocol):
    """One implementation of machine and workload: compiled.Core or plain.Plain."""

    name: str

    def parse(self, text: bytes) -> Program:
        """Raises Rejected (malformed, over_limit)."""

    def image(self, size: Size, seed: int) -> list[int]:
        """The memory image that `seed` stands for."""

    def reference(self, image: Sequence[int]) -> list[int]:
        """The values that must come out of a well-formed image."""

    def hash_steps(self, value: int) -> list[int]:
        """The six steps of the hash."""


TRACE_ROOM = 64
