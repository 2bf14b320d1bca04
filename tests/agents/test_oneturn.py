"""Gemini CLI and OpenCode as they are started: logins, keys, settings, models. Their program only looks around."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from atwork import Office, Worked
from kernelfactory.agents.config import Entry
from kernelfactory.agents.gemini import Gemini
from kernelfactory.agents.opencode import OpenCode, Told
from kernelfactory.agents.outfit import OUTSIDE
from kernelfactory.jail import LOGIN_UID, drops, own
from kernelfactory.model import BadInput
from kernelfactory.transcript import Reset, parser

KEYS = (
    "GEMINI_API_KEY",
    "GOOGLE_GENERATIVE_AI_API_KEY",
    "ANTHROPIC_API_KEY",
    "OPENAI_API_KEY",
    "MINE_API_KEY",
    "API_KEY",
)
LOOKS = """#!/bin/sh
[ "$1" = --version ] && { echo 9.8.7; exit; }
printf '%s\\n' "$@" > argv.txt; env > env.txt; cat > stdin.txt
cp -r "$HOME" home
echo '{"type":"result","status":"success","stats":{}}'
echo '{"type":"step_finish","sessionID":"ses_1","part":{"reason":"stop"}}'
"""


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def looks(tmp_path: Path) -> str:
    path = tmp_path / "bin" / "looks"
    path.parent.mkdir()
    path.write_text(LOOKS)
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with ExitStack() as stack:
        yield Office(tmp_path / "scratch", stack)


def environment(done: Worked) -> dict[str, str]:
    return dict(line.split("=", 1) for line in done.file("env.txt").splitlines() if "=" in line)


def config(done: Worked) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(environment(done)["OPENCODE_CONFIG_CONTENT"])
    return read


# ── Gemini CLI ───────────────────────────────────────────────────────────────────────────────────


def test_gemini_gets_a_key_that_is_none_and_the_door_to_its_model(
    office: Office, looks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "the-key-of-a-test")
    agent = Gemini("flash", Entry(name="g", path=looks, flags=("--more",), env={"PLAIN": "1"}))
    assert agent.state().ready and agent.state().login == "GEMINI_API_KEY"
    assert "9.8.7" in agent.state().advice
    assert [dict(route.headers) for route in agent.routes] == [{"x-goog-api-key": "the-key-of-a-test"}]
    assert dict(agent.secrets) == {"GEMINI_API_KEY": "the-key-of-a-test"}
    done = office.work(agent, brief="the brief")
    assert done.failed is None and done.file("stdin.txt") == "the brief"
    seen = environment(done)
    assert seen["GEMINI_API_KEY"] == OUTSIDE and seen["PLAIN"] == "1"
    assert seen["GOOGLE_GEMINI_BASE_URL"] == f"{done.place.gateway}/gemini"
    assert done.file("argv.txt").split()[-3:] == ["--model", "flash", "--more"]
    settings = json.loads(done.file("home/.gemini/settings.json"))
    assert settings["security"]["auth"]["selectedType"] == "gemini-api-key"


def test_gemini_gets_a_copy_of_its_login_and_the_login_is_left_alone(
    office: Office, looks: str, tmp_path: Path
) -> None:
    creds = tmp_path / "login" / ".gemini" / "oauth_creds.json"
    creds.parent.mkdir(parents=True)
    creds.write_text('{"access_token": "an-access-token", "refresh_token": "a-refresh-token"}')
    agent = Gemini(None, Entry(name="g", path=looks, login=str(tmp_path / "login")))
    assert agent.state().login == f"the login in {tmp_path / 'login'}"
    assert set(agent.secrets.values()) == {"an-access-token", "a-refresh-token"}
    assert agent.routes == () and "oauth2.googleapis.com" in agent.hosts and list(agent.shares) == []
    done = office.work(agent)
    assert done.file("home/.gemini/oauth_creds.json") == creds.read_text()
    settings = json.loads(done.file("home/.gemini/settings.json"))
    assert settings["security"]["auth"]["selectedType"] == "oauth-personal"
    assert "GEMINI_API_KEY" not in environment(done)
    creds.unlink()
    assert agent.secrets == {} and not agent.state().ready


def test_without_a_login_nothing_is_started(office: Office, looks: str) -> None:
    for agent in (Gemini(None, Entry(path=looks)), OpenCode("openai/gpt-5", Entry(path=looks))):
        state = agent.state()
        assert not state.ready and "agents.toml" in state.advice
        done = office.work(agent)
        assert done.trouble == "auth" and done.file("argv.txt") == ""


# ── OpenCode ─────────────────────────────────────────────────────────────────────────────────────


def test_opencode_reaches_its_provider_by_the_door(office: Office, looks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "the-key-of-a-test")
    agent = OpenCode("openai/gpt-5", Entry(name="o", path=looks, effort="high"))
    assert [(route.upstream, dict(route.headers)) for route in agent.routes] == [
        ("https://api.openai.com/v1", {"authorization": "Bearer the-key-of-a-test"})
    ]
    done = office.work(agent, brief="the brief")
    assert done.failed is None and done.file("stdin.txt") == "the brief" and done.place.named == ["ses_1"]
    options = config(done)["provider"]["openai"]["options"]
    assert options == {"baseURL": f"{done.place.gateway}/opencode", "apiKey": OUTSIDE}
    assert "the-key-of-a-test" not in done.file("env.txt")
    argv = done.file("argv.txt").split("\n")
    assert argv[argv.index("--variant") + 1] == "high" and argv[argv.index("--model") + 1] == "openai/gpt-5"


def test_opencode_takes_an_endpoint_of_ones_own_and_only_the_key_that_is_named_for_it(
    looks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "not-meant")
    monkeypatch.setenv("MINE_API_KEY", "meant")
    url = "http://127.0.0.1:11434/v1"
    bare = OpenCode("mine/llama", Entry(path=looks, upstream=url))
    assert [(route.upstream, dict(route.headers)) for route in bare.routes] == [(url, {})] and bare.state().ready
    keyed = OpenCode("mine/llama", Entry(path=looks, upstream=url, secrets=("MINE_API_KEY",)))
    assert [dict(route.headers) for route in keyed.routes] == [{"authorization": "Bearer meant"}]
    assert dict(keyed.secrets) == {"MINE_API_KEY": "meant"}


def test_opencode_writes_to_its_login_alone(office: Office, looks: str, tmp_path: Path) -> None:
    auth = tmp_path / "login" / "opencode" / "auth.json"
    auth.parent.mkdir(parents=True)
    auth.write_text(
        '{"openai": {"type": "oauth", "access": "an-access-token", "refresh": "a-refresh-token", "expires": 1}}'
    )
    agent = OpenCode("openai/gpt-5", Entry(path=looks, login=str(tmp_path / "login")))
    assert set(agent.secrets.values()) == {"an-access-token", "a-refresh-token"}
    assert set(agent.hosts) == {"chatgpt.com", "auth.openai.com", "api.openai.com"} and agent.routes == ()
    assert [tuple(pair) for pair in agent.shares] == [(str(tmp_path / "login"), str(tmp_path / "login"))]
    own(tmp_path / "login", LOGIN_UID if drops() else None)
    seen = environment(office.work(agent))
    assert seen["XDG_DATA_HOME"] == str(tmp_path / "login") and seen["OPENCODE_DB"].startswith(seen["HOME"])
    assert "OPENCODE_DISABLE_DEFAULT_PLUGINS" not in seen


def test_opencode_needs_to_know_a_provider_and_a_model(office: Office, looks: str) -> None:
    with pytest.raises(BadInput, match="names no provider"):
        OpenCode("gpt-5")
    agent = OpenCode(None, Entry(path=looks))
    assert not agent.state().ready and "say which model" in agent.state().advice
    assert office.work(agent).trouble == "config"


def test_what_looks_things_up_is_there_only_where_the_web_is(
    office: Office, looks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "the-key-of-a-test")
    monkeypatch.setenv("GEMINI_API_KEY", "the-key-of-a-test")
    for web in (True, False):
        opencode, gemini = OpenCode("openai/gpt-5", Entry(path=looks)), Gemini(None, Entry(path=looks))
        places = office.lend(opencode), office.lend(gemini)
        places[0].web = places[1].web = web
        denied = config(office.work(opencode, lent=places[0]))["permission"]
        rules = office.work(gemini, lent=places[1]).file("home/.gemini/policies/kernelfactory.toml")
        assert (denied.get("webfetch") == "deny", "web_fetch" in rules) == (not web, not web)


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ('{"seconds": 7200.5, "message": "exceeded"}', 7200.5),
        ('{"seconds": 8, "message": "soon"}', None),
        ('{"seconds": Infinity, "message": ""}', None),
        ('{"seconds": NaN, "message": ""}', None),
        ('{"seconds": "x"}', None),
        ('{"message": ""}', None),
        ("[1]", None),
        ("[" * 100_000, None),
        ('{"seconds": 1e999, "message": ""}', None),
    ],
)
def test_a_long_wait_that_the_plugin_tells_of_is_a_limit(line: str, seconds: float | None) -> None:
    events = Told((), {}, "", parser("opencode")).error(f"kernelfactory waits {line}")
    assert [(event.kind, event.trouble, event.reset) for event in events] == (
        [] if seconds is None else [("limit", "usage_limit", Reset(after=seconds))]
    )
