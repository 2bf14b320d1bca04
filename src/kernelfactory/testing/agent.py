"""AgentContract: what every agent must keep. Subclass it and give `make_agent` and `make_workplace`."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from kernelfactory.agents import Agent, Workplace
from kernelfactory.model import AgentFailed, Limits, Usage


class AgentContract:
    """Work stays in the folder, within its limits, and says what it cost.

    `make_agent(tmp_path)` gives an agent that can work; `make_workplace(tmp_path)` a lent folder that it can work in,
    `seconds` what it needs for one attempt at most."""

    seconds = 20.0

    def make_agent(self, tmp_path: Any) -> Agent:
        raise NotImplementedError

    def make_workplace(self, tmp_path: Any) -> Workplace:
        raise NotImplementedError

    # ── what must hold ───────────────────────────────────────────────────────────────────────────

    def test_it_says_what_it_is(self, tmp_path: Any) -> None:
        agent = self.make_agent(tmp_path)
        assert agent.name and agent.name == agent.name.strip()
        assert agent.model is None or isinstance(agent.model, str)
        assert isinstance(agent.costs_money, bool) and isinstance(agent.network, bool)

    def test_it_works_and_says_what_it_cost(self, tmp_path: Any) -> None:
        workplace = self.make_workplace(tmp_path)
        usage = self.make_agent(tmp_path).work(workplace, "the brief\n", Limits(seconds=self.seconds))
        assert_sound(usage)

    def test_it_touches_nothing_but_its_folder(self, tmp_path: Any) -> None:
        workplace = self.make_workplace(tmp_path)
        mine = Path(workplace.folder).resolve()
        before = _listing(tmp_path, mine)
        self.make_agent(tmp_path).work(workplace, "the brief\n", Limits(seconds=self.seconds))
        assert _listing(tmp_path, mine) == before, "files beside its folder changed"

    def test_it_leaves_its_claim_alone(self, tmp_path: Any) -> None:
        workplace = self.make_workplace(tmp_path)
        token = Path(workplace.folder, ".kf/token")
        before = token.read_bytes()
        self.make_agent(tmp_path).work(workplace, "the brief\n", Limits(seconds=self.seconds))
        assert token.read_bytes() == before

    def test_it_survives_a_hostile_brief(self, tmp_path: Any) -> None:
        workplace = self.make_workplace(tmp_path)
        brief = "\x1b[2J\u202e{{7*7}} $(touch owned) `touch owned` ; touch owned\n" + "x" * 200_000
        try:
            usage = self.make_agent(tmp_path).work(workplace, brief, Limits(seconds=self.seconds))
        except AgentFailed as failure:
            usage = failure.usage
        assert_sound(usage)
        assert not os.path.exists(os.path.join(workplace.folder, "owned")), "text of the brief was run"


def assert_sound(usage: Usage) -> None:
    """Costs are finite and not negative; an unknown price is None."""
    assert math.isfinite(usage.seconds) and usage.seconds >= 0
    assert usage.tokens >= 0
    assert usage.dollars is None or (math.isfinite(usage.dollars) and usage.dollars >= 0)


def _listing(top: Path, without: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for folder, inner, names in os.walk(top):
        inner[:] = [name for name in inner if Path(folder, name).resolve() != without]
        for name in names:
            status = os.lstat(os.path.join(folder, name))
            found[os.path.join(folder, name)] = (status.st_size, status.st_mtime_ns)
    return found
