"""How a slot's workspace is lent and taken back: its cage and its way out, its transcript, and what is kept of its
session. Refuses to know when a run ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from kernelfactory import agents, workspace
from kernelfactory.agents import Agent, config
from kernelfactory.desk import Lender, Place, Terms
from kernelfactory.factory import Factory
from kernelfactory.model import Assignment, BadInput
from kernelfactory.process import end_within
from kernelfactory.progress import Plan
from kernelfactory.redact import SHORTEST, Mask
from kernelfactory.rota import FARTHEST
from kernelfactory.shifts import KEEP_SECONDS, Shift

TELLING = 3.0
"""Seconds in which an agent that tells what it spends while it works has told that after an answer."""

GATE = "KF_GATEWAY"
"""What the token of a gateway's door is called where it is masked."""


def known_secrets(folder: Path, crew: Iterable[Agent]) -> Mask:
    """The secrets of all agents that are known here, for what a dead run left: its crew may have been another one."""
    found = {name: value for agent in crew for name, value in agent.secrets.items()}
    entries = config.load(folder)
    for name, entry in entries.items():
        more = dict(config.secrets_of(entry))
        with suppress(BadInput):
            more |= agents.find(name, entries)[0].secrets
        found |= {f"{secret} of {name}": value for secret, value in more.items() if value not in found.values()}
    return Mask({name: value for name, value in found.items() if len(value.strip()) >= SHORTEST})


class Loans:
    """Workspaces of one run, on its `ground`. `say` is told what a person should know."""

    def __init__(self, factory: Factory, plan: Plan, ground: workspace.Ground, say: Callable[[str], None]) -> None:
        self._factory, self._plan, self._ground, self._say = factory, plan, ground, say
        self._rooms = factory.rooms
        self._lender = Lender(factory, factory.refuse)
        self.places = self._lender.places

    def cage(self, agent: Agent) -> str:
        """What attempts of `agent` are recorded with."""
        if agent.in_process:
            return "in-process"
        return self._ground.jail.name if self._ground.jail.holds else "none"

    @contextmanager
    def lent(self, slot: int, shift: Shift, assignment: Assignment) -> Iterator[Place]:
        """The place of an attempt, until the context ends."""
        folder, resumes = self._folder(slot, shift, assignment)
        door = {GATE: folder.reach.token} if folder.reach is not None and folder.reach.token else {}
        mask = Mask({**shift.agent.secrets, **door})
        problem = self._rooms.problem
        terms = Terms(
            editable=problem.editable,
            journal=self._factory.journal(assignment.attempt, mask),
            late="budget" if assignment.limits.seconds < self._plan.attempt_seconds else "timeout",
            goal=problem.metric.goal,
            web=problem.web,
            resumes=resumes,
            mask=mask,
        )
        with self._lender.lent(assignment, folder, terms) as place:
            self._rooms.record.lent(assignment.attempt, workspace=place.folder)
            if resumes is not None and shift.kept is not None:
                place.say("resumed", f"goes on with the session of attempt {shift.kept.attempt}")
            try:
                yield place
            finally:
                self._factory.keep(assignment.attempt, "agent.log", mask.data(bytes(place.output)))
                self._factory.written(assignment.attempt, terms.journal)
                if terms.journal.fault is not None:
                    self._say(f"attempt {assignment.attempt}: its transcript is not whole: {terms.journal.fault}")
                self._keep(shift.agent, place, folder)

    def _folder(self, slot: int, shift: Shift, assignment: Assignment) -> tuple[workspace.Workspace, str | None]:
        """The workspace of an attempt, and the session that goes on in it."""
        agent, number = shift.agent, assignment.attempt
        open_web = self._rooms.problem.web and (agent.routes or agent.hosts)
        outfit = workspace.Outfit(
            show=agent.needs,
            share=agent.shares,
            routes=agent.routes,
            hosts=("*",) if open_web else agent.hosts,
            refused=partial(self._refused, number),
            check=partial(self._may_ask, agent, number),
        )
        if shift.kept is not None:
            self._rooms.record.keep(shift.kept.attempt, None)  # it goes on once, or never
            try:
                if shift.folder is not None:
                    again = workspace.lend(assignment, self._ground, slot=slot, outfit=outfit, again=shift.folder)
                    return again, shift.kept.session
            except BadInput as gone:
                self._say(f"attempt {number}: {gone}; a new session goes on from attempt {shift.kept.attempt}")
        return workspace.lend(assignment, self._ground, slot=slot, outfit=outfit), None

    def _refused(self, attempt: int, text: str) -> None:
        """What it was refused has names in it that it chose."""
        place = self.places.get(attempt)
        self._factory.refuse(attempt, "network", (place and place.masked(text)) or "")

    def _may_ask(self, agent: Agent, attempt: int) -> str | None:
        """Why an attempt may ask its model nothing more; asked before each request."""
        place = self.places.get(attempt)
        if place and agent.streams:
            place.paid_up(TELLING)
        return "this attempt has reached a cap: hand in what you have" if place and place.end == "budget" else None

    def _keep(self, agent: Agent, place: Place, folder: workspace.Workspace) -> None:
        """Keep what a session needs to go on, where a usage limit cut it short."""
        if place.limited is not None and agent.resumes and place.known_session:
            now = self._rooms.clock()
            opens = place.limited if now < place.limited < now + FARTHEST else now
            until = opens + KEEP_SECONDS
            folder.keep(until)
            self._rooms.record.keep(place.assignment.attempt, until)

    def sweep(self) -> None:
        """Remove what dead runs of this experiment left, but for the sessions that can still be gone on with."""
        record = self._rooms.record
        kept = {Path(kept.workspace).parent.resolve(): kept.attempt for kept in record.kept(self._rooms.clock())}
        for base in workspace.leftovers(self._ground.root):
            if base.resolve() not in kept:
                end_within(str(base))
                workspace.remove(base)
        for attempt in record.homes():
            if attempt not in kept.values():
                record.keep(attempt, None)
