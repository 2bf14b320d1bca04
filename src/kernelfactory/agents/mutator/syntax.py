"""Source text as a syntax tree, in Python and C: blocks, statements, loops. Refuses to know what a program is for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from random import Random

import tree_sitter_c
import tree_sitter_python
from tree_sitter import Language, Node, Parser

MAX_SOURCE = 1 << 20
"""Bytes; larger files are left alone."""

Change = tuple[int, int, bytes]
"""Replace the bytes from start to end by others."""


@dataclass(frozen=True)
class Grammar:
    """What the nodes of one language are called."""

    name: str
    suffixes: tuple[str, ...]
    blocks: frozenset[str]
    loops: frozenset[str]
    functions: frozenset[str]
    joinable: frozenset[str]
    """Bracketed lists whose elements may go over to another one of the same kind."""
    sequences: frozenset[str]
    """Bracketed, comma-separated nodes whose elements may change places."""
    assignments: frozenset[str]
    numbers: frozenset[str]
    binaries: frozenset[str]
    nothing: bytes
    """The statement that does nothing."""


PYTHON = Grammar(
    name="python",
    suffixes=(".py",),
    blocks=frozenset({"module", "block"}),
    loops=frozenset({"for_statement", "while_statement"}),
    functions=frozenset({"function_definition"}),
    joinable=frozenset({"list", "set"}),
    sequences=frozenset({"list", "set", "tuple", "argument_list", "dictionary"}),
    assignments=frozenset({"assignment"}),
    numbers=frozenset({"integer", "float"}),
    binaries=frozenset({"binary_operator", "comparison_operator", "augmented_assignment", "boolean_operator"}),
    nothing=b"pass",
)
C = Grammar(
    name="c",
    suffixes=(".c", ".h"),
    blocks=frozenset({"translation_unit", "compound_statement"}),
    loops=frozenset({"for_statement", "while_statement", "do_statement"}),
    functions=frozenset({"function_definition"}),
    joinable=frozenset({"initializer_list"}),
    sequences=frozenset({"initializer_list", "argument_list"}),
    assignments=frozenset({"declaration"}),
    numbers=frozenset({"number_literal"}),
    binaries=frozenset({"binary_expression", "assignment_expression"}),
    nothing=b";",
)


@lru_cache
def _parser(name: str) -> Parser:
    return Parser(Language(tree_sitter_python.language() if name == "python" else tree_sitter_c.language()))


def grammar_for(path: str) -> Grammar | None:
    """The language of a file, told by its name; None: not one that can be edited."""
    return next((grammar for grammar in (PYTHON, C) if path.endswith(grammar.suffixes)), None)


@dataclass(frozen=True)
class Block:
    """Sibling statements, comments left out; `depth` is how many loops are round them."""

    statements: tuple[Node, ...]
    depth: int


@dataclass(frozen=True)
class Code:
    """One source file and its syntax tree."""

    source: bytes
    grammar: Grammar

    @cached_property
    def root(self) -> Node:
        return _parser(self.grammar.name).parse(self.source).root_node

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(walk(self.root))

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(_blocks(self, 0))

    @cached_property
    def loops(self) -> tuple[Node, ...]:
        """In order of the text; where layout is grammar, without those whose body shares the header's line."""
        found = [node for node in self.nodes if node.type in self.grammar.loops]
        return tuple(node for node in found if (body := body_of(node)) is None or _on_own_lines(self, body[1]))

    @cached_property
    def tokens(self) -> tuple[bytes, ...]:
        """The text without layout and comments: equal tokens are an equal program."""
        words = (node for node in self.nodes if node.child_count == 0 and "comment" not in node.type)
        return tuple(text(node) for node in words)

    def edited(self, changes: Iterable[Change]) -> Code:
        return Code(splice(self.source, changes), self.grammar)


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, in order of the text."""
    pending = [node]
    while pending:
        found = pending.pop()
        yield found
        pending.extend(reversed(found.children))


def _blocks(code: Code, depth: int) -> Iterator[Block]:
    grammar, pending = code.grammar, [(code.root, depth)]
    while pending:
        found, loops = pending.pop()
        if found.type in grammar.blocks and (statements := statements_of(found)) and _on_own_lines(code, statements):
            yield Block(statements, loops)
        inner = loops + (found.type in grammar.loops)
        pending.extend((child, inner) for child in reversed(found.named_children))


def _on_own_lines(code: Code, statements: Sequence[Node]) -> bool:
    """Where layout is grammar, statements that share a line with others stay as they are."""
    if code.grammar is C:
        return True
    return not any(code.source[s.start_byte - column(s) : s.start_byte].strip() for s in statements)


def text(node: Node) -> bytes:
    return node.text or b""


def statements_of(block: Node) -> tuple[Node, ...]:
    return tuple(child for child in block.named_children if child.type != "comment")


def body_of(loop: Node) -> tuple[Node, tuple[Node, ...]] | None:
    """A loop's body and the statements in it; a body without braces is its own only statement."""
    body = loop.child_by_field_name("body")
    if body is None:
        return None
    if body.type in PYTHON.blocks | C.blocks:
        return body, statements_of(body)
    return body, (body,)


