"""Policies at equal spend: the embedded agent on vliw_tree, the same seconds and slots for each, seeds in turn.

What the factory adds over one agent alone is the last column: each policy's cycles over those of `lone` (one lineage,
no shared notes). `KF_POLICIES=seconds,seeds` changes the sizes; the figures are of that budget and no other."""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from kernelfactory import problem, workers
from kernelfactory.budget import Caps
from kernelfactory.experiment import Settings
from kernelfactory.record import Reader
from kernelfactory.workers import Plan

SECONDS, SEEDS = map(int, os.environ.get("KF_POLICIES", "60,3").split(","))
POLICIES = ("islands", "greedy", "uniform", "lone")


def one(folder: Path, policy: str, seed: int) -> float:
    """Best cycles after SECONDS on 2 slots."""
    found = problem.load(problem.find("vliw_tree"))
    workers.make(folder, found, Settings(("mutator:2",), policy, 3, seed))
    workers.run(folder, Plan(("mutator:2",), Caps(seconds=float(SECONDS)), scratch=folder.parent / "scratch"))
    with Reader.open(folder) as reader:
        best = reader.best()
        assert best is not None
        return best.score


def main() -> dict[str, Any]:
    scores: dict[str, list[float]] = {policy: [] for policy in POLICIES}
    with tempfile.TemporaryDirectory() as name:
        for seed in range(SEEDS):
            for policy in POLICIES:
                scores[policy].append(one(Path(name) / f"{policy}-{seed}", policy, seed))
                print(f"policies: seed {seed}, {policy}: {scores[policy][-1]:,.0f} cycles")
    alone = statistics.median(scores["lone"])
    for policy, found in scores.items():
        middle = statistics.median(found)
        print(f"policies: {policy}: median {middle:,.0f} cycles of {SEEDS} seeds, {middle / alone:.2f} x lone")
    return {"seconds": SECONDS, "cycles": scores}


if __name__ == "__main__":
    main()
