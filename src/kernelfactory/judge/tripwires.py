"""Cheap signs that a candidate looks where it has no business. A flag is for a person; it never changes a verdict."""

from __future__ import annotations

import re
import unicodedata

from kernelfactory.model import Files, Flag

MOST = 20
"""No verdict carries more flags than this."""

SCANNED_BYTES = 1 << 20
"""Of each file, what is looked at."""

RULES: tuple[tuple[str, str], ...] = (
    (
        "frames",
        r"\b(?:_getframe|_current_frames|f_back|f_locals|gi_frame|tb_frame|setprofile|settrace)\b|\binspect\.stack\b",
    ),
    ("gc", r"\bget_(?:objects|referrers)\b|\bgc\.callbacks\b"),
    (
        "native memory",
        r"\b(?:ctypes|cffi|process_vm_(?:readv|writev)|ptrace)\b|/proc/(?:self|\d+|\{)|/dev/(?:shm|mem)\b",
    ),
    ("network", r"\b(?:import|from)\s+(?:socket|urllib|http|requests|ftplib|smtplib|asyncio)\b|\bconnect\s*\("),
    ("processes", r"\bos\.(?:fork|exec\w*|kill|setsid|_exit)\b|\bsubprocess\b|\bmultiprocessing\b"),
    (
        "hidden code",
        r"\b(?:marshal|pickle|zlib|base64|codecs)\b|\b(?:exec|eval|__import__)\s*\(|coding[:=]\s*(?!utf-?8|ascii)\w",
    ),
)
_ANY = re.compile("|".join(f"(?P<r{i}>{pattern})" for i, (_, pattern) in enumerate(RULES)))
_HINTS = (
    *("_getframe", "_current_frames", "f_back", "f_locals", "gi_frame", "tb_frame", "setprofile", "settrace", ".stack"),
    *("get_objects", "get_referrers", "callbacks", "ctypes", "cffi", "process_vm", "ptrace", "/proc/", "/dev/"),
    *("socket", "urllib", "http", "requests", "ftplib", "smtplib", "asyncio", "connect", "subprocess", "multiprocess"),
    *("os.fork", "os.exec", "os.kill", "os.setsid", "os._exit", "marshal", "pickle", "zlib", "base64", "codecs"),
    *("exec", "eval", "__import__", "coding"),
)
"""One of these is in every line that a rule can match: a search for plain words is a hundred times faster."""

_BIDI = frozenset("\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def flags(files: Files) -> tuple[Flag, ...]:
    """The tripwires that fire on a candidate's editable files, at most MOST, in file and line order."""
    found: list[Flag] = []
    for name in sorted(files):
        text = files[name][:SCANNED_BYTES].decode("utf-8", "replace")
        for number, line in enumerate(_suspects(text), 1):
            if line and (rule := _rule(line)):
                found.append(Flag(rule, f"{name}:{number}", clean(line.strip())[:120]))
                if len(found) == MOST:
                    return tuple(found)
    return tuple(found)


def _suspects(text: str) -> list[str]:
    """The lines of a text, or nothing when a look at the whole shows that no rule can fire."""
    return text.split("\n") if not text.isascii() or any(hint in text for hint in _HINTS) else []


def _rule(line: str) -> str | None:
    if any(hint in line for hint in _HINTS) and (found := _ANY.search(line)):
        return RULES[int((found.lastgroup or "r0")[1:])][0]
    if line.isascii():
        return None
    if any(char in _BIDI for char in line):
        return "hidden text"
    return "look-alike letters" if unicodedata.normalize("NFKC", line) != line else None


def clean(text: str) -> str:
    """Hostile text as harmless text: control, format (bidi, zero-width) and surrogate characters become "?"; newlines
    and tabs stay."""
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in _UNSAFE else "?" for c in text)


_UNSAFE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
