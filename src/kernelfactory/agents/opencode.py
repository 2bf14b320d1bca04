"""OpenCode, a process a turn, at any provider that it knows or at an endpoint of one's own. Refuses to log in, and to
wait with it: it sleeps until a limit opens, and only its log says so."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from kernelfactory.agents import Readiness, Workplace, finding, outfit
from kernelfactory.agents.config import NOTHING, Entry
from kernelfactory.agents.oneturn import OneTurn
from kernelfactory.agents.session import Dialogue, converse
from kernelfactory.agents.upstreams import ASKS
from kernelfactory.gateway import Route
from kernelfactory.model import AgentFailed, BadInput, Limits, Usage
from kernelfactory.transcript import Event, Reset, parser
from kernelfactory.transcript.loose import table
from kernelfactory.view import Pair

READS = ("effort", "flags", "path", "env", "secrets", "login", "hosts", "upstream", "model")
NATIVE = ("opencode-{os}-{cpu}/bin/opencode", "opencode-{os}-{cpu}-baseline/bin/opencode")


@dataclass(frozen=True, slots=True)
class Provider:
    """A model's service as OpenCode calls it: the key's variables, its API, and the header that the key goes in."""

    keys: tuple[str, ...]
    upstream: str
    header: str = "authorization"


PROVIDERS: Mapping[str, Provider] = {
    "anthropic": Provider(("ANTHROPIC_API_KEY",), "https://api.anthropic.com/v1", "x-api-key"),
    "deepseek": Provider(("DEEPSEEK_API_KEY",), "https://api.deepseek.com"),
    "google": Provider(
        ("GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"),
        "https://generativelanguage.googleapis.com/v1beta",
        "x-goog-api-key",
    ),
    "groq": Provider(("GROQ_API_KEY",), "https://api.groq.com/openai/v1"),
    "mistral": Provider(("MISTRAL_API_KEY",), "https://api.mistral.ai/v1"),
    "openai": Provider(("OPENAI_API_KEY",), "https://api.openai.com/v1"),
    "openrouter": Provider(("OPENROUTER_API_KEY",), "https://openrouter.ai/api/v1"),
    "xai": Provider(("XAI_API_KEY",), "https://api.x.ai/v1"),
}
LOGIN_HOSTS: Mapping[str, tuple[str, ...]] = {
    "openai": ("chatgpt.com", "auth.openai.com"),
    "github-copilot": ("api.github.com", "api.githubcopilot.com", "*.githubcopilot.com"),
}
"""Beside its API: what a login of its own talks to, by provider."""

SAY_MODEL = "say which model, as in opencode@anthropic/claude-sonnet-4-5"
LOGIN = "opencode/auth.json"
"""The file of a login's folder that holds its tokens."""

KNOWN = outfit.Known(
    package="opencode-ai",
    low="1.18.33",
    high="1.18.33",
    login="set the key of the model's provider (ANTHROPIC_API_KEY …), or login in agents.toml",
    bound="one model request a slot: it tells its tokens after each",
)

COMMAND = ("run", "--format", "json", "--print-logs", "--log-level", "ERROR", "--title", "an attempt")
"""With a title it asks no model for one; the log alone says that it waits for a limit to open."""

WEB = ("webfetch", "websearch")

PLUGIN = "kernelfactory.js"
WAITS = "kernelfactory waits "
LINE, TEXT = 4000, 300

LONG = 120.0
"""Seconds of waiting after which the account counts as used up."""

TELLS = f"""export const Waits = async () => ({{
  event: async ({{ event }}) => {{
    const status = event.type === "session.status" ? event.properties.status : {{}}
    if (status.type !== "retry") return
    const told = {{ seconds: (status.next - Date.now()) / 1000, message: status.message }}
    process.stderr.write("\\n{WAITS}" + JSON.stringify(told) + "\\n")
  }},
}})
"""
"""What it is given, so that it tells how long it waits: by itself it tells that to nobody."""

