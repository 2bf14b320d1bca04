"""Gemini CLI itself, in a cage, on a model that plays a script: few runs, for it is heavy."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atnight import NIGHT, Heavy
from kernelfactory.agents.config import Entry
from kernelfactory.agents.gemini import Gemini
from kernelfactory.model import Limits, Tokens, UsageLimit
from stubs import Fault, Stub
from stubs import Gemini as Model

RESET = 31447.0


class TestGemini(Heavy):
    name, variable, limited = "gemini", "GEMINI_API_KEY", "GEMINI_API_KEY"
    model, all = "gemini-2.5-flash", Tokens(4 * 1200, 4 * 50, 4 * 5000)
    api = Model

    def agent(self, stub: Stub, **entry: Any) -> Gemini:
        return Gemini(self.model, Entry(name="gemini", upstream=stub.url, **entry))

    def tools(self, asked: Mapping[str, Any]) -> None:
        offered = {one["name"] for tool in asked["tools"] for one in tool["functionDeclarations"]}
        assert "run_shell_command" in offered
        assert not offered & {"web_fetch", "google_web_search", "ask_user"}

    def test_it_tells_a_limit(self, tmp_path: Path) -> None:
        """At once, though it would sleep until it opens; the same session goes on then."""
        agent = self.made(NIGHT, Fault("capacity", turn=1, times=1, retry_after=RESET))
        place, limits = self.make_workplace(tmp_path, agent), Limits(seconds=self.seconds, nudges=0)
        try:
            agent.work(place, "the brief", limits)
        except UsageLimit as limit:
            assert limit.until is not None
            ahead = limit.until - time.time()
            assert RESET - 300 < ahead <= RESET, "as its service said: it adds up to a fifth by itself"
        else:
            raise AssertionError("its account was used up, and it did not say so")
        assert [kind for kind, _ in place.said] == ["limit"]
        assert self.file("number.txt") == "7\n" and place.left() == []
        place.resumes = place.named[-1]
        agent.work(place, "the brief", limits)
        assert self.file("progress.md") == "what I tried: the script\n"
        assert len(set(place.named)) == 1
        assert [request.turn for request in self.asked.wait()] == [0, 1, 1, 2, 3]
