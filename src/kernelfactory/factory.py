"""The verbs on one experiment, and the life of an attempt. Opens no socket, keeps no fact of its own."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from kernelfactory import brief, budget, journal, quarantine
from kernelfactory.agents import Agent, Workplace
from kernelfactory.assay import Assay, Rooms
from kernelfactory.briefing import Briefing
from kernelfactory.journal import Journal
from kernelfactory.judge import JudgeFailed
from kernelfactory.judge.answer import Standing, agent_answer, told
from kernelfactory.model import (
    AgentFailed,
    Assignment,
    BadIntake,
    Choice,
    End,
    Files,
    Incident,
    KernelFactoryError,
    Limits,
    LostClaim,
    Measurement,
    Outcome,
    Refused,
    Trouble,
    Usage,
    UsageLimit,
    Work,
)
from kernelfactory.population import Population
from kernelfactory.record import Attempt, ClaimRow
from kernelfactory.redact import Mask
from kernelfactory.turns import Turns

LEASE_GRACE = 300.0
"""Seconds beyond an attempt's own time, or after a measurement, before its claim is reaped."""

NO_CAPS = budget.Caps()

INTERRUPTED = "its worker ended without a word"


@dataclass(frozen=True, slots=True)
class Worker:
    """Who claims: a slot of an agent. `cage` as recorded for the attempt; `limits` of one attempt; `continues`: the
    attempt whose work, cut short, it goes on with."""

    name: str
    agent: str
    model: str | None
    cage: str
    limits: Limits
    continues: int | None = None


@dataclass(frozen=True, slots=True)
class Handed:
    """What became of an attempt that was handed in. `fault`: what went wrong, in words; `unjudged`: the judge itself
    failed on what was handed in; `trouble`: what stopped the agent; `until`: when its account can be used again (epoch
    seconds)."""

    attempt: int
    outcome: Outcome
    score: float | None
    end: End
    usage: Usage = field(default_factory=Usage)
    fault: str | None = None
    unjudged: bool = False
    until: float | None = None
    trouble: Trouble | None = None


class NoMore(LostClaim):
    """No further attempt may begin now: a cap is reached, of the experiment or of one `agent`. `exit_code` is what the
    run ends with; `running` attempts may still give back what they hold in reserve."""

    def __init__(self, why: str, exit_code: int, running: int, agent: str | None = None) -> None:
        super().__init__(why)
        self.exit_code = exit_code
        self.running = running
        self.agent = agent


class Desk(Protocol):
    """The five verbs as workers see them, wherever the record is. `token` names the attempt and proves the claim."""

    def claim(self, worker: Worker) -> Assignment:
        """Choose a parent and lend it. Raises NoMore when a cap is reached."""
        ...

    def measure(self, token: str, files: Files, quick: bool = False) -> dict[str, Any]:
        """Judge a snapshot; the answer is what `kf measure --json` prints. Raises LostClaim, Refused."""
        ...

    def submit(self, token: str, work: Work) -> Handed:
        """Hand in; the best valid snapshot is the attempt's result. Raises LostClaim."""
        ...

    def abandon(self, token: str, work: Work) -> Handed:
        """Give back without judging a last snapshot; what was measured is kept. Raises LostClaim."""
        ...

    def renew(self, token: str) -> float:
        """Extend the lease; returns its new end, epoch seconds. Raises LostClaim."""
        ...

    # what a worker tells beside the verbs, while its agent works

    def spent(self, token: str, usage: Usage) -> str | None:
        """What the attempt has spent so far; why it must end now, when a cap is reached. Raises LostClaim."""
        ...

    def say(self, token: str, kind: Incident, text: str) -> None:
        """Something was done about the agent. Raises LostClaim."""
        ...

    def session(self, token: str, session: str) -> None:
        """The agent's own name of its session. Raises LostClaim."""
        ...


class Lent(Workplace, Protocol):
    """A workplace as the one who lent it sees it. `end` is set when something outside the agent ended its work;
    `abandoned` when the agent gave the attempt back; `told`: what it last said that it spent; `limited`: until when its
    account is used up, where that ended its work (0.0: it did not say)."""

    end: End | None
    abandoned: bool
    told: Usage
    limited: float | None

    def collect(self) -> tuple[Files | None, str | None]:
        """The editable files as they are now, or None and why they cannot be read."""
        ...

    def notes(self) -> str:
        """progress.md, capped; hostile text."""
        ...

    def masked(self, text: str | None) -> str | None:
        """What went wrong, known secrets taken out."""
        ...

    def billed(self, usage: Usage) -> Usage:
        """What was spent, known secrets taken out of the names in it."""
        ...


