"""Two statements of the same shape made one, and one made two. Shape alone decides; what it means does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tree_sitter import Node

from kernelfactory.agents.mutator.syntax import Change, Code, splice, text, walk

Allow = Callable[[bytes], bool]
"""May the lists under this label (the key they stand under, or nothing) be joined?"""


def anything(_label: bytes) -> bool:
    return True


class _Unlike(Exception):
    """The two differ somewhere outside lists."""


@dataclass
class _Join:
    code: Code
    allow: Allow
    joined: int = 0
    labels: set[bytes] = field(default_factory=set)

    def merge(self, a: Node, b: Node, label: bytes) -> bytes:
        if a.type != b.type:
            raise _Unlike
        if a.type in self.code.grammar.joinable:
            return self.lists(a, b, label)
        if a.type == "dictionary":
            return self.dictionaries(a, b)
        if a.child_count == 0 or a.child_count != b.child_count:
            if text(a) != text(b):
                raise _Unlike
            return text(a)
        pieces = [self.merge(x, y, label) for x, y in zip(a.children, b.children, strict=True)]
        inside = zip(a.children, pieces, strict=True)
        changes: list[Change] = [(c.start_byte - a.start_byte, c.end_byte - a.start_byte, new) for c, new in inside]
        return splice(text(a), changes)

    def lists(self, a: Node, b: Node, label: bytes) -> bytes:
        if not self.allow(label):
            raise _Unlike
        self.joined += 1
        elements = [text(item) for item in (*items(a), *items(b))]
        return text(a)[:1] + b", ".join(elements) + text(a)[-1:]

    def dictionaries(self, a: Node, b: Node) -> bytes:
        mine, theirs = _pairs(a), _pairs(b)
        self.joined += 1
        pairs = []
        for key, value in mine.items():
            new = self.merge(value, theirs[key], key) if key in theirs else text(value)
            pairs.append(key + b": " + new)
        pairs += [key + b": " + text(value) for key, value in theirs.items() if key not in mine]
        return b"{" + b", ".join(pairs) + b"}"


def items(sequence: Node) -> list[Node]:
    """The elements between the brackets."""
    return [child for child in sequence.named_children if child.type != "comment"]


def _pairs(dictionary: Node) -> dict[bytes, Node]:
    found: dict[bytes, Node] = {}
    for pair in items(dictionary):
        key, value = pair.child_by_field_name("key"), pair.child_by_field_name("value")
        if key is None or value is None or text(key) in found:
            raise _Unlike
        found[text(key)] = value
    return found


def merge(code: Code, a: Node, b: Node, allow: Allow = anything) -> bytes | None:
    """One statement in the place of two that are alike outside their lists and dictionaries; None: they aren't."""
    join = _Join(code, allow)
    try:
        merged = join.merge(a, b, b"")
    except _Unlike:
        return None
    return merged if join.joined else None


def peel(code: Code, statement: Node, rng: Random) -> tuple[bytes, bytes] | None:
    """Takes one element out of a statement's lists: (a statement with that element alone, one with all the others)."""
    found = (node for node in walk(statement) if node.type in code.grammar.joinable)
    lists = [node for node in found if _outermost(code, node, statement)]
    choices = [(node, item) for node in lists for item in items(node)]
    if len(choices) < 2:
        return None
    home, chosen = rng.choice(choices)
    alone: list[Change] = [_keep(home, [chosen])]
    rest = _keep(home, [item for item in items(home) if item.id != chosen.id])
    pair = home.parent
    if pair is not None and pair.type == "pair" and pair.parent is not None:
        others = [other for other in items(pair.parent) if other.id != pair.id]
        alone = [(pair.parent.start_byte, pair.parent.end_byte, b"{" + splice(text(pair), _moved(alone, pair)) + b"}")]
        if len(items(home)) == 1:
            rest = (pair.parent.start_byte, pair.parent.end_byte, b"{" + b", ".join(map(text, others)) + b"}")
    elif len(items(home)) == 1:
        return None
    return splice(text(statement), _moved(alone, statement)), splice(text(statement), _moved([rest], statement))


def _outermost(code: Code, node: Node, statement: Node) -> bool:
    parent = node.parent
    while parent is not None and parent.id != statement.id:
        if parent.type in code.grammar.joinable or parent.type in code.grammar.blocks:
            return False
        parent = parent.parent
    return True


def _keep(sequence: Node, kept: list[Node]) -> Change:
    source = text(sequence)
    return sequence.start_byte, sequence.end_byte, source[:1] + b", ".join(map(text, kept)) + source[-1:]


def _moved(changes: list[Change], node: Node) -> list[Change]:
    return [(start - node.start_byte, end - node.start_byte, new) for start, end, new in changes]
