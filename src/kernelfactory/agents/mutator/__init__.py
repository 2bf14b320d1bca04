"""`mutator`: the embedded agent. Edits syntax trees with dice and tries what comes out; needs no key and no network.

It knows no problem: one table of operators and weights for all of them. The search runs inside the cage; this class
only starts it there.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from kernelfactory.model import AgentFailed, BadInput, Limits, Usage

if TYPE_CHECKING:
    from kernelfactory.agents import Workplace


class Mutator:
    """The agent `mutator`. `seed` makes its dice repeatable (None: the system's)."""

    name = "mutator"
    costs_money = False
    counts_tokens = True
    network = False
    in_process = False
    needs = ()

    def __init__(self, model: str | None = None, seed: int | None = None) -> None:
        if model is not None:
            raise BadInput(f"agent mutator has no models: leave @{model} away")
        self.model = None
        self.seed = seed

    def work(self, workplace: Workplace, brief: str, limits: Limits) -> Usage:
        """One attempt's search in the workplace. Raises AgentFailed when the process ends badly."""
        del brief  # the process reads BRIEF.md
        started = time.monotonic()
        parent = str(workplace.assignment.parent)
        argv = [sys.executable, "-P", "-m", "kernelfactory.agents.mutator", "--parent", parent]
        if self.seed is not None:
            argv += ["--seed", str(self.seed + workplace.assignment.attempt)]
        done = workplace.run(argv, seconds=limits.seconds)
        usage = Usage(seconds=time.monotonic() - started)
        if done.returncode != 0 and not done.timed_out:
            last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"])[-1]
            raise AgentFailed(f"mutator ended with {done.returncode}: {last[:200]}", usage)
        return usage
