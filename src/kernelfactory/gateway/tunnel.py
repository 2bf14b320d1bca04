"""Ways from a cage to the hosts that are named for it, at public addresses only. Refuses to read what passes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import h11

from kernelfactory.gateway.dial import Forbidden, Outside, Unreachable
from kernelfactory.gateway.lines import CHUNK, Line, Streams
from kernelfactory.gateway.routes import Upstream, forward
from kernelfactory.model import BadInput

_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9._-]{1,253}))(?::(?P<port>[0-9]{1,5}))?")
_ENTRY = re.compile(r"(?:\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Place:
    """A host (lower case, an address without brackets) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def place(text: bytes, usual: int | None) -> Place | None:
    """What HOST:PORT or HOST (with the `usual` port) means; None: nothing."""
    found = _HOST.fullmatch(text.decode("latin-1"))
    port = int(found["port"]) if found and found["port"] else usual
    if not found or not port or port > 65535:
        return None
    host = (found["six"] or found["name"]).lower().rstrip(".")
    return Place(host, port) if host else None


@dataclass(frozen=True, slots=True)
class Hosts:
    """What may be reached: `example.org`, `*.example.org` (what is below it), `*` (the public network); of each the
    usual port, or the one that is named with it (`example.org:8443`)."""

    entries: tuple[str, ...]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Hosts:
        """Raises BadInput."""
        for text in texts:
            if not _ENTRY.fullmatch(text.lower()):
                raise BadInput(f"{text!r} is no host: example.org, *.example.org, example.org:8443 or * are")
        return cls(tuple(text.lower() for text in texts))

    def way(self, wanted: Place, usual: int) -> Literal["named", "any"] | None:
        """Is it allowed by its name, or only because everything is?"""
        fits = [host for host, port in self._split(usual) if port == wanted.port and _fits(host, wanted.host)]
        if not fits:
            return None
        return "any" if set(fits) == {"*"} else "named"

    def _split(self, usual: int) -> Iterator[tuple[str, int]]:
        for entry in self.entries:
            host, _, port = entry.rpartition(":") if re.search(r":[0-9]+$", entry) else (entry, "", usual)
            yield host.strip("[]"), int(port)


def _fits(host: str, wanted: str) -> bool:
    return host in ("*", wanted) or (host.startswith("*.") and wanted.endswith(host[1:]))


class Refusal(Exception):
    """A request that is not let through: status and the line that says why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Passage:
    """The way of one door to `hosts`. `dialling` bounds how many connections are being made; `names`: threads of its
    own, in which it looks up whatever the cage names, so that no other door waits for that."""

    hosts: Hosts
    outside: Outside
    dialling: asyncio.Semaphore
    names: Executor

    async def connect(self, client: Line, request: h11.Request) -> None:
        """Answer CONNECT and carry what comes, both ways, until both sides have ended. Raises Refusal, Broken."""
        wanted = place(request.target, None)
        if wanted is None:
            raise Refusal(400, "CONNECT is followed by HOST:PORT")
        if not isinstance(await client.next(), h11.EndOfMessage):
            raise Refusal(400, "CONNECT has no body")
        reader, writer = await self._dialled(wanted, 443)
        try:
            await client.send(h11.Response(status_code=200, headers=[], reason=b"Connection established"))
            writer.write(client.http.trailing_data[0])
            await _both(client, reader, writer)
        finally:
            writer.transport.abort()

    async def plain(self, client: Line, request: h11.Request) -> None:
        """Send on a request for http://HOST/…. Raises Refusal, Broken."""
        url = urlsplit(request.target.decode("latin-1"))
        wanted = place(url.netloc.encode("latin-1"), 80)
        if url.scheme != "http" or wanted is None:
            raise Refusal(400, "only http://HOST/… can be asked for here; other things by CONNECT")
        server = Upstream("", False, wanted.host, wanted.port, url.netloc, b"")
        rest = request.target.split(b"/", 3)[3:]
        streams = await self._dialled(wanted, 80)
        await forward(client, server.sent(request, b"/" + b"".join(rest)), lambda: _ready(streams), None)

    async def _dialled(self, wanted: Place, usual: int) -> Streams:
        way = self.hosts.way(wanted, usual)
        if way is None:
            entry = wanted.host if wanted.port == usual else str(wanted)
            raise Refusal(403, f"{wanted} is not a host that this agent may reach: `hosts` with {entry} would allow it")
        try:
            async with self.dialling:
                return await self.outside.checked(wanted.host, wanted.port, named=way == "named", names=self.names)
        except Forbidden as error:
            raise Refusal(403, f"{error}: nothing allows that") from None
        except Unreachable as error:
            raise Refusal(502, str(error)) from None


async def _ready(streams: Streams) -> Streams:
    return streams


async def _both(client: Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    ways = [_carry(client.reader, writer, client), _carry(reader, client.writer, client)]
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: Line) -> None:
    """Raises OSError."""
    while data := await reader.read(CHUNK):
        client.moved(len(data))
        writer.write(data)
        await writer.drain()
    writer.write_eof()
