"""Codex, driven by its app-server: JSON-RPC lines, in which usage and limits come as they change. Refuses to log in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kernelfactory.agents import Readiness, Workplace, finding, outfit
from kernelfactory.agents.config import NOTHING, Entry
from kernelfactory.agents.session import UNREAD, converse
from kernelfactory.agents.upstreams import ASKS
from kernelfactory.gateway import Route
from kernelfactory.model import AgentFailed, Limits, Usage
from kernelfactory.transcript import Event, parser
from kernelfactory.transcript.loose import record, table, text
from kernelfactory.view import Pair

READS = ("effort", "flags", "path", "env", "secrets", "login", "hosts", "upstream", "model")
NATIVE = ("@openai/codex-{os}-{cpu}/vendor/*/bin/codex",)
KEYS = ("CODEX_API_KEY", "OPENAI_API_KEY")
UPSTREAM = "https://api.openai.com/v1"
LOGIN_HOSTS = ("chatgpt.com", "auth.openai.com", "api.openai.com")
INSIDE = "KF_OPENAI_KEY"

LOGIN = "auth.json"
"""The file of a login's folder that holds its tokens."""

KNOWN = outfit.Known(
    package="@openai/codex",
    low="0.169.0",
    high="0.169.0",
    login="set OPENAI_API_KEY (or CODEX_API_KEY), or login in agents.toml",
    bound="one model request a slot: it tells its tokens after each",
)

COMMAND = (
    *("app-server", "--disable", "plugins", "--disable", "apps"),
    *("--disable", "unbounded_connection_retries"),
    *("-c", "analytics.enabled=false"),
    *("-c", "allow_login_shell=false"),  # or /etc/profile forgets where kf is
)
DELTAS = (
    *("item/agentMessage/delta", "item/plan/delta", "item/commandExecution/outputDelta"),
    *("item/fileChange/outputDelta", "turn/diff/updated", "item/reasoning/textDelta"),
)
"""Pieces of what comes whole anyway; those of its reasoning's summary are left, as a sign of life."""

FREE = {"approvalPolicy": "never", "sandbox": "danger-full-access"}
"""It is in our cage, in which its own sandbox cannot be set up."""


class Codex:
    """`codex[@MODEL]`: model and effort as Codex knows them.

    Logged in by a key of KEYS, which stays outside, or else by the folder that `login` names: a CODEX_HOME in which
    `codex login` was done for the factory alone, since whoever renews a token logs all its copies out. With the latter
    its sessions are kept nowhere, so that no attempt sees another's."""

    costs_money = True
    counts_tokens = True
    in_process = False
    streams = True

    def __init__(self, model: str | None, entry: Entry = NOTHING) -> None:
        entry.only("codex", READS)
        self.name = entry.name or "codex"
        self.model = model or entry.model
        self.resumes = entry.login is None
        self.entry = entry
        self._program = finding.find("codex", entry.path, NATIVE)
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
            raise AgentFailed("codex is not installed", trouble="config")
        outfit.denied(workplace, self.entry.login, LOGIN)
        argv = (*self._program.argv, *COMMAND, *self._config(workplace), *self.entry.flags)
        env = self._env(workplace)
        workplace.put(".codex/config.toml", "".join(f"{line}\n" for line in self._model_at(workplace)).encode())
        workplace.put("tmp/.keep", b"")  # it makes no folder of these itself
        asked: dict[str, Any] = {"cwd": workplace.folder, "model": self.model, **FREE}
        if self.entry.login:
            asked["ephemeral"] = True

        def make(prompt: str, session: str | None) -> Dialogue:
            return Dialogue(argv, env, prompt, {**asked, "threadId": session})

        return converse(workplace, make, brief, limits)

    def _env(self, workplace: Workplace) -> dict[str, str]:
        home = f"{workplace.home}/.codex"
        return {
            "CODEX_HOME": self.entry.login or home,
            "CODEX_SQLITE_HOME": home,
            "TMPDIR": f"{workplace.home}/tmp",  # it puts no helpers into a home below the temporary folder
            "TZ": "UTC",  # it tells times without a zone
            **({INSIDE: outfit.OUTSIDE} if self._key is not None else {}),
            **outfit.handed(self.entry, KEYS),
        }

    def _config(self, workplace: Workplace) -> list[str]:
        """Settings as they stand in its config.toml, where JSON's texts and lists are TOML's too."""
        set_: dict[str, object] = {}
        if not workplace.web:
            set_["web_search"] = "disabled"  # done at the service, which no cage can see
        if self.entry.effort:
            set_["model_reasoning_effort"] = self.entry.effort
        if tool := outfit.measure_tool(workplace.folder):
            server = "mcp_servers.kernelfactory"
            set_ |= {f"{server}.command": tool[0], f"{server}.args": list(tool[1:])}
            set_[f"{server}.tool_timeout_sec"] = outfit.MEASURE_SECONDS
        return [word for key, value in set_.items() for word in ("-c", f"{key}={json.dumps(value)}")]

    def _model_at(self, workplace: Workplace) -> list[str]:
        """More of them, in a file: everybody on this machine may see a command, and this holds the door's token."""
        if self._key is None:
            return []
        provider = {f"model_providers.kf.{key}": value for key, value in _provider(workplace).items()}
        return [f"{key} = {json.dumps(value)}" for key, value in {"model_provider": "kf", **provider}.items()]


