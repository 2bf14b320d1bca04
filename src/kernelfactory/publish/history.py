"""All that a repository's objects hold, whether a name leads to it or not, and where. Knows no program: it is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from kernelfactory.publish.likeness import Match
from kernelfactory.publish.store import Entry, Store, commit_facts, entries

FILE_BYTES = 8 << 20
DEPTH = 100
MESSAGE_BYTES = 200
"""A shorter message of a commit holds no program."""
TREES_BYTES = 1 << 30

EXPERIMENT = "an experiment on a problem with private solutions: all its programs"
PAGE = "a report made with --with-code"
PRIVATE = re.compile(rb"""^\s*solutions\s*=\s*["']private["']""", re.MULTILINE)
MARKS = frozenset(("trees.git", "best", "experiment.toml"))
"""Beside record.db: one of these makes a folder an experiment's."""
_WITH_CODE = re.compile(rb'<meta name="kf-private-code" content="(?!\{\{)')
"""Filled in: the template of pages is none."""

Place = tuple[str, str | None]
"""A path and the commit that has it; no commit: nothing leads to this content."""


def is_page(path: str, data: bytes) -> bool:
    """Is this a report's page that shows private programs? It says so in its head."""
    return path.lower().endswith((".html", ".htm")) and _WITH_CODE.search(data[: 1 << 16]) is not None


class History:
    """Reads every object once. `unread` says what was not looked into."""

    def __init__(self, store: Store, match: Callable[[str, bytes, str], Match | None]) -> None:
        self._store, self._match = store, match
        self.unread: list[str] = []
        self.commits: list[tuple[float, str, str | None]] = []
        self.blobs = 0
        self._trees: dict[str, bytes] = {}
        self._names: dict[str, str] = {}
        self._matches: dict[str, Match] = {}
        self._signs: dict[str, str] = {}
        self._messages: list[tuple[str, Match]] = []
        self._places: dict[str, Place] = {}
        blobs = self._frame()
        for oid in blobs:
            self._blob(oid)
        self._locate({*self._matches, *self._signs})

    def leaks(self) -> Iterator[tuple[str, str | None, Match]]:
        """(path, commit, match), paths in order."""
        found = [(*self._place(oid), match) for oid, match in self._matches.items()]
        found += [("(its message)", commit, match) for commit, match in self._messages]
        yield from sorted(found, key=lambda leak: (leak[0], leak[1] or ""))

    def signs(self) -> Iterator[tuple[str, str | None, str]]:
        """(path, commit, what it is)."""
        for oid, what in self._signs.items():
            yield *self._place(oid), what

    def _place(self, oid: str) -> Place:
        return self._places.get(oid, (self._names.get(oid, ""), None))

    # ── reading ──

    def _frame(self) -> list[str]:
        """Read commits, trees and tags; answer the blobs that are worth reading."""
        blobs, damaged, large, held = [], 0, 0, 0
        for oid in self._store:
            kind, size = self._store.header(oid) or ("", 0)
            large += size > FILE_BYTES
            if size > FILE_BYTES or kind == "blob":
                self.blobs += kind == "blob"
                blobs += [oid] if size <= FILE_BYTES else []
                continue
            data = self._store.read(oid) if held < TREES_BYTES else None
            damaged += data is None
            held += size
            self._keep(oid, kind, data or b"")
        lines = {
            f"objects larger than {FILE_BYTES >> 20} MiB: {large:,}": large,
            f"damaged objects: {damaged:,}": damaged,
        }
        self.unread += [line for line, count in lines.items() if count]
        return blobs

    def _keep(self, oid: str, kind: str, data: bytes) -> None:
        if kind == "tree":
            self._trees[oid] = data
            for entry in entries(data):
                if not entry.folder:
                    self._names.setdefault(entry.oid, entry.name)
        elif kind in ("commit", "tag"):
            if kind == "commit":
                tree, when = commit_facts(data)
                self.commits.append((when, oid, tree))
            message = data.partition(b"\n\n")[2]
            if len(message) >= MESSAGE_BYTES and (match := self._match("", message, oid)):
                self._messages.append((oid, match))

    def _blob(self, oid: str) -> None:
        data, name = self._store.read(oid), self._names.get(oid, "")
        if data is None:
            self.unread.append(f"{oid}: damaged")
            return
        if match := self._match(name, data, oid):
            self._matches[oid] = match
        if is_page(name, data):
            self._signs[oid] = PAGE

    # ── where it is ──

    def _locate(self, wanted: set[str]) -> None:
        """The first commit and path of each, by walking every commit's tree, oldest first, each folder once."""
        self.commits.sort()
        seen: set[str] = set()
        experiments = {oid for oid, data in self._trees.items() if self._is_experiment(data)}
        self._signs |= dict.fromkeys(experiments, EXPERIMENT)
        wanted = wanted | experiments
        for _, commit, tree in self.commits:
            waiting = [(tree, "", 0)] if tree else []
            while waiting and not wanted <= self._places.keys():
                oid, above, depth = waiting.pop()
                if oid in seen or depth > DEPTH:
                    continue
                seen.add(oid)
                if oid in experiments:
                    self._places.setdefault(oid, (above or "./", commit))
                for entry in entries(self._trees.get(oid, b"")):
                    if entry.folder:
                        waiting.append((entry.oid, f"{above}{entry.name}/", depth + 1))
                    elif entry.oid in wanted:
                        self._places.setdefault(entry.oid, (above + entry.name, commit))

    def _is_experiment(self, tree: bytes) -> bool:
        """Is this an experiment's folder whose problem does not say that its solutions are public?"""
        if b"record.db\0" not in tree:
            return False
        names = {entry.name: entry for entry in entries(tree)}
        if "record.db" not in names or not names.keys() & MARKS:
            return False
        toml = self._within(names.get("problem"), "problem.toml")
        return toml is None or PRIVATE.search(toml) is not None

    def _within(self, folder: Entry | None, name: str) -> bytes | None:
        if folder is None:
            return None
        for entry in entries(self._trees.get(folder.oid, b"")):
            size = (self._store.header(entry.oid) or ("", 0))[1]
            if entry.name == name and size <= FILE_BYTES:
                return self._store.read(entry.oid)
        return None
