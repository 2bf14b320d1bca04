"""AgentContract: what every agent must keep. Subclass it, give `make_agent` and `make_workplace`, and what else it says
of itself asks for."""

from __future__ import annotations

import inspect
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from kernelfactory.agents import Agent, Readiness, Workplace
from kernelfactory.agents.config import Entry
from kernelfactory.gateway import Route
from kernelfactory.model import AgentFailed, Limits, Usage, UsageLimit

FLAGS = ("costs_money", "counts_tokens", "in_process", "resumes", "streams")
GONE = 5.0
"""Seconds after its end in which the last process of an attempt must be gone."""

HOSTILE = "\x1b[2J\u202e{{7*7}} $(touch owned) `touch owned` ; touch owned\n" + "x" * 200_000


class AgentContract:
    """Work stays in the folder, within its limits, and says what it cost.

    `make_agent(tmp_path)` gives an agent that can work and ends by itself; `make_workplace(tmp_path, agent)` a lent
    folder that it can work in, `seconds` what it needs for one attempt at most. `make_failing`: one that cannot do its
    work. Of those that spend and stream their usage: `make_spender`, one that spends without end, and `make_limited`,
    one whose account is used up. `secret`: a value that make_agent's agent holds and its processes must not see."""

    seconds = 20.0
    secret = ""

    def make_agent(self, tmp_path: Any) -> Agent:
        raise NotImplementedError

    def make_workplace(self, tmp_path: Any, agent: Agent) -> Workplace:
        raise NotImplementedError

    def make_failing(self, tmp_path: Any) -> Agent:
        raise NotImplementedError

    def make_spender(self, tmp_path: Any) -> Agent:
        raise NotImplementedError

    def make_limited(self, tmp_path: Any) -> Agent:
        raise NotImplementedError

    # ── what must hold ───────────────────────────────────────────────────────────────────────────

    def test_it_says_what_it_is(self, tmp_path: Any) -> None:
        agent = self.make_agent(tmp_path)
        assert agent.name and agent.name == agent.name.strip()
        assert agent.model is None or isinstance(agent.model, str)
        assert [name for name in FLAGS if not isinstance(getattr(agent, name), bool)] == []
        assert all(isinstance(path, str) and os.path.isabs(path) and os.path.exists(path) for path in agent.needs)
        assert all(os.path.isabs(source) and os.path.isabs(place) for source, place in agent.shares)
        assert all(isinstance(route, Route) for route in agent.routes)
        assert all(route.asks for route in agent.routes), "a key opens more than a model: say what is let through"
        assert all(isinstance(host, str) and host for host in agent.hosts)
        assert isinstance(agent.secrets, Mapping) and isinstance(agent.entry, Entry)
        assert not agent.in_process or not (agent.routes or agent.hosts), "in this process no cage holds it"
        shown = repr((agent.routes, agent.entry, agent.state()))
        assert not any(value in shown for value in agent.secrets.values() if value), "a secret would be shown"

    def test_it_says_how_it_stands(self, tmp_path: Any) -> None:
        state = self.make_agent(tmp_path).state()
        assert isinstance(state, Readiness) and state.ready and state.installed and state.login
        assert state.bound, "by how much it can pass a cap, in words"

    def test_it_works(self, tmp_path: Any) -> None:
        agent = self.make_agent(tmp_path)
        seen = Seen(self.make_workplace(tmp_path, agent))
        folder = Path(seen.folder).resolve()
        outside, token = listing(tmp_path, folder), (folder / ".kf/token").read_bytes()
        usage = agent.work(seen.workplace, "the brief\n", Limits(seconds=self.seconds, nudges=0))
        assert_sound(usage)
        assert_told(agent, seen, usage)
        assert listing(tmp_path, folder) == outside, "files beside its folder changed"
        assert (folder / ".kf/token").read_bytes() == token, "its claim was changed"
        assert not left(folder), "processes are left"
        assert not self.secret or [*holding(tmp_path, self.secret)] == [], "files hold its secret"

    def test_it_survives_a_hostile_brief(self, tmp_path: Any) -> None:
        agent = self.make_agent(tmp_path)
        seen = Seen(self.make_workplace(tmp_path, agent))
        usage = worked(agent, seen, HOSTILE, self.seconds)
        assert_sound(usage)
        assert not os.path.exists(os.path.join(seen.folder, "owned")), "text of the brief was run"

    def test_it_fails_with_what_it_spent(self, tmp_path: Any) -> None:
        agent = self.make_failing(tmp_path)
        seen = Seen(self.make_workplace(tmp_path, agent))
        try:
            agent.work(seen.workplace, "the brief\n", Limits(seconds=self.seconds, nudges=0))
        except AgentFailed as failure:
            assert not isinstance(failure, UsageLimit)
            assert_sound(failure.usage)
            assert str(failure) and str(failure).isprintable(), "one line that may be shown"
        else:
            raise AssertionError("it could not work, and did not say so")

    def test_it_stops_at_a_cap(self, tmp_path: Any) -> None:
        if not pays(self.make_agent(tmp_path)):
            return
        agent = self.make_spender(tmp_path)
        seen = Seen(self.make_workplace(tmp_path, agent), enough=2)
        usage = worked(agent, seen, "the brief\n", 60.0)
        assert seen.refused, "it told less than it was to spend"
        assert seen.more <= 3, f"after the cap it told {seen.more} times that it had spent more"
        assert usage.tokens or usage.dollars

    def test_it_tells_a_limit(self, tmp_path: Any) -> None:
        if not pays(self.make_agent(tmp_path)):
            return
        agent = self.make_limited(tmp_path)
        seen = Seen(self.make_workplace(tmp_path, agent))
        try:
            agent.work(seen.workplace, "the brief\n", Limits(seconds=self.seconds, nudges=0))
        except UsageLimit as limit:
            assert_sound(limit.usage)
            assert limit.until is None or math.isfinite(limit.until)
        else:
            raise AssertionError("its account was used up, and it did not say so")


