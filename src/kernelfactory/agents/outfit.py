"""What a command line is given before it starts: a key that stays outside, variables, a tool to measure with. Refuses
to know which one it is."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kernelfactory.agents import Readiness, Workplace
from kernelfactory.agents.config import Entry, secrets_of
from kernelfactory.agents.finding import Program, version, within
from kernelfactory.agents.inside import program, there
from kernelfactory.files import read_head
from kernelfactory.jail import LOGIN_UID, drops, of_cages
from kernelfactory.model import AgentFailed, BadIntake
from kernelfactory.redact import LONGEST, SHORTEST
from kernelfactory.transcript.loose import record

OUTSIDE = "kept-outside-the-cage"
"""What stands in the cage where a key would."""

LOGIN_BYTES = 1 << 20
TOKENS = 64
"""Tokens of a login that are looked for; honest ones have a few."""

_ODD = re.compile(r"[^A-Za-z0-9.:@_-]")
_TOKEN = re.compile(rf"[!-~]{{{SHORTEST},{LONGEST}}}")

MEASURE_SECONDS = 3600
"""How long the measure tool may take: it waits for its turn."""


@dataclass(frozen=True, slots=True)
class Key:
    """A variable of ours that holds a key, the name (of those that the agent knows) that it stands for, its value."""

    variable: str
    name: str
    value: str = field(repr=False)


def key(entry: Entry, names: Sequence[str], environ: Mapping[str, str] = os.environ) -> Key | None:
    """The agent's key. Where the entry's secrets name one (WORK_OPENAI_API_KEY is an OPENAI_API_KEY) it is that one or
    none: another account is not to be used instead."""
    told = [Key(variable, name, environ.get(variable, "")) for variable, name in _keys(entry, names)]
    wanted = told or [Key(name, name, environ.get(name, "")) for name in names]
    return next((found for found in wanted if found.value), None)


def _keys(entry: Entry, names: Sequence[str]) -> list[tuple[str, str]]:
    return [(variable, name) for variable in entry.secrets for name in names if variable.endswith(name)]


def handed(entry: Entry, names: Sequence[str], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that its processes get: the entry's own, and those of its secrets that are no key of the agent."""
    kept = {variable for variable, _ in _keys(entry, names)}
    return {**entry.env, **{name: value for name, value in secrets_of(entry, environ).items() if name not in kept}}


def measure_tool(folder: str) -> tuple[str, ...]:
    """How the tool that measures is started as an MCP server, in the cage; empty where its library is not installed."""
    return program("measure_mcp", folder) if there("mcp") else ()


def logged_in(login: str, name: str) -> dict[str, object]:
    """What a file of a login says; nothing where there is none. Agents may write there: so no link or pipe is opened,
    and no more is read than a login has."""
    try:
        folder, _, file = f"{os.path.realpath(login)}/{name}".rpartition("/")
        return record(read_head(folder, file, LOGIN_BYTES).decode("utf-8"))
    except (BadIntake, OSError, ValueError):
        return {}


def denied(workplace: Workplace, login: str | None, name: str) -> None:
    """Raises AgentFailed where the login cannot be used: see `barred`."""
    if workplace.cage != "none" and (why := barred(login, name)):
        raise AgentFailed(why, trouble="auth")


def barred(login: str | None, name: str, other: bool | None = None) -> str:
    """Why a caged agent cannot use the login in a folder (its file `name`), and what to do instead; "" where it can.

    Where root runs us, cages run as users of their own (`other`; None: as it is here), to whom what is root's is
    closed. There is no way around: a copy would be logged out by the first that renews its token, and what is open to
    all is open to every attempt of every agent. But whoever owns the folder may be one of those users: then its cages
    run as that one (see workspace), and all of its attempts are one user, as they are for anybody but root."""
    if login is None or not (drops() if other is None else other):
        return ""
    try:
        owners = {os.lstat(path).st_uid for path in (login, os.path.join(login, name))}
    except OSError:
        return ""  # there is no login
    if len(owners) == 1 and of_cages(*owners):
        return ""
    return (
        f"run kf as an ordinary user, or use a key, or do chown -R {LOGIN_UID} {login}: where root runs kf, agents are"
        " other users, and cannot read this login"
    )


def tokens(told: Mapping[str, object]) -> dict[str, str]:
    """Those of a login's values that can be a token, by plain names: to be hidden wherever they show."""
    found = [(key, value) for key, value in told.items() if isinstance(value, str) and _TOKEN.fullmatch(value)]
    return {_ODD.sub("_", key[:100]): value for key, value in found[:TOKENS]}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a command line: its `package` for npm, the versions that were tried (both ends included), how
    to log it in, and by how much it can pass a cap."""

    package: str
    low: str
    high: str
    login: str
    bound: str

    def state(self, program: Program | None, login: str | None, barred: str = "") -> Readiness:
        """Whether it can work here, as `program` and `login` are there or not; `barred`: why the login is of no use."""
        span = self.low if self.low == self.high else f"{self.low} to {self.high}"
        if program is None:
            advice = f"install it (npm install --global {self.package}@{self.high}), or set path in agents.toml"
            return Readiness(False, range=span, login=login, bound=self.bound, advice=advice)
        found = version(program)
        tried = within(found, self.low, self.high)
        advice = "" if tried else f"version {found or 'unknown'} was not tried; {self.high} is known to work"
        if login is None or barred:
            advice = barred or self.login
        return Readiness(login is not None and not barred, program.path, found, span, login, self.bound, advice)
