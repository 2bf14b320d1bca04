"""Gemini CLI, a process a turn. Refuses to log in, and to wait with it: it would sleep for hours until it may go on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kernelfactory.agents import Readiness, Workplace, finding, outfit
from kernelfactory.agents.config import NOTHING, Entry
from kernelfactory.agents.oneturn import OneTurn
from kernelfactory.agents.session import Dialogue, converse
from kernelfactory.agents.upstreams import ASKS
from kernelfactory.gateway import Route
from kernelfactory.model import AgentFailed, Limits, Usage
from kernelfactory.transcript import parser
from kernelfactory.view import Pair

READS = ("flags", "path", "env", "secrets", "login", "hosts", "upstream", "model")
KEYS = ("GEMINI_API_KEY",)
UPSTREAM = "https://generativelanguage.googleapis.com"
LOGIN_HOSTS = ("cloudcode-pa.googleapis.com", "oauth2.googleapis.com", "www.googleapis.com")

KNOWN = outfit.Known(
    package="@google/gemini-cli",
    low="0.61.0",
    high="0.61.0",
    login="set GEMINI_API_KEY, or login in agents.toml",
    bound="what its attempts reserve: it tells its tokens at the end of a turn only",
)

COMMAND = ("--output-format", "stream-json", "--approval-mode", "yolo", "--skip-trust")
WEB = ("google_web_search", "web_fetch")
"""Its tools that look things up, both at the service, which no cage can see."""

ALONE = ("ask_user", "enter_plan_mode", "exit_plan_mode")
"""Tools that wait for somebody who never comes."""

SETTINGS = ".gemini/settings.json"
LOGIN = (".gemini/oauth_creds.json", ".gemini/google_accounts.json")
"""What its throw-away home gets of a login, and may renew there: with Google the older one stays valid."""

RULES = ".gemini/policies/kernelfactory.toml"
RULE = '[[rule]]\ntoolName = {names}\ndecision = "deny"\npriority = 999\n'

QUIET = {
    "GEMINI_CLI_NO_RELAUNCH": "true",  # or it is two processes, of which one outlives a signal
    "GEMINI_TELEMETRY_ENABLED": "false",
    "NO_BROWSER": "true",
    "TERM": "dumb",
    "TZ": "UTC",
}


class Gemini:
    """`gemini[@MODEL]`: the model as `gemini --model` takes it.

    Logged in by GEMINI_API_KEY, which stays outside, or else by the login in the folder that `login` names: a home (or
    GEMINI_CLI_HOME) in which it was logged in, of which each attempt gets a copy."""

    costs_money = True
    counts_tokens = True
    in_process = False
    resumes = True
    streams = False
    shares: Sequence[Pair] = ()

    def __init__(self, model: str | None, entry: Entry = NOTHING) -> None:
        entry.only("gemini", READS)
        self.name = entry.name or "gemini"
        self.model = model or entry.model
        self.entry = entry
        self._program = finding.find("gemini", entry.path)
        self._key = None if entry.login else outfit.key(entry, KEYS)
        self.needs: Sequence[str] = self._program.needs if self._program is not None else ()
        self.routes: Sequence[Route] = _routes(self._key, entry.upstream)
        self.hosts: Sequence[str] = (*entry.hosts, *(LOGIN_HOSTS if entry.login else ()))

    @property
    def secrets(self) -> Mapping[str, str]:
        """Read anew each time: a login's tokens change."""
        found = {self._key.variable: self._key.value} if self._key is not None else {}
        tokens = _tokens(self.entry.login) if self.entry.login else {}
        handed = outfit.handed(self.entry, KEYS)
        return {**found, **tokens, **{name: handed[name] for name in self.entry.secrets if name in handed}}

    def state(self) -> Readiness:
        login = self._key.variable if self._key is not None else None
        if self.entry.login and _tokens(self.entry.login):
            login = f"the login in {self.entry.login}"
        return KNOWN.state(self._program, login)

    def work(self, workplace: Workplace, brief: str, limits: Limits) -> Usage:
        if self._program is None:
            raise AgentFailed("gemini is not installed", trouble="config")
        if self._key is None and not self.entry.login:
            raise AgentFailed(f"gemini has no login: {KNOWN.login}", trouble="auth")
        argv, env = (*self._program.argv, *COMMAND), self._env(workplace)
        argv += ("--model", self.model) if self.model else ()
        for name, data in self._files(workplace).items():
            workplace.put(name, data)

        def make(prompt: str, session: str | None) -> Dialogue:
            resumed = ("--resume", session) if session is not None else ()
            return OneTurn((*argv, *resumed, *self.entry.flags), env, prompt, parser("gemini"))

        return converse(workplace, make, brief, limits)

    def _env(self, workplace: Workplace) -> dict[str, str]:
        env = {**QUIET, **outfit.handed(self.entry, KEYS)}
        if self._key is not None:
            env |= {self._key.name: outfit.OUTSIDE, "GOOGLE_GEMINI_BASE_URL": f"{workplace.gateway}/gemini"}
        return env

    def _files(self, workplace: Workplace) -> dict[str, bytes]:
        """What its home holds. Raises AgentFailed when the login is gone."""
        login = self.entry.login
        try:
            found = {name: Path(login, name) for name in LOGIN} if login else {}
            copied = {name: path.read_bytes() for name, path in found.items() if path.exists()}
        except OSError as error:
            raise AgentFailed(f"the login in {login} cannot be read ({error.strerror})", trouble="auth") from error
        banned = (*ALONE, *(() if workplace.web else WEB))
        rules = RULE.format(names=json.dumps(banned))
        return {**copied, RULES: rules.encode(), SETTINGS: json.dumps(self._settings(workplace)).encode()}

    def _settings(self, workplace: Workplace) -> dict[str, Any]:
        auth = "oauth-personal" if self.entry.login else "gemini-api-key"
        shell = {"enableInteractiveShell": False, "inactivityTimeout": outfit.MEASURE_SECONDS}
        settings: dict[str, Any] = {
            "security": {"auth": {"selectedType": auth}},
            "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False, "maxAttempts": 4},
            "privacy": {"usageStatisticsEnabled": False},
            "telemetry": {"enabled": False},
            "tools": {"shell": shell},
        }
        if tool := outfit.measure_tool(workplace.folder):
            wait = outfit.MEASURE_SECONDS * 1000
            server = {"command": tool[0], "args": list(tool[1:]), "timeout": wait, "trust": True}
            settings["mcpServers"] = {"kernelfactory": server}
        return settings


def _routes(key: outfit.Key | None, upstream: str | None) -> tuple[Route, ...]:
    if key is None:
        return ()
    return (Route("gemini", upstream or UPSTREAM, {"x-goog-api-key": key.value}, asks=ASKS),)


def _tokens(login: str) -> dict[str, str]:
    """The tokens of a login, by a name each; none where there is no login."""
    told = outfit.logged_in(login, LOGIN[0])
    return outfit.tokens({f"gemini-{name}": told.get(name) for name in ("access_token", "refresh_token", "id_token")})
