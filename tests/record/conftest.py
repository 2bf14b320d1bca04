"""A small experiment to write into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kernelfactory.model import Axis, Choice, Experiment, Metric, Ruler, Usage, Verdict, Work
from kernelfactory.record import ClaimRow, Crew, Record, Start

EXPERIMENT = Experiment(
    name="first",
    problem="toy",
    digest="sha256:toy",
    metric=Metric("cycles", "cycles", "min", impossible=10.0, reference=(("zebra", 900.0), ("ape", 500.5))),
    axes=(Axis("load", 0.0, 1.0), Axis("alu", 0.0, 2.0)),
    policy="islands",
    islands=3,
    seed=7,
    created_at=1000.0,
    agents=("mutator", "command=./a b:2"),
    private=True,
)


class Book:
    """Writes attempts in few words; the clock is a counter."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.now = 1000.0
        self.run: int | None = None

    def tick(self) -> float:
        self.now += 1.0
        return self.now

    def verdict(self, score: float | None, tree: str = "t", **more: object) -> Verdict:
        verdict = Verdict(
            verdict="rejected" if score is None else "accepted",
            score=score,
            problem="toy",
            digest="sha256:toy",
            tree=tree,
            jail="bubblewrap",
            trust="judged",
            ruler=Ruler("c", "sha256:ruler"),
            seconds=0.5,
            inputs=8,
            measures={"load": 0.5},
            instruments={"gap": [1, 2]},
        )
        return replace(verdict, **more)  # type: ignore[arg-type]

    def start(self, **more: object) -> int:
        start = Start(60.0, "bubblewrap", "judged", "c", "sha256:ruler", crew=(Crew("mutator", None, 2),))
        self.run = self.record.start_run(replace(start, **more), self.tick())  # type: ignore[arg-type]
        return self.run

    def seed(self, score: float = 1000.0, **more: object) -> int:
        return self.record.seeded(self.verdict(score, "seed", **{"confirmed": True, **more}), self.tick(), "c0")

    def claim(self, parent: int = 0, island: int = 0, **more: object) -> int:
        number = self.record.next_attempt()
        at = self.tick()
        row = ClaimRow(
            attempt=number,
            choice=Choice(parent, island, "because"),
            token=f"token {number}",
            at=at,
            lease_until=at + 100.0,
            agent="mutator",
            worker="slot 1",
            cage="bubblewrap",
            run=self.run,
            parent_score=1000.0,
            best_before=1000.0,
        )
        self.record.claim(replace(row, **more))  # type: ignore[arg-type]
        return number

    def measure(self, attempt: int, score: float | None, tree: str | None = None, **more: object) -> int:
        verdict = self.verdict(score, tree or f"t{attempt}", **more)
        purpose = "confirm" if verdict.confirmed else "screen"
        return self.record.add_measurement(attempt, purpose, verdict, self.tick(), commit=f"c{attempt}")

    def work(self, notes: str = "", end: str = "finished", **usage: object) -> Work:
        spent = Usage(**{"seconds": 2.0, "tokens": 10, "dollars": 0.25, **usage})  # type: ignore[arg-type]
        return Work({}, notes, spent, end)  # type: ignore[arg-type]

    def whole(self, score: float | None, outcome: str = "improved", *, notes: str = "", **more: object) -> int:
        """A claim, one measurement, the verdict; `more` goes to the claim."""
        attempt = self.claim(**more)  # type: ignore[arg-type]
        measurement = self.measure(attempt, score, confirmed=score is not None)
        self.record.submit(attempt, self.work(notes), self.tick(), commit=f"c{attempt}", tree=f"t{attempt}")
        self.record.judged(attempt, outcome, measurement, self.tick())  # type: ignore[arg-type]
        return attempt


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "experiment"


@pytest.fixture
def experiment() -> Experiment:
    return EXPERIMENT


@pytest.fixture
def book(folder: Path) -> Iterator[Book]:
    with Record.create(folder, EXPERIMENT) as record:
        yield Book(record)


@pytest.fixture
def booked() -> type[Book]:
    return Book
