"""Values out of JSON that somebody hostile wrote: of the type that was asked for, capped, or nothing. Never raises."""

from __future__ import annotations

import json
import math
import re

TEXT = 1 << 16
"""Characters of a message that are kept."""
SHORT = 4000
"""Characters that are kept of what went wrong, of what a tool is called with, and of names."""
_LINE = 1 << 24
_LONG, _PARTS = 1 << 20, 200_000
"""Characters of a line from which on it may have so many commas and brackets, and no more: what is long is a picture or
a text, and not as many values, which take tens of times the memory of their text."""
_MOST = 10**12
_ITEMS = 4096
_NAME = re.compile(r"[A-Za-z0-9][\w.:@+-]{0,199}")


def record(line: str) -> dict[str, object]:
    """The JSON object that a line is; empty when it is none."""
    if len(line) > _LONG and (len(line) > _LINE or sum(map(line.count, ",[{")) > _PARTS):
        return {}
    try:
        value = json.loads(line, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def at(value: object, *path: str) -> object:
    """What lies at `path`, or None."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def table(value: object, *path: str) -> dict[str, object]:
    found = at(value, *path)
    return found if isinstance(found, dict) else {}


def items(value: object, *path: str) -> list[object]:
    found = at(value, *path)
    return found[:_ITEMS] if isinstance(found, list) else []


def text(value: object, *path: str, cap: int = SHORT) -> str:
    found = at(value, *path)
    return plain(found, cap) if isinstance(found, str) else ""


def name(value: object, *path: str) -> str | None:
    """A name that may be an argument of a command: no option, no path, nothing to be quoted."""
    found = at(value, *path)
    return found if isinstance(found, str) and _NAME.fullmatch(found) else None


def number(value: object, *path: str) -> float | None:
    """A finite number of at least 0."""
    found = at(value, *path)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= _MOST * 1000:
        return None
    return float(found) if math.isfinite(found) else None


def count(value: object, *path: str) -> int:
    """A number of things, 0 when it is none."""
    found = number(value, *path)
    return 0 if found is None else min(int(found), _MOST)


def true(value: object, *path: str) -> bool:
    return at(value, *path) is True


def plain(found: str, cap: int = TEXT) -> str:
    """At most `cap` characters, all of which can be written."""
    return found[:cap].encode("utf-8", "replace").decode()


def words(content: object, cap: int = TEXT) -> str:
    """The text of a content: a string, or a list of blocks that hold text (also one level down)."""
    if isinstance(content, str):
        return plain(content, cap)
    blocks = content[:_ITEMS] if isinstance(content, list) else [content]
    parts = (text(block, "text", cap=cap) or text(block, "content", "text", cap=cap) for block in blocks)
    return "\n".join(part for part in parts if part)[:cap]


def brief(value: object) -> str:
    """What a tool is called with, in a few words: a shell's command as it is, else its JSON."""
    command = at(value, "command")
    if isinstance(command, list):
        command = " ".join(part for part in command[:_ITEMS] if isinstance(part, str))
    if isinstance(command, str):
        return plain(command, SHORT)
    if isinstance(value, str) or value in (None, {}, []):
        return plain(value if isinstance(value, str) else "", SHORT)
    try:
        return plain(json.dumps(value, ensure_ascii=False), SHORT)
    except RecursionError:
        return ""
