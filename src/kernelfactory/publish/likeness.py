"""Is this text one of the known programs? By content, by tokens, by Python's own reading, by overlapping runs of
tokens. Pure: knows no file and no repository, and only ever reads what it is given."""

from __future__ import annotations

import ast
import hashlib
import html
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import Literal

RUN = 5
"""Tokens of one shingle."""
ALIKE = 0.8
"""The share of a program's shingles that makes a text its near copy."""
OWN = 20
"""A part counts alone where a program has so many shingles that the seed has not."""
TEXT_BYTES = 2 << 20
"""Longer texts are compared by content only."""
AST_BYTES = 1 << 19
NEAR = 1000
"""So many programs, the best ones, are compared for likeness; the rest by content only."""

Likeness = Literal["same", "layout", "near", "part"]

_HASH = re.compile(r"#[^\n]*|\w+|[^\w\s]")
_SLASHES = re.compile(r"//[^\n]*|/\*[\s\S]*?(?:\*/|\Z)|\w+|[^\w\s]")
_TAG = re.compile(r"<[^<>\n]{0,200}>")
_NEXT = re.compile(r'\\n",\s*"')
"""Between the lines of a notebook's cell."""
_MARGIN = re.compile(r"^[ \t]*[-+>|]", re.MULTILINE)
_HASHED = (".py", ".pyi", ".sh", ".toml", ".rb", ".r", ".jl", ".mk", ".yaml", ".yml")
_SLASHED = (".c", ".h", ".cc", ".cpp", ".hpp", ".cu", ".cuh", ".rs", ".go", ".js", ".ts", ".java", ".zig", ".cl")

Shingles = frozenset[int]


@dataclass(frozen=True, slots=True)
class Program:
    """One file of one candidate: where it comes from (an experiment's folder, an attempt, its path there), its score,
    and git's id of its content."""

    experiment: str
    attempt: int | None
    score: float | None
    name: str
    blob: str


@dataclass(frozen=True, slots=True)
class Match:
    """A text is this program: the same bytes, the same but for layout and comments, near (`share` of it), or it
    holds the part that the seed has not."""

    program: Program
    likeness: Likeness
    share: float = 1.0


def decoded(data: bytes) -> str | None:
    """The text of a file; None when it is no text, or too long to compare."""
    if len(data) > TEXT_BYTES:
        return None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    return None if b"\0" in data[:8192] else data.decode("utf-8", "replace")


def ways(name: str) -> tuple[str, ...]:
    """What starts a comment in a file of this name: "#", "//", or one cannot tell."""
    if name.lower().endswith(_HASHED):
        return ("#",)
    return ("//",) if name.lower().endswith(_SLASHED) else ("#", "//")


def tokens(text: str, way: str) -> list[str]:
    """Words and signs, without layout and comments."""
    if way == "#":
        return [token for token in _HASH.findall(text) if token[0] != "#"]
    return [token for token in _SLASHES.findall(text) if token[:2] not in ("//", "/*")]


def shingles(words: Sequence[str]) -> Shingles:
    """The hashes of all runs of RUN tokens."""
    return frozenset(map(hash, zip(*(words[start:] for start in range(RUN)), strict=False)))


def quoted(text: str) -> str:
    """The text of a page, a patch or a notebook without what stands between the lines of a program in it."""
    unescaped = _NEXT.sub("\n", text).replace("\\n", "\n").replace('\\"', '"')
    return _MARGIN.sub("", html.unescape(_TAG.sub("", unescaped)))


