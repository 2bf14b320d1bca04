"""Where programs are found, behind which wrappers, what is asked of them; and the keys that they are given or not."""

from __future__ import annotations

import json
import os
import platform
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from kernelfactory.agents import Agent, Workplace, finding, outfit
from kernelfactory.agents.acp import Acp
from kernelfactory.agents.claude import KEYS, Claude
from kernelfactory.agents.codex import Codex
from kernelfactory.agents.config import Entry
from kernelfactory.agents.gemini import Gemini
from kernelfactory.agents.mini import Mini
from kernelfactory.agents.opencode import OpenCode
from kernelfactory.model import AgentFailed, BadInput, Limits
from kernelfactory.redact import Mask

CPU = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())


def program(path: Path, text: str = "#!/bin/sh\necho it 1.2.3 of today\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def _nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(finding.FOLDER, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))


def test_a_path_that_is_told_wins_and_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "path/it")
    program(tmp_path / "cache/bin/it")
    told = program(tmp_path / "told")
    assert finding.find("it", str(told)) == finding.Program((str(told),), (str(told),))
    found = finding.find("it")
    assert found is not None and found.path == str(tmp_path / "path/it")
    monkeypatch.setenv(finding.FOLDER, str(tmp_path / "cache"))
    found = finding.find("it")
    assert found is not None and found.path == str(tmp_path / "cache/bin/it")
    for wrong in (tmp_path / "absent", tmp_path):
        with pytest.raises(BadInput, match=r"set path in agents\.toml"):
            finding.find("it", str(wrong))
    assert finding.find("absent") is None


def test_behind_a_wrapper_of_npm_is_the_program_itself(tmp_path: Path) -> None:
    modules = tmp_path / "lib/node_modules"
    wrapper = program(modules / "@it/it/bin/it.js", "#!/usr/bin/env node\n")
    (tmp_path / "path").mkdir()
    (tmp_path / "path/it").symlink_to(wrapper)
    native = ("@it/it-{os}-{cpu}/vendor/*/it",)
    assert finding.find("it", native=native) is None, "no node to start the wrapper with"
    node = program(tmp_path / "path/node")
    assert finding.find("it", native=native) == finding.Program((str(node), str(wrapper)), (str(node), str(modules)))
    for folder in (modules, modules / "@it/it/node_modules"):  # beside it, and where npm nests it
        real = program(folder / f"@it/it-{sys.platform}-{CPU}/vendor/a-machine/it")
        assert finding.find("it", native=native) == finding.Program((str(real),), (str(modules),))
        real.unlink()


def test_its_version_is_asked_once_and_with_nothing_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "a secret")
    asked = program(
        tmp_path / "it", f"#!/bin/sh\nenv >> {tmp_path}/asked; echo $# $1 >> {tmp_path}/asked; echo v1.2.3-beta.4\n"
    )
    found = finding.find("it", str(asked))
    assert found is not None
    assert [finding.version(found) for _ in range(3)] == ["1.2.3-beta.4"] * 3
    told = (tmp_path / "asked").read_text()
    assert told.count("1 --version") == 1 and "a secret" not in told
    assert f"HOME={os.path.expanduser('~')}\n" not in told
    program(asked, "#!/bin/sh\necho 2.0.0 and more\n")
    assert finding.version(found) == "2.0.0", "another file is asked again"


@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\necho 1.2.3; exit 1\n", "#!/bin/sh\necho no\n", ""])
def test_no_version_is_none(tmp_path: Path, text: str) -> None:
    found = finding.find("it", str(program(tmp_path / "it", text)))
    assert found is not None and finding.version(found) is None
    (tmp_path / "it").unlink()
    assert finding.version(found) is None


