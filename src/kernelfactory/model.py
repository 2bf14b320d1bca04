"""The nouns, frozen, and the errors named for what happened. Refuses to know clocks, files or processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Goal = Literal["min", "max"]
Kind = Literal["artefact", "function", "command"]
Trust = Literal["judged", "judged-weak", "unprotected", "self-reported"]
Ruling = Literal["accepted", "rejected", "quarantined"]
ReasonCode = Literal["wrong_answer", "malformed", "over_limit", "timeout", "crashed", "forged"]
State = Literal["claimed", "submitted", "judged", "abandoned"]
Outcome = Literal["improved", "equal", "worse", "rejected", "quarantined", "none"]
End = Literal["finished", "limit", "timeout", "interrupted", "failed", "budget"]
Trouble = Literal[
    "usage_limit",
    "rate_limit",
    "overloaded",
    "server",
    "network",
    "auth",
    "billing",
    "model",
    "config",
    "context",
    "turns",
    "budget",
    "cancelled",
    "denied",
    "stalled",
    "looping",
    "error",
]
"""What stopped an agent: its account is used up (usage_limit) or asked too often (rate_limit), its service is in
trouble (overloaded, server, network), a person must see to it (auth, billing, model, config), the task was too much for
it (context, turns, budget), it was ended (cancelled, stalled, looping), refused what it needs (denied), or else."""

Incident = Literal[
    "wind-down",
    "nudge",
    "stall",
    "loop",
    "limit",
    "parked",
    "opened",
    "switched",
    "backoff",
    "broken",
    "resumed",
    "budget",
    "overshoot",
    "secret",
]
"""What was done about an agent: told that its time ends soon, sent on, ended because it was silent or went in
circles; its limit was near or reached, its account waits (parked) and works again (opened), its slot went to another
agent, it waits because of trouble or is given up until a person looks, its session was gone on with, a cap ended it or
was passed, a secret was found in what it handed in."""

Move = Literal["seed", "select", "explore", "pivot", "migrate", "restart", "continue"]

Files = Mapping[str, bytes]
"""A folder as a value: POSIX relative path (UTF-8) to content; modes are not kept."""

TRUST_ORDER: tuple[Trust, ...] = ("self-reported", "unprotected", "judged-weak", "judged")
"""Weakest first; a lower level never replaces a higher best."""


class KernelFactoryError(Exception):
    """Whatever this package raises on purpose. `exit_code` is what a command ends with (contract: 2 is bad input)."""

    exit_code = 2


class BadInput(KernelFactoryError):
    """What was given cannot be used; the message is one line and says what to do."""


class BadProblem(BadInput):
    """A problem folder cannot be used; the message names the file, the line and the key."""


class BadIntake(BadInput):
    """A folder holds what may not be read (link, FIFO, too large, a name that is not UTF-8)."""


class LostClaim(KernelFactoryError):
    """The token names no attempt that is still open (lease over, already handed in, or never given)."""


class Refused(KernelFactoryError):
    """A verb was asked for that this caller may not have now (flood, unknown verb, somebody else's token)."""


class AgentFailed(KernelFactoryError):
    """The agent ended without doing its work; `usage` is what it had spent by then, `trouble` what stopped it."""

    def __init__(self, message: str, usage: Usage | None = None, trouble: Trouble = "error") -> None:
        super().__init__(message)
        self.usage = usage if usage is not None else Usage()
        self.trouble: Trouble = trouble


class UsageLimit(AgentFailed):
    """The agent's account is at its limit, until `until` (epoch seconds; None when it did not say)."""

    def __init__(self, message: str, until: float | None = None, usage: Usage | None = None) -> None:
        super().__init__(message, usage, "usage_limit")
        self.until = until


class Rejected(KernelFactoryError):
    """Raised by a ruler: this artefact is no valid program. `code` is one of ReasonCode; `reason` is one line
    without inputs or expected values."""

    def __init__(self, code: ReasonCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


# ── the problem ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Metric:
    """What is counted: `goal` says which way is better; `impossible`: at or beyond it a person must look;
    `reference`: published scores, by name."""

    name: str
    unit: str
    goal: Goal
    impossible: float | None = None
    reference: tuple[tuple[str, float], ...] = ()

    def better(self, a: float, b: float) -> bool:
        """Is score `a` strictly better than `b`?"""
        return a < b if self.goal == "min" else a > b

    def beyond_possible(self, score: float) -> bool:
        return self.impossible is not None and not self.better(self.impossible, score)

    def reached(self, score: float, target: float) -> bool:
        return not self.better(target, score)


@dataclass(frozen=True, slots=True)
class Produce:
    """How the jailed candidate writes its artefact to `$KF_ARTEFACT_FD`. `quick`: arguments added for a quick try.
    Sizes in bytes."""

    command: tuple[str, ...]
    seconds: float = 60.0
    memory: int = 2 << 30
    artefact_bytes: int = 32 << 20
    quick: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answering:
    """How the jailed candidate of a `function` problem answers calls. `function`: "module:name" under the seed, or a
    bare "module" whose names are called one by one; or `command`: the problem's own worker (a file of the seed that is
    not editable). `seconds` bounds one call, `memory` and `answer_bytes` are sizes in bytes, `threads` 1 forbids every
    further thread and process; `packages`: may it import what is installed beside the factory?"""

    function: str | None = None
    command: tuple[str, ...] = ()
    seconds: float = 10.0
    memory: int = 2 << 30
    answer_bytes: int = 32 << 20
    threads: int = 1
    packages: bool = False


@dataclass(frozen=True, slots=True)
class Evaluating:
    """How the user's own evaluator of a `command` problem runs, whole, in the jail: a command that runs a file of
    judge/. `jump`: a score that is better than the best by more than this factor waits for a person."""

    command: tuple[str, ...]
    seconds: float = 60.0
    memory: int = 2 << 30
    processes: int = 64
    packages: bool = False
    jump: float = 2.0


@dataclass(frozen=True, slots=True)
class Measure:
    """Which trusted function measures ("file:function" under judge/; "" for `command` problems) and on how many inputs
    (pairs of runs when `timed`; whole evaluations for an `evaluator`); `seconds` bounds one call, `memory` (bytes) the
    ruler's process. `quick`: function for a quick try; `edges`: function for the edge cases of a confirmation.

    `evaluator`: the ruler is an existing `evaluate(program_path)`, its answer's key `score` is the score. `timed`: the
    score is a speedup over the baseline, with an interval; `clock` says which time. `separate`: judge/confirm/ holds
    data that only a confirmation sees."""

    ruler: str
    screen: int = 8
    confirm: int = 64
    seconds: float = 60.0
    memory: int = 2 << 30
    quick: str | None = None
    edges: str | None = None
    evaluator: bool = False
    score: str = "combined_score"
    timed: bool = False
    clock: Literal["cpu", "wall"] = "cpu"
    separate: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """One behaviour measure with its range; diversity bins candidates along it."""

    name: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem folder, locked by the digest of everything in it. `folder` is where this copy lies;
    `task` is the text for agents; `seed` the files agents start from; `editable` globs under the seed."""

    name: str
    folder: str
    digest: str
    task: str
    seed: Files
    editable: tuple[str, ...]
    kind: Kind
    metric: Metric
    measure: Measure
    produce: Produce | None = None
    axes: tuple[Axis, ...] = ()
    private: bool = False
    web: bool = True
    answering: Answering | None = None
    evaluating: Evaluating | None = None


# ── verdicts ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Measured:
    """What a ruler answers for a valid artefact. `measures` are the behaviour axes (and may hold more numbers);
    `instruments` is JSON for the agent's eyes; `flags` are (rule, where, text) for a person's; `interval` is where a
    timed score lies, low and high."""

    score: float
    measures: Mapping[str, float] = field(default_factory=dict)
    instruments: Mapping[str, Any] = field(default_factory=dict)
    flags: tuple[tuple[str, str, str], ...] = ()
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    """A tripwire that fired: for the person and the record, never for an agent."""

    rule: str
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Ruler:
    """Which ruler made a verdict: its backend ("c", "python", …) and the digest of all that decides."""

    backend: str
    digest: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge says of one tree. `score` is None unless accepted or quarantined. `inputs` is how many inputs
    it was measured on; `confirmed` that it passed the confirmation. `seconds` is judge time, wall. `interval` is where
    a timed score lies; `screened` the score before a confirmation made it worse, where that must be told apart."""

    verdict: Ruling
    score: float | None
    problem: str
    digest: str
    tree: str
    jail: str
    trust: Trust
    ruler: Ruler
    seconds: float = 0.0
    inputs: int = 0
    confirmed: bool = False
    reason: str | None = None
    reason_code: ReasonCode | None = None
    measures: Mapping[str, float] = field(default_factory=dict)
    instruments: Mapping[str, Any] = field(default_factory=dict)
    flags: tuple[Flag, ...] = ()
    interval: tuple[float, float] | None = None
    screened: float | None = None


@dataclass(frozen=True, slots=True)
class Duel:
    """Two programs of a timed problem, timed against each other on fresh pairs: how many times faster the first is,
    and between what and what."""

    ratio: float
    low: float
    high: float
    pairs: int

    @property
    def better(self) -> bool:
        """Is the first shown to be faster?"""
        return self.low > 1.0

    @property
    def worse(self) -> bool:
        """Is the first shown to be slower?"""
        return self.high < 1.0


# ── attempts ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one model: `input` without those read from or written to its cache, `output` with reasoning."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0

    @property
    def all(self) -> int:
        return self.input + self.output + self.cache_read + self.cache_write

    def plus(self, other: Tokens) -> Tokens:
        return Tokens(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """What an agent spent. `dollars` None: unknown price, which is not zero; `models`: tokens by model, where known."""

    seconds: float = 0.0
    tokens: int = 0
    dollars: float | None = 0.0
    models: Mapping[str, Tokens] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one attempt may use: wall seconds, and of the judge so many measurements, quick tries, and wall seconds of
    judging; `dollars` and `tokens` of its agent (None: no bound). `nudges`: how often an agent that stops early is sent
    on; `silence`: seconds without a word, while no tool runs, after which it counts as stalled."""

    seconds: float
    measurements: int = 1000
    quick: int = 20_000
    judge_seconds: float = 7200.0
    dollars: float | None = None
    tokens: int | None = None
    nudges: int = 2
    silence: float = 600.0


@dataclass(frozen=True, slots=True)
class Choice:
    """What a policy decided, and why, in words. `parent` and `inspirations` are attempt numbers (0 is the seed)."""

    parent: int
    island: int
    reason: str
    move: Move = "select"
    inspirations: tuple[int, ...] = ()
    share_notes: bool = True


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the record as the population folds it, in recorded order (`seq`).

    seeded: the seed was judged (attempt 0). claimed: parent, island, move. judged: outcome, score, tree, measures,
    trust (score None: no valid program). abandoned: nothing came of it. rejudged: an old attempt's result got a new
    score (None: it no longer stands)."""

    seq: int
    kind: Literal["seeded", "claimed", "judged", "abandoned", "rejudged"]
    attempt: int
    parent: int | None
    island: int
    move: Move
    outcome: Outcome | None = None
    score: float | None = None
    tree: str | None = None
    measures: Mapping[str, float] = field(default_factory=dict)
    trust: Trust = "judged"
    confirmed: bool = False
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A judged, valid program: the result of attempt `attempt` (0: the seed)."""

    attempt: int
    score: float
    tree: str
    measures: Mapping[str, float]
    trust: Trust
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """The progress.md that attempt `attempt` left; hostile text, to be quoted only."""

    attempt: int
    outcome: Outcome
    score: float | None
    text: str
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a claim gives a worker: everything needed to lend a workspace. `files` is the seed overlaid with the
    parent's editable files; `inspirations` the editable files of other candidates, by attempt."""

    attempt: int
    token: str
    island: int
    parent: int
    parent_score: float
    best_score: float
    brief: str
    files: Files
    limits: Limits
    move: Move
    reason: str
    inspirations: Mapping[int, Files] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker hands in: editable files (None: could not be read, `fault` says why), notes, usage, the end."""

    files: Files | None
    notes: str
    usage: Usage
    end: End
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """One judged snapshot as the record holds it. `number` counts within the attempt, from 1."""

    measurement: int
    attempt: int
    number: int
    at: float
    verdict: Verdict
    commit: str | None = None
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Experiment:
    """What was asked when an experiment was made (also written to experiment.toml). `agents` are SPECs
    (`name[@model][:slots]`); `created_at` epoch seconds; `seed` drives every policy choice, never the judge."""

    name: str
    problem: str
    digest: str
    metric: Metric
    axes: tuple[Axis, ...]
    policy: str
    islands: int
    seed: int
    created_at: float
    agents: tuple[str, ...] = ()
    private: bool = False
