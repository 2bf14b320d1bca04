"""The agents' own programs, for tests that drive them: what is not there is skipped by name, unless it is required."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from atwork import Office
from kernelfactory.agents import finding
from overnight import BOTH, Evening

REQUIRED = {
    "claude": "claude" in os.environ.get("KF_REQUIRE", "").split(","),
    "codex": "codex" in os.environ.get("KF_REQUIRE", "").split(","),
    "gemini": "gemini" in os.environ.get("KF_REQUIRE", "").split(","),
    "opencode": "opencode" in os.environ.get("KF_REQUIRE", "").split(","),
}


@pytest.fixture(scope="session")
def program() -> Callable[[str], finding.Program]:
    """The program of an agent, by name; skips (fails when KF_REQUIRE names it) where there is none."""

    def there(name: str) -> finding.Program:
        found = finding.find(name)
        if found is None:
            words = f"{name}: not installed; scripts/agents.sh {name} puts it where tests look"
            pytest.fail(words) if REQUIRED[name] else pytest.skip(words)
        return found

    return there


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with ExitStack() as stack:
        yield Office(tmp_path / "scratch", stack)


@pytest.fixture
def there(program: Callable[[str], finding.Program]) -> None:
    """Skips where one of those that work by night is not there."""
    for name in BOTH:
        program(name)


@pytest.fixture
def evening(tmp_path: Path) -> Iterator[Callable[[Mapping[str, str]], Evening]]:
    """Makes a person's machine, with these variables."""
    with ExitStack() as stack:

        def made(variables: Mapping[str, str]) -> Evening:
            return stack.enter_context(closing(Evening(tmp_path / str(len(os.listdir(tmp_path))), variables)))

        yield made
