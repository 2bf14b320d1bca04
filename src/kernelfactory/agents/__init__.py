"""Agents: whoever works on a program in a lent folder; one small protocol, one file an agent. Knows no record."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from kernelfactory.agents.config import Entry
from kernelfactory.gateway import Route
from kernelfactory.model import Assignment, BadInput, Goal, Incident, Limits, Usage
from kernelfactory.pipes import Talk
from kernelfactory.process import Finished
from kernelfactory.view import Pair

GROUP = "kernelfactory.agents"
_SPEC = re.compile(r"(?P<name>[A-Za-z][\w-]*)(?:@(?P<model>.+?))?(?::(?P<slots>\d{1,9}))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the attempt stands with the judge: its measurements, the best of them (None: no valid one), which way is
    better, whether it was handed in, and whether one is `measuring`: it waits for its turn, or is judged."""

    measured: int = 0
    best: float | None = None
    goal: Goal = "min"
    handed: bool = False
    measuring: bool = False


class Workplace(Protocol):
    """The lent folder as an agent sees it. `cage` is "bubblewrap", "landlock", "none" (uncaged) or "in-process".

    `home`: its throw-away home, as its processes see it. `gateway`: where the agent's routes are reached from inside,
    "http://127.0.0.1:PORT" (the route NAME lies below /NAME), "" when it has none. `web`: may it look
    things up on the open web? `resumes`: the session that may be resumed here, whose home and folder these are; None: a
    new one."""

    folder: str
    assignment: Assignment
    cage: str
    home: str
    gateway: str
    web: bool
    resumes: str | None

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        seconds: float | None = None,
        on_line: Callable[[str], None] | None = None,
        talk: Talk | None = None,
    ) -> Finished:
        """Run a process in the cage, with the folder as its working directory, until it ends, `seconds` pass, `talk` is
        over or the attempt is stopped; its whole process tree is gone afterwards. `env` is added to a scrubbed
        environment. With `talk`, each line of stdout is also added to the attempt's transcript, secrets taken out."""
        ...

    def measure(self, quick: bool = False) -> dict[str, Any]:
        """The verb `measure` on the folder as it is now: the same answer that `kf measure --json` prints.

        Raises Refused or LostClaim (nothing was judged) and BadIntake (the folder cannot be read)."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Write a file of the agent's home (folders are made), as the user that its processes run as."""
        ...

    def transcribe(self, line: str) -> None:
        """Add a line to the attempt's transcript, for agents that run no process of their own."""
        ...

    def spent(self, usage: Usage) -> bool:
        """What this attempt has spent so far, all told: recorded, and held against every cap. False: it has reached
        one; its work is being ended, so start nothing more."""
        ...

    def say(self, kind: Incident, text: str) -> None:
        """Put on record what was done about the agent, and why."""
        ...

    def standing(self) -> Standing:
        """How it stands with the judge now."""
        ...

    def session(self, session: str) -> None:
        """The agent's own name of its session, as soon as it is known: what a later attempt may resume."""
        ...


@dataclass(frozen=True, slots=True)
class Readiness:
    """What `kf doctor` says of an agent. `installed`: its program, None when it is not there; `version`, `range`: the
    one found, those known to work; `login`: how it is logged in, None when it is not; `ready`: would a run work;
    `bound`: by how much it can pass a cap, in words; `advice`: what to do when it is not ready, or to do better."""

    ready: bool
    installed: str | None = None
    version: str | None = None
    range: str = ""
    login: str | None = None
    bound: str = ""
    advice: str = ""


EMBEDDED = Readiness(True, installed="part of this package", login="needs none", bound="costs nothing")


class Agent(Protocol):
    """Works on one attempt at a time per slot; one object may serve several slots at once (threads).

    `name`: what SPEC calls it, and whose login and usage limit it works under. `model` is what SPEC says after "@".
    `costs_money`: never started without a cap. `counts_tokens`: its Usage says how many it used. `in_process`: it
    starts no process, so needs no cage. `resumes`: can it go on with a session of an attempt that was cut short?
    `streams`: its usage is known while it works, so that it passes a cap by one model request at most.
    `needs`: files and folders that its cage must show (read-only, at their own paths): its program, say; `shares`:
    (source, place) that it may write, a login of its own, say. `routes`: how its model is reached, a key that the cage
    never sees added on the way; `hosts`: what else it may reach, by name, over TLS ("*": all of the public network);
    empty both: no network. `secrets`: values by name that must be in no file that we write. `entry`: what agents.toml
    says of it."""

    name: str
    model: str | None
    costs_money: bool
    counts_tokens: bool
    in_process: bool
    resumes: bool
    streams: bool
    needs: Sequence[str]
    shares: Sequence[Pair]
    routes: Sequence[Route]
    hosts: Sequence[str]
    secrets: Mapping[str, str]
    entry: Entry

    def state(self) -> Readiness:
        """Can it work here? Asked without spending anything, by `kf doctor` and `--agent auto`."""
        ...

    def work(self, workplace: Workplace, brief: str, limits: Limits) -> Usage:
        """Edit the files in `workplace.folder`, keep `progress.md`, and say what it cost.

        Raises AgentFailed (it could not work) or UsageLimit (its account is used up until a time)."""
        ...


class Spec(NamedTuple):
    """SPEC taken apart: `name[@model][:slots]`; slots None where it says none."""

    name: str
    model: str | None
    slots: int | None


def parse(spec: str) -> Spec:
    """Take SPEC apart.

    Raises BadInput when it does not read as `name[@model][:slots]` or asks for no slot at all."""
    found = _SPEC.fullmatch(spec.strip())
    if found is None:
        raise BadInput(f"agent {spec!r}: write it as name[@model][:slots], e.g. mutator:2 or command@./agent.sh")
    slots = int(found["slots"]) if found["slots"] is not None else None
    if slots is not None and not 1 <= slots <= 1000:
        raise BadInput(f"agent {spec!r}: slots must be between 1 and 1000")
    return Spec(found["name"], found["model"], slots)


def known() -> list[str]:
    """Names of the agents that are installed."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def find(spec: str, entries: Mapping[str, Entry] = MappingProxyType({})) -> tuple[Agent, int]:
    """The agent that SPEC names and its number of slots (1 where it says none), as `entries` (of agents.toml) have it.

    Raises BadInput for an unknown name, or from the agent itself when the model part makes no sense to it."""
    name, model, slots = parse(spec)
    entry = entries.get(name) or Entry(name=name, agent=name)
    for point in entry_points(group=GROUP, name=entry.agent):
        agent: Agent = point.load()(model if model is not None else entry.model, entry)
        return agent, slots or 1
    if name in entries:
        raise BadInput(
            f"agents.toml: [{name}]: agent = {entry.agent!r} is no kind of agent; known: {', '.join(known())}"
        )
    names = ", ".join(sorted({*known(), *entries}))
    raise BadInput(f"agent {name!r} is not known here; known: {names}")