Lend = Callable[[Assignment], AbstractContextManager[Lent]]


def attempt(desk: Desk, lend: Lend, agent: Agent, worker: Worker) -> Handed:
    """The life of one attempt. Local workers, clusters and visitors differ only in who calls this, and where."""
    assignment = desk.claim(worker)  # record: the parent is chosen inside the transaction
    with lend(assignment) as workplace:  # workspace: a fresh folder, its socket, its cage
        worked = work(agent, workplace)  # agents: edits, and measures through the desk
        files, unread = workplace.collect()  # workspace: editable regular files, nothing else
        hand_in = desk.abandon if workplace.abandoned else desk.submit  # judge, then record
        fault = workplace.masked(worked.fault or unread)
        said = Work(files, workplace.notes(), workplace.billed(worked.usage), worked.end, fault)
        return replace(hand_in(assignment.token, said), until=worked.until, trouble=worked.trouble)


@dataclass(frozen=True, slots=True)
class Worked:
    """How an agent's work ended, what it cost, what went wrong, what stopped it, and until when its account is used up
    (epoch)."""

    end: End
    usage: Usage
    fault: str | None = None
    trouble: Trouble | None = None
    until: float | None = None


def work(agent: Agent, workplace: Lent) -> Worked:
    """Let the agent work."""
    began = time.monotonic()
    try:
        usage = agent.work(workplace, workplace.assignment.brief, workplace.assignment.limits)
    except UsageLimit as limit:
        workplace.limited = limit.until or 0.0
        return Worked(workplace.end or "limit", limit.usage, str(limit), "usage_limit", limit.until)
    except AgentFailed as failure:
        end: End = "budget" if failure.trouble == "budget" else "failed"
        return Worked(workplace.end or end, failure.usage, str(failure), failure.trouble)
    except Exception as fault:  # of a verb, or of the agent itself, which is to end no night
        told, seconds = workplace.told, time.monotonic() - began
        known = not agent.costs_money or (agent.streams and told.dollars)
        usage = replace(told, seconds=seconds, dollars=told.dollars if known else None)
        said = str(fault) if isinstance(fault, KernelFactoryError) else f"a fault in the agent: {fault!r}"
        return Worked(workplace.end or "failed", usage, said, "error")
    return Worked(workplace.end or "finished", usage)


@dataclass(slots=True)
class _Had:
    """What a running attempt may have of the judge, and what it has had that the record does not know. `seconds` of
    quick tries, wall."""

    limits: Limits
    measurements: int = 0
    quick: int = 0
    seconds: float = 0.0


