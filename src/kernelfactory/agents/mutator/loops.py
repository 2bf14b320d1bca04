"""Edits of whole loops: interchange, join, split, repeat, and jam (several turns of a loop side by side)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from tree_sitter import Node

from kernelfactory.agents.mutator.merge import merge
from kernelfactory.agents.mutator.names import assigned_outside, declared_in, fresh, renamed
from kernelfactory.agents.mutator.statements import Edit, line
from kernelfactory.agents.mutator.syntax import (
    C,
    Change,
    Code,
    block_text,
    body_of,
    column,
    header_of,
    indent,
    insertion,
    pick_loop,
    removal,
    splice,
    text,
)


def interchange(code: Code, rng: Random, _donors: Sequence[Code]) -> Edit | None:
    """Two loops, one of them alone inside the other, change headers."""
    nests = []
    for outer in code.loops:
        body = body_of(outer)
        if body is not None and len(body[1]) == 1 and body[1][0].type == outer.type:
            inner = body[1][0]
            inside = body_of(inner)
            if inside is not None:
                nests.append((outer, body[0], inner, inside[0]))
    if not nests:
        return None
    outer, outer_body, inner, inner_body = rng.choice(nests)
    headers = header_of(code, outer, outer_body), header_of(code, inner, inner_body)
    changes = [
        (outer.start_byte, outer.start_byte + len(headers[0]), headers[1]),
        (inner.start_byte, inner.start_byte + len(headers[1]), headers[0]),
    ]
    return Edit(code.edited(changes), f"loops of lines {line(outer)} and {line(inner)}")


def join_loops(code: Code, rng: Random, _donors: Sequence[Code]) -> Edit | None:
    """Two neighbouring loops with equal headers become one."""
    pairs = []
    for block in code.blocks:
        for a, b in zip(block.statements, block.statements[1:], strict=False):
            if a.type in code.grammar.loops and _same_header(code, a, b):
                pairs.append((a, b))
    if not pairs:
        return None
    a, b = rng.choice(pairs)
    body, other = body_of(a), body_of(b)
    if body is None or other is None or not body[1] or not other[1]:
        return None
    at = column(body[1][0])
    statements = [indent(text(s), column(s), at) for s in (*body[1], *other[1])]
    new = block_text(code.grammar, statements, at, column(a))
    changes = [(body[0].start_byte, body[0].end_byte, new), removal(code, b, False)]
    return Edit(code.edited(changes), f"loops of lines {line(a)} and {line(b)}")


def _same_header(code: Code, a: Node, b: Node) -> bool:
    body, other = body_of(a), body_of(b)
    if body is None or other is None or a.type != b.type:
        return False
    return header_of(code, a, body[0]) == header_of(code, b, other[0])


def split_loop(code: Code, rng: Random, _donors: Sequence[Code]) -> Edit | None:
    """A loop becomes two, each with a part of its body."""
    loop = pick_loop(code, rng)
    body = body_of(loop) if loop is not None else None
    if loop is None or body is None or len(body[1]) < 2:
        return None
    cut = rng.randrange(1, len(body[1]))
    at = column(body[1][0])
    head = code.source[loop.start_byte : body[0].start_byte]
    parts = [[indent(text(s), column(s), at) for s in part] for part in (body[1][:cut], body[1][cut:])]
    loops = [head + block_text(code.grammar, part, at, column(loop)) for part in parts]
    new = (b"\n" + b" " * column(loop)).join(loops)
    change = (loop.start_byte, loop.end_byte, new)
    return Edit(code.edited([change]), f"loop of line {line(loop)} at line {line(body[1][cut])}")


# ── several turns of a counting loop in one ──


@dataclass(frozen=True)
class Counting:
    """A loop that counts: its variable, its step, and the change that makes the step `factor` times as long."""

    loop: Node
    body: Node
    statements: tuple[Node, ...]
    variable: bytes
    step: int
    longer: Callable[[int], Change]


def counting(code: Code, loop: Node) -> Counting | None:
    """What is needed to take several turns of this loop at once; None: it doesn't count in a way that is seen here."""
    body = body_of(loop)
    if body is None or not body[1]:
        return None
    return _counting_c(loop, body) if code.grammar is C else _counting_python(loop, body)


def _counting_python(loop: Node, body: tuple[Node, tuple[Node, ...]]) -> Counting | None:
    left, right = loop.child_by_field_name("left"), loop.child_by_field_name("right")
    if left is None or right is None or left.type != "identifier" or right.type != "call":
        return None
    function, arguments = right.child_by_field_name("function"), right.child_by_field_name("arguments")
    if function is None or text(function) != b"range" or arguments is None:
        return None
    bounds = [text(argument) for argument in arguments.named_children]
    if not 1 <= len(bounds) <= 3 or (len(bounds) == 3 and not bounds[2].isdigit()):
        return None
    start, stop = (b"0", bounds[0]) if len(bounds) == 1 else (bounds[0], bounds[1])
    step = int(bounds[2]) if len(bounds) == 3 else 1

    def longer(factor: int) -> Change:
        new = b"(%b, %b, %d)" % (start, stop, step * factor)
        return arguments.start_byte, arguments.end_byte, new

    return Counting(loop, body[0], body[1], text(left), step, longer)


_STEP = re.compile(rb"(\w+)\s*(?:\+\+|\+=\s*(\d+))|\+\+\s*(\w+)")


