"""Cheap signs that a candidate looks where it has no business. A flag is for a person; it never changes a verdict."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from kernelfactory.model import Files, Flag

MOST = 20
"""No verdict carries more flags than this."""

SCANNED_BYTES = 1 << 20
"""Of each file, what is looked at."""

LOOKED = 250
"""Of the places in a file where a hint stands, so many are looked at; more of them are a sign of their own."""

ALIKE = "look-alike letters"

AROUND = 80
"""Characters before and after a hint that a rule may read."""

RULES: tuple[tuple[str, str], ...] = (
    (
        "frames",
        r"\b(?:_getframe|_current_frames|f_back|f_locals|gi_frame|tb_frame|setprofile|settrace)\b|\binspect\.stack\b",
    ),
    ("gc", r"\bget_(?:objects|referrers)\b|\bgc\.callbacks\b"),
    (
        "native memory",
        r"\b(?:ctypes|cffi|process_vm_(?:readv|writev)|ptrace|dlopen)\b|/proc/(?:self|\d+|\{|%)|/dev/(?:shm|mem)\b",
    ),
    (
        "network",
        r"\b(?:import|from)\s+(?:socket|urllib|http|requests|ftplib|smtplib|asyncio)\b|\b(?:connect|socket)\(",
    ),
    ("processes", r"\bos\.(?:fork|exec\w*|kill|setsid|_exit)\b|\bsubprocess\b|\bmultiprocessing\b"),
    (
        "hidden code",
        r"\b(?:marshal|pickle|zlib|base64|codecs)\b|\b(?:exec|eval|__import__)\s*\(|coding[:=]\s*(?!utf-?8|ascii)\w"
        r"|__(?:subclasses|globals|builtins)__|\bfromhex\b|(?:\bchr\(\d+\)\s*\+\s*){2}",
    ),
    ("obfuscated names", r"\b_0x[0-9a-f]{3,}|\b(?=[01]*[lIO])[lIO_][lIO01_]{5,}\b"),
    ("test files", r"['\"][^'\"\n]{0,60}(?:/tests?\b|\btests?/)|\btest_\w+\.py\b|\w_tests?\.py\b|\bconftest\b"),
)
_HINTS = (
    *("_getframe", "_current_frames", "f_back", "f_locals", "gi_frame", "tb_frame", "setprofile", "settrace"),
    *("inspect.stack", "get_objects", "get_referrers", "gc.callbacks", "ctypes", "cffi", "process_vm", "ptrace"),
    *("dlopen", "/proc/", "/dev/shm", "/dev/mem", "import http", "from http", "socket", "urllib", "requests"),
    *("ftplib", "smtplib", "asyncio", "connect(", "subprocess", "multiprocessing", "os.fork", "os.exec"),
    *("os.kill", "os.setsid", "os._exit", "marshal", "pickle", "zlib", "base64", "codecs", "exec(", "exec (", "eval("),
    *("eval (", "__import__", "coding:", "coding=", "__subclasses__", "__globals__", "__builtins__", "fromhex", "chr("),
    *("_0x", "lI", "Il", "O0", "0O", ".py", "tests/", "test/", "/test", "conftest"),
)
"""One of these is at every place where a rule can match: a search for plain words is a hundred times faster."""

_HIDDEN = frozenset("\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_TWO_ALPHABETS = re.compile(r"[a-zA-Z][\u0400-\u04ff]|[\u0400-\u04ff][a-zA-Z]")
_ORDINALS = "\u00aa\u00ba"
_LAST = 0x1FBFF
"""Beyond this no character is another way to write an ASCII letter or digit."""

_UNSAFE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


class _Net(NamedTuple):
    """What is searched for: plain words, and rules that are tried round them, by name."""

    hints: tuple[str, ...]
    rules: re.Pattern[str]
    names: tuple[str, ...]


def flags(files: Files, seed: Files | None = None, judge: Iterable[str] = ()) -> tuple[Flag, ...]:
    """The tripwires that fire on a candidate's editable files, at most MOST, in file and line order. Lines that the
    seed's file of that name has too do not count. `judge`: paths under judge/, which no candidate has a reason to
    name."""
    own = {name.rpartition("/")[2] for name in seed or {}}
    net = _net(tuple(sorted({base for path in judge if (base := path.rpartition("/")[2]) not in own})))
    found: list[Flag] = []
    for name in sorted(files):
        before = (seed or {}).get(name)
        for flag in _fired(name, files[name], before, net):
            found.append(flag)
            if len(found) == MOST:
                return tuple(found)
    return tuple(found)


def _fired(name: str, data: bytes, before: bytes | None, net: _Net) -> Iterator[Flag]:
    """The flags of one file, one a line at most."""
    text = data[:SCANNED_BYTES].decode("utf-8", "replace")
    places = _places(text, net)
    if not places:
        return
    known = frozenset(before.decode("utf-8", "replace").split("\n")) if before is not None else frozenset[str]()
    number, at = 1, 0
    for start, rule in sorted(places.items()):
        number, at = number + text.count("\n", at, start), start
        end = text.find("\n", start)
        line = text[start : end if end >= 0 else len(text)]
        if line not in known:
            yield Flag(rule, f"{name}:{number}", clean(line[:4096].strip())[:120])


def _places(text: str, net: _Net) -> dict[int, str]:
    """Where lines begin on which a rule fires, and which."""
    places: dict[int, str] = {}
    for looked, (at, rule) in enumerate(_tried(text, net), 1):
        if looked > LOOKED:
            places.setdefault(text.rfind("\n", 0, at) + 1, "more signs than are looked at")
            break
        if rule is not None:
            places.setdefault(text.rfind("\n", 0, at) + 1, rule)
    return places


def _tried(text: str, net: _Net) -> Iterator[tuple[int, str | None]]:
    """Every place with a hint, and the rule that fires there; on a line where it does, not the rest."""
    for hint in net.hints:
        at = text.find(hint)
        while at >= 0:
            most = at + len(hint) + AROUND
            start, end = max(0, at - AROUND, text.rfind("\n", max(0, at - AROUND), at) + 1), text.find("\n", at, most)
            found = net.rules.search(text, start, most if end < 0 else end)
            yield at, net.names[int((found.lastgroup or "r0")[1:])] if found else None
            at = _next(text, hint, at, fired=found is not None)
    if not text.isascii():
        yield from _foreign(text)


def _next(text: str, hint: str, at: int, fired: bool) -> int:
    """Where the hint stands next: on another line where it has fired."""
    line = text.find("\n", at) if fired else at + len(hint)
    return text.find(hint, line) if line >= 0 else -1


def _foreign(text: str) -> Iterator[tuple[int, str | None]]:
    """Places with invisible characters, with ASCII names in disguise, and with names of two alphabets."""
    chars = set(text)
    for char in sorted((chars & _HIDDEN) | (chars & _disguises())):
        rule = "hidden text" if char in _HIDDEN else ALIKE
        at = text.find(char, 1 if char == "\ufeff" else 0)  # a file may begin with a byte order mark
        while at >= 0:
            yield at, rule
            at = _next(text, char, at, fired=True)
    if any("\u0400" <= char <= "\u04ff" for char in chars):
        for found in islice(_TWO_ALPHABETS.finditer(text), LOOKED):
            yield found.start(), ALIKE


@lru_cache(maxsize=1)
def _disguises() -> frozenset[str]:
    """Characters that Python reads as ASCII letters or digits in a name."""
    folded = ((chr(code), unicodedata.normalize("NFKC", chr(code))) for code in range(0x80, _LAST))
    return frozenset(c for c, plain in folded if plain.isascii() and f"a{c}".isidentifier() and c not in _ORDINALS)


@lru_cache(maxsize=16)
def _net(secret: tuple[str, ...]) -> _Net:
    """The net for a problem whose judge has files of these names."""
    named = [name for name in secret if not name.startswith("__") and ("." in name or len(name) > 5)]
    modules = [name.removesuffix(".py") for name in named if name.endswith(".py")]
    words = [rf"(?<![\w.]){re.escape(name)}(?!\w)" for name in named]
    words += [rf"\b(?:import|from)\s+{re.escape(module)}\b" for module in modules]
    words.append(r"['\"][^'\"\n]{0,60}\bjudge/")
    rules = (*RULES, ("evaluator's files", "|".join(words)))
    hints = (*named, *(f"{word} {module}" for module in modules for word in ("import", "from")), "judge/")
    pattern = re.compile("|".join(f"(?P<r{i}>{pattern})" for i, (_, pattern) in enumerate(rules)))
    return _Net((*_HINTS, *hints), pattern, tuple(name for name, _ in rules))


def clean(text: str) -> str:
    """Hostile text as harmless text: control, format (bidi, zero-width) and surrogate characters become "?"; newlines
    and tabs stay."""
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in _UNSAFE else "?" for c in text)
