"""The client of an Agent Client Protocol agent, in the cage with it: allows all, tells all, decides nothing."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import acp
from acp.schema import (
    AllowedOutcome,
    ClientCapabilities,
    DeniedOutcome,
    FileSystemCapabilities,
    Implementation,
    McpServerStdio,
    RequestPermissionResponse,
)

from kernelfactory.agents.inside.lines import Word, listen, say
from kernelfactory.transcript import Event, loose
from kernelfactory.transcript.acp import Acp

LINE = 1 << 24
"""Bytes that a line of the agent may have."""

AUTH_REQUIRED = -32000


class Client:
    """What the agent may ask of us: permissions, which it gets. It has its own tools for files and shells."""

    async def request_permission(self, session_id: str, tool_call: Any, options: Any, **_: Any) -> Any:
        allowed = [option for option in options if option.kind in ("allow_once", "allow_always")]
        if not allowed:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=allowed[0].option_id))

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        """Read as it came, by Listener."""


class Listener:
    """Sees every message as it came, and tells what those of the session mean, once there is a `parser`. `replaced`:
    the running turn was stopped for a word, and goes on with it. `dollars`: what the session has cost."""

    def __init__(self) -> None:
        self.parser: Acp | None = None
        self.replaced = False
        self.dollars: float | None = None
        self._asked: object = None

    def __call__(self, event: Any) -> None:
        message, inward = event.message, event.direction.value == "incoming"
        method, parser = message.get("method"), self.parser
        if parser is None:
            return  # the past of a session that is loaded
        if not inward:
            self._asked = message["id"] if method == "session/prompt" else self._asked
        elif method == "session/update":
            self._tell(parser.update(message.get("params")))
            amount = loose.number(message, "params", "update", "cost", "amount")
            self.dollars = amount if amount is not None else self.dollars
        elif method is None and message.get("id") == self._asked is not None:
            self._asked, failed = None, message.get("error")
            self._tell(parser.failed(failed) if failed else parser.answer(message.get("result")))

    def _tell(self, events: Sequence[Event]) -> None:
        for event in events:
            if not (self.replaced and event.kind == "end" and event.trouble in (None, "cancelled")):
                say(event)


class Session:
    """One agent, one session, one prompt after another. A prompt in a running turn stops it, and is the next."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self._asked = asked
        self._listener = Listener()
        self._prompts: deque[str] = deque()
        self._news = asyncio.Event()
        self._over = self._interrupted = False
        self._id = ""

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        listen(lambda word: loop.call_soon_threadsafe(self._heard, word))
        command, *arguments = self._asked.command
        started = acp.spawn_agent_process(
            cast(Any, Client()),
            command,
            *arguments,
            env=dict(os.environ),
            cwd=os.getcwd(),
            transport_kwargs={"stderr": None, "limit": LINE},
            observers=[self._listener],
        )
        try:
            async with started as (agent, _):
                await self._open(agent)
                await self._work(agent)
        except acp.RequestError as error:  # before the first turn
            told = {"code": error.code, "message": str(error), "data": error.data}
            for event in Acp().failed(told):
                say(event)
            return 1
        except ConnectionError:
            return 1  # it is gone; what it said last is on stderr
        except OSError as error:
            say(Event("end", trouble="config", text=f"{command} cannot be started: {error.strerror}"))
            return 1
        return 0

    def _heard(self, word: Word | None) -> None:
        if word is None:
            self._over = True
        elif word.get("interrupt") is True:
            self._interrupted = True
        elif isinstance(prompt := word.get("prompt"), str):
            self._prompts.append(prompt)
        self._news.set()

    async def _work(self, agent: Any) -> None:
        while not self._interrupted:
            if self._prompts:
                await self._turn(agent, self._prompts.popleft())
            elif self._over:
                return
            else:
                self._news.clear()
                await self._news.wait()

    async def _turn(self, agent: Any, prompt: str) -> None:
        self._listener.replaced = False
        turn = asyncio.ensure_future(agent.prompt(session_id=self._id, prompt=[acp.text_block(prompt)]))
        while not turn.done():
            self._news.clear()
            news = asyncio.ensure_future(self._news.wait())
            await asyncio.wait((turn, news), return_when=asyncio.FIRST_COMPLETED)
            news.cancel()
            if not turn.done() and (self._prompts or self._interrupted):
                self._listener.replaced = not self._interrupted
                await agent.cancel(session_id=self._id)
                break
        with suppress(acp.RequestError):  # told already
            await turn
        _keep(self._id, self._listener.dollars)

    # ── the beginning ────────────────────────────────────────────────────────────────────────────

    async def _open(self, agent: Any) -> None:
        hello = await agent.initialize(
            protocol_version=acp.PROTOCOL_VERSION,
            client_capabilities=ClientCapabilities(
                fs=FileSystemCapabilities(read_text_file=False, write_text_file=False), terminal=False
            ),
            client_info=Implementation(name="kernelfactory", version="1"),
        )
        try:
            opened = await self._opened(agent, hello)
        except acp.RequestError as error:
            keyed = [each.id for each in hello.auth_methods or [] if "key" in each.id.lower()]
            if error.code != AUTH_REQUIRED or not keyed:
                raise
            await agent.authenticate(method_id=keyed[0])  # with a key that it has; never by a browser
            opened = await self._opened(agent, hello)
        options = {option.category or option.id: option for option in opened.config_options or []}
        for category, value in (("model", self._asked.model), ("thought_level", self._asked.effort)):
            if value is not None:
                await self._choose(agent, options.get(category), category, value)
        current = getattr(options.get("model"), "current_value", None)
        self._listener.parser = Acp(self._asked.model or str(current or ""), _kept(self._asked.session))
        say(session=self._id)

    async def _opened(self, agent: Any, hello: Any) -> Any:
        tool = self._asked.measure
        servers = [McpServerStdio(name="kernelfactory", command=tool[0], args=tool[1:], env=[])] if tool else []
        wanted, able = self._asked.session, hello.agent_capabilities
        if wanted is not None and able is not None and able.load_session:
            self._id = wanted
            return await agent.load_session(cwd=os.getcwd(), session_id=wanted, mcp_servers=servers)
        opened = await agent.new_session(cwd=os.getcwd(), mcp_servers=servers)
        self._id = opened.session_id
        return opened

    async def _choose(self, agent: Any, option: Any, category: str, value: str) -> None:
        """Raises RequestError where the agent has no such option, or not this value of it."""
        if option is None:
            said = f"this agent offers no choice of {category.replace('_', ' ')}: leave it away"
            raise acp.RequestError(-32602, f"invalid value '{value}': {said}")
        await agent.set_config_option(config_id=option.id, session_id=self._id, value=value)


def _file(session: str) -> Path:
    return Path(os.environ.get("HOME", "."), ".kf-acp", f"{session}.json")


def _keep(session: str, dollars: float | None) -> None:
    """What a session has cost, for whoever resumes it: agents tell it for the whole session."""
    if dollars is not None and loose.name(session) is not None:
        _file(session).parent.mkdir(parents=True, exist_ok=True)
        _file(session).write_text(json.dumps(dollars), "utf-8")


def _kept(session: str | None) -> float:
    if session is None:
        return 0.0
    try:
        return loose.number(json.loads(_file(session).read_text("utf-8"))) or 0.0
    except (OSError, ValueError):
        return 0.0


def main() -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model")
    parser.add_argument("--effort")
    parser.add_argument("--session")
    parser.add_argument("--measure", type=json.loads, default=[], help="the command of an MCP server, as JSON")
    parser.add_argument("command", nargs="+", help="the agent, after --")
    return asyncio.run(Session(parser.parse_args()).run())


if __name__ == "__main__":
    raise SystemExit(main())
