"""One table of a problem.toml, read key by key, every fault with its file, line and advice. Knows no key itself."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from kernelfactory.model import BadProblem

_SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB)")
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SYNTAX = re.compile(r"\s*\(at line (\d+), column \d+\)")
_ABSENT: Any = object()


@dataclass
class Table:
    """One table of a problem.toml. Each read takes a key; `finish` refuses what nobody asked for."""

    source: str
    lines: list[str]
    path: tuple[str, ...]
    values: dict[str, Any]
    taken: set[str] = field(default_factory=set)
    inner: dict[str, Table] = field(default_factory=dict)

    def fault(self, key: str, advice: str) -> NoReturn:
        where = _line(self.lines, self.path, key)
        name = ".".join((*self.path, key)) if key else f"[{'.'.join(self.path)}]"
        raise BadProblem(f"{self.source}:{where}: {name}: {advice}")

    def take(self, key: str, kinds: tuple[type, ...], what: str, default: Any = _ABSENT) -> Any:
        self.taken.add(key)
        value = self.values.get(key, default)
        if value is _ABSENT:
            self.fault(key, f"missing; set it to {what}")
        if key in self.values and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
            self.fault(key, f"set it to {what}")
        return value

    def text(
        self,
        key: str,
        default: Any = _ABSENT,
        *,
        one_of: tuple[str, ...] = (),
        pattern: re.Pattern[str] | None = None,
        shape: str = "a text",
    ) -> str:
        what = " or ".join(f'"{word}"' for word in one_of) or shape
        value = self.take(key, (str,), what, default)
        if not value or (one_of and value not in one_of) or (pattern and not pattern.fullmatch(value)):
            self.fault(key, f"set it to {what}")
        if not str(value).isprintable():
            self.fault(key, "take the control characters out")
        return str(value)

    def flag(self, key: str, default: bool) -> bool:
        return bool(self.take(key, (bool,), "true or false", default))

    def number(self, key: str, default: Any = _ABSENT, *, above: float = -math.inf) -> Any:
        what = "a number" if above == -math.inf else f"a number above {above:g}"
        value = self.take(key, (int, float), what, default)
        if value is not None and not (finite(value) and value > above):
            self.fault(key, f"set it to {what}")
        return value

    def count(self, key: str, default: int) -> int:
        value = self.take(key, (int,), "a whole number from 1 to 100000", default)
        if not 1 <= value <= 100_000:
            self.fault(key, "set it to a whole number from 1 to 100000")
        return int(value)

    def size(self, key: str, default: int) -> int:
        what = 'a size such as "32MiB" or "2GiB"'
        value = self.take(key, (str,), what, default)
        found = _SIZE.fullmatch(value) if isinstance(value, str) else None
        if isinstance(value, str) and (found is None or int(found[1]) == 0 or len(found[1]) > 12):
            self.fault(key, f"set it to {what}")
        return int(found[1]) * _UNITS[found[2]] if found else int(value)

    def texts(self, key: str, default: Any = _ABSENT) -> tuple[str, ...]:
        what = 'a list of texts, such as ["a", "b"]'
        value = self.take(key, (list,), what, default)
        if not all(isinstance(item, str) and item and item.isprintable() for item in value):
            self.fault(key, f"set it to {what}")
        return tuple(value)

    def table(self, key: str) -> Table:
        """The same one each time it is asked for."""
        values = self.take(key, (dict,), f"a table, [{key}]")
        if key not in self.inner:
            self.inner[key] = Table(self.source, self.lines, (*self.path, key), values)
        return self.inner[key]

    def finish(self) -> None:
        for key in self.values.keys() - self.taken:
            self.fault(safe(key), f"unknown key; take it out (known here: {', '.join(sorted(self.taken))})")
        for inner in self.inner.values():
            inner.finish()


def open_table(data: bytes, source: str) -> Table:
    try:
        text = data.decode("utf-8")
        return Table(source, text.splitlines(), (), tomllib.loads(text))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadProblem(f"{source}:{line}: not UTF-8; save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        found = _SYNTAX.search(str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        said = _SYNTAX.sub("", str(error)).replace(" (at end of document)", " at the end of the file")
        raise BadProblem(f"{source}:{line}: TOML syntax: {safe(said)}; correct this line") from None
    except (ValueError, RecursionError):  # over-long integer literals, nesting without end
        raise BadProblem(f"{source}:1: TOML: a number too long or tables nested too deep; correct it") from None


def _line(lines: Sequence[str], path: tuple[str, ...], key: str) -> int:
    """The line (from 1) where a key of a table is set; else the table's heading, else 1."""
    table: tuple[str, ...] = ()
    heading = 1
    for number, line in enumerate(lines, 1):
        if found := re.match(r"\s*\[\[?([^\[\]]+)\]\]?\s*(?:#.*)?$", line):
            table = _dotted(found[1])
            if table == (*path, key):
                return number
            heading = number if table == path and path else heading
        elif (found := re.match(r"\s*([\w.\"' -]+?)\s*=", line)) and _sets((*table, *_dotted(found[1])), (*path, key)):
            return number
    return heading


def _sets(here: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Does a line that sets `here` set `wanted`: itself, or a table given inline that holds it?"""
    return here == wanted[: len(here)] and len(here) >= len(wanted) - 1 and here != ()


def _dotted(text: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in text.split("."))


def safe(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:200]


def finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
