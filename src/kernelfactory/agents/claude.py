"""Claude Code, driven by its streams of JSON. Refuses to log in: a key or a login is there, or not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from kernelfactory.agents import Readiness, Workplace, finding, outfit
from kernelfactory.agents.config import NOTHING, Entry
from kernelfactory.agents.session import UNREAD, converse
from kernelfactory.agents.upstreams import ASKS
from kernelfactory.gateway import Route
from kernelfactory.model import AgentFailed, Limits, Tokens, Usage
from kernelfactory.transcript import Event, parser
from kernelfactory.transcript.loose import count as count_of
from kernelfactory.transcript.loose import number, record, table
from kernelfactory.transcript.spend import Spend
from kernelfactory.view import Pair

READS = ("effort", "flags", "path", "env", "secrets", "login", "hosts", "upstream", "model")
NATIVE = ("@anthropic-ai/claude-code-{os}-{cpu}/claude",)
KEYS = ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN")
UPSTREAM = "https://api.anthropic.com"
LOGIN_HOSTS = ("api.anthropic.com", "platform.claude.com")
"""What a login of its own talks to: the model, and who renews its token."""

LOGIN = ".credentials.json"
"""The file of a login's folder that holds its tokens."""

KNOWN = outfit.Known(
    package="@anthropic-ai/claude-code",
    low="2.1.197",
    high="2.1.330",
    login="set ANTHROPIC_API_KEY, or CLAUDE_CODE_OAUTH_TOKEN (claude setup-token), or login in agents.toml",
    bound="one model request a slot: it is asked for its dollars and tokens after each, and counts dollars itself too",
)

COMMAND = (
    *("-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"),
    "--dangerously-skip-permissions",  # it is in our cage
    "--strict-mcp-config",
)
WEB = ("WebFetch", "WebSearch")
"""Its tools that look things up, one of them at the service, which no cage can see."""

ALONE = ("AskUserQuestion", "EnterWorktree", "ExitWorktree", "CronCreate", "ScheduleWakeup", "SendUserFile")
"""Tools that wait for somebody or something that never comes here, or leave the workspace."""

QUIET = {
    "IS_SANDBOX": "1",  # it may be root in there
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",  # or it wakes up after its last word
    "API_TIMEOUT_MS": "300000",
    "BASH_DEFAULT_TIMEOUT_MS": "600000",
    "BASH_MAX_TIMEOUT_MS": "3600000",  # kf measure waits for its turn
    "MCP_TOOL_TIMEOUT": str(outfit.MEASURE_SECONDS * 1000),
}

KIND = 40
"""Characters within which a line says what it is."""


class Claude:
    """`claude[@MODEL]`: model and effort as `claude --model --effort` take them.

    Logged in by a key of KEYS, which stays outside, or else by the folder that `login` names: a CLAUDE_CONFIG_DIR in
    which `claude /login` was done for the factory alone, since whoever renews a token logs all its copies out."""

    costs_money = True
    counts_tokens = True
    in_process = False
    resumes = True
    streams = True

    def __init__(self, model: str | None, entry: Entry = NOTHING) -> None:
        entry.only("claude", READS)
        self.name = entry.name or "claude"
        self.model = model or entry.model
        self.entry = entry
        self._program = finding.find("claude", entry.path, NATIVE)
        self._key = None if entry.login else outfit.key(entry, KEYS)
        self.needs: Sequence[str] = self._program.needs if self._program is not None else ()
        self.shares: Sequence[Pair] = ((entry.login, entry.login),) if entry.login else ()
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
        return KNOWN.state(self._program, login, outfit.barred(self.entry.login, LOGIN))

    def work(self, workplace: Workplace, brief: str, limits: Limits) -> Usage:
        if self._program is None:
            raise AgentFailed("claude is not installed", trouble="config")
        outfit.denied(workplace, self.entry.login, LOGIN)
        program, env = self._program, self._env(workplace)

        def make(prompt: str, session: str | None) -> Dialogue:
            return Dialogue((*program.argv, *self._command(workplace, limits, session)), env, prompt, session)

        return converse(workplace, make, brief, limits)

    def _env(self, workplace: Workplace) -> dict[str, str]:
        env = {**QUIET, **outfit.handed(self.entry, KEYS)}
        if self._key is not None:
            env |= {self._key.name: outfit.OUTSIDE, "ANTHROPIC_BASE_URL": f"{workplace.gateway}/anthropic"}
        if self.entry.login:
            env["CLAUDE_SECURESTORAGE_CONFIG_DIR"] = self.entry.login  # its sessions stay in the throw-away home
        return env

    def _command(self, workplace: Workplace, limits: Limits, session: str | None) -> list[str]:
        banned = (*ALONE, *(() if workplace.web else WEB))
        command = [*COMMAND, "--disallowedTools", ",".join(banned)]
        if tool := outfit.measure_tool(workplace.folder):
            server = {"command": tool[0], "args": list(tool[1:])}
            command += ["--mcp-config", json.dumps({"mcpServers": {"kernelfactory": server}})]
        command += ["--model", self.model] if self.model else []
        command += ["--effort", self.entry.effort] if self.entry.effort else []
        if session is not None:
            command += ["--resume", session]  # its budget would count what the session had spent before
        elif limits.dollars is not None and limits.dollars > 0:
            command += ["--max-budget-usd", f"{limits.dollars:.6f}"]
        return [*command, *self.entry.flags]