QUIET = {
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    "OPENCODE_DISABLE_PROJECT_CONFIG": "1",  # a file of the workspace is no setting
    "OPENCODE_DISABLE_SHARE": "1",
    "OPENCODE_EXPERIMENTAL_BASH_DEFAULT_TIMEOUT_MS": str(outfit.MEASURE_SECONDS * 1000),
    "TZ": "UTC",
}


class OpenCode:
    """`opencode@PROVIDER/MODEL`: the model as `opencode --model` takes it, effort as its `--variant`. With `upstream`
    any other provider's name will do: an endpoint that speaks as OpenAI's Chat Completions.

    Logged in by the provider's key, which stays outside, or else by the folder that `login` names: an XDG_DATA_HOME in
    which `opencode auth login` was done for the factory alone, since whoever renews a token logs all its copies out.
    Its sessions stay in the throw-away home."""

    costs_money = True
    counts_tokens = True
    in_process = False
    resumes = True
    streams = True

    def __init__(self, model: str | None, entry: Entry = NOTHING) -> None:
        entry.only("opencode", READS)
        self.name = entry.name or "opencode"
        self.model = model or entry.model
        self.entry = entry
        self._provider, self._bare = _parts(self.name, self.model)
        self._program = finding.find("opencode", entry.path, NATIVE)
        self._known = _known(self._provider, entry)
        self._key = None if entry.login or self._known is None else outfit.key(entry, self._known.keys)
        self.needs: Sequence[str] = self._program.needs if self._program is not None else ()
        self.shares: Sequence[Pair] = ((entry.login, entry.login),) if entry.login else ()
        self.routes: Sequence[Route] = tuple(self._routes())
        self.hosts: Sequence[str] = (*entry.hosts, *(self._login_hosts() if entry.login else ()))

    @property
    def secrets(self) -> Mapping[str, str]:
        """Read anew each time: a login's tokens change."""
        found = {self._key.variable: self._key.value} if self._key is not None else {}
        tokens = _tokens(self.entry.login) if self.entry.login else {}
        handed = self._handed()
        return {**found, **tokens, **{name: handed[name] for name in self.entry.secrets if name in handed}}

    def state(self) -> Readiness:
        login = self._key.variable if self._key is not None else None
        if self.entry.login and _tokens(self.entry.login):
            login = f"the login in {self.entry.login}"
        elif login is None and (self.routes or (self._known is None and self.entry.hosts)):
            login = "none is needed that we know of"
        state = KNOWN.state(self._program, login, outfit.barred(self.entry.login, LOGIN))
        if self.model is None and state.installed is not None:
            return replace(state, ready=False, advice=SAY_MODEL)
        return state

    def work(self, workplace: Workplace, brief: str, limits: Limits) -> Usage:
        if self._program is None or self.model is None:
            why = SAY_MODEL if self._program is not None else "opencode is not installed"
            raise AgentFailed(why, trouble="config")
        if not self.routes and not self.entry.login and not self.entry.hosts:
            raise AgentFailed(f"opencode has no login: {KNOWN.login}", trouble="auth")
        outfit.denied(workplace, self.entry.login, LOGIN)
        argv, env = (*self._program.argv, *COMMAND, "--model", self.model), self._env(workplace)
        argv += ("--variant", self.entry.effort) if self.entry.effort else ()
        workplace.put(PLUGIN, TELLS.encode())

        def make(prompt: str, session: str | None) -> Dialogue:
            resumed = ("--session", session) if session is not None else ()
            command = (*argv, *resumed, *self.entry.flags)
            return Told(command, env, prompt, parser("opencode", self._bare), late=True)

        return converse(workplace, make, brief, limits)

    def _routes(self) -> Iterator[Route]:
        if self._known is None or self.entry.login:
            return
        if self._key is not None:
            value = f"Bearer {self._key.value}" if self._known.header == "authorization" else self._key.value
            yield Route("opencode", self._known.upstream, {self._known.header: value}, asks=ASKS)
        elif self._provider not in PROVIDERS:  # an endpoint of one's own may ask for none
            yield Route("opencode", self._known.upstream, asks=ASKS)

    def _login_hosts(self) -> Iterator[str]:
        yield from LOGIN_HOSTS.get(self._provider, ())
        if self._known is not None and (host := urlsplit(self._known.upstream).hostname):
            yield host

    def _handed(self) -> dict[str, str]:
        return outfit.handed(self.entry, self._known.keys if self._known is not None else ())

    def _env(self, workplace: Workplace) -> dict[str, str]:
        env = {**QUIET, "OPENCODE_CONFIG_CONTENT": json.dumps(self._config(workplace))}
        if self.entry.login:
            env |= {"XDG_DATA_HOME": self.entry.login, "OPENCODE_DB": f"{workplace.home}/opencode.db"}
        else:
            env["OPENCODE_DISABLE_DEFAULT_PLUGINS"] = "1"  # they are for logins
        return {**env, **self._handed()}

    def _config(self, workplace: Workplace) -> dict[str, Any]:
        config: dict[str, Any] = {
            "autoupdate": False,
            "share": "disabled",
            "snapshot": False,
            "plugin": [f"file://{workplace.home}/{PLUGIN}"],
            "permission": {"*": "allow", **({} if workplace.web else dict.fromkeys(WEB, "deny"))},
        }
        if self.routes:
            config["provider"] = {
                self._provider: {
                    **({} if self._provider in PROVIDERS else {"npm": "@ai-sdk/openai-compatible"}),
                    "options": {"baseURL": f"{workplace.gateway}/opencode", "apiKey": outfit.OUTSIDE},
                    "models": {self._bare: {}},  # one that is newer than the program will do too
                }
            }
        if tool := outfit.measure_tool(workplace.folder):
            wait = outfit.MEASURE_SECONDS * 1000
            config["mcp"] = {
                "kernelfactory": {"type": "local", "command": list(tool), "enabled": True, "timeout": wait}
            }
        return config


