"""Codex itself, in a cage, on a model that plays a script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from atnight import EDIT, Nights
from atwork import Office
from kernelfactory.agents.codex import Codex
from kernelfactory.agents.config import Entry
from kernelfactory.model import Limits, Tokens
from kernelfactory.testing.agent import holding
from stubs import Fault, OpenAI, Stub, Turn
from stubs.play import Call


class TestCodex(Nights):
    name, variable, limited = "codex", "OPENAI_API_KEY", "CODEX_API_KEY"
    model, all, dollars = "gpt-5.5", Tokens(4800, 200, 20_000, 0), 0.04
    api = OpenAI

    def agent(self, stub: Stub, **entry: Any) -> Codex:
        flags = ("-c", "model_providers.kf.stream_max_retries=1", "-c", "model_providers.kf.request_max_retries=1")
        return Codex(self.model, Entry(name="codex", upstream=f"{stub.url}/v1", flags=flags, **entry))

    def tools(self, asked: Mapping[str, Any]) -> None:
        offered = {tool.get("name") or tool["type"] for tool in asked["tools"]}
        assert "exec_command" in offered and "web_search" not in offered

    def test_a_key_that_got_in_is_found(self, office: Office) -> None:
        with self.stub([Turn("looks", ["env | tee env.txt"]), Turn("Done.")]) as stub:
            done = office.work(self.agent(stub, env={"LEAKED": self.secret}))
            assert any(path.endswith("/env.txt") for path in holding(done.place.folder, self.secret))
            told = "\n".join(done.place.lines)
            assert self.secret not in told and f"LEAKED=[redacted:{self.variable}]" in told

    def test_a_session_is_gone_on_with_later_and_pays_for_itself_alone(self, office: Office) -> None:
        measures = Turn("measures", calls=[Call("mcp__kernelfactory__measure", {})])
        with self.stub([Turn("edits", [EDIT]), measures, Turn("Done.")], Fault("usage-key", turn=1, times=1)) as stub:
            agent = self.agent(stub)
            place = office.lend(agent)
            first = office.work(agent, lent=place)
            assert first.trouble == "billing" and first.usage.tokens == 6250
            place.resumes, before = place.named[0], len(stub.wait())
            second = office.work(agent, Limits(seconds=60.0, nudges=0), lent=place)
            assert second.failed is None and set(place.named) == {place.resumes}
            asked = len(stub.wait()) - before
            assert (second.usage.tokens, second.usage.dollars) == (asked * 6250, pytest.approx(asked * 0.01))
            assert '"score":7' in str(stub.log[-1].body).replace("\\", ""), "measured through its tool"
