"""Requests that go on to another server, with what they are to carry there. Refuses to choose or follow redirects."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes, urlsplit

import h11

from kernelfactory.gateway import Route
from kernelfactory.gateway.dial import Unreachable, local
from kernelfactory.gateway.lines import Broken, Header, Line, Streams, end_to_end
from kernelfactory.model import BadInput
from kernelfactory.redact import SHORTEST, Mask

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x21-\x7e\x80-\xff](?:[\x20-\x7e\x80-\xff\t]*[\x21-\x7e\x80-\xff])?")
_SECRET = re.compile(r"auth|key|token|secret|cookie|pass", re.IGNORECASE)

_ALWAYS = frozenset({b"host", b"expect", b"accept-encoding"})
"""Of a request: said anew."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """A route made ready. `asks`: what may be asked for; `gone`: request headers that are taken away; `mask` hides its
    keys in what comes back."""

    name: str
    tls: bool
    host: str
    port: int
    netloc: str
    base: bytes
    asks: re.Pattern[bytes] | None = None
    put: tuple[Header, ...] = field(default=(), repr=False)
    gone: frozenset[bytes] = _ALWAYS
    mask: Mask | None = None

    def takes(self, method: bytes, rest: bytes) -> bool:
        """May this be asked for? `rest`: the path and query below its base."""
        return self.asks is None or self.asks.fullmatch(method + b" " + rest.partition(b"?")[0]) is not None

    def sent(self, request: h11.Request, rest: bytes) -> h11.Request:
        """The request as the upstream gets it: `rest` is the path and query below its base."""
        headers = end_to_end(request.headers, self.gone)
        coding: list[Header] = [(b"accept-encoding", b"identity")] if self.mask else _of(request, b"accept-encoding")
        chunked: list[Header] = [(b"transfer-encoding", b"chunked")] if _of(request, b"transfer-encoding") else []
        target = self.base + rest
        target = target if target.startswith(b"/") else b"/" + target
        head = [(b"host", self.netloc.encode()), *headers, *coding, *self.put, *chunked, (b"connection", b"close")]
        return h11.Request(method=request.method, target=target, headers=head)


def upstream(route: Route) -> Upstream:
    """Raises BadInput, without showing a header's value."""
    url = urlsplit(route.upstream)
    if not re.fullmatch(r"[A-Za-z0-9._-]+", route.name) or set(route.name) == {"."}:
        raise BadInput(f"{route.name!r} is no name of a route: letters, digits, dot, hyphen and underscore only")
    if url.scheme not in ("http", "https") or not url.hostname or url.username is not None or url.query or url.fragment:
        raise BadInput(
            f"the upstream of {route.name} must be a plain http:// or https:// URL, with nothing in it but a path"
        )
    tls = url.scheme == "https"
    if not (tls or route.plain or local(url.hostname)):
        raise BadInput(
            f"the upstream of {route.name} is on another machine by http://: its key would go there in the clear"
        )
    for name, value in route.headers.items():
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise BadInput(f"the header {name} of {route.name} has a value that no header may have (a line break?)")
    put = tuple((name.lower().encode(), value.encode("latin-1")) for name, value in route.headers.items())
    gone = _ALWAYS | {name.lower().encode() for name in (*route.drop, *route.headers)}
    base = (url.path.rstrip("/") or "").encode()
    port = url.port or (443 if tls else 80)
    asks = re.compile(route.asks.encode()) if route.asks else None
    return Upstream(route.name, tls, url.hostname, port, url.netloc, base, asks, put, gone, _mask(route))


def straight(rest: bytes) -> bool:
    """Does a path stay below where it begins, however it is written?"""
    path = unquote_to_bytes(rest.partition(b"?")[0]).replace(b"\\", b"/")
    return not {b".", b".."} & set(path.split(b"/"))


def shown(asked: bytes) -> str:
    """METHOD /path of a request, for a person."""
    return asked.partition(b"?")[0][:100].decode("latin-1")


async def forward(client: Line, sent: h11.Request, dial: Callable[[], Awaitable[Streams]], mask: Mask | None) -> None:
    """Send a request of `client` on, and what comes back, as it comes. Raises Broken when the client cannot be told."""
    try:
        streams = await dial()
    except Unreachable as error:
        await client.answer(502, str(error))
        return
    server = Line(streams, h11.CLIENT, lambda _: client.moved(0))
    try:
        await server.send(sent)
        await _exchange(client, server, mask)
    except Broken as broken:
        if broken.line is client or client.http.our_state is not h11.SEND_RESPONSE:
            raise
        await client.answer(502, f"{sent_to(sent)} broke off before it answered")
    finally:
        server.abort()


def sent_to(request: h11.Request) -> str:
    return next((value.decode("latin-1") for name, value in request.headers if name == b"host"), "")


async def _exchange(client: Line, server: Line, mask: Mask | None) -> None:
    """Both ways at once, until the answer is whole or the client is gone."""
    up = asyncio.create_task(_up(client, server))
    down = asyncio.create_task(_down(server, client, mask))
    try:
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        if not down.done():
            raise Broken(client)
        await down
    finally:
        up.cancel()
        down.cancel()
        await asyncio.wait({up, down})


async def _up(client: Line, server: Line) -> None:
    """Returns when the client is gone, and not before."""
    with suppress(Broken):
        try:
            event = await client.next()
            while isinstance(event, h11.Data):
                await server.send(h11.Data(data=event.data))
                event = await client.next()
            await server.send(h11.EndOfMessage())
        except Broken as broken:
            if broken.line is client:
                return  # else: maybe the server has answered already, and wants no more
        await client.gone()


async def _down(server: Line, client: Line, mask: Mask | None) -> None:
    event = await server.next()
    while isinstance(event, h11.InformationalResponse):
        event = await server.next()
    if not isinstance(event, h11.Response):
        raise Broken(server)
    hidden = mask.stream() if mask is not None and not _of(event, b"content-encoding") else None
    headers = end_to_end(event.headers, frozenset({b"content-length"} if hidden else ()))
    if mask is not None:
        headers = [(name, mask.data(value)) for name, value in headers]
    await client.send(h11.Response(status_code=event.status_code, headers=headers))
    event = await server.next()
    while isinstance(event, h11.Data):
        if data := hidden.feed(bytes(event.data)) if hidden else bytes(event.data):
            await client.send(h11.Data(data=data))
        event = await server.next()
    rest = hidden.end() if hidden else b""
    await client.send(*([h11.Data(data=rest)] if rest else ()), h11.EndOfMessage())


def _of(message: h11.Request | h11.Response, wanted: bytes) -> list[Header]:
    return [(name, value) for name, value in message.headers if name == wanted]


def _mask(route: Route) -> Mask | None:
    """Of what in the headers of a route is a key: the word after `Bearer`, or all of it."""
    dropped = {name.lower() for name in route.drop}
    keys = [value for name, value in route.headers.items() if name.lower() in dropped or _SECRET.search(name)]
    words: Sequence[str] = [value.split()[-1] for value in keys]
    return (
        Mask({f"{route.name} {n}": word for n, word in enumerate(words, 1) if len(word) >= SHORTEST}) if words else None
    )
