"""Who works in which slot: what is known of each agent's account, kept for all slots and put on record. Refuses to
decide: `rota` does."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kernelfactory import rota
from kernelfactory.agents import Agent
from kernelfactory.assay import Rooms
from kernelfactory.factory import Handed
from kernelfactory.model import Incident
from kernelfactory.record import Kept, Member
from kernelfactory.rota import Ending, Standing, Wait

HELD_SECONDS = 5.0
"""Seconds after which an agent at its cap is asked for again, while attempts run that may give something back."""

KEEP_SECONDS = 24 * 3600.0
"""How long after its account works again the session of an attempt that was cut short may be gone on with."""


@dataclass(frozen=True, slots=True)
class Shift:
    """One attempt's worth of work: the agent `key` of the crew; `kept`: the session that it goes on with."""

    key: str
    agent: Agent
    began: float
    kept: Kept | None = None

    @property
    def folder(self) -> Path | None:
        """The base of the workspace whose session goes on."""
        return Path(self.kept.workspace).parent if self.kept is not None and self.kept.workspace else None


Parked = Mapping[Member, tuple[float | None, str]]
"""Who waits, until when (epoch seconds; None: until a person sees to it), and why."""

PROGRAMS = ("acp", "command", "scripted")
"""Kinds of agents of which SPEC names the program itself, unless agents.toml does."""


def _called(agent: Agent) -> str:
    """What its account is called: models of one name may share one, programs have nothing in common."""
    return spec(agent) if agent.entry.agent in PROGRAMS and agent.entry.path is None else agent.name


def _account(agent: Agent) -> str:
    """Whose usage limit it works under: models that one name reaches at the same service wait together."""
    return " ".join((_called(agent), *(route.upstream for route in agent.routes), *agent.hosts))


def spec(agent: Agent) -> str:
    """SPEC without its slots."""
    return agent.name if agent.model is None else f"{agent.name}@{agent.model}"


