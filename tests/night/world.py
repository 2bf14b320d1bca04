"""One night of two agents, on a fake clock: accounts with windows of five hours, crashes, hangs, logouts, outages,
and a reboot. Run as `python world.py FOLDER PLAN.json`; what the world knows lies in FOLDER/world.json."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from clock import FakeClock

from kernelfactory import jail, workers
from kernelfactory.agents import EMBEDDED, Readiness, Workplace
from kernelfactory.agents.config import NOTHING, Entry
from kernelfactory.budget import Caps
from kernelfactory.model import AgentFailed, Limits, Tokens, Usage, UsageLimit
from kernelfactory.workers import Plan, World

HOUR = 3600.0
WINDOW = 5 * HOUR
REQUEST_DOLLARS, REQUEST_TOKENS = 0.125, 20_000


@dataclass
class Account:
    """The truth of one account. `asked`: requests in the window that began at `opened`; `quota`: as many as it allows.
    `silent`: it never says until when it is used up; `away`, `down`: hours at which it is logged out, or its service is
    in trouble; `limits`: when it said that it is used up, and until when that was so."""

    quota: int
    opened: float = -1e9
    asked: int = 0
    silent: bool = False
    away: list[list[float]] = field(default_factory=list)
    down: list[list[float]] = field(default_factory=list)
    limits: list[list[float]] = field(default_factory=list)

    def ask(self, now: float, start: float) -> None:
        hours = (now - start) / HOUR
        if any(low <= hours < high for low, high in self.away):
            raise AgentFailed("Not logged in", trouble="auth")
        if any(low <= hours < high for low, high in self.down):
            raise AgentFailed("overloaded", trouble="overloaded")
        if now >= self.opened + WINDOW:
            self.opened, self.asked = now, 0
        if self.asked >= self.quota:
            self.limits.append([now, self.opened + WINDOW])
            raise UsageLimit("used up", until=None if self.silent else self.opened + WINDOW)
        self.asked += 1


class Night:
    """An agent of that night. It works in requests of half a minute to two, writes numbers and measures some."""

    costs_money = counts_tokens = in_process = streams = True
    needs = shares = routes = hosts = ()
    secrets: MappingProxyType[str, str] = MappingProxyType({})
    model = None

    def __init__(self, name: str, there: There, resumes: bool, entry: Entry = NOTHING) -> None:
        self.name, self.resumes, self.entry = name, resumes, entry
        self._there = there

    def state(self) -> Readiness:
        return EMBEDDED

    def work(self, workplace: Workplace, brief: str, limits: Limits) -> Usage:
        there, clock = self._there, self._there.clock
        dice = random.Random(f"{there.seed}:{workplace.assignment.attempt}")
        began, steps, spent = clock(), dice.randint(2, 9), 0
        workplace.session(f"session-{workplace.resumes or workplace.assignment.attempt}")
        if dice.random() < 0.03:
            raise AgentFailed("it crashed as it started", self._usage(0, began))
        for _ in range(steps):
            clock.sleep(dice.uniform(30.0, 120.0))
            try:
                there.ask(self.name)
            except AgentFailed as trouble:
                trouble.usage = self._usage(spent, began)
                raise
            spent += 1
            if not workplace.spent(self._usage(spent, began)):
                return self._usage(spent, began)
            Path(workplace.folder, "number.txt").write_text(str(dice.randint(1, 999)))
            if dice.random() < 0.25:
                workplace.measure()
        if dice.random() < 0.03:
            clock.sleep(began + limits.seconds - clock())
            raise AgentFailed("not a word any more", self._usage(spent, began), "stalled")
        if dice.random() < 0.03:
            raise AgentFailed("it crashed at work", self._usage(spent, began))
        Path(workplace.folder, "progress.md").write_text("tried numbers\n")
        return self._usage(spent, began)

    def _usage(self, requests: int, began: float) -> Usage:
        tokens = Tokens(input=requests * REQUEST_TOKENS)
        seconds = self._there.clock() - began
        return Usage(seconds, tokens.all, requests * REQUEST_DOLLARS, {"a model": tokens} if requests else {})


class There:
    """The world as it is, kept in a file."""

    def __init__(self, folder: Path, plan: dict[str, Any]) -> None:
        self._file = folder / "world.json"
        known = json.loads(self._file.read_text()) if self._file.exists() else plan
        self.accounts = {name: Account(**facts) for name, facts in known["accounts"].items()}
        self.seed, self.start = plan["seed"], plan["start"]
        self.clock = FakeClock(plan["now"])

    def ask(self, name: str) -> None:
        try:
            self.accounts[name].ask(self.clock(), self.start)
        finally:
            facts = {name: asdict(account) for name, account in self.accounts.items()}
            self._file.write_text(json.dumps({"accounts": facts}))


def main(folder: Path, plan: dict[str, Any]) -> int:
    there = There(folder, plan)
    agents = {
        name: Night(name, there, name in plan["resume"], Entry(**{"name": name, **plan["entries"].get(name, {})}))
        for name in plan["accounts"]
    }
    claims = 0

    def window(name: str) -> None:
        nonlocal claims
        claims += name == "after-claim"
        if claims == plan["reboot_after"]:
            os.kill(os.getpid(), signal.SIGKILL)

    asked = Plan(
        tuple(plan["crew"]), Caps(**plan["caps"]), scratch=folder / "scratch", unprotected=True, attempt_seconds=1800.0,
        switching=plan["switching"],
    )  # fmt: skip
    world = World(there.clock, there.clock.wait, window, jail.find(unprotected=True), agents)
    ending = workers.run(folder / "x", asked, on_message=lambda text: print(text, file=sys.stderr), world=world)
    print(json.dumps({"why": ending.why, "exit_code": ending.exit_code, "now": there.clock()}))
    return ending.exit_code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())))
