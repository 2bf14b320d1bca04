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
from kernelfactory.record import Kept
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


def _account(agent: Agent) -> str:
    """Whose usage limit it works under: the models of one login wait together; commands have nothing in common."""
    return agent.name if agent.resumes else spec(agent)


def spec(agent: Agent) -> str:
    """SPEC without its slots."""
    return agent.name if agent.model is None else f"{agent.name}@{agent.model}"


class Shifts:
    """The crew of a run, by SPEC (`name` or `name@model`). Thread-safe."""

    def __init__(self, rooms: Rooms, run: int, crew: Mapping[str, Agent], switching: bool) -> None:
        self._rooms, self._run, self._crew, self._switching = rooms, run, crew, switching
        self._lock = threading.Lock()
        self._busy = dict.fromkeys(crew, 0)
        self._taken: set[int] = set()
        self._capped: dict[str, str] = {}
        self._held: dict[str, str] = {}
        self._told: Callable[[str], None] = lambda text: None
        self._standings = {_account(agent): Standing(agent.name) for agent in crew.values()}
        for name, (until, why) in rooms.record.parked().items():
            self._park(name, until or 0.0, why)
        self._dice = random.Random()  # only for jitter: no choice of a parent hangs on it

    def _park(self, name: str, until: float, why: str) -> None:
        """What an earlier run left: a usage limit still holds; what a person was to see to has been seen to."""
        known = [account for account, standing in self._standings.items() if standing.name == name]
        if why == rota.LIMIT and until > self._rooms.clock() and known:
            for account in known:
                self._standings[account] = Standing(name, until=until, why=why, reset=until)
        else:
            self._rooms.record.pause(self._run, name, None)

    def listen(self, told: Callable[[str], None]) -> None:
        """Who is told, in words, what changes."""
        self._told = told

    def next(self, own: str) -> Shift | Wait:
        """The agent that works next in a slot of `own`, marked as busy until `over`; or how long there is none."""
        now = self._rooms.clock()
        with self._lock:
            crew = [key for key in self._crew if key not in self._capped and key not in self._held]
            if not crew or not (self._switching or own in crew):
                why = self._held.get(own) or self._capped.get(own) or next(iter(self._held.values()), "")
                return Wait(now + HELD_SECONDS if self._held else None, why or next(iter(self._capped.values()), ""))
            standings = {key: replace(self._standings[_account(agent)], name=key) for key, agent in self._crew.items()}
            picked = rota.pick(own, crew, standings, self._busy, now, self._switching)
            if isinstance(picked, Wait):
                return picked
            self._busy[picked] += 1
            self._open(picked, now)
            agent = self._crew[picked]
            return Shift(picked, agent, now, self._session(agent, now))

    def back(self, shift: Shift) -> None:
        """Nothing came of the shift: it was never begun."""
        with self._lock:
            self._busy[shift.key] -= 1
            if shift.kept is not None:
                self._taken.discard(shift.kept.attempt)

    def capped(self, agent: str, why: str, for_good: bool) -> None:
        """An agent's own cap is reached: it gets no more attempts, unless what runs may still give something back."""
        with self._lock:
            keys = [key for key, member in self._crew.items() if member.name == agent]
            (self._capped if for_good else self._held).update(dict.fromkeys(keys, why))

    def over(self, shift: Shift, handed: Handed) -> None:
        """Take in how an attempt ended."""
        now = self._rooms.clock()
        with self._lock:
            self._busy[shift.key] -= 1
            self._held.clear()
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
            if said.standing.until != old.until:
                self._rooms.record.pause(self._run, shift.agent.name, said.standing.until, said.standing.why)
        if said.incident is not None:
            self._note(said.incident, said.text, handed.attempt, shift.agent.name)

    def switched(self, own: str, shift: Shift, attempt: int) -> None:
        """Put on record that a slot works with another agent than its own."""
        if own != shift.key:
            why = self._standings[_account(self._crew[own])].why
            self._note("switched", f"{shift.key} works in a slot of {own} ({why or 'not free'})", attempt, shift.key)

    def _open(self, key: str, now: float) -> None:
        """An attempt begins; the first one after a wait says so."""
        agent = self._crew[key]
        account, name = _account(agent), agent.name
        said = rota.started(self._standings[account], now)
        self._standings[account] = said.standing
        if said.incident is not None:
            self._rooms.record.pause(self._run, name, None, "")
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
