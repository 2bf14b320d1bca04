"""OpenCode itself, in a cage, on a model that plays a script: few runs, for it is heavy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from atnight import Heavy
from kernelfactory.agents.config import Entry
from kernelfactory.agents.opencode import OpenCode
from kernelfactory.model import Tokens
from stubs import Anthropic, Stub


class TestOpenCode(Heavy):
    name, variable, limited = "opencode", "ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY"
    model, all = "claude-sonnet-4-5", Tokens(4000, 200, 20_000, 800)
    api = Anthropic

    def agent(self, stub: Stub, **entry: Any) -> OpenCode:
        return OpenCode(f"anthropic/{self.model}", Entry(name="opencode", upstream=f"{stub.url}/v1", **entry))

    def test_it_works(self, tmp_path: Path) -> None:
        super().test_it_works(tmp_path)
        assert self.place.spends[-1].dollars == pytest.approx(0.024)
        assert [usage.tokens for usage in self.place.spends] == [0, 6250, 12500, 18750, 25000]

    def tools(self, asked: Mapping[str, Any]) -> None:
        offered = {tool["name"] for tool in asked["tools"]}
        assert "bash" in offered and not offered & {"webfetch", "websearch"}
