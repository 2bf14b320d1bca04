"""The measuring tool as an agent's MCP client sees it, in a cage."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from atwork import Office
from kernelfactory.agents.outfit import measure_tool
from kernelfactory.agents.scripted import Scripted

CLIENT = """
import asyncio, json, sys
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

async def main():
    found = []
    async with Client(stdio_client(StdioServerParameters(command=sys.argv[1], args=sys.argv[2:]))) as client:
        tools = (await client.list_tools()).tools
        found.append({tool.name: tool.description for tool in tools})
        for name in ("measure", "measure_quick", "measure"):
            answer = await client.call_tool(name, {})
            text = answer.content[0].text
            found.append({"error": answer.is_error, "structured": answer.structured_content, "text": text})
            open("number.txt", "w").write("not a number")
    print(json.dumps(found))

asyncio.run(main())
"""


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with ExitStack() as stack:
        yield Office(tmp_path / "scratch", stack)


def asked(office: Office, spoil: bool = False) -> list[dict[str, Any]]:
    place = office.lend(Scripted(lambda _: None))
    Path(place.folder, "number.txt").write_text("7\n")
    if spoil:  # injected fault: the claim of another
        Path(place.folder, ".kf/token").write_text("another's")
    Path(place.folder, "anyio.py").write_text("raise SystemExit('what lies in the workspace was imported')")
    done = place.run((sys.executable, "-P", "-c", CLIENT, *measure_tool(place.folder)))
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_it_measures_in_the_cage_and_says_why_not(office: Office) -> None:
    tools, measured, quick, spoiled = asked(office)
    assert set(tools) == {"measure", "measure_quick"}
    assert "the only score that counts" in tools["measure"] and "never a verdict" in tools["measure_quick"]
    assert not measured["error"]
    assert measured["structured"]["verdict"] == "accepted" and measured["structured"]["score"] == 7.0
    assert json.loads(measured["text"]) == measured["structured"], "for clients that read the text only"
    assert quick["error"] and spoiled["error"], "what the desk fails at is an error of the tool, not the end of it"


def test_a_claim_that_is_not_its_own_measures_nothing(office: Office) -> None:
    _, *answers = asked(office, spoil=True)
    assert all(answer["error"] and "the token is not this attempt's" in answer["text"] for answer in answers)