class Dialogue:
    """One process of it, with one thread. What a turn is told while it runs steers it."""

    can_say = True
    late = False

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], prompt: str, thread: Mapping[str, Any]) -> None:
        self.argv, self.env = argv, env
        self._parser = parser("codex", str(thread.get("model") or ""))
        self._thread, self._prompts = thread, [prompt]
        self._name = self._turn = self._opened = ""
        self._calls: dict[int, tuple[str, str]] = {}
        self._number = 0
        self._failed = False
        self._words = bytearray()
        client = {"name": "kernelfactory", "title": "kernelfactory", "version": "1"}
        able = {"experimentalApi": False, "requestAttestation": False, "optOutNotificationMethods": DELTAS}
        self._call("initialize", {"clientInfo": client, "capabilities": able})

    @property
    def session(self) -> str | None:
        return self._parser.session

    def line(self, text: str) -> Sequence[Event]:
        message = record(text)
        method, number = message.get("method"), message.get("id")
        if isinstance(method, str):
            self._told(text, method, table(message, "params"))
            if isinstance(number, int | str):
                self._allow(method, number)
        elif isinstance(number, int) and number in self._calls:
            asked, prompt = self._calls.pop(number)
            if "error" in message:
                return self._refused(asked, prompt, message)
            self._answered(text, asked, table(message, "result"))
        return self._parser.line(text)

    def error(self, text: str) -> Sequence[Event]:
        return self._parser.error(text)

    def end(self, returncode: int) -> Sequence[Event]:
        return () if self._failed else self._parser.end(returncode)

    def say(self, text: str) -> None:
        self._prompts.append(text)
        self._go_on()

    def interrupt(self) -> None:
        if self._turn:
            self._call("turn/interrupt", {"threadId": self._name, "turnId": self._turn})

    def words(self) -> bytes:
        words, self._words = bytes(self._words), bytearray()
        return words

    def hung_up(self) -> bool:
        return False

    # ── what it says ──

    def _told(self, line: str, method: str, params: dict[str, object]) -> None:
        """Which turn runs; those of other threads (of agents that it began itself) are no matter here. What a thread
        has used is told before its first turn here when it is resumed: that is no use of this process."""
        if text(params, "threadId") != self._name:
            return
        if method == "turn/started":
            self._turn, self._opened = text(params, "turn", "id"), ""
            self._calls = {number: call for number, call in self._calls.items() if call[0] != "turn/start"}
            self._go_on()
        elif method == "turn/completed":
            self._turn = ""
            self._go_on()
        elif method == "thread/tokenUsage/updated" and self._opened:
            before = next((event.models for event in (*self._parser.line(line),) if event.kind == "usage"), {})
            self._parser = parser("codex", next(iter(before), ""), before)
            self._parser.line(self._opened)
            self._opened = ""

    def _answered(self, line: str, asked: str, result: dict[str, object]) -> None:
        if asked == "initialize":
            self._write({"method": "initialized"})
            method = "thread/resume" if self._thread.get("threadId") else "thread/start"
            self._call(method, {key: value for key, value in self._thread.items() if value is not None})
        elif asked in ("thread/start", "thread/resume"):
            self._name = text(result, "thread", "id")
            self._opened = line if asked == "thread/resume" else ""
            self._go_on()

    def _refused(self, asked: str, prompt: str, message: dict[str, object]) -> Sequence[Event]:
        """A word that came when its turn was just over begins the next one; without a thread or a turn it is over."""
        if asked == "turn/steer":
            self._turn = ""
            self.say(prompt)
        elif asked != "turn/interrupt":
            self._failed = True
            return [Event("end", text=text(message, "error", "message") or f"{asked} was refused", trouble="config")]
        return ()

    def _allow(self, method: str, number: int | str) -> None:
        """Whatever it asks for: it is caged. A person it cannot have."""
        answer = _ALLOWED.get(method)
        if answer is None:
            self._write({"id": number, "error": {"code": -32601, "message": f"{method} cannot be had here"}})
        else:
            self._write({"id": number, "result": answer})

    # ── what it is told ──

    def _go_on(self) -> None:
        """A prompt begins a turn, or steers the one that runs; while one is being begun the next waits for it."""
        beginning = any(asked == "turn/start" for asked, _ in self._calls.values())
        if not self._name or not self._prompts or (beginning and not self._turn):
            return
        prompt = self._prompts.pop(0)
        given = {"threadId": self._name, "input": [{"type": "text", "text": prompt}]}
        if self._turn:
            self._call("turn/steer", {**given, "expectedTurnId": self._turn}, prompt)
        else:
            self._call("turn/start", given, prompt)

    def _call(self, method: str, params: Mapping[str, Any], prompt: str = "") -> None:
        self._number += 1
        self._calls[self._number] = method, prompt
        self._write({"id": self._number, "method": method, "params": params})

    def _write(self, message: Mapping[str, Any]) -> None:
        if len(self._words) < UNREAD:
            self._words += json.dumps(message).encode() + b"\n"


