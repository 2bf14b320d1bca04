"""How a row of the record is written: one transaction at a time, states only forward. Refuses to know what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from kernelfactory.model import LostClaim, Usage
from kernelfactory.record.reading import Reader
from kernelfactory.record.rows import Attempt, shallow
from kernelfactory.record.spending import by_model
from kernelfactory.record.store import disk

GROWS = {"seconds": "max(seconds, {0})", "tokens": "max(tokens, {0})", "dollars": "ifnull(max(dollars, {0}), {0})"}
"""What an attempt has spent never gets less; an unknown price makes the sum unknown."""


class Pen(Reader):
    """A Reader that can write."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """BEGIN IMMEDIATE … COMMIT, or ROLLBACK when the body raises. Inside another one it is part of that one."""
        with self._lock:
            outer = self._inside()
            if not outer:
                self._all("BEGIN IMMEDIATE")
            try:
                yield
                if not outer:
                    self._all("COMMIT")
            except BaseException:
                if not outer and self._inside():
                    self._db.execute("ROLLBACK")
                raise

    def _inside(self) -> bool:
        return self._db.in_transaction

    def _bill(self, attempt: int, usage: Usage, at: float) -> None:
        """Tokens by model, where they are more than before."""
        for model, tokens in by_model(usage, self.billed(attempt) if usage.models else ()).items():
            kinds = shallow(tokens)
            grown = ", ".join(f"{kind} = max({kind}, excluded.{kind})" for kind in kinds)
            self._all(
                f"INSERT INTO bill (attempt, model, at, {', '.join(kinds)}) VALUES (?, ?, ?, ?, ?, ?, ?)"
                f" ON CONFLICT (attempt, model) DO UPDATE SET {grown}, at = max(at, excluded.at)",
                *(attempt, model, at, *kinds.values()),
            )

    def _expect(self, attempt: int, *states: str) -> Attempt:
        row = self.attempt(attempt)
        if row.state not in states:
            raise LostClaim(f"attempt {attempt} is {row.state}: its claim is over")
        return row

    def _update(self, attempt: int, values: Mapping[str, object], *states: str) -> None:
        names = ", ".join(f'"{name}" = {GROWS.get(name, "{0}").format(f"?{i}")}' for i, name in enumerate(values, 1))
        marks = ", ".join(f"?{len(values) + 2 + i}" for i in range(len(states)))
        sql = f"UPDATE attempt SET {names} WHERE attempt = ?{len(values) + 1} AND state IN ({marks}) RETURNING attempt"
        if not self._all(sql, *values.values(), attempt, *states):
            self._expect(attempt, *states)

    def _insert(self, table: str, values: Mapping[str, object]) -> int:
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" * len(values))
        with disk(self._path):
            return int(
                self._db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values())).lastrowid
                or 0
            )