def test_versions_are_compared_as_numbers() -> None:
    assert finding.within("2.1.330", "2.1.197", "2.1.330") and finding.within("2.1.197-beta", "2.1.197", "2.1.330")
    assert not finding.within("2.1.99", "2.1.197", "2.1.330") and not finding.within("2.2", "2.1.197", "2.1.330")
    assert not finding.within(None, "0", "9")


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_key_is_the_one_that_is_named_or_none() -> None:
    mine = {
        "ANTHROPIC_API_KEY": "mine",
        "WORK_ANTHROPIC_API_KEY": "work",
        "OTHER": "other",
        "CLAUDE_CODE_OAUTH_TOKEN": "t",
    }
    assert outfit.key(Entry(), KEYS, mine) == outfit.Key("ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY", "mine")
    work = Entry(secrets=("OTHER", "WORK_ANTHROPIC_API_KEY"), env={"A": "b"})
    found = outfit.key(work, KEYS, mine)
    assert found == outfit.Key("WORK_ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY", "work")
    assert outfit.key(work, KEYS, {"ANTHROPIC_API_KEY": "mine"}) is None, "another account is not used instead"
    assert outfit.handed(work, KEYS, mine) == {"A": "b", "OTHER": "other"}
    assert outfit.key(Entry(), KEYS, {}) is None
    assert "mine" not in repr(outfit.key(Entry(), KEYS, mine)), "it is not shown by accident"


def test_two_accounts_are_two_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORK_ANTHROPIC_API_KEY", "the work key")
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "the token")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    work, own = Claude(None, Entry("work", secrets=("WORK_ANTHROPIC_API_KEY",))), Claude("opus")
    assert (work.name, own.name, own.model) == ("work", "claude", "opus")
    assert work.routes[0].headers == {"x-api-key": "the work key"}
    assert own.routes[0].headers == {"authorization": "Bearer the token"}
    assert own.routes[0].upstream == "https://api.anthropic.com"
    assert work.secrets == {"WORK_ANTHROPIC_API_KEY": "the work key"}
    assert own.secrets == {"CLAUDE_CODE_OAUTH_TOKEN": "the token"}
    assert not own.hosts and not own.shares, "its model is reached by the gateway alone"


def test_a_login_of_its_own_is_shared_and_its_tokens_are_secrets(tmp_path: Path) -> None:
    claude = Claude(None, Entry("claude", login=str(tmp_path)))
    codex = Codex(None, Entry("codex", login=str(tmp_path)))
    for agent in (claude, codex):
        assert agent.shares == ((str(tmp_path), str(tmp_path)),) and agent.routes == ()
        assert agent.secrets == {} and agent.state().login is None
    assert "api.anthropic.com" in claude.hosts and "chatgpt.com" in codex.hosts
    assert claude.resumes and not codex.resumes, "Codex would keep its sessions where others see them"
    for text in ("", "[]", "{", '{"claudeAiOauth": 5, "tokens": 5}'):
        (tmp_path / ".credentials.json").write_text(text)
        (tmp_path / "auth.json").write_text(text)
        assert (claude.secrets, codex.secrets) == ({}, {})
    held = {"claudeAiOauth": {"accessToken": "an-access-token", "refreshToken": "a-refresh-token", "expiresAt": 5}}
    (tmp_path / ".credentials.json").write_text(json.dumps(held))
    (tmp_path / "auth.json").write_text(json.dumps({"OPENAI_API_KEY": None, "tokens": {"access_token": "another-one"}}))
    assert set(claude.secrets.values()) == {"an-access-token", "a-refresh-token"}
    assert set(codex.secrets.values()) == {"another-one"}