class Seen:
    """A workplace whose words are written down. The `enough`-th telling of what was spent reaches a cap."""

    def __init__(self, workplace: Workplace, enough: int | None = None) -> None:
        self._workplace, self._enough = workplace, enough
        self.spends: list[Usage] = []
        self.refused = False
        self.more = 0

    @property
    def workplace(self) -> Workplace:
        return cast(Workplace, self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._workplace, name)

    def spent(self, usage: Usage) -> bool:
        self.more += self.refused
        self.spends.append(usage)
        enough = self._enough is not None and len(self.spends) >= self._enough
        self.refused = self.refused or enough
        return self._workplace.spent(usage) and not enough


def pays(agent: Agent) -> bool:
    """Does it say what it spends, and spend anything?"""
    return agent.streams and (agent.costs_money or bool(agent.routes))


def worked(agent: Agent, seen: Seen, brief: str, seconds: float) -> Usage:
    """What it cost, whether it could do its work or not."""
    try:
        return agent.work(seen.workplace, brief, Limits(seconds=seconds, nudges=0))
    except AgentFailed as failure:
        return failure.usage


def assert_sound(usage: Usage) -> None:
    """Costs are finite and not negative; an unknown price is None."""
    assert math.isfinite(usage.seconds) and usage.seconds > 0
    assert usage.tokens >= 0 and usage.tokens >= sum(tokens.all for tokens in usage.models.values())
    assert usage.dollars is None or (math.isfinite(usage.dollars) and usage.dollars >= 0)


def assert_told(agent: Agent, seen: Seen, usage: Usage) -> None:
    """What it said while it worked comes to what it says in the end, and never went down."""
    told = [one.tokens for one in seen.spends]
    assert told == sorted(told)
    if agent.streams and usage.tokens:
        assert told[-1:] == [usage.tokens], "what it spent is told only when it is over"


def left(folder: Path) -> list[int]:
    """Processes that work in `folder` and go on to do so for GONE seconds."""
    until = time.monotonic() + GONE
    while (found := [*within(folder)]) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def within(folder: Path) -> Iterator[int]:
    """Processes that work in `folder`."""
    for name in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc/self") else ()):
        with suppress(OSError):  # gone, or somebody else's
            if (os.readlink(f"/proc/{name}/cwd") + os.sep).startswith(f"{folder}{os.sep}"):
                yield int(name)


def holding(top: Any, secret: str) -> Iterator[str]:
    """Files below `top` that hold `secret`."""
    for folder, _, names in os.walk(top):
        for path in (os.path.join(folder, name) for name in names):
            if os.path.isfile(path) and not os.path.islink(path) and secret.encode() in Path(path).read_bytes():
                yield path


def listing(top: Path, without: Path) -> dict[str, tuple[int, int]]:
    """Files below `top` but not in `without`, nor in the throw-away home beside it, nor our own of what the agent said:
    their sizes and times."""
    found = {}
    for folder, inner, names in os.walk(top):
        inner[:] = [name for name in inner if Path(folder, name).resolve() not in (without, without.parent / "home")]
        for name in (name for name in names if name != "transcript.jsonl"):
            status = os.lstat(os.path.join(folder, name))
            found[os.path.join(folder, name)] = (status.st_size, status.st_mtime_ns)
    return found


def checks() -> Mapping[str, Callable[..., None]]:
    """The checks of the contract, by name."""
    return dict(inspect.getmembers(AgentContract, inspect.isfunction))
