"""Claude Code itself, in a cage, on a model that plays a script."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from atnight import EDIT, Nights
from atwork import Office
from kernelfactory.agents.claude import Claude
from kernelfactory.agents.config import Entry
from kernelfactory.jail import Unprotected
from kernelfactory.model import Limits, Tokens
from stubs import Anthropic, Fault, Stub, Turn
from stubs.play import Call


class TestClaude(Nights):
    name, variable, limited = "claude", "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"
    model, all, dollars = "claude-sonnet-4-5", Tokens(4000, 200, 20_000, 800), 0.024
    api = Anthropic

    def agent(self, stub: Stub, **entry: Any) -> Claude:
        env = {"CLAUDE_CODE_MAX_RETRIES": "1", **entry.pop("env", {})}
        return Claude(self.model, Entry(name="claude", upstream=stub.url, env=env, **entry))

    def tools(self, asked: Mapping[str, Any]) -> None:
        offered = {tool["name"] for tool in asked["tools"]}
        assert "Bash" in offered and not offered & {"WebFetch", "WebSearch", "AskUserQuestion"}
        told = [request.body for request in self.asked.wait()]
        assert "mcp__kernelfactory__measure" in str(told), "at the latest when its server is there"

    def test_a_session_is_gone_on_with_later_and_pays_for_itself_alone(self, office: Office) -> None:
        measures = Turn("measures", calls=[Call("mcp__kernelfactory__measure", {})])
        with self.stub([Turn("edits", [EDIT]), measures, Turn("Done.")], Fault("credit", turn=1, times=1)) as stub:
            agent = self.agent(stub)
            place = office.lend(agent)
            first = office.work(agent, lent=place)
            assert first.trouble == "billing" and first.usage.tokens == 6250
            place.resumes = place.named[0]
            second = office.work(agent, Limits(seconds=60.0, nudges=0), lent=place)
            assert second.failed is None and set(place.named) == {place.resumes}
            assert (second.usage.tokens, second.usage.dollars) == (12_500, pytest.approx(0.012))
            assert '"score":7' in str(stub.log[-1].body).replace("\\", ""), "measured through its tool"

    def test_it_works_where_nothing_holds_it(self, tmp_path: Path) -> None:
        self.in_jail(Unprotected(), tmp_path)

    def test_its_own_count_of_dollars_is_a_cap_too(self, office: Office) -> None:
        with self.stub([Turn("goes on", [f"echo {n} > number.txt"]) for n in range(9)]) as stub:
            done = office.work(self.agent(stub), Limits(seconds=60.0, nudges=0, dollars=0.01))
            assert done.trouble == "budget" and done.usage.dollars == pytest.approx(0.012)
