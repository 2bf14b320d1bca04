"""What the record knows of scores that wait for a person, of what persons decided, and of programs timed against each
other. Refuses to decide."""

from __future__ import annotations

import math

from kernelfactory.model import Duel, Measurement
from kernelfactory.record import queries
from kernelfactory.record.asking import Asking
from kernelfactory.record.rows import Best, Decision, Fight, Held


class Suspects(Asking):
    """Questions about quarantine and duels."""

    def held(self) -> list[Held]:
        """Attempts that are over and have a program in quarantine that nobody decided on, each with its best one."""
        found: dict[int, Held] = {}
        for row in self._all(queries.HELD.format(order=self._order)):
            found.setdefault(row["attempt"], Held(**dict(row)))
        return list(found.values())

    def twins(self, tree: str) -> list[int]:
        """Attempts that are over and have this program in quarantine."""
        return [row["attempt"] for row in self._all(queries.TWINS, tree)]

    def in_quarantine(self, attempt: int) -> list[Measurement]:
        """Snapshots of an attempt that were put in quarantine, the best first."""
        rows = self._all(
            "SELECT * FROM measurement WHERE attempt = ? AND verdict = 'quarantined'"
            f" ORDER BY score {self._order}, measurement",
            attempt,
        )
        return [self._measurement(row) for row in rows]

    def held_tree(self, tree: str, ruler_digest: str, jail: str) -> Measurement | None:
        """The measurement that put this program in quarantine, by this ruler in this jail."""
        rows = self._all(queries.HELD_TREE, tree, ruler_digest, jail)
        return self._measurement(rows[0]) if rows else None

    def decided(self, tree: str) -> Decision | None:
        """What a person decided last on this program, whoever handed it in."""
        rows = self._all("SELECT * FROM decision WHERE tree = ? ORDER BY seq DESC LIMIT 1", tree)
        return Decision(**dict(rows[0])) if rows else None

    def decisions(self, attempt: int | None = None) -> list[Decision]:
        """What persons decided (on one attempt), in order."""
        rows = self._all("SELECT * FROM decision WHERE ?1 IS NULL OR attempt = ?1 ORDER BY seq", attempt)
        return [Decision(**dict(row)) for row in rows]

    # duels

    def duels(self, attempt: int | None = None) -> list[Fight]:
        """Programs timed against each other (by one attempt), in order."""
        rows = self._all("SELECT * FROM duel WHERE ?1 IS NULL OR attempt = ?1 ORDER BY duel", attempt)
        return [Fight(**dict(row)) for row in rows]

    def fought(self, tree: str, against_tree: str) -> Duel | None:
        """The last duel between two programs, as the first one's."""
        rows = self._all(
            "SELECT ratio, low, high, pairs, tree FROM duel WHERE (tree = ?1 AND against_tree = ?2)"
            " OR (tree = ?2 AND against_tree = ?1) ORDER BY duel DESC LIMIT 1",
            *(tree, against_tree),
        )
        if not rows:
            return None
        ratio, low, high, pairs, first = rows[0]
        if first == tree:
            return Duel(ratio, low, high, pairs)
        return Duel(1 / ratio, 1 / high, 1 / low if low else math.inf, pairs)

    def runner_up(self, best: Best) -> Best | None:
        """The best confirmed program of the same trust but for `best`."""
        rows = self._all(queries.RUNNER_UP.format(order=self._order), best.trust, best.tree)
        return Best(**dict(rows[0])) if rows else None

    def judge_seconds(self, attempt: int) -> float:
        """Seconds of judging that an attempt has had, its duels included."""
        row = self._one(
            "SELECT (SELECT ifnull(sum(seconds), 0.0) FROM measurement WHERE attempt = ?1)"
            " + (SELECT ifnull(sum(seconds), 0.0) FROM duel WHERE attempt = ?1) AS seconds",
            attempt,
        )
        return float(row["seconds"])