def test_an_agent_that_writes_to_its_login_traps_nobody(tmp_path: Path) -> None:
    """It may write there: so a pipe is not waited for, a link not followed, what has no end not read to it, and what
    could be no token hides nothing and ends no run."""
    login, real = tmp_path / "login", tmp_path / "elsewhere"
    (login / "opencode").mkdir(parents=True)
    real.write_text(json.dumps({"openai": {"key": "of-somebody-else"}}))
    agent, file = OpenCode("openai/gpt-5", Entry("o", login=str(login))), login / "opencode/auth.json"
    assert agent.secrets == {}
    os.mkfifo(file)
    read: list[object] = []
    reader = threading.Thread(target=lambda: read.append(agent.secrets), daemon=True)
    reader.start()
    reader.join(30)
    assert read == [{}], "whoever reads it waits for ever"
    for place in ("/dev/zero", str(real)):
        file.unlink()
        file.symlink_to(place)
        assert agent.secrets == {}
    file.unlink()
    file.write_text("{}")
    os.truncate(file, 1 << 40)
    assert agent.secrets == {}
    file.write_text("[" * 100_000)
    assert agent.secrets == {}
    odd = {"key": "short", "access": 5, "refresh": "import numpy as np", "token": "a" * 9000}
    many = {f"p\x1b[{n}": {"key": f"a-token-of-{n}"} for n in range(1000)}
    file.write_text(json.dumps({"openai": odd, **many}))
    found = agent.secrets
    assert 0 < len(found) <= 64 and all(name.isprintable() for name in found)
    assert Mask(found).text("import numpy as np, a-token-of-7") == "import numpy as np, [redacted:opencode-p__7-key]"


class Looked:
    """A workplace in which nothing can be started: what would have been."""

    gateway, folder, home, cage, web, resumes = "http://127.0.0.1:1/the-token", "/w", "/h", "landlock", False, None

    def __init__(self) -> None:
        self.argv: tuple[str, ...] = ()
        self.env: dict[str, str] = {}
        self.files: dict[str, bytes] = {}

    def put(self, name: str, data: bytes) -> None:
        self.files[name] = data

    def run(self, argv: Sequence[str], *, env: dict[str, str], talk: object) -> None:
        self.argv, self.env = tuple(argv), env
        raise OSError("not here")


def test_no_command_shows_the_token_of_the_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network of their own, cages reach the door at a port that all of this machine can reach, and everybody
    can list commands: who knows the token spends the user's key."""
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, "a-key-of-a-test")
    it = str(program(tmp_path / "it"))
    entry = Entry(path=it, upstream="http://127.0.0.1:2")
    acp = Entry(path=it, upstream="http://127.0.0.1:2", secrets=("OPENAI_API_KEY",), env={"U": "{upstream}/v1"})
    agents: list[Agent] = [Claude(None, entry), Codex(None, entry), Gemini(None, entry), OpenCode("openai/m", entry)]
    for agent in [*agents, Mini("gpt", Entry(upstream="http://127.0.0.1:2")), Acp(None, acp)]:
        looked = Looked()
        with pytest.raises(AgentFailed, match="not here"):
            agent.work(cast(Workplace, looked), "b", Limits(60.0))
        assert looked.argv and "the-token" not in " ".join(looked.argv), agent
        assert "the-token" in repr((looked.env, looked.files)), "the check itself"


# ── readiness ────────────────────────────────────────────────────────────────────────────────────


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.delenv("CLAUDE_CODE_OAUTH_TOKEN", raising=False)
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
    state = Claude(None).state()
    assert (state.ready, state.installed, state.version) == (False, None, None)
    assert "npm install" in state.advice and "one model request" in state.bound
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    assert not Claude(None).state().ready, "a key alone is no agent"
    it = program(tmp_path / "claude", "#!/bin/sh\necho '2.1.300 (Claude Code)'\n")
    state = Claude(None, Entry("claude", path=str(it))).state()
    assert (state.ready, state.version, state.login, state.advice) == (True, "2.1.300", "ANTHROPIC_API_KEY", "")
    program(it, "#!/bin/sh\necho '3.0.0 (Claude Code)'\n")
    state = Claude(None, Entry("claude", path=str(it))).state()
    assert state.ready and "3.0.0 was not tried" in state.advice
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    state = Claude(None, Entry("claude", path=str(it))).state()
    assert not state.ready and "setup-token" in state.advice