class Told(OneTurn):
    """Hears of a long wait from our own plugin as well."""

    def error(self, text: str) -> Sequence[Event]:
        told = _waits(text) if text.startswith(WAITS) else None
        return super().error(text) if told is None else (told,)


def _waits(text: str) -> Event | None:
    """What a line of the plugin says, if it is worth a word: hostile, for its shell can write there too."""
    try:
        told = json.loads(text[len(WAITS) : len(WAITS) + LINE])
        seconds, message = float(told["seconds"]), str(told["message"])[:TEXT]
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return None
    if not LONG < seconds < math.inf:
        return None
    return Event("limit", text=message, trouble="usage_limit", reset=Reset(after=seconds))


def _parts(name: str, model: str | None) -> tuple[str, str]:
    """The provider and its own name of the model; raises BadInput when one is missing."""
    if model is None:
        return "", ""
    provider, _, bare = model.partition("/")
    if not provider or not bare:
        raise BadInput(f"agent {name}: {model!r} names no provider; {SAY_MODEL}")
    return provider, bare


def _known(provider: str, entry: Entry) -> Provider | None:
    known = PROVIDERS.get(provider)
    if entry.upstream is None:
        return known
    if known is None:  # whatever key the entry names is for it, and none that it does not name
        return Provider(("KEY", "TOKEN") if entry.secrets else (), entry.upstream)
    return replace(known, upstream=entry.upstream)


def _tokens(login: str) -> dict[str, str]:
    """The secrets of a login, by a name each; none where there is no login."""
    told = outfit.logged_in(login, LOGIN)
    held = {provider: table(told, provider) for provider in told}
    names = ("key", "access", "refresh", "token")
    return outfit.tokens({f"opencode-{each}-{name}": held[each].get(name) for each in held for name in names})
