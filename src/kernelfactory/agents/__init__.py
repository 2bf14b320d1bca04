"""Agents: whoever works on a program in a lent folder; one small protocol, one file an agent. Knows no record."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any, NamedTuple, Protocol

from kernelfactory.model import Assignment, BadInput, Limits, Usage
from kernelfactory.process import Finished

GROUP = "kernelfactory.agents"
_SPEC = re.compile(r"(?P<name>[A-Za-z][\w-]*)(?:@(?P<model>.+?))?(?::(?P<slots>\d{1,9}))?", re.DOTALL)


class Workplace(Protocol):
    """The lent folder as an agent sees it. `cage` is "bubblewrap", "none" (uncaged) or "in-process"."""

    folder: str
    assignment: Assignment
    cage: str

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        seconds: float | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Finished:
        """Run a process in the cage, with the folder as its working directory, until it ends, `seconds` pass or the
        attempt is stopped; its whole process tree is gone afterwards. `env` is added to a scrubbed environment."""
        ...

    def measure(self, quick: bool = False) -> dict[str, Any]:
        """The verb `measure` on the folder as it is now: the same answer that `kf measure --json` prints.

        Raises Refused or LostClaim (nothing was judged) and BadIntake (the folder cannot be read)."""
        ...


class Agent(Protocol):
    """Works on one attempt at a time per slot; one object may serve several slots at once (threads).

    `model` is what SPEC says after "@". `costs_money`: never started without a cap. `counts_tokens`: its Usage says how
    many it used. `network`: its cage may reach the network. `in_process`: it starts no process, so needs no cage.
    `needs`: files that its cage must show (read-only, at their own paths): its program, say."""

    name: str
    model: str | None
    costs_money: bool
    counts_tokens: bool
    network: bool
    in_process: bool
    needs: Sequence[str]

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


def find(spec: str) -> tuple[Agent, int]:
    """The agent that SPEC names and its number of slots (1 where it says none).

    Raises BadInput for an unknown name, or from the agent itself when the model part makes no sense to it."""
    name, model, slots = parse(spec)
    for point in entry_points(group=GROUP, name=name):
        agent: Agent = point.load()(model)
        return agent, slots or 1
    raise BadInput(f"agent {name!r} is not known here; known: {', '.join(known())}")
