"""Crossover: parts of another candidate's text put into this one. The other one is read as text, never run."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from random import Random

from tree_sitter import Node

from kernelfactory.agents.mutator.statements import Edit, line
from kernelfactory.agents.mutator.syntax import Code, column, indent, insertion, pick_block, text, walk


def hunk(code: Code, rng: Random, donors: Sequence[Code]) -> Edit | None:
    """Where the other text differs, some neighbouring differences are taken over."""
    if not donors:
        return None
    mine, theirs = code.source.split(b"\n"), rng.choice(donors).source.split(b"\n")
    matcher = SequenceMatcher(None, mine, theirs, autojunk=False)
    changes = [op for op in matcher.get_opcodes() if op[0] != "equal"]
    if not changes:
        return None
    start = rng.randrange(len(changes))
    stop = start + rng.choice((1, 1, 1, 2, 3, 5, len(changes)))
    new = list(mine)
    for _, low, high, other_low, other_high in reversed(changes[start:stop]):
        new[low:high] = theirs[other_low:other_high]
    return Edit(Code(b"\n".join(new), code.grammar), f"lines from {changes[start][1] + 1} on")


def function(code: Code, rng: Random, donors: Sequence[Code]) -> Edit | None:
    """A function is taken over whole in the place of the one with the same name."""
    if not donors:
        return None
    mine, theirs = _functions(code), _functions(rng.choice(donors))
    common = sorted(name for name in mine if name in theirs and text(mine[name]) != text(theirs[name]))
    if not common:
        return None
    name = rng.choice(common)
    old, new = mine[name], theirs[name]
    change = (old.start_byte, old.end_byte, indent(text(new), column(new), column(old)))
    return Edit(code.edited([change]), f"function of line {line(old)}")


def _functions(code: Code) -> dict[bytes, Node]:
    found = {}
    for node in code.nodes:
        if node.type in code.grammar.functions:
            below = node.child_by_field_name("name") or node.child_by_field_name("declarator")
            name = next((n for n in walk(below) if n.type == "identifier"), None) if below is not None else None
            if name is not None:
                found[text(name)] = node
    return found


def statement(code: Code, rng: Random, donors: Sequence[Code]) -> Edit | None:
    """One of the other's statements comes in beside, or in the place of, one of ours."""
    if not donors:
        return None
    theirs, ours = pick_block(rng.choice(donors), rng, 1), pick_block(code, rng, 1)
    if theirs is None or ours is None:
        return None
    new, target = rng.choice(theirs.statements), rng.choice(ours.statements)
    change = insertion(text(new), column(new), target, rng.random() < 0.5)
    if rng.random() < 0.5:
        change = (target.start_byte, target.end_byte, indent(text(new), column(new), column(target)))
    return Edit(code.edited([change]), f"statement at line {line(target)}")
