"""Gemini CLI by the Agent Client Protocol, in a cage, on a model that plays a script."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from atwork import Office
from kernelfactory.agents import finding
from kernelfactory.agents.acp import Acp
from kernelfactory.agents.config import Entry
from kernelfactory.model import UsageLimit
from stubs import Fault, Gemini, night

KEY = "AIza-a-key-that-no-cage-may-see"
ENV = {"GOOGLE_GEMINI_BASE_URL": "{upstream}", "GEMINI_API_KEY": "outside-the-cage", "GEMINI_CLI_NO_RELAUNCH": "true"}


def test_it_works_until_its_account_is_used_up(
    office: Office, program: Callable[[str], finding.Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANY_KEY", KEY)
    path = program("gemini").path
    with Gemini(night("echo 7 > number.txt; env > env.txt"), Fault("usage", turn=2), key=KEY) as model:
        entry = Entry(name="any", path=path, flags=("--acp",), upstream=model.url, secrets=("ANY_KEY",), env=ENV)
        done = office.work(Acp(None, entry))
    assert isinstance(done.failed, UsageLimit)
    assert done.failed.until is not None and done.failed.until > time.time()
    assert done.file("number.txt") == "7\n" and '"score": 7.0' in done.file("measured.json")
    assert KEY not in done.file("env.txt") and len(done.place.named) == 1
    assert done.left == []
