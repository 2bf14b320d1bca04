"""Names in the text: which ones a loop uses, where they are set, and edits that give one another name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from tree_sitter import Node

from kernelfactory.agents.mutator.statements import Edit, line
from kernelfactory.agents.mutator.syntax import (
    Change,
    Code,
    column,
    enclosing,
    insertion,
    pick_block,
    splice,
    text,
    walk,
)


def is_name(node: Node) -> bool:
    """A variable's name; not that of an attribute, a keyword, a field or a called function."""
    parent = node.parent
    if node.type != "identifier" or parent is None:
        return False
    roles = {"attribute": "attribute", "keyword_argument": "name", "call": "function", "call_expression": "function"}
    role = roles.get(parent.type)
    owner = parent.child_by_field_name(role) if role else None
    return owner is None or owner.id != node.id


def names_in(statements: Sequence[Node]) -> list[Node]:
    return [node for statement in statements for node in walk(statement) if is_name(node)]


def renamed(statement: Node, mapping: Mapping[bytes, bytes]) -> list[Change]:
    """The changes that put other text in the place of names."""
    found = [node for node in names_in([statement]) if text(node) in mapping]
    return [(node.start_byte, node.end_byte, mapping[text(node)]) for node in found]


def fresh(code: Code, name: bytes, taken: set[bytes]) -> bytes:
    """A name that the file doesn't have yet, made from another."""
    present = set(code.tokens) | taken
    stem = name.rstrip(b"0123456789").rstrip(b"_") or name
    return next(new for new in (b"%b_%d" % (stem, number) for number in range(2, 10_000)) if new not in present)


@dataclass(frozen=True)
class Assigned:
    name: bytes
    statement: Node


def _target(code: Code, statement: Node) -> tuple[bytes, Node | None] | None:
    """(name, value) of a statement that sets one name and nothing else."""
    node = statement
    if statement.type == "expression_statement" and statement.named_children:
        node = statement.named_children[0]
    if node.type not in code.grammar.assignments:
        return None
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if left is None and (declared := node.child_by_field_name("declarator")) is not None:
        if len(node.children_by_field_name("declarator")) != 1:
            return None
        left = declared.child_by_field_name("declarator") or declared
        right = declared.child_by_field_name("value")
    return (text(left), right) if left is not None and left.type == "identifier" else None


def declared_in(code: Code, statements: Sequence[Node]) -> list[bytes]:
    """Names that these statements set, at any depth; headers of loops don't count."""
    own = {statement.id for statement in statements}
    nodes = [node for statement in statements for node in walk(statement)]
    inside = [n for n in nodes if n.id in own or (n.parent is not None and n.parent.type in code.grammar.blocks)]
    found = [_target(code, node) for node in inside]
    return list(dict.fromkeys(target[0] for target in found if target is not None))


def assigned_outside(code: Code, loop: Node, statements: Sequence[Node]) -> list[Assigned]:
    """Statements of the loop's function, before the loop, that set a name which the loop uses, once and by a call
    (or, in C, by a declaration)."""
    function = enclosing(loop, code.grammar.functions)
    if function is None:
        return []
    used = {text(node) for node in names_in(statements)}
    own = set(declared_in(code, statements))
    found: dict[bytes, list[Assigned]] = {}
    for block in code.blocks:
        for statement in block.statements:
            inside = function.start_byte <= statement.start_byte < loop.start_byte
            target = _target(code, statement) if inside else None
            if target is not None and target[0] in used - own and _made(code, target[1]):
                found.setdefault(target[0], []).append(Assigned(target[0], statement))
    return [where[0] for where in found.values() if len(where) == 1]


def _made(code: Code, value: Node | None) -> bool:
    return code.grammar.name == "c" or (value is not None and value.type == "call")


def rename(code: Code, rng: Random, _donors: Sequence[Code]) -> Edit | None:
    """A variable's name, or now and then a string, gives way to another one of the same function."""
    kind = "string" if rng.random() < 0.2 else "identifier"
    nodes = _of_kind(code.root, kind)
    if not nodes:
        return None
    chosen = rng.choice(nodes)
    home = enclosing(chosen, code.grammar.functions) or code.root
    others = sorted({text(node) for node in _of_kind(home, kind)} - {text(chosen)})
    if not others:
        return None
    change = (chosen.start_byte, chosen.end_byte, rng.choice(others))
    return Edit(code.edited([change]), f"name in line {line(chosen)}")


def _of_kind(home: Node, kind: str) -> list[Node]:
    return [node for node in walk(home) if node.type == kind and (kind == "string" or is_name(node))]


def split_name(code: Code, rng: Random, _donors: Sequence[Code]) -> Edit | None:
    """A name set by a call is set a second time under a new name, which some neighbouring statements use instead."""
    block = pick_block(code, rng, 2)
    loop = enclosing(block.statements[0], code.grammar.loops) if block is not None else None
    if block is None or loop is None:
        return None
    choices = assigned_outside(code, loop, block.statements)
    if not choices:
        return None
    chosen = rng.choice(choices)
    using = [i for i, s in enumerate(block.statements) if any(text(n) == chosen.name for n in names_in([s]))]
    start = rng.randrange(len(using))
    stop = min(start + rng.choice((1, 2, 2, 2, 3, 4, 8)), len(using))
    new = fresh(code, chosen.name, set())
    changes = [c for i in using[start:stop] for c in renamed(block.statements[i], {chosen.name: new})]
    relative = [
        (s - chosen.statement.start_byte, e - chosen.statement.start_byte, t)
        for s, e, t in renamed(chosen.statement, {chosen.name: new})
    ]
    copied = splice(text(chosen.statement), relative)
    changes.append(insertion(copied, column(chosen.statement), chosen.statement, after=True))
    lines = f"{line(block.statements[using[start]])} to {line(block.statements[using[stop - 1]])}"
    return Edit(code.edited(changes), f"name in lines {lines}")
