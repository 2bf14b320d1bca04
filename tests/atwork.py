"""An agent at work in a real cage, of which a test sees everything. Refuses to judge: a number is worth what it is."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kernelfactory import jail, problem, process, workspace
from kernelfactory.agents import Agent
from kernelfactory.cage import HOME
from kernelfactory.desk import Lender, Place
from kernelfactory.factory import Handed, Worker
from kernelfactory.gateway.doors import Door, Gateway
from kernelfactory.jail import Reach
from kernelfactory.model import AgentFailed, Assignment, Files, Limits, Usage, Work
from kernelfactory.pipes import Stop, Talk
from kernelfactory.process import Finished, Options

PROBLEM = Path(__file__).parent / "problems" / "tiny_number"
PORT = 8118
LIMITS = Limits(seconds=120.0, nudges=0)


class Desk:
    """The injected boundary: a desk that finds a program as good as its number, or as it is long."""

    def claim(self, worker: Worker) -> Assignment:
        raise NotImplementedError

    def submit(self, token: str, work: Work) -> Handed:
        raise NotImplementedError

    def abandon(self, token: str, work: Work) -> Handed:
        raise NotImplementedError

    def renew(self, token: str) -> float:
        return 0.0

    def measure(self, token: str, files: Files, quick: bool = False) -> dict[str, Any]:
        number = files.get("number.txt")
        score = float(sum(map(len, files.values()))) if number is None else float(number.split()[0])
        if quick:
            return {"quick": True, "ok": True, "figure": score, "reason": None}
        return {"verdict": "accepted", "score": score, "measurement": 1, "best_here": score, "parent_score": 1000.0}


class Lent:
    """An agents.Workplace: a workspace in the best cage that this machine has, whose only way out is the gateway."""

    web = True

    def __init__(self, place: Place, lent: workspace.Workspace, agent: Agent, door: Door) -> None:
        self.folder, self.cage, self.assignment, self.measure = (
            place.folder,
            place.cage,
            place.assignment,
            place.measure,
        )
        self.resumes: str | None = None
        self.home = HOME if lent.cage != "none" else str(lent.home)
        self.gateway = door.address or f"http://127.0.0.1:{PORT}"
        self.spends: list[Usage] = []
        self.said: list[tuple[str, str]] = []
        self.named: list[str] = []
        self.lines: list[str] = []
        self.mark = uuid.uuid4().hex
        self.stop = Stop()
        self.affords: Callable[[Usage], bool] = lambda usage: True
        self._lent, self._agent, self._door = lent, agent, door
        proxy = door.proxy or self.gateway
        self._env = {"NO_PROXY": "127.0.0.1,localhost", "HTTPS_PROXY": proxy, "HTTP_PROXY": proxy, "KF_TEST": self.mark}

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        seconds: float | None = None,
        on_line: Callable[[str], None] | None = None,
        talk: Talk | None = None,
    ) -> Finished:
        options = Options(cwd=self.folder, output_bytes=8 << 20, keep_going=True, on_line=on_line, talk=talk)
        given = {**self._env, **(env or {})}
        wait = min(seconds or 120.0, self.assignment.limits.seconds)
        lent, agent = self._lent, self._agent
        if lent.cage == "none":
            return process.run(
                argv,
                env={"PATH": "/usr/bin:/bin", "HOME": self.home, "LANG": "C.UTF-8", **given},
                seconds=wait,
                stdin=stdin,
                stop=self.stop,
                options=options,
            )
        held = replace(
            lent._held,
            home=str(lent.home),
            share=tuple(agent.shares),
            show=tuple((path, path) for path in agent.needs),
            reach=(Reach(self._door.port or PORT, self._door.socket),),
        )
        return lent._jail.run(held.spec(argv, env=given, seconds=wait), stdin=stdin, options=options, stop=self.stop)

    def put(self, name: str, data: bytes) -> None:
        path = self._lent.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        jail.own(self._lent.home, _user(self._lent))

    def transcribe(self, line: str) -> None:
        self.lines.append(line)

    def spent(self, usage: Usage) -> bool:
        self.spends.append(usage)
        return self.affords(usage)

    def say(self, kind: str, text: str) -> None:
        self.said.append((kind, text))

    def session(self, session: str) -> None:
        self.named.append(session)

    def living(self) -> list[int]:
        """Processes that this attempt started and that are alive."""
        return list(process.living(f"KF_TEST={self.mark}"))

    def left(self, seconds: float = 5.0) -> list[int]:
        """Those that are still alive after so long, if any are."""
        until = time.monotonic() + seconds
        while (found := self.living()) and time.monotonic() < until:
            time.sleep(0.02)
        return found


@dataclass
class Worked:
    """What came of an agent's work."""

    place: Lent
    usage: Usage
    failed: AgentFailed | None
    left: list[int] = field(default_factory=list)

    def file(self, name: str) -> str:
        path = Path(self.place.folder, name)
        return path.read_text("utf-8") if path.exists() else ""

    @property
    def trouble(self) -> str | None:
        return None if self.failed is None else self.failed.trouble


class Office:
    """Lends workspaces below `root` and has agents work in them; `stack` clears away."""

    def __init__(self, root: Path, stack: ExitStack, folder: Path = PROBLEM) -> None:
        self._root, self._stack = root, stack
        self._problem = problem.load(folder)
        self._gateway = stack.enter_context(Gateway())

    def lend(self, agent: Agent, limits: Limits = LIMITS) -> Lent:
        found = self._problem
        assignment = Assignment(
            attempt=1,
            token=uuid.uuid4().hex,
            island=0,
            parent=0,
            parent_score=1000.0,
            best_score=1000.0,
            brief="the brief\n",
            files=found.seed,
            limits=limits,
            move="select",
            reason="the seed",
        )
        lent = workspace.lend(assignment, workspace.Ground(self._root, jail.find(unprotected=True), found))
        place = self._stack.enter_context(Lender(Desk(), lambda *_: None, found.editable).lent(assignment, lent))
        hollow = lent.base / "gateway"
        hollow.mkdir()
        jail.own(lent.base, _user(lent))
        tcp = lent.cage != "bubblewrap"
        door = self._stack.enter_context(self._gateway.open(agent.routes, agent.hosts, tcp=tcp, folder=str(hollow)))
        return Lent(place, lent, agent, door)

    def work(
        self,
        agent: Agent,
        limits: Limits = LIMITS,
        *,
        brief: str = "Make the number smaller.",
        meanwhile: Callable[[Lent], None] | None = None,
        lent: Lent | None = None,
    ) -> Worked:
        """Have `agent` work, in `lent` or in a new workspace, until it ends; `meanwhile` runs beside it."""
        place = lent or self.lend(agent, limits)
        beside = threading.Thread(target=meanwhile, args=(place,)) if meanwhile is not None else None
        if beside is not None:
            beside.start()
        try:
            done = Worked(place, agent.work(place, brief, limits), None)
        except AgentFailed as failed:
            done = Worked(place, failed.usage, failed)
        if beside is not None:
            beside.join()
        done.left = place.left()
        return done


def _user(lent: workspace.Workspace) -> int | None:
    return jail.cage_uid(0) if lent.cage != "none" else None
