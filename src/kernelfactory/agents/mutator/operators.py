"""The operators, their weights, and which to try next by what worked before. One table for every problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from kernelfactory.agents.mutator import cross, leaves, loops, names, statements
from kernelfactory.agents.mutator.statements import Edit
from kernelfactory.agents.mutator.syntax import Code

Operator = Callable[[Code, Random, Sequence[Code]], Edit | None]

OPERATORS: dict[str, tuple[Operator, float]] = {
    "delete": (statements.delete, 1.0),
    "move": (statements.move, 1.0),
    "copy": (statements.copy, 0.3),
    "swap": (statements.swap, 0.7),
    "join": (statements.join, 2.0),
    "pour": (statements.pour, 1.0),
    "split": (statements.split, 0.3),
    "hoist": (statements.hoist, 0.7),
    "sink": (statements.sink, 0.3),
    "interchange": (loops.interchange, 1.0),
    "join-loops": (loops.join_loops, 0.7),
    "split-loop": (loops.split_loop, 0.3),
    "repeat": (loops.repeat, 0.3),
    "jam": (loops.jam, 2.0),
    "number": (leaves.number, 0.7),
    "scale": (leaves.scale, 2.0),
    "operator": (leaves.operator, 0.3),
    "rename": (names.rename, 0.5),
    "split-name": (names.split_name, 0.7),
    "hunk": (cross.hunk, 0.7),
    "function": (cross.function, 0.3),
    "statement": (cross.statement, 0.3),
}


@dataclass(frozen=True)
class Tally:
    """How often an operator was tried, how often the result was a valid program, how often it was better."""

    tried: float = 0.0
    valid: float = 0.0
    better: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.tried + other.tried, self.valid + other.valid, self.better + other.better)

    def capped(self, most: float) -> Tally:
        """The same proportions with at most so many tries."""
        share = min(1.0, most / self.tried) if self.tried else 1.0
        return Tally(self.tried * share, self.valid * share, self.better * share)


@dataclass(frozen=True)
class Chooser:
    """Draws an operator: its weight times a draw from what its successes allow it to be (Thompson sampling)."""

    earlier: Mapping[str, Tally]

    def choose(self, rng: Random, now: Mapping[str, Tally], usable: Sequence[str]) -> str:
        if rng.random() < 0.1:
            return rng.choice(usable)
        return max(usable, key=lambda name: self._draw(name, rng, now))

    def _draw(self, name: str, rng: Random, now: Mapping[str, Tally]) -> float:
        seen = self.earlier.get(name, Tally()).capped(40.0) + now.get(name, Tally())
        success, failure = seen.better, max(0.0, seen.tried - seen.better)
        return OPERATORS[name][1] * rng.betavariate(1.0 + 2.0 * success, 8.0 + failure)