class Factory:
    """The desk of one experiment, in the one process that writes its record. Thread-safe.

    Besides the record it holds what can be folded from it again (the population) and what dies with its attempts."""

    def __init__(self, rooms: Rooms, run: int, caps: budget.Caps = NO_CAPS) -> None:
        self.rooms = rooms
        self.run = run
        self.caps = caps
        self.deadline: float | None = None
        self.experiment = rooms.record.experiment
        self.population = Population(self.experiment.metric, self.experiment.axes, rooms.policy.islands)
        self.assay = Assay(rooms, self.population)
        self.turns = Turns(rooms.seats)
        self._had: dict[int, _Had] = {}
        self._one = threading.RLock()
        self._briefing = Briefing(self.assay)
        self.fold()

    # ── claim ────────────────────────────────────────────────────────────────────────────────────

    def claim(self, worker: Worker) -> Assignment:
        record, now = self.rooms.record, self.rooms.clock()
        self.reap(now)
        with record.transaction():
            self._refuse_beyond_caps(worker, now)
            self.fold()
            number = record.next_attempt()
            choice = self._choice(worker, number)
            assignment = self._briefing.assign(number, choice, self._limits(worker, now), self.population)
            record.claim(self._row(assignment, choice, worker, now))
            record.lent(number, brief=brief.digest(assignment.brief), prompt=self._briefing.prompt)
            self._had[number] = _Had(assignment.limits)
        self.keep(number, "brief.md", assignment.brief.encode())
        self.rooms.window("after-claim")
        return assignment

    def _choice(self, worker: Worker, number: int) -> Choice:
        """What the policy says, unless work that was cut short goes on: from its result, be it an elite or not, or else
        from the nearest that stands of those that led there."""
        record = self.rooms.record
        if worker.continues is None:
            return self.rooms.policy.choose(self.population, dice(self.experiment.seed, number))
        cut = record.attempt(worker.continues)
        parent = next((n for n in record.lineage(cut.attempt) if self._stands(record.attempt(n))), 0)
        return Choice(parent, cut.island, f"goes on with attempt {cut.attempt}, which was cut short", move="continue")

    def _stands(self, row: Attempt) -> bool:
        """May its result be a parent? What would lead must be confirmed."""
        best = self.population.best
        leads = best is None or (row.score is not None and self.experiment.metric.better(row.score, best.score))
        return row.score is not None and (row.confirmed or not leads)

    def room(self) -> None:
        """Raises NoMore when no attempt may begin any more, whoever is free for it."""
        ledger = self.rooms.record.ledger(self.rooms.clock(), self.caps)
        if (stop := budget.full(ledger)) is not None:
            raise NoMore(stop.why, stop.exit_code, len(ledger.running))

    def _refuse_beyond_caps(self, worker: Worker, now: float) -> None:
        ledger = self.rooms.record.ledger(now, self.caps)
        stop = budget.barred(ledger, worker.agent)
        if stop is not None:
            whose = worker.agent if stop.whose == "agent" else None
            raise NoMore(stop.why, stop.exit_code, len([r for r in ledger.running if whose in (None, r.agent)]), whose)

    def _limits(self, worker: Worker, now: float) -> Limits:
        if self.deadline is None:
            return worker.limits
        return replace(worker.limits, seconds=min(worker.limits.seconds, max(0.0, self.deadline - now)))

    def fold(self) -> None:
        """Take in what the record has since. What is not committed yet, nor certain to be, must not be folded."""
        with self.rooms.record.transaction():
            self.population.catch_up(self.rooms.record.events(self.population.seq))

    def _row(self, assignment: Assignment, choice: Choice, worker: Worker, now: float) -> ClaimRow:
        return ClaimRow(
            attempt=assignment.attempt,
            choice=choice,
            token=assignment.token,
            at=now,
            lease_until=now + assignment.limits.seconds + LEASE_GRACE,
            agent=worker.agent,
            worker=worker.name,
            cage=worker.cage,
            model=worker.model,
            run=self.run,
            parent_score=self.rooms.record.attempt(choice.parent).score,
            best_before=self.population.best.score if self.population.best else None,
            continues=worker.continues,
        )

    # ── measure ──────────────────────────────────────────────────────────────────────────────────

    def measure(self, token: str, files: Files, quick: bool = False) -> dict[str, Any]:
        row = self._mine(token, "measure")
        had = self._had.setdefault(row.attempt, _Had(Limits(seconds=0.0)))
        self._refuse_flood(row, had, quick)
        try:
            turn = self.turns.enter(row.attempt)
        except Refused as refused:
            self.refuse(row.attempt, "measure", str(refused))
            raise
        with turn:
            if quick:
                return self._quick(row.attempt, had, files)
            had.measurements += 1
            found = self.assay.snapshot(row.attempt, files)
        with suppress(LostClaim):  # handed in meanwhile: the measurement counts all the same
            self.rooms.record.renew(row.attempt, self._lease(row))
        self.rooms.window("before-answer")
        return self._answer(row, found)

    def _quick(self, attempt: int, had: _Had, files: Files) -> dict[str, Any]:
        had.quick += 1
        self.rooms.record.tried(attempt)
        began = time.monotonic()
        answer = self.rooms.judge.quick(files)
        had.seconds += time.monotonic() - began
        return answer

    def _refuse_flood(self, row: Attempt, had: _Had, quick: bool) -> None:
        limits = had.limits
        full = had.quick >= limits.quick if quick else had.measurements >= limits.measurements
        if full or had.seconds + self.rooms.record.judge_seconds(row.attempt) >= limits.judge_seconds:
            why = "this attempt has had all its measurements: hand in what you have"
            self.refuse(row.attempt, "measure", why)
            raise Refused(why)

    def _answer(self, row: Attempt, found: Measurement) -> dict[str, Any]:
        best_here = self.rooms.record.best_valid(row.attempt)
        best = self.population.best
        standing = Standing(
            attempt=row.attempt,
            measurement=found.number,
            best_here=told(best_here.verdict) if best_here else None,
            parent_score=self.assay.told(row.parent, row.parent_score),
            best_score=self.assay.told(best.attempt, best.score) if best else None,
        )
        return agent_answer(found.verdict, self.experiment.metric, standing)

    # ── submit, abandon, renew ───────────────────────────────────────────────────────────────────

    def submit(self, token: str, work: Work) -> Handed:
        row = self._mine(token, "submit")
        now, commit, tree, files = self.rooms.clock(), None, None, work.files
        if files is not None:
            try:
                commit, tree = self.assay.stored(row.attempt, files)
            except BadIntake as error:  # a name that no repository may hold
                files, work = None, replace(work, files=None, fault=work.fault or str(error))
        self.rooms.record.submit(row.attempt, work, now, commit=commit, tree=tree)
        self.keep(row.attempt, "progress.md", work.notes.encode("utf-8", "replace"))
        self.rooms.window("after-submit")
        return self.finish(row.attempt, files)

    def abandon(self, token: str, work: Work) -> Handed:
        row = self._mine(token, "abandon")
        self.keep(row.attempt, "progress.md", work.notes.encode("utf-8", "replace"))
        return self.settle(row, work)

    def renew(self, token: str) -> float:
        row = self._mine(token, "renew")
        until = self._lease(row)
        self.rooms.record.renew(row.attempt, until)
        return until

    # ── what is told beside the verbs ────────────────────────────────────────────────────────────

    def spent(self, token: str, usage: Usage) -> str | None:
        row, now = self._mine(token, "spent"), self.rooms.clock()
        with self.rooms.record.transaction():
            self.rooms.record.bill(row.attempt, usage, now)
            stop = budget.passed(self.rooms.record.ledger(now, self.caps), row.attempt)
        return stop.why if stop else None

    def say(self, token: str, kind: Incident, text: str) -> None:
        row = self._mine(token, "say")
        self.rooms.record.incident(kind, text, self.rooms.clock(), run=self.run, attempt=row.attempt)

    def session(self, token: str, session: str) -> None:
        self.rooms.record.session(self._mine(token, "session").attempt, session)

    def _lease(self, row: Attempt) -> float:
        return max(row.lease_until or 0.0, self.rooms.clock() + LEASE_GRACE)

    def finish(self, attempt: int, files: Files | None) -> Handed:
        """Judge what was handed in, unless it was measured already, and give the attempt its result. A measurement that
        is still running counts. When the judge itself fails, the result is what was measured before."""
        fault = None
        with self.turns.enter(attempt, patient=True):
            if files is not None and self._unmeasured(attempt, files):
                try:
                    self.assay.snapshot(attempt, files)
                except (JudgeFailed, BadIntake) as error:
                    fault = f"what was handed in could not be judged: {error}"
            with self._podium():
                self.assay.compare(attempt)
                handed = self._conclude(attempt, fault)
        self._crown(attempt)
        return handed

    def _podium(self) -> AbstractContextManager[Any]:
        """Results of timed problems one at a time: who leads was shown against who led at that moment."""
        return self._one if self.rooms.problem.measure.timed else nullcontext()

    def _unmeasured(self, attempt: int, files: Files) -> bool:
        """Was this tree not judged in this attempt yet? A parent that was never touched is not judged again either."""
        record, tree = self.rooms.record, self.assay.tree(files)
        row = record.attempt(attempt)
        seen = {found.verdict.tree for found in record.measurements(attempt)}
        unchanged = row.parent is not None and record.attempt(row.parent).tree == tree
        return tree not in seen and (bool(seen) or not unchanged)

    def _conclude(self, attempt: int, fault: str | None = None) -> Handed:
        record = self.rooms.record
        with record.transaction():
            best, row = record.best_valid(attempt), record.attempt(attempt)
            outcome = self._outcome(row, best)
            held = record.in_quarantine(attempt) if outcome == "quarantined" else []
            last = best or next(iter((*held, *reversed(record.measurements(attempt)))), None)
            record.judged(attempt, outcome, last.measurement if last else None, self.rooms.clock(), fault=fault)
            self._had.pop(attempt, None)
        self.rooms.window("after-judged")
        row = record.attempt(attempt)
        usage = Usage(row.seconds, row.tokens, row.dollars)
        score = best.verdict.score if best else None
        return Handed(attempt, outcome, score, row.end or "finished", usage, row.fault, unjudged=fault is not None)

    def _crown(self, attempt: int) -> None:
        """After an attempt is over, outside every transaction."""
        self.fold()
        best = self.rooms.record.best()
        if best is not None and best.attempt == attempt:
            self.assay.crown()

    def _outcome(self, row: Attempt, best: Measurement | None) -> Outcome:
        if best is None or best.verdict.score is None or row.parent_score is None:
            verdicts = {found.verdict.verdict for found in self.rooms.record.measurements(row.attempt)}
            if "quarantined" in verdicts:
                return "quarantined"
            return "rejected" if verdicts else "none"
        return self.assay.outcome(row, best)

    def settle(self, row: Attempt, work: Work) -> Handed:
        """The end of a claim whose last state is not judged: its best measured snapshot, if any, is its result."""
        now = self.rooms.clock()
        with self._podium():
            self.assay.compare(row.attempt)
            handed = self._settled(row, work, now)
        self._crown(row.attempt)
        return handed

    def _settled(self, row: Attempt, work: Work, now: float) -> Handed:
        record = self.rooms.record
        with record.transaction():
            if record.measurements(row.attempt):
                record.submit(row.attempt, work, now)
                return self._conclude(row.attempt)
            record.abandon(row.attempt, work, now)
            self._had.pop(row.attempt, None)
            return Handed(row.attempt, "none", None, work.end, work.usage, work.fault)

    def decide(self, word: quarantine.Word) -> list[int]:
        """A person's word on a program in quarantine, while this desk writes the record; the attempts it is about."""
        with self._podium():
            attempts = quarantine.decide(self.rooms.record, word, self.rooms.clock())
        self.fold()
        self.assay.crown()
        return attempts

    def interrupted(self, row: Attempt, notes: str = "") -> Handed:
        """Settle a claim whose worker is gone, at its last sign of life. What a paid agent had cost is what it told by
        then; where it had told nothing, that is not known."""
        record = self.rooms.record
        last = max([found.at for found in record.measurements(row.attempt)], default=row.started_at)
        dollars = None if record.untold(row.attempt) else row.dollars
        usage = Usage(max(row.seconds, last - row.started_at), row.tokens, dollars)
        if notes:
            self.keep(row.attempt, "progress.md", notes.encode("utf-8", "replace"))
        return self.settle(row, Work(None, notes, usage, "interrupted", INTERRUPTED))

    def reap(self, now: float) -> list[int]:
        """Settle claims whose lease is over; their numbers."""
        lost = []
        for row in self.rooms.record.expired(now):
            with suppress(LostClaim):  # somebody else was first
                lost.append(self.interrupted(row).attempt)
        return lost

    # ── who asks, and what is kept beside the record ─────────────────────────────────────────────

    def _mine(self, token: str, verb: str) -> Attempt:
        row, now = self.rooms.record.by_token(token), self.rooms.clock()
        if row is None:
            self.refuse(None, verb, "a token that was never given")
            raise LostClaim("this token names no attempt")
        if row.state != "claimed" or (row.lease_until or 0.0) < now or row.attempt not in self._had:
            self.refuse(row.attempt, verb, "the claim is over")
            raise LostClaim(f"the claim of attempt {row.attempt} is over: nothing more is taken for it")
        return row

    def refuse(self, attempt: int | None, verb: str, why: str) -> None:
        """Keep on record that a verb was refused."""
        self.rooms.record.refuse(attempt, verb, why, self.rooms.clock())

    def journal(self, attempt: int, mask: Mask) -> Journal:
        """The transcript of an attempt, to be written."""
        return Journal(self._transcript(attempt), mask)

    def _transcript(self, attempt: int) -> Path:
        return self.rooms.folder / "attempts" / f"{attempt:06d}" / "transcript.jsonl"

    def written(self, attempt: int, told: Journal) -> None:
        """Nothing more is said: its digest goes on record."""
        if (digest := told.close()) is not None:
            self.rooms.record.transcript(attempt, digest)

    def found(self, attempt: int) -> None:
        """The digest of a transcript whose writer was killed goes on record, if there is one."""
        if (digest := journal.digest(self._transcript(attempt))) is not None:
            self.rooms.record.transcript(attempt, digest)

    def keep(self, attempt: int, name: str, data: bytes) -> None:
        """A file for people in `attempts/NNNNNN/`; nothing is read back from there."""
        folder = self.rooms.folder / "attempts" / f"{attempt:06d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def dice(seed: int, attempt: int) -> random.Random:
    """The chance behind the choice of `attempt`, the same whenever it is asked for."""
    return random.Random(f"{seed}:{attempt}")
