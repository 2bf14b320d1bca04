"""What agents.toml says of each agent: values, checked. Refuses to start or find anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Entry:
    """One table of agents.toml, and what is so when it says nothing. `name` is what SPEC calls it, `agent` the kind.

    `effort`, `model` as the program takes them; `flags`: arguments added to its command; `path`: its program; `env`:
    variables added; `secrets`: names of variables of ours whose values it gets, and which are masked everywhere;
    `login`: a folder with a login of its own, which it may write; `hosts`: reached beside its model; `upstream`: the
    URL of its model's API. `dollars`, `tokens`: caps of this agent in the experiment; `attempt_dollars`,
    `attempt_tokens`: of one attempt of it; `silence`: seconds after which it counts as stalled; `nudges`: how often it
    is sent on. None: as for all."""

    name: str = ""
    agent: str = ""
    model: str | None = None
    effort: str | None = None
    flags: tuple[str, ...] = ()
    path: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    login: str | None = None
    hosts: tuple[str, ...] = ()
    upstream: str | None = None
    dollars: float | None = None
    tokens: int | None = None
    attempt_dollars: float | None = None
    attempt_tokens: int | None = None
    silence: float | None = None
    nudges: int | None = None


NOTHING = Entry()
