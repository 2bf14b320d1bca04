"""Logins that lie in a folder, where root runs kf: told beforehand when they are of no use, used when they can be."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from atwork import Office
from kernelfactory.agents import Agent, outfit
from kernelfactory.agents.claude import Claude
from kernelfactory.agents.codex import Codex
from kernelfactory.agents.config import Entry
from kernelfactory.agents.opencode import OpenCode
from kernelfactory.jail import LOGIN_UID, drops, own

LOOKS = """#!/bin/sh
[ "$1" = --version ] && { echo 9.8.7; exit; }
id -u > user.txt; cat FILE > login.txt; echo renewed > FILE.new && mv FILE.new FILE
"""
OTHER = pytest.mark.skipif(not drops(), reason="only where root runs it are cages other users")
AGENTS: dict[str, tuple[Callable[[Entry], Agent], str]] = {
    "claude": (lambda entry: Claude(None, entry), ".credentials.json"),
    "codex": (lambda entry: Codex(None, entry), "auth.json"),
    "opencode": (lambda entry: OpenCode("openai/gpt-5", entry), "opencode/auth.json"),
}
HELD = {
    "claudeAiOauth": {"accessToken": "an-access-token"},
    "tokens": {"access_token": "an-access-token"},
    "openai": {"access": "an-access-token"},
}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with ExitStack() as stack:
        yield Office(tmp_path / "scratch", stack)


def logged_in(name: str, tmp_path: Path) -> tuple[Agent, Path]:
    make, file = AGENTS[name]
    held = tmp_path / "login" / file
    held.parent.mkdir(parents=True)
    held.write_text(json.dumps(HELD))
    held.chmod(0o600)
    looks = tmp_path / "looks"
    looks.write_text(LOOKS.replace("FILE", str(held)))
    looks.chmod(0o755)
    return make(Entry(name=name, path=str(looks), login=str(tmp_path / "login"))), held


def test_a_login_that_cages_cannot_read_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text("{}")
    said = outfit.barred(str(tmp_path), "auth.json", other=True)
    assert "an ordinary user" in said and f"chown -R {LOGIN_UID} {tmp_path}" in said
    assert outfit.barred(str(tmp_path), "auth.json", other=False) == "", "an ordinary user reads what is his"
    assert outfit.barred(str(tmp_path), "none.json", other=True) == outfit.barred(None, "x", other=True) == ""


@OTHER
@pytest.mark.parametrize("name", AGENTS)
def test_under_root_it_is_not_ready_and_nothing_is_started(name: str, office: Office, tmp_path: Path) -> None:
    agent, _ = logged_in(name, tmp_path)
    state = agent.state()
    assert not state.ready and state.login and "an ordinary user" in state.advice
    done = office.work(agent)
    assert done.trouble == "auth" and "an ordinary user" in str(done.failed) and done.file("user.txt") == ""


@OTHER
@pytest.mark.parametrize("name", AGENTS)
def test_under_root_one_that_is_a_cages_own_is_used_by_its_owner(name: str, office: Office, tmp_path: Path) -> None:
    agent, held = logged_in(name, tmp_path)
    own(held.parent, LOGIN_UID)
    os.chown(tmp_path / "login", LOGIN_UID, LOGIN_UID)
    assert agent.state().ready
    done = office.work(agent)
    assert done.file("user.txt") == f"{LOGIN_UID}\n" and "an-access-token" in done.file("login.txt")
    assert held.read_text() == "renewed\n", "it renews its token there"
