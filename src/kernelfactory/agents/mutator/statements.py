"""Edits of whole statements and of elements in lists: delete, move, copy, swap, join, hoist, sink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tree_sitter import Node

from kernelfactory.agents.mutator.merge import items, merge, peel
from kernelfactory.agents.mutator.syntax import (
    Block,
    Code,
    body_of,
    column,
    indent,
    insertion,
    near,
    pick_block,
    pick_loop,
    removal,
    text,
)

REACH = 12
"""How far apart two statements may be, counted in statements, to be brought together."""


@dataclass(frozen=True)
class Edit:
    """A proposed program and, in words, where it differs; never any of its text."""

    code: Code
    where: str


def line(node: Node) -> int:
    return node.start_point.row + 1


def delete(code: Code, rng: Random, _donors: Sequence[Code]) -> Edit | None:
    """A statement goes; sometimes an element of a list."""
    if rng.random() < 0.2:
        return _delete_element(code, rng)
    block = pick_block(code, rng, 1)
    if block is None:
        return None
    gone = rng.choice(block.statements)
    return Edit(code.edited([removal(code, gone, len(block.statements) == 1)]), f"statement of line {line(gone)}")


def _sequence(code: Code, rng: Random, at_least: int) -> Node | None:
    found = [n for n in code.nodes if n.type in code.grammar.sequences and len(items(n)) >= at_least]
    return rng.choice(found) if found else None


def _delete_element(code: Code, rng: Random) -> Edit | None:
    sequence = _sequence(code, rng, 2)
    if sequence is None:
        return None
    gone = rng.choice(items(sequence))
    kept = b", ".join(text(item) for item in items(sequence) if item.id != gone.id)
    inside = (sequence.start_byte + 1, sequence.end_byte - 1, kept)
    return Edit(code.edited([inside]), f"element of line {line(gone)}")


def _target(block: Block, index: int, rng: Random) -> tuple[Node, bool]:
    """A place to move statement `index` to: a neighbour, and whether behind it."""
    step = near(rng, REACH) * rng.choice((-1, 1))
    there = min(max(index + step, 0), len(block.statements) - 1)
    if there == index:
        there = index - 1 if index else index + 1
    return block.statements[there], there > index


def move(code: Code, rng: Random, _donors: Sequence[Code]) -> Edit | None:
    """A statement goes some places up or down its block."""
    block = pick_block(code, rng, 2)
    if block is None:
        return None
    index = rng.randrange(len(block.statements))
    moved = block.statements[index]
    target, after = _target(block, index, rng)
    changes = [removal(code, moved, False), insertion(text(moved), column(moved), target, after)]
    return Edit(code.edited(changes), f"statement of line {line(moved)} to line {line(target)}")


def copy(code: Code, rng: Random, _donors: Sequence[Code]) -> Edit | None:
    """A statement is there twice, the second time somewhere else in its block or in another one."""
    block = pick_block(code, rng, 1)
    if block is None:
        return None
    copied = rng.choice(block.statements)
    home = block if rng.random() < 0.7 else pick_block(code, rng, 1) or block
    target = rng.choice(home.statements)
    if target.start_byte <= copied.start_byte < copied.end_byte <= target.end_byte and target.id != copied.id:
        return None
    change = insertion(text(copied), column(copied), target, rng.random() < 0.5)
    return Edit(code.edited([change]), f"statement of line {line(copied)} beside line {line(target)}")


def swap(code: Code, rng: Random, _donors: Sequence[Code]) -> Edit | None:
    """Two statements of a block, or two elements of a list, change places."""
    if rng.random() < 0.3:
        return _swap_elements(code, rng)
    block = pick_block(code, rng, 2)
    if block is None:
        return None
    first = rng.randrange(len(block.statements) - 1)
    second = min(first + near(rng, REACH), len(block.statements) - 1)
    a, b = block.statements[first], block.statements[second]
    changes = [
        (a.start_byte, a.end_byte, indent(text(b), column(b), column(a))),
        (b.start_byte, b.end_byte, indent(text(a), column(a), column(b))),
    ]
    return Edit(code.edited(changes), f"statements of lines {line(a)} and {line(b)}")


def _swap_elements(code: Code, rng: Random) -> Edit | None:
    sequence = _sequence(code, rng, 2)
    if sequence is None:
        return None
    a, b = rng.sample(items(sequence), 2)
    changes = [(a.start_byte, a.end_byte, text(b)), (b.start_byte, b.end_byte, text(a))]
    return Edit(code.edited(changes), f"elements of line {line(a)}")


def _pair(block: Block, rng: Random) -> tuple[Node, Node]:
    """Two statements near each other, in order of the text."""
    first = rng.randrange(len(block.statements) - 1)
    second = min(first + near(rng, REACH), len(block.statements) - 1)
    return block.statements[first], block.statements[second]


def join(code: Code, rng: Random, _donors: Sequence[Code]) -> Edit | None:
    """Two near statements of the same shape become one that holds the elements of both, in the place of either."""
    block = pick_block(code, rng, 2)
    if block is None:
        return None
    for _ in range(8):
        a, b = _pair(block, rng)
        merged = merge(code, a, b)
        if merged is not None:
            break
    else:
        return None
    stays, goes = (a, b) if rng.random() < 0.5 else (b, a)
    changes = [(stays.start_byte, stays.end_byte, merged), removal(code, goes, False)]
    return Edit(code.edited(changes), f"statements of lines {line(a)} and {line(b)}, at line {line(stays)}")


def pour(code: Code, rng: Random, _donors: Sequence[Code]) -> Edit | None:
    """One element goes over from a statement's list to that of a near statement of the same shape."""
    block = pick_block(code, rng, 2)
    if block is None:
        return None
    for _ in range(8):
        giver, taker = rng.sample(_pair(block, rng), 2)
        parts = peel(code, giver, rng)
        if parts is not None:
            break
    else:
        return None
    alone, rest = parts
    split = code.edited([(giver.start_byte, giver.end_byte, alone)])
    shift = len(alone) - len(text(giver)) if giver.start_byte < taker.start_byte else 0
    element = _statement_at(split, giver.start_byte)
    other = _statement_at(split, taker.start_byte + shift)
    if element is None or other is None:
        return None
    merged = merge(split, other, element)
    if merged is None:
        return None
    changes = [(taker.start_byte, taker.end_byte, merged), (giver.start_byte, giver.end_byte, rest)]
    return Edit(code.edited(changes), f"an element of line {line(giver)} to line {line(taker)}")


