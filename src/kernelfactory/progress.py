"""What a run is asked for and what it shows of itself: plans, endings and views, as values. Does nothing with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kernelfactory.budget import Caps
from kernelfactory.model import Metric, Ruler, Trust, Usage

NO_CAPS = Caps()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is asked for. `agents`: SPECs; `attempt_seconds`: wall time of one attempt; `scratch`: where
    workspaces lie (None: the state folder); `unprotected`: go on without a jail. Of one attempt: `attempt_dollars`,
    `attempt_tokens` (None: no cap), `nudges`, how often an agent that stops early is sent on. `switching`: give a slot
    whose agent waits to another one."""

    agents: tuple[str, ...]
    caps: Caps = NO_CAPS
    target: float | None = None
    attempt_seconds: float = 1800.0
    unprotected: bool = False
    scratch: Path | None = None
    attempt_dollars: float | None = None
    attempt_tokens: int | None = None
    nudges: int = 2
    switching: bool = True


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended: "finished" when it reached what it was asked for, else "stopped"; the contract's exit code."""

    state: Literal["finished", "stopped"]
    why: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class IslandView:
    """An island since its last restart, as the record counts: candidates, best score, claims, and claims since it."""

    island: int
    candidates: int
    best: float | None
    visits: int
    stale: int


@dataclass(frozen=True, slots=True)
class SlotView:
    """A slot now; `doing` in a word, for `seconds` in this attempt."""

    slot: int
    agent: str
    attempt: int | None
    island: int | None
    doing: str
    seconds: float
    measurements: int
    best_here: float | None
    parent_score: float | None


@dataclass(frozen=True, slots=True)
class Progress:
    """All that a live view shows. `curve`: (seconds since the run began, best score); `left`: seconds, None: no end;
    attempts and their kin count over the whole experiment."""

    experiment: str
    problem: str
    metric: Metric
    baseline: float
    best: float | None
    best_attempt: int | None
    curve: tuple[tuple[float, float], ...]
    islands: tuple[IslandView, ...]
    slots: tuple[SlotView, ...]
    attempts: int
    improved: int
    rejected: int
    measurements: int
    attempts_per_minute: float
    spent: Usage
    elapsed: float
    left: float | None
    jail: str
    trust: Trust
    ruler: Ruler
    draining: bool