def _counting_c(loop: Node, body: tuple[Node, tuple[Node, ...]]) -> Counting | None:
    update = loop.child_by_field_name("update")
    found = _STEP.fullmatch(text(update)) if update is not None else None
    if update is None or found is None:
        return None
    variable = found[1] or found[3]
    step = int(found[2] or 1)

    def longer(factor: int) -> Change:
        return update.start_byte, update.end_byte, b"%b += %d" % (variable, step * factor)

    return Counting(loop, body[0], body[1], variable, step, longer)


def _pick_counting(code: Code, rng: Random) -> Counting | None:
    found = [loop for loop in (counting(code, node) for node in code.loops) if loop is not None]
    return rng.choice(found) if found else None


def repeat(code: Code, rng: Random, _donors: Sequence[Code]) -> Edit | None:
    """Several turns of a counting loop one after the other in its body."""
    found = _pick_counting(code, rng)
    if found is None:
        return None
    factor = rng.choice((2, 2, 4))
    at = column(found.statements[0])
    copies = []
    for turn in range(factor):
        shifted = _turn(code, found, turn, {})
        copies += [indent(text(s), column(s), at) for s in shifted]
    new = block_text(code.grammar, copies, at, column(found.loop))
    changes = [found.longer(factor), (found.body.start_byte, found.body.end_byte, new)]
    return Edit(code.edited(changes), f"loop of line {line(found.loop)}, {factor} turns")


def _turn(code: Code, found: Counting, turn: int, names: Mapping[bytes, bytes]) -> tuple[Node, ...]:
    """The body's statements as they read `turn` turns later, with some names of their own."""
    if not turn:
        return found.statements
    mapping = {**names, found.variable: b"(%b + %d)" % (found.variable, turn * found.step)}
    changes = [change for s in found.statements for change in renamed(s, mapping)]
    later = code.edited(changes)
    loop = next(node for node in later.loops if node.start_byte == found.loop.start_byte)
    body = body_of(loop)
    return body[1] if body is not None else ()


def jam(code: Code, rng: Random, _donors: Sequence[Code]) -> Edit | None:
    """Several turns of a counting loop side by side: statement by statement, joined where the shape allows and the dice
    agree. Names that a turn sets are its own; of those set before the loop, the dice say which are (the idea is that of
    unroll-and-jam with scalar expansion, as compilers do it)."""
    found = _pick_counting(code, rng)
    if found is None:
        return None
    factor = rng.choice((2, 2, 2, 4))
    inside = declared_in(code, found.statements)
    outside = assigned_outside(code, found.loop, found.statements)
    if rng.random() < 0.3:
        outside = [a for a in outside if rng.random() < 0.6]
    changes: list[Change] = []
    turns = [found.statements]
    taken: set[bytes] = set()
    for turn in range(1, factor):
        names = {}
        for name in (*inside, *(a.name for a in outside)):
            names[name] = fresh(code, name, taken)
            taken.add(names[name])
        turns.append(_turn(code, found, turn, names))
        for own in outside:
            statement = splice(text(own.statement), _relative(own.statement, renamed(own.statement, names)))
            changes.append(insertion(statement, column(own.statement), own.statement, after=True))
    weave = _Weave(code, rng, {})
    at = column(found.statements[0])
    new = block_text(code.grammar, weave.blocks(turns), at, column(found.loop))
    changes += [found.longer(factor), (found.body.start_byte, found.body.end_byte, new)]
    return Edit(code.edited(changes), f"loop of line {line(found.loop)}, {factor} turns")


def _relative(node: Node, changes: Sequence[Change]) -> list[Change]:
    return [(start - node.start_byte, end - node.start_byte, new) for start, end, new in changes]


@dataclass
class _Weave:
    code: Code
    rng: Random
    decided: dict[bytes, bool]

    def allow(self, label: bytes) -> bool:
        """May lists under this label be joined? The dice say so once for the whole loop."""
        if label not in self.decided:
            self.decided[label] = self.rng.random() < 0.5
        return self.decided[label]

    def blocks(self, turns: Sequence[tuple[Node, ...]]) -> list[bytes]:
        if len({len(turn) for turn in turns}) != 1:
            return [text(s) for turn in turns for s in turn]
        return [new for group in zip(*turns, strict=True) for new in self.statement(group)]

    def statement(self, group: Sequence[Node]) -> list[bytes]:
        first = group[0]
        if first.type in self.code.grammar.loops and (loop := self.loop(group)) is not None:
            return [loop]
        merged = text(first)
        for other in group[1:]:
            joined = self._joined(merged, other)
            if joined is None:
                return [text(s) for s in group]
            merged = joined
        return [merged]

    def _joined(self, merged: bytes, other: Node) -> bytes | None:
        """`merged` is text that reads like a statement; it is parsed by itself to be joined with the next."""
        alone = Code(merged if self.code.grammar is not C else b"void f(void) {" + merged + b"}", self.code.grammar)
        statements = alone.blocks[-1].statements if alone.blocks else ()
        return merge(self.code, statements[0], other, self.allow) if len(statements) == 1 else None

    def loop(self, group: Sequence[Node]) -> bytes | None:
        """Loops with one header become one loop round the woven bodies."""
        bodies = [body_of(node) for node in group]
        heads = set()
        for node, body in zip(group, bodies, strict=True):
            if body is None or not body[1]:
                return None
            heads.add(text(node)[: body[0].start_byte - node.start_byte].rstrip())
        first = bodies[0]
        if len(heads) != 1 or first is None:
            return None
        at = column(first[1][0])
        woven = self.blocks([body[1] for body in bodies if body is not None])
        head = text(group[0])[: first[0].start_byte - group[0].start_byte]
        return head + block_text(self.code.grammar, woven, at, column(group[0]))
