"""`mutator`: the embedded agent. Edits syntax trees with dice and tries what comes out; needs no key and no network.

It knows no problem: one table of operators and weights for all of them. The search runs inside the cage; this class
only starts it there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from kernelfactory.agents.config import NOTHING, Entry
from kernelfactory.model import AgentFailed, BadInput, Limits, Usage

if TYPE_CHECKING:
    from kernelfactory.agents import Readiness, Workplace


class Mutator:
    """The agent `mutator`. `seed` makes its dice repeatable (None: the system's)."""

    costs_money = False
    counts_tokens = True
    in_process = False
    resumes = False
    streams = True
    needs = ()
    shares = ()
    routes = ()
    hosts = ()
    secrets: Mapping[str, str] = MappingProxyType({})

    def __init__(self, model: str | None = None, entry: Entry = NOTHING, *, seed: int | None = None) -> None:
        self.name, self.entry = entry.name or "mutator", entry
        entry.only("mutator", ())
        if model is not None:
            raise BadInput(f"agent mutator has no models: leave @{model} away")
        self.model: str | None = None
        self.seed = seed

    def state(self) -> Readiness:
        """Always ready: it is part of this package."""
        from kernelfactory.agents import EMBEDDED

        return EMBEDDED

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