class Shifts:
    """The crew of a run, by SPEC (`name` or `name@model`); `parked`: who waits when it begins; `news`: how often
    somebody became free before his time. Thread-safe."""

    def __init__(self, rooms: Rooms, run: int, crew: Mapping[str, Agent], switching: bool, parked: Parked) -> None:
        self._rooms, self._run, self._crew, self._switching = rooms, run, crew, switching
        self._lock = threading.Lock()
        self._busy = dict.fromkeys(crew, 0)
        self._taken: set[int] = set()
        self._capped: dict[str, str] = {}
        self._held: dict[str, tuple[float, str]] = {}
        self._told: Callable[[str], None] = lambda text: None
        self.news = 0
        self._standings = {_account(agent): Standing(_called(agent)) for agent in crew.values()}
        self._dice = random.Random()  # only for jitter: no choice of a parent hangs on it
        for who, (until, why) in parked.items():
            if why == rota.LIMIT and until is not None and until > rooms.clock():
                self._park(who, until)

    def _park(self, who: Member, until: float) -> None:
        """A usage limit still holds, also for another model of the same name. What an earlier run left beside it has
        been seen to, or is tried again."""
        mine = [agent for agent in self._crew.values() if (agent.name, agent.model) == who]
        like = [agent for agent in self._crew.values() if agent.name == who[0] == _called(agent)]
        for account, agent in {_account(agent): agent for agent in mine or like}.items():
            self._standings[account] = Standing(_called(agent), until=until, why=rota.LIMIT, reset=until)
            self._rooms.record.pause(self._run, self._sharing(account), until, rota.LIMIT)

    def _sharing(self, account: str) -> list[Member]:
        """Who waits together."""
        return [(agent.name, agent.model) for agent in self._crew.values() if _account(agent) == account]

    def listen(self, told: Callable[[str], None]) -> None:
        """Who is told, in words, what changes."""
        self._told = told

    def next(self, own: str) -> Shift | Wait:
        """The agent that works next in a slot of `own`, marked as busy until `over`; or how long there is none."""
        now = self._rooms.clock()
        with self._lock:
            held = {key: why for key, (at, why) in self._held.items() if 0.0 <= now - at < HELD_SECONDS}
            crew = [key for key in self._crew if key not in self._capped and key not in held]
            standings = {key: replace(self._standings[_account(agent)], name=key) for key, agent in self._crew.items()}
            picked = rota.pick(own, crew, standings, self._busy, now, self._switching)
            if isinstance(picked, Wait):
                return self._waiting(own, picked, held, now)
            self._busy[picked] += 1
            self._open(picked, now)
            agent = self._crew[picked]
            return Shift(picked, agent, now, self._session(agent, now))

    def _waiting(self, own: str, wait: Wait, held: Mapping[str, str], now: float) -> Wait:
        """How long, with those at a cap of their own: what they may not have now they may have a moment later."""
        mine = [key for key in self._crew if self._switching or key == own]
        full = {key: held.get(key) or self._capped[key] for key in mine if key in held or key in self._capped}
        until = [when for when in (wait.until, now + HELD_SECONDS if full.keys() & held.keys() else None) if when]
        known = [wait.why] if len(full) < len(mine) else []
        return Wait(min(until, default=None), "; ".join(dict.fromkeys([*full.values(), *known])))

    def back(self, shift: Shift) -> None:
        """Nothing came of the shift: it was never begun."""
        with self._lock:
            self._busy[shift.key] -= 1
            if shift.kept is not None:
                self._taken.discard(shift.kept.attempt)

    def capped(self, agent: str, why: str, for_good: bool) -> None:
        """An agent's own cap is reached: it gets no more attempts, unless what runs may still give something back."""
        now = self._rooms.clock()
        with self._lock:
            for key in [key for key, member in self._crew.items() if member.name == agent]:
                if for_good:
                    self._capped[key] = why
                else:
                    self._held[key] = now, why

    def over(self, shift: Shift, handed: Handed) -> None:
        """Take in how an attempt ended."""
        now = self._rooms.clock()
        with self._lock:
            self._busy[shift.key] -= 1
            account = _account(shift.agent)
            old = self._standings[account]
            trouble = handed.trouble if handed.trouble is not None or not handed.unjudged else "error"
            ending = Ending(
                trouble=trouble,
                until=handed.until,
                at=now,
                seconds=now - shift.began,
                worked=handed.usage.tokens > 0 or handed.outcome != "none",
            )
            said = rota.ended(old, ending, self._dice.random())
            self._standings[account] = said.standing
            self.news += bool(self._held) or rota.free_at(said.standing, now) < rota.free_at(old, now)
            self._held.clear()
            if said.standing.until != old.until:
                self._rooms.record.pause(self._run, self._sharing(account), said.standing.until, said.standing.why)
        if said.incident is not None:
            self._note(said.incident, said.text, handed.attempt, shift.agent.name)

    def switched(self, own: str, shift: Shift, attempt: int) -> None:
        """Put on record that a slot works with another agent than its own."""
        with self._lock:
            _, full = self._held.get(own, (0.0, ""))
            why = self._capped.get(own) or full or self._standings[_account(self._crew[own])].why
        self._note("switched", f"{shift.key} works in a slot of {own} ({why or 'not free'})", attempt, shift.agent.name)

    def _open(self, key: str, now: float) -> None:
        """An attempt begins; the first one after a wait says so."""
        agent = self._crew[key]
        account, name = _account(agent), agent.name
        said = rota.started(self._standings[account], now)
        self._standings[account] = said.standing
        if said.incident is not None:
            self._rooms.record.pause(self._run, self._sharing(account), None)
            self._note(said.incident, said.text, None, name)

    def _session(self, agent: Agent, now: float) -> Kept | None:
        """A session of this agent that was cut short; the oldest first, each once."""
        if not agent.resumes:
            return None
        mine = [kept for kept in self._rooms.record.kept(now) if (kept.agent, kept.model) == (agent.name, agent.model)]
        for kept in mine:
            if kept.attempt not in self._taken:
                self._taken.add(kept.attempt)
                return kept
        return None

    def _note(self, kind: Incident, text: str, attempt: int | None, agent: str) -> None:
        record, now = self._rooms.record, self._rooms.clock()
        record.incident(kind, text, now, run=self._run, attempt=attempt, agent=agent)
        self._told(text)
