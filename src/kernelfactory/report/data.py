"""What a report shows, as values. Refuses to know the record, the page and the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kernelfactory.model import Metric, Ruler, Trust


@dataclass(frozen=True, slots=True)
class Row:
    """One attempt. `started` and `at` are seconds of running (`at`: when its result came, None while it has none);
    `delta` is score minus the parent's score; `dollars` None: unknown price; `reason` is the policy's, `fault` what
    was wrong with the result."""

    attempt: int
    parent: int | None
    island: int
    outcome: str
    score: float | None = None
    delta: float | None = None
    agent: str = ""
    model: str | None = None
    state: str = "judged"
    started: float = 0.0
    at: float | None = None
    seconds: float = 0.0
    dollars: float | None = 0.0
    tokens: int = 0
    judge_seconds: float = 0.0
    measurements: int = 0
    move: str = "select"
    reason: str = ""
    fault: str = ""
    end: str | None = None
    cage: str | None = None
    commit: str | None = None
    flags: int = 0
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Spend:
    """What attempts cost together; `unpriced` of them have no known price: where it is not 0, `dollars` is a lower
    bound. `seconds` are the agents', `judge_seconds` those of every measurement."""

    attempts: int = 0
    dollars: float = 0.0
    unpriced: int = 0
    tokens: int = 0
    seconds: float = 0.0
    judge_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """A new best: from `at` (seconds) on, by `attempt` (0: the seed), with what had been spent by then."""

    at: float
    attempt: int
    score: float
    spend: Spend = Spend()


@dataclass(frozen=True, slots=True)
class Diff:
    """The best program against the seed: `text` is a unified diff, or None with the reason in words."""

    text: str | None
    hidden: str = "There is no better program than the seed yet."


@dataclass(frozen=True, slots=True)
class ReportData:
    """One experiment as the page shows it. `caps` are (name, value) in words; `created_at` epoch seconds; `elapsed`
    seconds of running; `notes` hostile text by attempt; `baseline` the seed's score, None before it was judged; `steps`
    each new best in order, the seed first; `waiting` results are for a person to decide on; `released`: (attempt, who
    released it from quarantine)."""

    name: str
    problem: str
    digest: str
    metric: Metric
    created_at: float
    state: str
    why: str | None = None
    private: bool = False
    with_code: bool = False
    policy: str = ""
    islands: int = 1
    seed: int | None = None
    agents: tuple[str, ...] = ()
    caps: tuple[tuple[str, str], ...] = ()
    trust: Trust | None = None
    jail: str | None = None
    rulers: tuple[Ruler, ...] = ()
    elapsed: float = 0.0
    baseline: float | None = None
    steps: tuple[Step, ...] = ()
    spend: Spend = Spend()
    rows: tuple[Row, ...] = ()
    notes: Mapping[int, str] = field(default_factory=dict)
    diff: Diff = Diff(None)
    waiting: int = 0
    released: tuple[tuple[int, str], ...] = ()
