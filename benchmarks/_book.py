"""Makes records of any size through the ordinary verbs, many to a transaction. Measures nothing."""

from __future__ import annotations

import os
import random
import statistics
import time
from dataclasses import replace
from pathlib import Path

from kernelfactory.model import Axis, Choice, Experiment, Measurement, Metric, Ruler, Usage, Verdict, Work
from kernelfactory.record import ClaimRow, Crew, Record, Start

EXPERIMENT = Experiment(
    "made up", "toy", "sha256:toy", Metric("cycles", "cycles", "min"), (Axis("load", 0.0, 1.0),), "islands", 3, 1, 0.0
)
START = Start(60.0, "bubblewrap", "judged", "c", "sha256:ruler", crew=(Crew("mutator", None, 2),))
INSTRUMENTS = {
    "engines": {name: {"slots": 1000, "floor": 500, "gap": 1.5} for name in ("alu", "valu", "load", "store")}
}


class Writer:
    """Attempts as a run writes them: claim, two measurements, work handed in, verdict; one in fifty is better.

    With `like`, the seed's verdict and commit in a record that is there, attempts name that commit and are better than
    it; without, the record is new and its trees are made up."""

    def __init__(self, folder: Path, like: Measurement | None = None) -> None:
        self.like = like
        self.record = Record.open(folder) if like else Record.create(folder, EXPERIMENT)
        self.run = self.record.start_run(START, time.time())
        self.dice = random.Random(5)
        self.best = like.verdict.score or 0.0 if like else 1e6
        if like is None:
            self.record.seeded(self._verdict(1e6, "seed", True), time.time(), "0" * 40)

    def _verdict(self, score: float, tree: str, confirmed: bool) -> Verdict:
        if self.like is not None:
            measured = {name: self.dice.random() for name in self.like.verdict.measures}
            return replace(self.like.verdict, score=score, tree=tree, confirmed=confirmed, measures=measured)
        return Verdict(
            *("accepted", score, "toy", "sha256:toy", tree, "bubblewrap", "judged", Ruler("c", "sha256:ruler")),
            *(0.01, 8, confirmed),
            measures={"load": self.dice.random()},
            instruments=INSTRUMENTS,
        )

    def attempt(self) -> int:
        record, now, dice = self.record, time.time(), self.dice
        number = record.next_attempt()
        parent, better = max(0, number - 1 - dice.randrange(50)), number % 50 == 0
        choice = Choice(parent, number % 3, f"scaled score of {parent}, visited 3 times, drawn with weight 0.25")
        token = f"{dice.getrandbits(192):048x}"
        record.claim(
            ClaimRow(number, choice, token, now, now + 60, "mutator", "slot 1", "bubblewrap", None, self.run, 1e6, 1e6)
        )
        self.best -= better
        for score in (self.best + 5.0, self.best + (0.0 if better else 1.0)):
            tree = f"{dice.getrandbits(160):040x}"
            verdict = self._verdict(score, tree, better)
            commit = self.like.commit if self.like else tree
            measurement = record.add_measurement(number, "screen", verdict, now, commit=commit)
        work = Work({}, "I moved a statement out of the loop. " * 10, Usage(0.5, 0, 0.0), "finished")
        record.submit(number, work, now, commit=commit, tree=tree)
        record.judged(number, "improved" if better else "worse", measurement, now)
        return number

    def fill(self, count: int) -> None:
        """Up to `count` attempts."""
        while (number := self.record.next_attempt()) <= count:
            with self.record.transaction():
                for _ in range(min(2000, count + 1 - number)):
                    self.attempt()


def fsync_ms(folder: Path, times: int = 50) -> float:
    """What the disk takes to keep 4 KiB, milliseconds, median: the floor under every durable step."""
    took = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(os.urandom(4096))
            begin = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - begin)
    return statistics.median(took) * 1000