class Dialogue:
    """One process of it: prompts are lines of its stdin, also in a running turn, which hears them after its next tool.

    Its stream tells what requests were given, not what they gave: so it is asked for all that its session has spent
    when a tool is done, and, before one that is resumed is told anything, for what that had spent before."""

    can_say = True
    late = False

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], prompt: str, session: str | None = None) -> None:
        self.argv, self.env = argv, env
        self._parser = parser("claude")
        self._spend = Spend()
        self._held: str | None = None
        self._asks = self._counts = False
        self._words = bytearray()
        self._numbers = count(1)
        if session is None:
            self.say(prompt)
        else:
            self._held = prompt
            self._request("get_usage")

    @property
    def session(self) -> str | None:
        return self._parser.session

    def line(self, text: str) -> Sequence[Event]:
        start = text[:KIND]
        if '"control_response"' in start:
            return self._answered(record(text))
        if '"user"' in start and not self._asks and self._held is None:
            self._asks = True
            self._request("get_usage")
        told = self._parser.line(text)
        return [event for event in told if event.kind != "usage" or event.dollars is not None or not self._counts]

    def error(self, text: str) -> Sequence[Event]:
        return self._parser.error(text)

    def end(self, returncode: int) -> Sequence[Event]:
        return self._parser.end(returncode)

    def say(self, text: str) -> None:
        content = [{"type": "text", "text": text}]
        self._write({"type": "user", "message": {"role": "user", "content": content}})

    def interrupt(self) -> None:
        self._request("interrupt")

    def words(self) -> bytes:
        words, self._words = bytes(self._words), bytearray()
        return words

    def hung_up(self) -> bool:
        return False

    def _answered(self, answer: dict[str, object]) -> Sequence[Event]:
        """What was spent, or the word of a version that does not know, or an interrupt's."""
        spent = table(answer, "response", "response", "session")
        models = {model[:200]: _tokens_of(used) for model, used in table(spent, "model_usage").items()}
        dollars = number(spent, "total_cost_usd")
        if self._held is not None:
            prompt, self._held = self._held, None
            self._parser = parser("claude", before=models, dollars=dollars or 0.0)
            self._spend = Spend(models, dollars or 0.0)
            self.say(prompt)
            return ()
        if not spent:
            return ()
        self._asks, self._counts = False, True
        self._spend.total(models, dollars)
        return self._spend.tell()

    def _request(self, subtype: str) -> None:
        request_id = f"kf-{next(self._numbers)}"
        self._write({"type": "control_request", "request_id": request_id, "request": {"subtype": subtype}})

    def _write(self, message: Mapping[str, Any]) -> None:
        if len(self._words) < UNREAD:
            self._words += json.dumps(message).encode() + b"\n"


def _tokens_of(used: object) -> Tokens:
    return Tokens(
        input=count_of(used, "inputTokens"),
        output=count_of(used, "outputTokens"),
        cache_read=count_of(used, "cacheReadInputTokens"),
        cache_write=count_of(used, "cacheCreationInputTokens"),
    )


def _routes(key: outfit.Key | None, upstream: str | None) -> tuple[Route, ...]:
    if key is None:
        return ()
    plain = key.name == "ANTHROPIC_API_KEY"
    header = {"x-api-key": key.value} if plain else {"authorization": f"Bearer {key.value}"}
    return (Route("anthropic", upstream or UPSTREAM, header, asks=ASKS),)


def _tokens(login: str) -> dict[str, str]:
    """The tokens of a login, by a name each; none where there is no login."""
    told = table(outfit.logged_in(login, LOGIN), "claudeAiOauth")
    return outfit.tokens({f"claude-{name}": told.get(name) for name in ("accessToken", "refreshToken")})
