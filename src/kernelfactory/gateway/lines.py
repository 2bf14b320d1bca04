"""One HTTP/1.1 connection as the events of a strict parser. Refuses to know who is at the other end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress

import h11

CHUNK = 1 << 16
HEAD_BYTES = 64 << 10
LEFT_BYTES = 64 << 20
LEFT_SECONDS = 30.0
"""So much of a request that was answered early is read away, so that the answer is heard."""

PARTING_SECONDS = 5.0

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding"
    b" upgrade".split()
)

Header = tuple[bytes, bytes]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Broken(Exception):
    """The other end of `line` went away or speaks no HTTP: `status` would tell it so."""

    def __init__(self, line: Line, status: int = 400) -> None:
        super().__init__("the connection broke")
        self.line = line
        self.status = status


class Line:
    """`moved` is told the number of bytes whenever some came or went."""

    def __init__(
        self, streams: Streams, role: type[h11.SERVER] | type[h11.CLIENT], moved: Callable[[int], None]
    ) -> None:
        self.reader, self.writer = streams
        self.http = h11.Connection(role, max_incomplete_event_size=HEAD_BYTES)
        self.moved = moved
        self._promised = False

    async def request(self, seconds: float) -> h11.Request | None:
        """The next request; None when there is none to come. Raises Broken, also when its head takes more than
        `seconds` from its first byte on."""
        if not self.http.trailing_data[0]:
            await self._read()
        try:
            async with asyncio.timeout(seconds):
                event = await self.next()
        except TimeoutError:
            raise Broken(self, 408) from None
        if not isinstance(event, h11.Request):
            return None
        self._promised = self.http.they_are_waiting_for_100_continue
        return event

    async def next(self) -> h11.Event:
        """Raises Broken."""
        while True:
            try:
                event = self.http.next_event()
            except h11.RemoteProtocolError as error:
                raise Broken(self, error.error_status_hint) from None
            if event is h11.PAUSED:
                raise Broken(self)
            if isinstance(event, h11.Event):
                return event
            if self.http.they_are_waiting_for_100_continue:
                self._promised = False
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            await self._read()

    async def send(self, *events: h11.Event) -> None:
        """Raises Broken."""
        try:
            data = b"".join(self.http.send(event) or b"" for event in events)
            await self.write(data)
        except h11.LocalProtocolError:
            raise Broken(self) from None

    async def write(self, data: bytes) -> None:
        """Raises Broken."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except OSError:
            raise Broken(self) from None
        self.moved(len(data))

    async def answer(self, status: int, text: str, headers: Sequence[Header] = (), *, plain: bool = False) -> None:
        """A whole answer of one line, or as APIs of models say that something is wrong."""
        said = {"type": "error", "error": {"type": "gateway_error", "message": text}}
        body = (text + "\n" if plain else json.dumps(said)).encode()
        kind = b"text/plain; charset=utf-8" if plain else b"application/json"
        head = [*headers, (b"content-type", kind), (b"content-length", str(len(body)).encode())]
        await self.send(h11.Response(status_code=status, headers=head), h11.Data(data=body), h11.EndOfMessage())

    async def gone(self) -> None:
        """Returns when the other end hung up."""
        if await self._read():
            await asyncio.Event().wait()  # it spoke before its turn: that waits in the parser

    async def again(self) -> bool:
        """May another request come? What is left of this one is read away."""
        left = LEFT_BYTES
        if self._promised or self.http.our_state is not h11.DONE:
            return False
        async with asyncio.timeout(LEFT_SECONDS):
            while self.http.their_state is h11.SEND_BODY and left > 0:
                event = await self.next()
                left -= len(event.data) if isinstance(event, h11.Data) else 0
        if self.http.their_state is not h11.DONE:
            return False
        self.http.start_next_cycle()
        return True

    async def close(self) -> None:
        """What was written is still sent."""
        with suppress(OSError, TimeoutError):
            self.writer.close()
            async with asyncio.timeout(PARTING_SECONDS):
                await self.writer.wait_closed()
        self.abort()

    def abort(self) -> None:
        self.writer.transport.abort()

    async def _read(self) -> bool:
        try:
            data = await self.reader.read(CHUNK)
        except OSError:
            raise Broken(self) from None
        self.moved(len(data))
        self.http.receive_data(data)
        return bool(data)


def end_to_end(headers: Sequence[Header], without: frozenset[bytes]) -> list[Header]:
    """Headers that concern more than the next hop, but those named in `without` (lower case)."""
    named = {each.strip().lower() for name, value in headers if name == b"connection" for each in value.split(b",")}
    return [(name, value) for name, value in headers if name not in HOP_BY_HOP | named | without]
