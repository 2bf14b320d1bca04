"""The shop floor of one run: slots that live attempts, one after the other, until the run is to end. Refuses to choose
parents, to judge, and to write the record: all that goes through the factory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from kernelfactory import budget, recovery, workspace
from kernelfactory.agents import Agent
from kernelfactory.assay import Rooms
from kernelfactory.desk import Place
from kernelfactory.factory import Factory, Handed, NoMore, Worker, attempt
from kernelfactory.files import free_bytes
from kernelfactory.hearing import Signals, control
from kernelfactory.lending import Loans, known_secrets
from kernelfactory.model import Assignment, BadInput, KernelFactoryError, Limits, LostClaim, Metric
from kernelfactory.opening import going_on, opened
from kernelfactory.progress import Ending, IslandView, Plan, Progress, SlotView
from kernelfactory.rota import Wait
from kernelfactory.shifts import Shift, Shifts, spec

TICK = 0.25
"""Seconds between two looks at the clock, the caps and the target."""

FLOOR_BYTES = 128 << 20
"""Free space under which a run drains."""

PACK_EVERY = 2000
"""Attempts between two packings of the repository."""

SILENCE = 600.0
"""Seconds without a word, while no tool runs, after which an agent counts as stalled."""

REST = 60.0
"""Seconds after which a slot that has no agent asks again, at the latest."""

ROOM = 5.0
"""Seconds after which a slot asks again whether running attempts have given back what they held."""


@dataclass(frozen=True, slots=True)
class End:
    """Why a run ends. `now`: running attempts are cut short, what they have is collected and judged."""

    why: str
    exit_code: int = 0
    state: Literal["finished", "stopped"] = "stopped"
    now: bool = False


@dataclass(slots=True)
class Slot:
    """One slot: it lives attempts by the agent that it is for, `own` (a SPEC), or by another while that one waits; the
    last was by `key`. `began`: monotonic seconds; `hopeless`: no agent will ever be free for it."""

    number: int
    own: str
    agent: Agent
    key: str
    attempt: int | None = None
    island: int | None = None
    began: float = 0.0
    idle: str = "starting"
    hopeless: bool = False


class Floor:
    """The shop floor of one run: its slots, and the first reason it has to end."""

    def __init__(self, rooms: Rooms, plan: Plan, crew: Sequence[tuple[Agent, int]], ground: workspace.Ground) -> None:
        self._rooms = rooms
        self._crew = [agent for agent, _ in crew]
        self._plan = plan = going_on(rooms.record, plan)
        caps = plan.caps
        for agent, _ in crew:
            if said := budget.needs_cap(agent.name, agent.costs_money, caps, agent.counts_tokens):
                raise BadInput(said)
        self._started = time.monotonic()
        parked = rooms.record.parked()
        run = rooms.record.start_run(opened(rooms, plan, crew), rooms.clock())
        self.factory = Factory(rooms, run, caps)
        if caps.seconds is not None:  # what earlier runs took counts; the time between them does not
            self.factory.deadline = rooms.clock() + caps.seconds - rooms.record.hours(rooms.clock()) * 3600.0
        seats = [(spec(agent), agent) for agent, slots in crew for _ in range(slots)]
        self.slots = [Slot(number, key, agent, key) for number, (key, agent) in enumerate(seats)]
        self._shifts = Shifts(rooms, run, dict(seats), plan.switching, parked)
        self._shifts.listen(self.message)
        self._loans = Loans(self.factory, plan, ground, self.message)
        self._ground = ground
        self._end: End | None = None
        self._fault: Exception | None = None
        self._heard = 0
        self._packing = threading.Thread()
        self._say: Callable[[str], None] = lambda text: None
        self._show: Callable[[Progress], None] = lambda progress: None
        self._signals = Signals()
        self._changed = threading.Condition()
        self._outcomes = rooms.record.outcomes()
        self._ended = 0
        self._islands: tuple[float, tuple[IslandView, ...]] = (0.0, ())

    # ── one slot ─────────────────────────────────────────────────────────────────────────────────

    def _work(self, slot: Slot) -> None:
        """A slot's thread: attempts, one after the other. Whatever goes wrong that no attempt explains ends the run."""
        try:
            while self._end is None:
                self._one(slot)
        except Exception as fault:
            self._fault = self._fault or fault
            self.end(End("a fault", 1, now=True))
        finally:
            slot.idle = "done"
            slot.attempt = None
            with self._changed:
                self._changed.notify_all()

    def _one(self, slot: Slot) -> None:
        slot.began, slot.idle = time.monotonic(), "claiming"
        news, shift = self._shifts.news, self._shifts.next(slot.own)
        if isinstance(shift, Wait):
            self._idle(slot, shift, news)
            return
        slot.agent, handed = shift.agent, None
        try:
            handed = attempt(self.factory, partial(self._lent, slot, shift), shift.agent, self._worker(slot, shift))
        except NoMore as full:
            self._full(full, slot)
        except LostClaim as lost:
            self.message(f"slot {slot.number}: {lost}")
        finally:
            slot.attempt = None
            if handed is None:
                self._shifts.back(shift)
        if handed is not None:
            self._note(shift.agent, handed)
            self._shifts.over(shift, handed)
            with self._changed:  # somebody may be free now
                self._changed.notify_all()

    def _idle(self, slot: Slot, wait: Wait, news: int) -> None:
        """No agent is free for this slot. That is not waited for when a cap has left nothing to do."""
        try:
            self.factory.room()
        except NoMore as full:
            self._full(full, slot)
        else:
            self._rest(slot, wait, news)

    def _rest(self, slot: Slot, wait: Wait, news: int) -> None:
        """No agent is free for this slot: until one is, or for good, when none is left for any slot. `news`: what was
        known of them."""
        with self._changed:
            slot.idle, slot.hopeless = wait.why, wait.until is None
            lost = all(other.hopeless for other in self.slots)
        if lost:
            self.end(End(f"no agent is left: {wait.why}", 3))
        now = self._rooms.clock()
        left = REST if wait.until is None else min(REST, max(wait.until - now, 0.0))
        self._wait(left, lambda: self._shifts.news != news)
        slot.hopeless = False

    def _worker(self, slot: Slot, shift: Shift) -> Worker:
        agent, plan = shift.agent, self._plan
        entry = agent.entry
        own = budget.AttemptCaps(entry.attempt_dollars, entry.attempt_tokens)
        each = own.within(budget.AttemptCaps(plan.attempt_dollars, plan.attempt_tokens))
        limits = Limits(
            seconds=plan.attempt_seconds,
            dollars=each.dollars,
            tokens=each.tokens,
            nudges=plan.nudges if entry.nudges is None else entry.nudges,
            silence=entry.silence or SILENCE,
        )
        return Worker(
            name=f"slot {slot.number}",
            agent=agent.name,
            model=agent.model,
            cage=self._loans.cage(agent),
            limits=limits,
            continues=shift.kept.attempt if shift.kept is not None else None,
        )

    @contextmanager
    def _lent(self, slot: Slot, shift: Shift, assignment: Assignment) -> Iterator[Place]:
        slot.attempt, slot.island = assignment.attempt, assignment.island
        if shift.key not in (slot.own, slot.key):  # told once, not with each attempt
            self._shifts.switched(slot.own, shift, assignment.attempt)
        slot.key = shift.key
        with self._loans.lent(slot.number, shift, assignment) as place:
            if self._end is not None and self._end.now:
                place.stop("interrupted")
            yield place

    def _full(self, full: NoMore, slot: Slot) -> None:
        """A cap: the end, unless running attempts may still give back what they hold, or it is one agent's alone."""
        slot.idle = "waiting for what running attempts hold"
        if full.agent is not None:
            self._shifts.capped(full.agent, str(full), for_good=not full.running)
            return
        if full.exit_code == 3 and full.running:
            before = self._ended
            self._wait(ROOM, lambda: self._ended != before)
            return
        self.end(End(str(full), full.exit_code, "finished" if full.exit_code == 0 else "stopped"))

    def _wait(self, seconds: float, enough: Callable[[], bool] = lambda: False) -> None:
        self._rooms.wait(self._changed, lambda: self._end is not None or enough(), seconds)

    def _note(self, agent: Agent, handed: Handed) -> None:
        """Count it, and say what a person wants to know."""
        with self._changed:
            self._ended += 1
            self._outcomes[handed.outcome] = self._outcomes.get(handed.outcome, 0) + 1
            ended = self._ended
            self._changed.notify_all()
        if handed.end == "failed" or handed.unjudged:
            self.message(f"attempt {handed.attempt} by {agent.name}: {handed.fault}")
        if ended % PACK_EVERY == 0 and not self._packing.is_alive():
            self._packing = threading.Thread(target=self._pack, name="pack")
            self._packing.start()

    def _pack(self) -> None:
        """Beside the slots: what is not packed now is packed next time."""
        try:
            self._rooms.trees.pack()
        except KernelFactoryError as fault:
            self.message(f"the programs were not packed: {fault}")

    # ── the run ──────────────────────────────────────────────────────────────────────────────────

    def end(self, why: End) -> None:
        """Let the run end; the first reason stays, but a later one may cut short what drains."""
        with self._changed:
            first = self._end or why
            self._end = replace(first, now=first.now or why.now)
            self._changed.notify_all()
        if why.now:
            for place in list(self._loans.places.values()):
                place.stop("budget" if why.state == "finished" or why.exit_code == 3 else "interrupted")

    def _interrupted(self) -> None:
        """Ctrl-C: drain; the second time cut short."""
        if self._heard == 1:
            self.message("draining: running attempts end, no new one begins (again: cut them short)")
            self.end(End("interrupted", 130))
        else:
            self.message("cutting running attempts short; what they measured is kept")
            self.end(End("interrupted", 130, now=True))

    def stop(self, now: bool) -> None:
        """`kf stop`."""
        self.message("asked to stop" + (" now" if now else ": draining"))
        self.end(End("asked to stop", 0, now=now))

    def run(self, on_progress: Callable[[Progress], None], on_message: Callable[[str], None]) -> Ending:
        self._show, self._say = on_progress, on_message
        with Signals() as signals, control(self._rooms.folder, self.stop, self.factory.decide):
            self._signals = signals
            try:
                self._follow(recovery.recover(self.factory, known_secrets(self._rooms.folder, self._crew)))
                self._loans.sweep()
                self._follow(recovery.under_this_ruler(self.factory))
                self._watch()
                if self._ended:
                    self._follow(recovery.stand_by_best(self.factory))
            except BaseException as fault:
                self._rooms.record.end_run(self.factory.run, "stopped", f"a fault: {fault}", self._rooms.clock())
                raise
            return self._close()

    def _follow(self, steps: recovery.Steps) -> None:
        """Go through what is to be judged again; a second signal ends it early."""
        for said in steps:
            self._hear()
            if said is not None:
                self.message(said)
            if self._end is not None and self._end.now and self._heard:
                break

    def _hear(self) -> None:
        while self._heard < self._signals.count:
            self._heard += 1
            self._interrupted()

    def _watch(self) -> None:
        """Slots at work until the last one is done; whatever happens here, none goes on unseen."""
        threads = [threading.Thread(target=self._work, args=(slot,), name=f"slot {slot.number}") for slot in self.slots]
        try:
            self._look()
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                self._hear()
                self._look()
                with self._changed:
                    self._changed.wait(TICK)
        except BaseException:
            self.end(End("a fault", 1, now=True))
            raise
        finally:
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
            if self._packing.is_alive():
                self._packing.join()
        if self._fault is not None:
            raise self._fault

    def message(self, text: str) -> None:
        """Tell whoever watches; when nobody does any more, the run goes on unwatched."""
        try:
            self._say(text)
        except BrokenPipeError:
            self._say = lambda text: None

    def _shown(self) -> None:
        try:
            self._show(self.progress())
        except BrokenPipeError:
            self._show = lambda progress: None

    def _look(self) -> None:
        """What the clock, the disk and the target say."""
        self.factory.reap(self._rooms.clock())
        deadline, best = self.factory.deadline, self._rooms.record.best()
        if deadline is not None and self._rooms.clock() >= deadline:
            self.end(End("the time is up", 0, "finished", now=True))
        if self._plan.target is not None and best and self._metric.reached(best.score, self._plan.target):
            self.end(End(f"the target {self._plan.target:,.10g} is reached", 0, "finished", now=True))
        for folder in (self._rooms.folder, self._ground.root):
            if free_bytes(folder) < FLOOR_BYTES:
                self.end(End(f"less than {FLOOR_BYTES >> 20} MiB are free at {folder}: free some, then kf resume", 3))
        self._shown()

    @property
    def _metric(self) -> Metric:
        return self._rooms.problem.metric

    def _close(self) -> Ending:
        self.factory.reap(self._rooms.clock())  # whose lease was over when it handed in
        end = self._end or End("no slot is left", 3)
        if not self._ended and end.state == "finished":
            end = replace(end, why=f"nothing was left to do: {end.why}")
        best, target = self._rooms.record.best(), self._plan.target
        missed = target is not None and not (best and self._metric.reached(best.score, target))
        if end.exit_code == 0 and missed:
            end = replace(end, exit_code=1, why=f"{end.why}; the target {target:,.10g} is not reached")
        self._overshot()
        self._rooms.record.end_run(self.factory.run, end.state, end.why, self._rooms.clock())
        self._shown()
        return Ending(end.state, end.why, end.exit_code)

    def _overshot(self) -> None:
        """Say by how much a cap was passed, if one was."""
        record, now = self._rooms.record, self._rooms.clock()
        ledger = record.ledger(now, self.factory.caps)
        whole = {"the experiment": (ledger.caps, ledger.spend)}
        for whose, (caps, spend) in {**whole, **{n: (a.caps, a.spend) for n, a in ledger.accounts.items()}}.items():
            if (said := budget.overshoot(caps, spend)) is not None:
                record.incident("overshoot", f"{whose}: {said}", now, run=self.factory.run)
                self.message(f"{whose}: {said}")

    # ── what is shown ────────────────────────────────────────────────────────────────────────────

    def progress(self) -> Progress:
        """All of it, now."""
        record, rooms = self._rooms.record, self._rooms
        now, best, spent = rooms.clock(), record.best(), record.spent()
        elapsed = time.monotonic() - self._started
        curve = record.curve()
        first = curve[0].at if curve else now
        deadline = self.factory.deadline
        return Progress(
            experiment=rooms.folder.name,
            problem=rooms.problem.name,
            metric=self._metric,
            baseline=record.baseline() or 0.0,
            best=best.score if best else None,
            best_attempt=best.attempt if best else None,
            curve=tuple((point.at - first, point.score) for point in curve),
            islands=self._views(),
            slots=tuple(self._view(slot) for slot in self.slots),
            attempts=spent.attempts,
            improved=self._outcomes.get("improved", 0),
            rejected=self._outcomes.get("rejected", 0),
            measurements=spent.measurements,
            attempts_per_minute=60.0 * self._ended / max(elapsed, 1.0),
            spent=spent.usage,
            elapsed=elapsed,
            left=None if deadline is None else max(0.0, deadline - now),
            jail=rooms.judge.jail_name,
            trust=rooms.judge.trust,
            ruler=rooms.judge.ruler,
            draining=self._end is not None,
        )

    def _views(self) -> tuple[IslandView, ...]:
        """The islands as `kf status` shows them, looked at once a second."""
        at, views = self._islands
        if not views or time.monotonic() - at >= 1.0:
            rows = self._rooms.record.islands()
            views = tuple(IslandView(r.island, r.candidates, r.best, r.visits, r.stale) for r in rows)
            self._islands = (time.monotonic(), views)
        return views

    def _view(self, slot: Slot) -> SlotView:
        place = self._loans.places.get(slot.attempt or -1)
        return SlotView(
            slot=slot.number,
            agent=slot.agent.name,
            attempt=slot.attempt,
            island=slot.island if slot.attempt is not None else None,
            doing=place.doing if place else slot.idle,
            seconds=time.monotonic() - slot.began,
            measurements=place.measurements if place else 0,
            best_here=place.best_here if place else None,
            parent_score=place.assignment.parent_score if place else None,
        )
