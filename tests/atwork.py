"""An agent at work in a real cage, of which a test sees everything. Refuses to judge: a number is worth what it is."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kernelfactory import jail, problem, process, workspace
from kernelfactory.agents import Agent
from kernelfactory.desk import Lender, Place, Terms
from kernelfactory.factory import Handed, Worker
from kernelfactory.gateway.doors import Gateway
from kernelfactory.journal import Journal
from kernelfactory.model import AgentFailed, Assignment, Files, Incident, Limits, Usage, Work
from kernelfactory.pipes import Talk
from kernelfactory.process import Finished
from kernelfactory.redact import Mask

PROBLEM = Path(__file__).parent / "problems" / "tiny_number"
LIMITS = Limits(seconds=120.0, nudges=0)


class Desk:
    """The injected boundary: a desk that finds a program as good as its number, or as it is long, and writes down what
    it is told. `affords`: may so much be spent?"""

    def __init__(self) -> None:
        self.spends: list[Usage] = []
        self.said: list[tuple[Incident, str]] = []
        self.named: list[str] = []
        self.affords: Callable[[Usage], bool] = lambda usage: True

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

    def spent(self, token: str, usage: Usage) -> str | None:
        self.spends.append(usage)
        return None if self.affords(usage) else "a cap is reached"

    def say(self, token: str, kind: Incident, text: str) -> None:
        self.said.append((kind, text))

    def session(self, token: str, session: str) -> None:
        self.named.append(session)


class Lent:
    """An agents.Workplace as the factory lends it, in the best cage that this machine has; its only way out is the
    gateway. What the desk was told is in `desk`, of which the names are here too."""

    def __init__(self, place: Place, lent: workspace.Workspace, desk: Desk, transcript: Path) -> None:
        self._place, self._lent, self.desk = place, lent, desk
        self._transcript = transcript
        self.mark = uuid.uuid4().hex
        self.folder, self.resumes = place.folder, place.resumes
        self.spends, self.said, self.named = desk.spends, desk.said, desk.named
        self.stop = place._stopped

    def __getattr__(self, name: str) -> Any:
        return getattr(self._place, name)

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
        marked = {"KF_TEST": self.mark, **(env or {})}
        return self._place.run(argv, stdin=stdin, env=marked, seconds=seconds, on_line=on_line, talk=talk)

    @property
    def affords(self) -> Callable[[Usage], bool]:
        """May so much be spent?"""
        return self.desk.affords

    @affords.setter
    def affords(self, affords: Callable[[Usage], bool]) -> None:
        self.desk.affords = affords

    @property
    def lines(self) -> list[str]:
        """Its transcript so far."""
        return self._transcript.read_text("utf-8").splitlines() if self._transcript.exists() else []

    @property
    def base(self) -> Path:
        """All that there is of it: folder, home, the way out."""
        return self._lent.base

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
    """Lends workspaces below `root` and has agents work in them, in `held` or the best cage that this machine has;
    `stack` clears away."""

    def __init__(self, root: Path, stack: ExitStack, folder: Path = PROBLEM, held: jail.Jail | None = None) -> None:
        self._root, self._stack, self._jail = root, stack, held or jail.find(unprotected=True)
        self._problem = problem.load(folder)
        self._gateway = stack.enter_context(Gateway())

    def lend(self, agent: Agent, limits: Limits = LIMITS) -> Lent:
        return self._stack.enter_context(self._lent(agent, limits))

    @contextmanager
    def _lent(self, agent: Agent, limits: Limits) -> Iterator[Lent]:
        found, desk, mask = self._problem, Desk(), Mask(agent.secrets)
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
        ground = workspace.Ground(self._root, self._jail, found, gateway=self._gateway)
        outfit = workspace.Outfit(agent.needs, agent.shares, agent.routes, agent.hosts, mask)
        transcript = self._root.with_name(uuid.uuid4().hex) / "transcript.jsonl"
        terms = Terms(found.editable, Journal(transcript, mask), web=True, mask=mask)
        lent = workspace.lend(assignment, ground, outfit=outfit)
        try:
            with Lender(desk, lambda *_: None).lent(assignment, lent, terms) as place:
                yield Lent(place, lent, desk, transcript)
        finally:
            terms.journal.close()

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
