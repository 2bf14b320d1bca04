"""Any shell command as an agent: the brief on its standard input and in BRIEF.md. Understands nothing of its output."""

from __future__ import annotations

from kernelfactory.agents import Workplace
from kernelfactory.model import AgentFailed, BadInput, Limits, Usage


class Command:
    """`command@CMD`: CMD runs under `/bin/sh -c` in the workspace; exit code 0 means that it is done."""

    name = "command"
    costs_money = True  # nobody can know: so a cap is asked for
    counts_tokens = False
    network = True
    in_process = False

    def __init__(self, model: str | None) -> None:
        if not model:
            raise BadInput("agent command: say which, e.g. --agent 'command@./agent.sh'")
        self.model: str | None = model

    def work(self, workplace: Workplace, brief: str, limits: Limits) -> Usage:
        argv = ("/bin/sh", "-c", self.model or "")
        done = workplace.run(argv, stdin=brief.encode(), env={"KF_BRIEF": "BRIEF.md"}, seconds=limits.seconds)
        usage = Usage(seconds=done.seconds, tokens=0, dollars=None)
        if done.returncode != 0 and not done.timed_out:
            raise AgentFailed(f"the command ended with exit code {done.returncode}", usage)
        return usage
