"""The agent contract over the shipped agents that need no program of others, in a real cage where there is one, and
over one that breaks each promise. Command lines of others run it with their own tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from atwork import Office
from kernelfactory import agents
from kernelfactory.agents import EMBEDDED, Agent, Readiness, Workplace
from kernelfactory.agents.acp import Acp
from kernelfactory.agents.command import Command
from kernelfactory.agents.config import NOTHING, Entry
from kernelfactory.agents.mini import Mini
from kernelfactory.agents.mutator import Mutator
from kernelfactory.agents.scripted import Scripted
from kernelfactory.gateway import Route
from kernelfactory.model import AgentFailed, BadInput, Limits, Tokens, Usage
from kernelfactory.testing.agent import AgentContract, checks
from stubs import Fault, OpenAI, Turn, night

PROBLEMS = Path(__file__).parent.parent / "problems"
ACP_STUB = str(Path(__file__).with_name("acp_stub.py"))


class Contract(AgentContract):
    problem = "tiny_number"

    @pytest.fixture(autouse=True)
    def _stack(self) -> Iterator[None]:
        with ExitStack() as self.stack:
            yield

    def make_workplace(self, tmp_path: Path, agent: Agent) -> Workplace:
        return Office(tmp_path / "scratch", self.stack, PROBLEMS / self.problem).lend(agent)


class TestCommand(Contract):
    secret = "a-secret-that-is-not-to-be-written"

    def make_agent(self, tmp_path: Path) -> Agent:
        os.environ["KF_TEST_SECRET"] = self.secret
        self.stack.callback(os.environ.pop, "KF_TEST_SECRET")
        work = 'test "$KF_TEST_SECRET" || exit 1; cat > brief.copy; echo 7 > number.txt; setsid sleep 60 & exit 0'
        return Command(work, Entry(name="command", secrets=("KF_TEST_SECRET",)))

    def make_failing(self, tmp_path: Path) -> Agent:
        return Command("printf 'two\\nlines\\033[2J' >&2; exit 3")


class TestScripted(Contract):
    def make_agent(self, tmp_path: Path) -> Agent:
        return Scripted(lambda workplace: Path(workplace.folder, "number.txt").write_text("7") and None)

    def make_failing(self, tmp_path: Path) -> Agent:
        def fail(workplace: Workplace) -> None:
            raise AgentFailed("the step says so")

        return Scripted(fail)


class TestMutator(Contract):
    seconds = 4.0
    problem = "tiny_network"

    def make_agent(self, tmp_path: Path) -> Agent:
        return Mutator(None)

    def make_failing(self, tmp_path: Path) -> Agent:
        self.problem = "tiny_number"  # no program in any language that it knows
        return Mutator(None)


class TestMini(Contract):
    secret = "sk-a-key-that-no-cage-may-see"

    def make(self, *play: Turn, fault: Fault | None = None) -> Agent:
        os.environ["KF_TEST_SECRET"] = self.secret
        self.stack.callback(os.environ.pop, "KF_TEST_SECRET", None)
        model = self.stack.enter_context(OpenAI(play, *(() if fault is None else (fault,)), key=self.secret))
        return Mini("gpt-5.5", Entry(name="mini", upstream=model.url, secrets=("KF_TEST_SECRET",)))

    def make_agent(self, tmp_path: Path) -> Agent:
        return self.make(*night("env > env.txt; echo 7 > number.txt; setsid sleep 60 & true"))

    def make_failing(self, tmp_path: Path) -> Agent:
        return self.make(Turn("never said"), fault=Fault("model"))

    def make_spender(self, tmp_path: Path) -> Agent:
        return self.make(*(Turn(f"again {n}", [f"echo {n}"]) for n in range(10_000)))

    def make_limited(self, tmp_path: Path) -> Agent:
        return self.make(*night("true"), fault=Fault("usage", turn=1))


class TestAcp(Contract):
    def make(self, *faults: str) -> Agent:
        return Acp(None, Entry(name="acp", path=sys.executable, flags=("-S", ACP_STUB, *faults)))

    def make_agent(self, tmp_path: Path) -> Agent:
        return self.make()

    def make_failing(self, tmp_path: Path) -> Agent:
        return self.make("die")


# ── the contract finds out ───────────────────────────────────────────────────────────────────────


class Broken:
    """Injected fault: breaks the one promise that it is made to."""

    name, model, entry = "broken", None, NOTHING
    costs_money, counts_tokens, in_process, resumes, streams = True, True, False, False, True
    needs: tuple[str, ...] = ()
    shares: tuple[tuple[str, str], ...] = ()
    routes: tuple[Route, ...] = ()
    hosts: tuple[str, ...] = ()
    secrets: Mapping[str, str] = {"KEY": "a-secret-of-the-broken"}

    def __init__(self, how: str, top: Path) -> None:
        self.how, self.top = how, top
        if how == "shows its secret":
            self.routes = (Route("a-secret-of-the-broken", "http://127.0.0.1:1"),)
        if how == "names no bool":
            self.resumes = 1  # type: ignore[assignment]

    def state(self) -> Readiness:
        return replace(EMBEDDED, bound="") if self.how == "knows no bound" else EMBEDDED

    def work(self, workplace: Workplace, brief: str, limits: Limits) -> Usage:
        folder, how = Path(workplace.folder), self.how
        if how == "writes beside":
            (self.top / "beside").write_text("x")
        if how == "takes the claim":
            (folder / ".kf/token").write_text("mine")
        if how == "runs the brief":
            (folder / "owned").write_text("x")
        if how == "leaves a process":
            left = subprocess.Popen(["sleep", "60"], cwd=folder)
            self.ended = lambda: (left.kill(), left.wait())
        if how == "writes its secret":
            (folder / "log").write_text("key=a-secret-of-the-broken")
        usage = Usage(float("nan") if how == "knows no time" else 1.0, 5, 0.0, {"m": Tokens(5)})
        if how == "hides a failure" or how == "hides a limit":
            return usage
        for _ in range(20 if how == "does not stop" else 0):
            workplace.spent(usage)
        if how not in ("tells nothing", "does not stop"):
            workplace.spent(usage)
            workplace.spent(usage)
        return usage


BROKEN = [
    ("test_it_says_what_it_is", "shows its secret"),
    ("test_it_says_what_it_is", "names no bool"),
    ("test_it_says_how_it_stands", "knows no bound"),
    ("test_it_works", "writes beside"),
    ("test_it_works", "takes the claim"),
    ("test_it_works", "leaves a process"),
    ("test_it_works", "writes its secret"),
    ("test_it_works", "knows no time"),
    ("test_it_works", "tells nothing"),
    ("test_it_survives_a_hostile_brief", "runs the brief"),
    ("test_it_fails_with_what_it_spent", "hides a failure"),
    ("test_it_stops_at_a_cap", "does not stop"),
    ("test_it_stops_at_a_cap", "tells nothing"),
    ("test_it_tells_a_limit", "hides a limit"),
]


def test_each_check_has_an_agent_that_it_finds_out() -> None:
    assert {check for check, _ in BROKEN} == {name for name in checks() if name.startswith("test_")}


@pytest.mark.parametrize(("check", "how"), BROKEN)
def test_an_agent_that_breaks_a_promise_fails_the_contract(check: str, how: str, tmp_path: Path) -> None:
    agent = Broken(how, tmp_path)

    class Suite(Contract):
        secret = "a-secret-of-the-broken"

        def make_agent(self, tmp_path: Path) -> Agent:
            return agent

        make_failing = make_spender = make_limited = make_agent

    suite = Suite()
    with ExitStack() as suite.stack, pytest.raises(AssertionError):
        try:
            checks()[check](suite, tmp_path)
        finally:
            getattr(agent, "ended", lambda: None)()


# ── SPEC ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("", "name[@model][:slots]"),
        ("mutator:0", "slots must be between"),
        ("mutator:99999", "slots must be between"),
        ("nobody", "known: acp, "),
        ("command", "say which"),
        ("mini", "say which model"),
        ("acp", "say which command"),
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


def test_a_table_of_agents_toml_is_an_agent_of_its_kind() -> None:
    entries = {"local": Entry(name="local", agent="mini", model="qwen3", upstream="http://127.0.0.1:1/v1")}
    agent, slots = agents.find("local:2", entries)
    assert (agent.name, agent.model, slots) == ("local", "qwen3", 2)
    assert agents.find("local@llama", entries)[0].model == "llama", "what SPEC says wins"
    with pytest.raises(BadInput, match=r"known: acp, .*local"):
        agents.find("loca", entries)
    with pytest.raises(BadInput, match=r"\[odd\]: agent = 'cluade' is no kind"):
        agents.find("odd", {"odd": Entry(name="odd", agent="cluade")})
