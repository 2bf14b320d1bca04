"""The agent contract over every shipped agent, in a real cage where there is one, and over faulty ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from kernelfactory import agents, jail, problem, workspace
from kernelfactory.agents import Agent, Workplace
from kernelfactory.agents.command import Command
from kernelfactory.agents.mutator import Mutator
from kernelfactory.agents.scripted import Scripted
from kernelfactory.desk import Lender, Place
from kernelfactory.factory import Handed, Worker
from kernelfactory.model import Assignment, BadInput, Files, Limits, Usage, Work
from kernelfactory.testing.agent import AgentContract

PROBLEMS = Path(__file__).parent.parent / "problems"


class Desk:
    """The injected boundary: a desk that finds every snapshot as good as it is long."""

    def claim(self, worker: Worker) -> Assignment:
        raise NotImplementedError

    def submit(self, token: str, work: Work) -> Handed:
        raise NotImplementedError

    def abandon(self, token: str, work: Work) -> Handed:
        raise NotImplementedError

    def renew(self, token: str) -> float:
        return 0.0

    def measure(self, token: str, files: Files, quick: bool = False) -> dict[str, Any]:
        score = float(sum(map(len, files.values())))
        if quick:
            return {"quick": True, "ok": True, "figure": score, "reason": None}
        return {"verdict": "accepted", "score": score, "measurement": 1, "best_here": score, "parent_score": 1000.0}


class Contract(AgentContract):
    seconds = 10.0
    problem = "tiny_number"

    @pytest.fixture(autouse=True)
    def _stack(self) -> Iterator[None]:
        with ExitStack() as self.stack:
            yield

    def make_workplace(self, tmp_path: Path) -> Workplace:
        found = problem.load(PROBLEMS / self.problem)
        assignment = Assignment(
            attempt=1,
            token="a token of the contract",
            island=0,
            parent=0,
            parent_score=1000.0,
            best_score=1000.0,
            brief="the brief\n",
            files=found.seed,
            limits=Limits(seconds=self.seconds),
            move="select",
            reason="the seed",
        )
        ground = workspace.Ground(tmp_path / "scratch", jail.find(unprotected=True), found)
        lender = Lender(Desk(), lambda *_: None, found.editable)
        place: Place = self.stack.enter_context(lender.lent(assignment, workspace.lend(assignment, ground)))
        return place


class TestCommand(Contract):
    def make_agent(self, tmp_path: Path) -> Agent:
        return Command("cat > brief.copy && echo 7 > number.txt && kf measure --json > answer.json")


class TestScripted(Contract):
    def make_agent(self, tmp_path: Path) -> Agent:
        return Scripted(lambda workplace: Path(workplace.folder, "number.txt").write_text("7") and None)


class TestMutator(Contract):
    seconds = 4.0
    problem = "tiny_network"

    def make_agent(self, tmp_path: Path) -> Agent:
        return Mutator(None)


class Careless:
    """Injected fault: writes beside its folder, takes the token, runs the brief's text, and forgets the cost."""

    name = "careless"
    model = None
    costs_money = False
    counts_tokens = True
    network = False
    in_process = True
    needs = ()

    def work(self, workplace: Workplace, brief: str, limits: Limits) -> Usage:
        folder = Path(workplace.folder)
        (folder.parent / "beside").write_text("x")
        (folder / ".kf/token").write_text("mine")
        (folder / "owned").write_text("x")
        return Usage(seconds=float("nan"))


@pytest.mark.parametrize(
    "check", [name for name in dir(AgentContract) if name.startswith("test_it_") and "says_what_it_is" not in name]
)
def test_a_careless_agent_fails_the_contract(check: str, tmp_path: Path) -> None:
    class Suite(Contract):
        def make_agent(self, tmp_path: Path) -> Agent:
            return Careless()

    suite = Suite()
    run: Callable[[Path], None] = getattr(suite, check)
    with ExitStack() as suite.stack, pytest.raises(AssertionError):
        run(tmp_path)


def test_a_command_measures_from_inside(tmp_path: Path) -> None:
    suite = TestCommand()
    with ExitStack() as suite.stack:
        place = suite.make_workplace(tmp_path)
        usage = suite.make_agent(tmp_path).work(place, "the brief\n", Limits(seconds=10.0))
        assert usage.dollars is None, "nobody knows what a command costs"
        assert '"score": 2' in Path(place.folder, "answer.json").read_text()
        assert Path(place.folder, "brief.copy").read_text() == "the brief\n"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("", "name[@model][:slots]"),
        ("mutator:0", "slots must be between"),
        ("mutator:99999", "slots must be between"),
        ("nobody", "known: command, mutator, scripted"),
        ("command", "say which"),
        ("scripted@/no/such/file", "cannot be read"),
    ],
)
def test_bad_specs_say_what_to_do(spec: str, said: str) -> None:
    with pytest.raises(BadInput, match=said.replace("[", "\\[").replace("]", "\\]")):
        agents.find(spec)


def test_specs_are_taken_apart() -> None:
    assert agents.parse("claude@opus:3") == ("claude", "opus", 3)
    assert agents.parse("command@./a.sh --x:y") == ("command", "./a.sh --x:y", None)
    assert agents.parse("mutator") == ("mutator", None, None)
