"""`acp`: any agent that speaks the Agent Client Protocol, by a client in the cage with it. Refuses shell syntax."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence

from kernelfactory.agents import Readiness, Workplace, finding, outfit
from kernelfactory.agents.config import NOTHING, Entry, missing, secrets_of
from kernelfactory.agents.inside import program, there
from kernelfactory.agents.inside.dialogue import Dialogue
from kernelfactory.agents.session import converse
from kernelfactory.agents.upstreams import ASKS, MODEL_HOSTS, header
from kernelfactory.gateway import Route
from kernelfactory.model import AgentFailed, BadInput, Limits, Usage
from kernelfactory.view import Pair

READS = ("model", "effort", "flags", "path", "env", "secrets", "hosts", "upstream")
ROUTE = "upstream"
BOUND = "one turn a slot: most agents tell what it took when it is over, some never"


class Acp:
    """`acp@CMD` or, with `path` and `flags` in agents.toml, NAME@MODEL: the command that starts the agent; nothing of a
    shell is read in it. `model` and `effort` are set as the agent's own options, where it has them.

    Its key: each of `secrets` is in its environment; or, with an `upstream`, the first of them stays outside, is added
    on the way there, and "{upstream}" in `env` stands for where that begins: env.ANTHROPIC_BASE_URL = "{upstream}".
    It reaches known model APIs and `hosts`. Raises BadInput when there is no such program."""

    costs_money = True
    counts_tokens = False
    in_process = False
    resumes = True
    streams = False
    shares: Sequence[Pair] = ()

    def __init__(self, model: str | None, entry: Entry = NOTHING) -> None:
        entry.only("acp", READS)
        self.name = entry.name or "acp"
        self.entry = entry
        told = model or entry.model
        words = _words(self.name, told) if entry.path is None else [entry.path]
        self.model = told
        self._model = None if entry.path is None else told
        self._argv, self.needs = _found(self.name, [*words, *entry.flags])
        self.secrets: Mapping[str, str] = secrets_of(entry)
        outside = entry.secrets[:1] if entry.upstream else ()
        self._inside = {name: outfit.OUTSIDE if name in outside else value for name, value in self.secrets.items()}
        self.routes: Sequence[Route] = ()
        if entry.upstream is not None:
            keys = [self.secrets[name] for name in outside if name in self.secrets]
            self.routes = (Route(ROUTE, entry.upstream, header(entry.upstream, keys[0]) if keys else {}, asks=ASKS),)
        self.hosts: Sequence[str] = (*(() if self.routes else MODEL_HOSTS), *entry.hosts)

    def state(self) -> Readiness:
        lacking = missing(self.entry)
        advice = f"set {', '.join(lacking)}" if lacking else ""
        if not there("acp"):
            advice = "pip install 'kernelfactory[acp]'"
        elif not self._argv:
            advice = f"{self.name}: its program is not there: install it, or set path in agents.toml"
        login = None if lacking else ", ".join(self.secrets) or "as it has it itself"
        return Readiness(
            not advice, " ".join(self._argv) or None, range="ACP 1", login=login, bound=BOUND, advice=advice
        )

    def work(self, workplace: Workplace, brief: str, limits: Limits) -> Usage:
        state = self.state()
        if not state.ready:
            raise AgentFailed(state.advice, trouble="config" if state.login else "auth")
        upstream = f"{workplace.gateway}/{ROUTE}"
        env = {name: value.replace("{upstream}", upstream) for name, value in self.entry.env.items()} | self._inside
        tool = json.dumps(outfit.measure_tool(workplace.folder))

        def make(prompt: str, session: str | None) -> Dialogue:
            told = {"--model": self._model, "--effort": self.entry.effort, "--session": session, "--measure": tool}
            options = (f"{name}={value}" for name, value in told.items() if value is not None)
            return Dialogue(program("acp_client", *options, "--", *self._argv), env, prompt)

        return converse(workplace, make, brief, limits)


def _words(name: str, command: str | None) -> list[str]:
    try:
        words = shlex.split(command or "")
    except ValueError as error:
        raise BadInput(f"agent {name}: {command}: {error}") from None
    if not words:
        raise BadInput(f"agent {name}: say which command starts it, e.g. --agent 'acp@gemini --acp'")
    return words


def _found(name: str, words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The command with its files at their full paths, and what of them must be seen; nothing when it is not there."""
    first, *rest = words
    found = finding.find(name, first) if "/" in first else finding.find(first)
    if found is None:
        return (), ()
    files = {word: os.path.abspath(word) for word in rest if "/" in word and os.path.isfile(word)}
    return (*found.argv, *(files.get(word, word) for word in rest)), (*found.needs, *files.values())
