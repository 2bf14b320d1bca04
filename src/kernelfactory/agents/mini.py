"""`mini`: a key and an endpoint are enough. A thin agent of our own in the cage; the key stays outside of it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from kernelfactory.agents import Readiness, Workplace
from kernelfactory.agents.config import NOTHING, Entry, secrets_of
from kernelfactory.agents.inside import BASE, program
from kernelfactory.agents.inside.dialogue import Dialogue
from kernelfactory.agents.session import converse
from kernelfactory.agents.upstreams import ASKS, LOCAL, header, host
from kernelfactory.gateway import Route
from kernelfactory.model import AgentFailed, BadInput, Limits, Usage
from kernelfactory.view import Pair

Api = Literal["openai", "anthropic"]

READS = ("model", "effort", "flags", "env", "secrets", "hosts", "upstream")
UPSTREAM: Mapping[Api, str] = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}
KEY: Mapping[Api, str] = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
KNOWN: Mapping[Api, tuple[str, str]] = {"openai": ("3.50", "3.57"), "anthropic": ("2.10", "2.13")}
BOUND = "one model request a slot: it tells tokens after each; dollars where the model's price is known"


class Mini:
    """`mini@MODEL`. Without an `upstream`, names that begin with "claude" are Anthropic's and all others OpenAI's; an
    `upstream` is OpenAI-compatible (its /chat/completions), unless it is Anthropic's own or `flags` hold
    "--api=anthropic". The key is the first of `secrets`; without any it is OPENAI_API_KEY or ANTHROPIC_API_KEY for the
    vendor's own upstream, and none for another. `flags` may also hold --output-tokens=N and --retries=N."""

    counts_tokens = True
    in_process = False
    resumes = True
    streams = True
    needs: Sequence[str] = ()
    shares: Sequence[Pair] = ()

    def __init__(self, model: str | None, entry: Entry = NOTHING) -> None:
        entry.only("mini", READS)
        self.name = entry.name or "mini"
        self.entry = entry
        model = model or entry.model
        if not model:
            raise BadInput(f"agent {self.name}: say which model, e.g. --agent {self.name}@gpt-5.5")
        self.model: str | None = model
        self._model = model
        self._api, self._flags = _flags(entry, model)
        self._upstream = (entry.upstream or UPSTREAM[self._api]).rstrip("/")
        if self._api == "anthropic":  # its library adds the version
            self._upstream = self._upstream.removesuffix("/v1")
        own = host(self._upstream) == host(UPSTREAM[self._api])
        self._key = entry.secrets[0] if entry.secrets else KEY[self._api] if own else None
        self._value = os.environ.get(self._key) if self._key is not None else None
        self.costs_money = self._value is not None or host(self._upstream) not in LOCAL
        self.routes: Sequence[Route] = (self._route(),)
        self.hosts: Sequence[str] = entry.hosts
        self._more = {name: value for name, value in secrets_of(entry).items() if name != self._key}
        self.secrets: Mapping[str, str] = {
            **self._more,
            **({self._key: self._value} if self._key and self._value else {}),
        }

    def state(self) -> Readiness:
        low, high = KNOWN[self._api]
        found, span = _version(self._api), f"{self._api} {low} to {high}"
        login = "needs none" if self._key is None else self._key if self._value else None
        advice = "" if login else f"set {self._key}"
        if found is None:
            advice = "pip install 'kernelfactory[mini]'"
        ready = found is not None and login is not None
        there = None if found is None else "part of this package"
        return Readiness(ready, there, found, span, login, BOUND, advice)

    def work(self, workplace: Workplace, brief: str, limits: Limits) -> Usage:
        state = self.state()
        if not state.ready:
            raise AgentFailed(f"{self.name}: {state.advice}", trouble="config" if state.login else "auth")
        base = f"{workplace.gateway}/{self._api}"
        env = {**self.entry.env, **self._more, BASE: base}

        def make(prompt: str, session: str | None) -> Dialogue:
            resumed = () if session is None else (f"--session={session}",)
            told = (f"--api={self._api}", f"--model={self._model}", *self._flags, *resumed)
            return Dialogue(program("mini", *told), env, prompt)

        return converse(workplace, make, brief, limits)

    def _route(self) -> Route:
        if not self._value:
            return Route(self._api, self._upstream, asks=ASKS, plain=True)  # there is no key to be lost on the way
        theirs = UPSTREAM["anthropic"] if self._api == "anthropic" else self._upstream
        return Route(self._api, self._upstream, header(theirs, self._value), asks=ASKS)


def _flags(entry: Entry, model: str) -> tuple[Api, tuple[str, ...]]:
    """Which API, and the arguments for the program in the cage."""
    parser = argparse.ArgumentParser(exit_on_error=False, add_help=False, allow_abbrev=False)
    parser.add_argument("--api", choices=tuple(UPSTREAM))
    parser.add_argument("--output-tokens", type=int)
    parser.add_argument("--retries", type=int)
    try:
        told, rest = parser.parse_known_args(list(entry.flags))
    except argparse.ArgumentError as error:
        raise BadInput(f"agents.toml: [{entry.name}]: flags: {error}") from None
    if rest:
        raise BadInput(f"agents.toml: [{entry.name}]: flags: {rest[0]} is none of --api --output-tokens --retries")
    numbers = {"--output-tokens": told.output_tokens, "--retries": told.retries, "--effort": entry.effort}
    guess = model.startswith("claude") if entry.upstream is None else host(entry.upstream) == "api.anthropic.com"
    api: Api = told.api or ("anthropic" if guess else "openai")
    return api, tuple(f"{name}={value}" for name, value in numbers.items() if value is not None)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
