"""What agents.toml says of each agent: values, checked. Refuses to start or find anything."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernelfactory.model import BadInput, BadProblem

if TYPE_CHECKING:
    from kernelfactory.problem.table import Table

FILE = "agents.toml"


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

    def only(self, kind: str, reads: Collection[str]) -> None:
        """Raises BadInput when this says something that agents of this kind do not read: of the keys that are about the
        program itself, they read `reads`."""
        for key in (*_PROGRAM, "model"):
            if key not in reads and getattr(self, key) not in (None, (), {}):
                read = ", ".join(sorted(reads)) or "none of them"
                raise BadInput(f"{FILE}: [{self.name}]: {key} means nothing to the agent {kind} (it reads: {read})")


NOTHING = Entry()

_PROGRAM = ("effort", "flags", "path", "env", "secrets", "login", "hosts", "upstream")
_KEYS = (*(f.name for f in fields(Entry) if f.name not in ("name", "silence")), "silence_minutes")
_NAME = re.compile(r"[A-Za-z][\w-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_SECRET = re.compile(r"(?i)(api_?key|_key|_token|_secret|password)$")
_HOST = re.compile(r"\*|(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[1-9][0-9]{0,4})?")
_URL = re.compile(
    r"https?://[A-Za-z0-9.\-]+(:[0-9]{1,5})?(/[\w.~%/:@+-]*)?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?(/[\w.~%/-]*)?"
)
_MOST = 10**15


def load(folder: Path | None, environ: Mapping[str, str] = os.environ) -> Mapping[str, Entry]:
    """What the user's agents.toml and the one in the experiment's `folder` say, by name; key by key the latter wins.
    The user's lies in $XDG_CONFIG_HOME/kernelfactory (~/.config without it); either may be absent.

    Raises BadInput, which names the file, the line and the key."""
    found: dict[str, dict[str, Any]] = {}
    for path in (users(environ), *(() if folder is None else (folder / FILE,))):
        for name, said in _read(path).items():
            found[name] = {**found.get(name, {}), **said}
    return {name: Entry(**{"agent": name, **said, "name": name}) for name, said in found.items()}


def users(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the user's own agents.toml is looked for."""
    told = environ.get("XDG_CONFIG_HOME", "")
    config = Path(told) if os.path.isabs(told) else Path(environ.get("HOME") or os.path.expanduser("~"), ".config")
    return config / "kernelfactory" / FILE


def secrets_of(entry: Entry, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The values of the entry's `secrets`, as far as they are set."""
    return {name: environ[name] for name in entry.secrets if environ.get(name)}


def missing(entry: Entry, environ: Mapping[str, str] = os.environ) -> list[str]:
    """The entry's `secrets` that are not set."""
    return [name for name in entry.secrets if not environ.get(name)]


def _read(path: Path) -> dict[str, dict[str, Any]]:
    from kernelfactory.problem.table import open_table  # a running agent needs none of it

    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); mend it, or take it away") from error
    try:
        top = open_table(data, str(path))
        return {name: _entry(top, name, path.parent) for name in top.values}
    except BadProblem as fault:
        raise BadInput(str(fault)) from None


def _entry(top: Table, name: str, beside: Path) -> dict[str, Any]:
    if not isinstance(top.values[name], dict):
        top.fault(_shown(name), f"put it below the name of an agent: [claude], say{_like(name, _KEYS)}")
    if not _NAME.fullmatch(name):
        top.fault(_shown(name), "a name is a letter and then letters, digits, - and _; SPEC calls the agent by it")
    table = top.table(name)
    for key in table.values:
        if key not in _KEYS:
            near = _like(key, _KEYS) or f" (known: {', '.join(sorted(_KEYS))})"
            table.fault(_shown(key), f"unknown key{near}; take it out")
    read: dict[str, Any] = {key: _READ[key](table, key) for key in table.values}
    for key in ("login", "path"):
        if key in read:
            read[key] = _placed(read[key], beside)
    if "silence_minutes" in read:
        read["silence"] = 60.0 * read.pop("silence_minutes")
    return read


def _shown(key: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in key)[:100]


def _like(key: str, known: Collection[str]) -> str:
    near = get_close_matches(key, known, 1)
    return f"; is {near[0]} meant?" if near else ""


def _placed(path: str, beside: Path) -> str:
    """A path as the file's owner means it: ~ is the home, what is relative lies beside the file; a bare word stays."""
    if "/" not in path:
        return path
    return os.path.normpath(beside / os.path.expanduser(path))


# ── one key each ─────────────────────────────────────────────────────────────────────────────────


def _kind(table: Table, key: str) -> str:
    return table.text(key, pattern=_NAME, shape='the kind of agent, such as "claude"')


def _text(table: Table, key: str) -> str:
    return table.text(key)


def _login(table: Table, key: str) -> str:
    told = table.text(key)
    return told if "/" in told else f"./{told}"


def _url(table: Table, key: str) -> str:
    return table.text(key, pattern=_URL, shape="a URL without a user or a query, such as https://api.example.com/v1")


def _texts(table: Table, key: str) -> tuple[str, ...]:
    return table.texts(key)


def _hosts(table: Table, key: str) -> tuple[str, ...]:
    hosts = tuple(host.lower() for host in table.texts(key))
    if bad := next((host for host in hosts if not _HOST.fullmatch(host)), None):
        table.fault(key, f'{bad}: write a host\'s name, such as "api.example.com", or "*" for the public network')
    return hosts


def _secrets(table: Table, key: str) -> tuple[str, ...]:
    names = table.texts(key)
    if any(not _VARIABLE.fullmatch(name) for name in names):
        table.fault(key, "list names of environment variables; a secret itself never stands in this file")
    return names


def _env(table: Table, key: str) -> Mapping[str, str]:
    inner = table.table(key)
    for name, value in inner.values.items():
        if not _VARIABLE.fullmatch(name):
            inner.fault(_shown(name), "no name for an environment variable")
        if not isinstance(value, str) or "\0" in value:
            inner.fault(name, 'set it to a text, such as "1"')
        if _SECRET.search(name):
            inner.fault(name, "a secret does not belong into a file: export it, and name it in secrets")
    return dict(inner.values)


def _dollars(table: Table, key: str) -> float:
    return float(table.number(key, above=0))


def _minutes(table: Table, key: str) -> float:
    return float(table.number(key, above=0))


def _tokens(table: Table, key: str) -> int:
    return _whole(table, key, 1, "a whole number above 0")


def _nudges(table: Table, key: str) -> int:
    return _whole(table, key, 0, "a whole number, 0 for never")


def _whole(table: Table, key: str, least: int, what: str) -> int:
    value = table.take(key, (int,), what)
    if not least <= value <= _MOST:
        table.fault(key, f"set it to {what}")
    return int(value)


_READ: Mapping[str, Callable[[Table, str], object]] = {
    "agent": _kind,
    "model": _text,
    "effort": _text,
    "flags": _texts,
    "path": _text,
    "env": _env,
    "secrets": _secrets,
    "login": _login,
    "hosts": _hosts,
    "upstream": _url,
    "dollars": _dollars,
    "tokens": _tokens,
    "attempt_dollars": _dollars,
    "attempt_tokens": _tokens,
    "silence_minutes": _minutes,
    "nudges": _nudges,
}
