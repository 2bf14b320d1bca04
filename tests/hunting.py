"""Looks for a secret in everything below a folder, in any spelling: names of files, texts, rows of a database, objects
of a git repository. Knows nothing of how secrets are masked."""

from __future__ import annotations

import base64
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, quote_plus

import pygit2

BREAKS = (b"\\r", b"\\n", b"\r", b"\n", b"%0A")


def spellings(secret: str) -> list[bytes]:
    """Plain, URL-encoded, hex, and base64 wherever in a longer text it was."""
    raw = secret.encode()
    found = {raw, *(way(secret, safe="").encode() for way in (quote, quote_plus))}
    found |= {quote(secret).encode(), "".join(f"%{byte:02x}" for byte in raw).encode(), raw.hex().encode()}
    for before in range(3):
        whole = base64.b64encode(b"x" * before + raw)
        inner = whole[4 if before else 0 : -4]  # what does not hang on its neighbours
        found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return sorted(found | {each.upper() for each in found if b"%" in each or each == raw.hex().encode()})


def holds(data: bytes, ways: list[bytes]) -> bool:
    flat = data
    for gap in BREAKS:
        flat = flat.replace(gap, b"")
    return any(way in data or way in flat for way in ways)


def hunt(folder: Path, secret: str) -> list[str]:
    """Where it is: what was looked at, each once."""
    ways = spellings(secret)
    return list(dict.fromkeys(place for place, data in _all(folder) if holds(data, ways)))


def _all(folder: Path) -> Iterator[tuple[str, bytes]]:
    for at, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            yield f"the name {at}/{name!r}", os.fsencode(name)
        for path in (Path(at, name) for name in names):
            if path.is_symlink():
                yield f"the link {path}", os.fsencode(os.readlink(path))
            elif path.is_file():
                yield str(path), path.read_bytes()
                if path.suffix == ".db":
                    yield from _rows(path)
        if at.endswith(".git"):
            yield from _objects(at)


def _rows(path: Path) -> Iterator[tuple[str, bytes]]:
    """A text that is long lies in pieces in the file."""
    with closing(sqlite3.connect(path)) as database:
        yield f"a row of {path}", "\n".join(database.iterdump()).encode("utf-8", "surrogatepass")


def _objects(folder: str) -> Iterator[tuple[str, bytes]]:
    """Commits, trees (names of files) and files, unpacked."""
    repository = pygit2.Repository(folder)
    for number in repository:
        yield f"an object of {folder}", repository[number].read_raw()
