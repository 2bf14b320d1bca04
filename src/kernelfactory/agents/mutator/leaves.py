"""Edits of single tokens: numbers and operators."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from tree_sitter import Node

from kernelfactory.agents.mutator.statements import Edit, line
from kernelfactory.agents.mutator.syntax import Code, text

_CLASSES = (
    (b"+", b"-", b"*"),
    (b"/", b"//", b"%", b">>", b"<<"),
    (b"&", b"|", b"^"),
    (b"<", b"<=", b">", b">=", b"==", b"!="),
    (b"+=", b"-=", b"*="),
    (b"and", b"or"),
    (b"&&", b"||"),
)


def number(code: Code, rng: Random, _donors: Sequence[Code]) -> Edit | None:
    """A number goes up or down by one, doubles, halves, or becomes one of the file's others."""
    found = [node for node in code.nodes if node.type in code.grammar.numbers]
    if not found:
        return None
    chosen = rng.choice(found)
    change = (chosen.start_byte, chosen.end_byte, _other_number(text(chosen), rng, found))
    return Edit(code.edited([change]), f"number in line {line(chosen)}")


def _other_number(old: bytes, rng: Random, found: Sequence[Node]) -> bytes:
    try:
        value = int(old.decode("ascii"), 0)
    except ValueError:
        return text(rng.choice(found))
    steps = (value + 1, value - 1, value * 2, value // 2)
    return b"%d" % max(0, rng.choice(steps)) if rng.random() < 0.8 else text(rng.choice(found))


_DECIMAL = re.compile(rb"((?:\d{1,18}\.?\d{0,18}|\.\d{1,18})(?:[eE][-+]?\d{1,3})?)([fFlLuU]*)")
_WHOLE, _BROKEN = (1.0, 0.5, 0.2), (1.0, 0.3, 0.1, 0.01, 0.001)
"""How far a whole number, and one with a fraction, may go at once, in powers of ten."""


def scale(code: Code, rng: Random, _donors: Sequence[Code]) -> Edit | None:
    """A decimal number is multiplied by anything from a tenth to ten, often near one; those that a name is set to come
    more often."""
    found = [node for node in code.nodes if node.type in code.grammar.numbers and _DECIMAL.fullmatch(text(node))]
    if not found:
        return None
    weights = [5 if node.parent is not None and node.parent.type in _SETTING else 1 for node in found]
    chosen = rng.choices(found, weights)[0]
    change = (chosen.start_byte, chosen.end_byte, _scaled(text(chosen), rng))
    return Edit(code.edited([change]), f"number in line {line(chosen)}")


_SETTING = frozenset({"assignment", "init_declarator", "default_parameter", "keyword_argument"})


def _scaled(old: bytes, rng: Random) -> bytes:
    match = _DECIMAL.fullmatch(old)
    if match is None:
        return old
    digits, suffix = match[1], match[2]
    factor = 10.0 ** (rng.choice(_WHOLE if digits.isdigit() else _BROKEN) * rng.uniform(-1.0, 1.0))
    if digits.isdigit():
        value = int(digits)
        new = round(value * factor)
        return b"%d" % (new if new != value else value + rng.choice((-1, 1)) if value else 1) + suffix
    shown = f"{float(digits) * factor:.9g}"
    return (shown if set(shown) & set(".e") else shown + ".0").encode() + suffix


def operator(code: Code, rng: Random, _donors: Sequence[Code]) -> Edit | None:
    """An operator gives way to another one of its kind."""
    found = []
    for node in code.nodes:
        parent = node.parent
        if node.child_count == 0 and parent is not None and parent.type in code.grammar.binaries:
            found += [(node, kind) for kind in _CLASSES if text(node) in kind]
    if not found:
        return None
    node, kind = rng.choice(found)
    new = rng.choice([other for other in kind if other != text(node)])
    return Edit(code.edited([(node.start_byte, node.end_byte, new)]), f"operator in line {line(node)}")