def header_of(code: Code, loop: Node, body: Node) -> bytes:
    """The loop's text before its body, without the white space at its end."""
    return code.source[loop.start_byte : body.start_byte].rstrip()


def enclosing(node: Node, kinds: frozenset[str]) -> Node | None:
    """The innermost node of these kinds round this one."""
    parent = node.parent
    while parent is not None and parent.type not in kinds:
        parent = parent.parent
    return parent


def splice(source: bytes, changes: Iterable[Change]) -> bytes:
    """Applies changes that don't overlap."""
    out, position = [], 0
    for start, end, new in sorted(changes, key=lambda change: (change[0], change[1])):
        out += [source[position:start], new]
        position = max(end, position)
    return b"".join([*out, source[position:]])


# ── statements as text ──


def column(node: Node) -> int:
    return node.start_point.column


def indent(lines: bytes, before: int, after: int) -> bytes:
    """A statement's text taken from column `before` to column `after`; its first line carries no indentation."""
    first, *rest = lines.split(b"\n")
    if after >= before:
        rest = [b" " * (after - before) + line if line.strip() else line for line in rest]
    else:
        rest = [line[min(before - after, len(line) - len(line.lstrip(b" "))) :] for line in rest]
    return b"\n".join([first, *rest])


def insertion(statement: bytes, from_column: int, target: Node, after: bool) -> Change:
    """Puts a statement's text before or after another statement."""
    moved = indent(statement, from_column, column(target))
    margin = b"\n" + b" " * column(target)
    if after:
        return target.end_byte, target.end_byte, margin + moved
    return target.start_byte, target.start_byte, moved + margin


def removal(code: Code, statement: Node, alone: bool) -> Change:
    """Takes a statement away, with its line when nothing else is on it; `alone`: its block needs a stand-in."""
    start, end = statement.start_byte, statement.end_byte
    if alone:
        return start, end, code.grammar.nothing
    line = code.source.rfind(b"\n", 0, start) + 1
    stop = code.source.find(b"\n", end)
    stop = len(code.source) if stop < 0 else stop + 1
    if not code.source[line:start].strip() and not code.source[end:stop].strip():
        return line, stop, b""
    return start, end, b""


def block_text(grammar: Grammar, statements: Sequence[bytes], at: int, outer: int) -> bytes:
    """Statements as the body of a loop: each starts at column `at`; `outer` is the column of the loop."""
    joined = (b"\n" + b" " * at).join(statements)
    if grammar.name == "python":
        return joined
    return b"{\n" + b" " * at + joined + b"\n" + b" " * outer + b"}"


# ── dice ──


def near(rng: Random, limit: int) -> int:
    """A distance from 1 to `limit`, small ones more often."""
    distance = 1
    while distance < limit and rng.random() < 0.6:
        distance += 1
    return distance


def pick_block(code: Code, rng: Random, at_least: int) -> Block | None:
    """A block with so many statements or more; long ones and those inside loops more often."""
    blocks = [block for block in code.blocks if len(block.statements) >= at_least]
    if not blocks:
        return None
    return rng.choices(blocks, [len(block.statements) * (1 + 3 * block.depth) for block in blocks])[0]


def pick_loop(code: Code, rng: Random) -> Node | None:
    return rng.choice(code.loops) if code.loops else None


# ── is it still a program? ──


def problem_with(code: Code) -> str | None:
    """Why this text is no program of its language, as far as a parser sees; None: it parses."""
    if len(code.source) > MAX_SOURCE:
        return "too long"
    if code.root.has_error:
        return "doesn't parse"
    return _refused_by_python(code.source) if code.grammar is PYTHON else None


def _refused_by_python(source: bytes) -> str | None:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "candidate", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        return f"doesn't compile ({type(error).__name__})"
    return None
