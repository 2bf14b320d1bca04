"""The doors of a run: who comes in, what they are told, when it is over. Refuses to know what is behind them."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import resource
import secrets
import socket
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path
from typing import Any

import h11

from kernelfactory.gateway import Route
from kernelfactory.gateway.dial import Outside, local
from kernelfactory.gateway.lines import Broken, Line, Streams
from kernelfactory.gateway.routes import Upstream, forward, shown, straight, upstream
from kernelfactory.gateway.tunnel import Hosts, Passage, Refusal, place
from kernelfactory.model import BadInput
from kernelfactory.wire import _Near

CONNECTIONS = 64
"""Of one door at a time."""

DIALLING = 4
"""Connections of one door to hosts that are being made at a time, and its threads for names."""

THREADS = 32
"""For what blocks: checks, and lookups of what users named."""

IDLE_SECONDS = 1800.0
HEAD_SECONDS = 30.0
TOLD = 200
"""Different refusals of one door that are told of."""

Check = Callable[[], str | None]
"""Why no more requests may go to a model now; None: they may. Asked in threads."""


@dataclass(slots=True)
class Counts:
    """What came to a door: `bytes` both ways, as the cage sees them."""

    requests: int = 0
    refused: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Behind:
    """What a door leads to, and whom it tells."""

    routes: dict[bytes, Upstream]
    passage: Passage
    check: Check
    on_refused: Callable[[str], None]


class Door:
    """The way out of one attempt's cage: at the Unix socket `socket` (no `port` then), or at the TCP port `port` of
    127.0.0.1, where who asks needs `token`. `address` is what URLs of routes begin with and `proxy` what HTTPS_PROXY
    is set to, for TCP."""

    def __init__(self, gateway: Gateway, behind: Behind, listener: socket.socket, path: str) -> None:
        self.socket = path
        self.port = 0 if path else int(listener.getsockname()[1])
        self.token = "" if path else secrets.token_urlsafe(24)
        self.address = "" if path else f"http://127.0.0.1:{self.port}/{self.token}"
        self.proxy = "" if path else f"http://kf:{self.token}@127.0.0.1:{self.port}"
        self.counts = Counts()
        self._gateway = gateway
        self._behind = behind
        self._listener = listener
        self._server: asyncio.Server | None = None
        self._visits: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._told: set[str] = set()

    def __repr__(self) -> str:
        return f"Door({self.socket or self.port})"

    def __enter__(self) -> Door:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all of its connections at once."""
        self._gateway.over(self)
        if self.socket:
            with suppress(OSError):
                os.unlink(self.socket)

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._visit, sock=self._listener, backlog=128)

    async def end(self) -> None:
        if self._server is not None:
            self._server.close()
        self._listener.close()
        visits = dict(self._visits)
        for task, writer in visits.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*visits, return_exceptions=True)
        self._behind.passage.names.shutdown(wait=False, cancel_futures=True)

    # ── one connection ───────────────────────────────────────────────────────────────────────────

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._visits) >= CONNECTIONS or not self._gateway.room():
            self._refused(f"more than {CONNECTIONS} connections at a time")
            writer.transport.abort()
            return
        self._visits[task] = writer
        self._gateway.visits += 1
        try:
            await self._served((reader, writer))
        except (Broken, OSError):
            pass  # who went away, or was silent for too long, is told nothing
        except Exception as fault:
            self._refused(f"a request that the gateway failed at ({type(fault).__name__})")
        finally:
            writer.transport.abort()
            self._gateway.visits -= 1
            del self._visits[task]

    async def _served(self, streams: Streams) -> None:
        """Requests one after the other, while anything moves."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._gateway.idle) as timer:

            def moved(count: int) -> None:
                self.counts.bytes += count
                timer.reschedule(loop.time() + self._gateway.idle)

            client = Line(streams, h11.SERVER, moved)
            try:
                while await self._one(client):
                    pass
            except Broken as broken:
                if broken.line is client and client.http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                    self._refused("what is no HTTP/1.1")
                    await client.answer(broken.status, "this is no HTTP/1.1 that we understand", plain=True)
            await client.close()

    async def _one(self, client: Line) -> bool:
        request = await client.request(self._gateway.patience)
        if request is None:
            return False
        self.counts.requests += 1
        try:
            await self._let(client, request)
        except Refusal as refusal:
            if refusal.status != 407 or any(name == b"proxy-authorization" for name, _ in request.headers):
                self._refused(str(refusal))  # else: it only waits to be asked for its password
            to_proxy = not request.target.startswith(b"/")
            more = [(b"proxy-authenticate", b'Basic realm="gateway"')] if refusal.status == 407 else []
            await client.answer(refusal.status, str(refusal), more, plain=to_proxy)
        return request.method != b"CONNECT" and await client.again()

    async def _let(self, client: Line, request: h11.Request) -> None:
        """Raises Refusal, Broken."""
        names = [name for name, _ in request.headers]
        if b"transfer-encoding" in names and b"content-length" in names:
            raise Refusal(400, "a request has one length")
        known = self._known(request)
        target = request.target if request.method == b"CONNECT" else self._own(request.target)
        if target.startswith(b"/"):
            await self._routed(client, request, target, known)
        elif not known:
            raise Refusal(407, "this proxy is not yours: its address has a password")
        elif request.method == b"CONNECT":
            await self._behind.passage.connect(client, request)
        else:
            await self._behind.passage.plain(client, request)

    def _known(self, request: h11.Request) -> bool:
        """Does the request say the token where a proxy is told it?"""
        if not self.token:
            return True
        said = [value for name, value in request.headers if name == b"proxy-authorization"]
        word = said[0].split()[-1] if said and said[0].split() else b""
        right = base64.b64encode(f"kf:{self.token}".encode())
        return compare_digest(word, right) or compare_digest(word, self.token.encode())

    def _own(self, target: bytes) -> bytes:
        """The path of a target that is for this door itself, though it came as to a proxy."""
        found = re.fullmatch(rb"http://([^/?#]*)(/.*)", target)
        where = place(found[1], 80) if found else None
        if found is None or where is None or not local(where.host):
            return target
        names = found[2].split(b"/", 3)[1:3]
        return found[2] if {name.partition(b"?")[0] for name in names} & self._behind.routes.keys() else target

    async def _routed(self, client: Line, request: h11.Request, target: bytes, known: bool) -> None:
        if self.token and compare_digest(re.split(b"[/?]", target, maxsplit=2)[1], self.token.encode()):
            known, target = True, target[1 + len(self.token) :]
        if not known:
            raise Refusal(403, "this address is not yours")
        found = re.fullmatch(rb"/([^/?]*)(.*)", target, re.DOTALL)
        to = self._behind.routes.get(found[1]) if found else None
        if found is None or to is None:
            raise Refusal(404, "there is no route of this name")
        if any(name == b"upgrade" for name, _ in request.headers):
            raise Refusal(426, "no WebSocket here: use HTTP")
        if not straight(found[2]):
            raise Refusal(400, "a path without . and .. is wanted")
        if not to.takes(request.method, found[2]):
            raise Refusal(
                403, f"{shown(request.method + b' ' + found[2])} asks no model anything: it is not let through"
            )
        if why := await self._stopped():
            raise Refusal(429, why)
        outside = self._gateway.outside
        await forward(
            client, to.sent(request, found[2]), lambda: outside.trusted(to.host, to.port, tls=to.tls), to.mask
        )

    async def _stopped(self) -> str | None:
        try:
            return await asyncio.to_thread(self._behind.check)
        except Exception as error:
            return f"whether there is budget left could not be found out ({type(error).__name__})"

    def _refused(self, text: str) -> None:
        self.counts.refused += 1
        if text not in self._told and len(self._told) < TOLD:
            self._told.add(text)
            with suppress(Exception):
                self._behind.on_refused(text)


class Gateway:
    """All doors of a run, served by one thread that starts with the first. `idle`: seconds without a byte after which
    a connection ends; `patience`: seconds that the head of a request may take."""

    def __init__(
        self, outside: Outside | None = None, *, idle: float = IDLE_SECONDS, patience: float = HEAD_SECONDS
    ) -> None:
        self.outside = outside or Outside()
        self.idle = idle
        self.patience = patience
        self.visits = 0
        self._doors: set[Door] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(
        self,
        routes: Sequence[Route],
        hosts: Sequence[str],
        *,
        tcp: bool,
        folder: str,
        check: Check = lambda: None,
        on_refused: Callable[[str], None] = lambda _: None,
    ) -> Door:
        """A door with a Unix socket in `folder`, or one on a TCP port of 127.0.0.1. `on_refused` is told why something
        was refused, once, in the thread of the gateway. Raises BadInput."""
        ready = {route.name.encode(): upstream(route) for route in routes}
        if len(ready) < len(routes):
            raise BadInput("two routes have one name")
        names = ThreadPoolExecutor(DIALLING, "names")
        passage = Passage(Hosts.of(hosts), self.outside, asyncio.Semaphore(DIALLING), names)
        path = "" if tcp else str(Path(folder, "gateway.sock"))
        door = Door(self, Behind(ready, passage, check, on_refused), _listener(path), path)
        self._done(door.listen())
        self._doors.add(door)
        return door

    def over(self, door: Door) -> None:
        if door in self._doors:
            self._doors.remove(door)
            self._done(door.end())

    def close(self) -> None:
        """Closes all doors, and ends the thread."""
        for door in list(self._doors):
            door.close()
        with self._lock:
            if self._loop is not None and self._thread is not None:
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join()
            self._loop = self._thread = None

    def room(self) -> bool:
        """Are there file descriptors for another visitor?"""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return self.visits < max(16, soft // 4)

    def _done(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._running()).result()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name="gateway", daemon=True)
                self._thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    loop.set_default_executor(ThreadPoolExecutor(THREADS, "gateway"))
    loop.set_exception_handler(lambda *_: None)  # a connection's end is no news
    loop.run_forever()
    loop.close()


def _listener(path: str) -> socket.socket:
    """Raises OSError."""
    if not path:
        made = socket.socket(socket.AF_INET)
        made.bind(("127.0.0.1", 0))
        return made
    made = socket.socket(socket.AF_UNIX)
    with _Near(Path(path)) as near:
        made.bind(near)
        os.chmod(near, 0o666)  # the folder is what only the cage sees
    return made