def _statement_at(code: Code, start: int) -> Node | None:
    return next((s for b in code.blocks for s in b.statements if s.start_byte == start), None)


def split(code: Code, rng: Random, _donors: Sequence[Code]) -> Edit | None:
    """One element leaves a statement's list for a statement of its own, just before or after."""
    block = pick_block(code, rng, 1)
    if block is None:
        return None
    statement = rng.choice(block.statements)
    parts = peel(code, statement, rng)
    if parts is None:
        return None
    alone, rest = parts
    first, second = (alone, rest) if rng.random() < 0.5 else (rest, alone)
    both = first + b"\n" + b" " * column(statement) + second
    change = (statement.start_byte, statement.end_byte, both)
    return Edit(code.edited([change]), f"statement of line {line(statement)}")


def hoist(code: Code, rng: Random, _donors: Sequence[Code]) -> Edit | None:
    """A statement leaves its loop and stands before it."""
    loop = pick_loop(code, rng)
    body = body_of(loop) if loop is not None else None
    if loop is None or body is None or not body[1]:
        return None
    moved = rng.choice(body[1])
    changes = [
        insertion(text(moved), column(moved), loop, after=False),
        removal(code, moved, len(body[1]) == 1),
    ]
    return Edit(code.edited(changes), f"statement of line {line(moved)} before the loop of line {line(loop)}")


def sink(code: Code, rng: Random, _donors: Sequence[Code]) -> Edit | None:
    """A statement beside a loop goes into it: the one before to its start, the one after to its end."""
    loop = pick_loop(code, rng)
    body = body_of(loop) if loop is not None else None
    if loop is None or body is None or not body[1] or body[0].type not in code.grammar.blocks:
        return None
    home = next((b.statements for b in code.blocks if loop in b.statements), ())
    after = rng.random() < 0.5
    at = home.index(loop) if home else 0
    others = home[at + 1 :] if after else home[:at][::-1]
    if not others:
        return None
    moved = others[min(near(rng, REACH), len(others)) - 1]
    target = body[1][-1] if after else body[1][0]
    changes = [removal(code, moved, False), insertion(text(moved), column(moved), target, after)]
    return Edit(code.edited(changes), f"statement of line {line(moved)} into the loop of line {line(loop)}")