_ALLOWED: Mapping[str, Mapping[str, Any]] = {
    "item/commandExecution/requestApproval": {"decision": "acceptForSession"},
    "item/fileChange/requestApproval": {"decision": "acceptForSession"},
    "execCommandApproval": {"decision": "approved_for_session"},
    "applyPatchApproval": {"decision": "approved_for_session"},
    "mcpServer/elicitation/request": {"action": "accept", "content": {}, "_meta": None},
    "item/tool/requestUserInput": {"answers": {}},
}


def _provider(workplace: Workplace) -> Mapping[str, object]:
    """Where its model is: a provider of our own, whose retries can be bounded."""
    return {
        "name": "kernelfactory",
        "base_url": f"{workplace.gateway}/openai",
        "env_key": INSIDE,
        "wire_api": "responses",
        "request_max_retries": 4,
        "stream_max_retries": 5,
        "stream_idle_timeout_ms": 300_000,
    }


def _routes(key: outfit.Key | None, upstream: str | None) -> tuple[Route, ...]:
    if key is None:
        return ()
    return (Route("openai", upstream or UPSTREAM, {"authorization": f"Bearer {key.value}"}, asks=ASKS),)


def _tokens(login: str) -> dict[str, str]:
    """The secrets of a login, by a name each; none where there is no login."""
    told = outfit.logged_in(login, LOGIN)
    held = {"OPENAI_API_KEY": told.get("OPENAI_API_KEY"), **table(told, "tokens")}
    names = ("OPENAI_API_KEY", "id_token", "access_token", "refresh_token")
    return outfit.tokens({f"codex-{name}": held.get(name) for name in names})