def reading(text: str) -> str | None:
    """How Python reads a module, without docstrings; None when it does not."""
    if len(text) > AST_BYTES:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about somebody else's escapes
            tree = ast.parse(text)
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and _docstring(body[0]):
                body[0] = ast.Pass()
        return ast.dump(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _name_of(words: Iterable[str]) -> bytes:
    return hashlib.sha1("\0".join(words).encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()


@dataclass(frozen=True, slots=True)
class Seed:
    """What agents started from: no leak, and what a program has of it gives nothing away."""

    names: frozenset[bytes]
    shingles: Shingles

    @classmethod
    def of(cls, files: Iterable[tuple[str, bytes]]) -> Seed:
        names: set[bytes] = set()
        every: set[int] = set()
        for name, data in files:
            if (text := decoded(data)) is not None:
                words = tokens(text, ways(name)[0])
                every |= shingles(words)
                names |= {_name_of(words), _name_of((reading(text) or "" if name.endswith(".py") else "",))}
        return cls(frozenset(names - {_name_of(("",))}), frozenset(every))


@dataclass(slots=True)
class _Near:
    """A program for near matches: its shingles, and those of them that the seed has not."""

    program: Program
    whole: Shingles
    own: Shingles


@dataclass(slots=True)
class Index:
    """Programs by all that they can be told by. The first one added wins among equals: add the best first."""

    same: dict[str, Program] = field(default_factory=dict)
    by_content_only: int = 0
    _seeds: set[str] = field(default_factory=set)
    _known: dict[bytes, Program] = field(default_factory=dict)
    _words: set[bytes] = field(default_factory=set)
    _near: list[_Near] = field(default_factory=list)
    _holders: dict[int, list[int]] = field(default_factory=dict)

    def add(self, program: Program, data: bytes, seed: Seed) -> None:
        """Know a program from now on, unless it is the seed but for layout and comments."""
        if program.blob in self.same or program.blob in self._seeds:
            return
        text = decoded(data)
        words = tokens(text, ways(program.name)[0]) if text is not None else []
        if text is not None and not words:
            return  # an empty file gives nothing away
        if text is None or len(words) < RUN or len(self._near) >= NEAR:
            self.by_content_only += 1
            self.same[program.blob] = program
            return
        read = reading(text) if program.name.endswith(".py") else None
        names = [_name_of(words), *([_name_of((read,))] if read is not None else [])]
        if seed.names.intersection(names):
            self._seeds.add(program.blob)
            return
        self.same[program.blob] = program
        if names[0] not in self._known:
            self._known |= {name: program for name in names if name not in self._known}
            self._words.add(_name_of(sorted(set(words))))
            self._add_near(_Near(program, whole := shingles(words), whole - seed.shingles))

    def _add_near(self, near: _Near) -> None:
        for shingle in near.own:
            self._holders.setdefault(shingle, []).append(len(self._near))
        self._near.append(near)

    def look(self, name: str, data: bytes, blob: str) -> Match | None:
        """The program that a file is, by the surest sign; None when it is none, and for a pristine seed."""
        if blob in self.same:
            return Match(self.same[blob], "same")
        if blob in self._seeds or not self._near or (text := decoded(data)) is None:
            return None
        found: set[int] = set()
        for way in ways(name):
            words = tokens(text, way)
            if known := self._known.get(_name_of(words)) or self._read_alike(text, words):
                return Match(known, "layout")
            found |= shingles(words)
        if len(ways(name)) > 1:
            found.update(*(shingles(tokens(quoted(text), way)) for way in ways(name)))
        return self.resembles(found)

    def _read_alike(self, text: str, words: Sequence[str]) -> Program | None:
        """The program that Python reads as this one. Only a text of the same words can be: most are not read at all."""
        if _name_of(sorted(set(words))) not in self._words or (read := reading(text)) is None:
            return None
        return self._known.get(_name_of((read,)))

    def resembles(self, found: Set[int]) -> Match | None:
        """The program that most of is in these shingles, if any."""
        hits: Counter[int] = Counter()
        for shingle in found & self._holders.keys():
            hits.update(self._holders[shingle])
        matches = [match for number, count in hits.items() if (match := self._match(number, count, found))]
        return max(matches, key=lambda match: (match.likeness == "near", match.share), default=None)

    def _match(self, number: int, hits: int, found: Set[int]) -> Match | None:
        near = self._near[number]
        own = hits / len(near.own)
        if own < ALIKE:
            return None
        whole = len(near.whole & found) / len(near.whole)
        if whole >= ALIKE:
            return Match(near.program, "near", whole)
        return Match(near.program, "part", own) if len(near.own) >= OWN else None
