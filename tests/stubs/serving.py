"""A server on loopback in a thread of this process, and what its answers are made of. Refuses to know an API."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from stubs.play import Fault, Said, Spent, Turn, turn_number

STALL_SECONDS = 1800.0
SPENT = Spent()
Event = tuple[str, Any]
"""Of a stream: its name ("" for none) and its data."""


@dataclass(frozen=True)
class Request:
    """One request as it arrived: header names in lower case. `main`: one of the agent's own conversation, `turn` of it;
    `fault`: what it was answered with."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    at: float = 0.0
    main: bool = False
    turn: int = 0
    fault: str | None = None

    @property
    def key(self) -> str:
        """The key that it came with, wherever it was; "" for none."""
        bearer = self.headers.get("authorization", "").removeprefix("Bearer ").strip()
        asked = parse_qs(urlsplit(self.path).query).get("key", [""])[0]
        return self.headers.get("x-api-key") or self.headers.get("x-goog-api-key") or bearer or asked


@dataclass(frozen=True)
class Answer:
    """What is answered: an object, or `events` of a stream, cut short before the end or left hanging after them."""

    code: int = 200
    object: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    events: Sequence[Event] | None = None
    cut: bool = False
    hang: bool = False
    ping: Event | None = None


class Stub:
    """Plays `play` to whoever asks, one turn an answer, again and again the last; `with` starts and ends it.

    `key`: the only one that is let in (None: any); `log`: every request so far; `spent`: tokens that each answer says
    it took; `warning`: say with every good answer that the account's limit is near. A kind of API fills in `answer`."""

    probes: ClassVar[Mapping[str, Any]] = {}
    """What a GET is answered, by the end of its path."""

    def __init__(
        self,
        play: Sequence[Turn],
        *faults: Fault,
        key: str | None = None,
        spent: Spent = SPENT,
        warning: bool = False,
        port: int = 0,
    ) -> None:
        self.play, self.faults, self.key, self.spent, self.warning = play, faults, key, spent, warning
        self.log: list[Request] = []
        self.broken: list[BaseException] = []
        self.closing = threading.Event()
        self._fired: dict[int, int] = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), self)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    # ── what an API fills in ─────────────────────────────────────────────────────────────────────

    def answer(self, request: Request) -> Answer:
        """Of a POST. Begins with `begin`."""
        raise NotImplementedError

    def refusal(self) -> Answer:
        """Of a request with another key than `key`."""
        raise NotImplementedError

    # ── what it has for that ─────────────────────────────────────────────────────────────────────

    def begin(self, request: Request, conversation: Sequence[Said] | None) -> tuple[Turn, Fault | None]:
        """Which turn to play now and what goes wrong with it; None: a request beside the conversation. It is logged."""
        number = None if conversation is None else turn_number(self.play, conversation)
        fault = self._fault(number)
        kind = None if fault is None else fault.kind
        self.note(replace(request, main=number is not None, turn=number or 0, fault=kind))
        return self.play[min(number or 0, len(self.play) - 1)], fault

    def _fault(self, number: int | None) -> Fault | None:
        with self._lock:
            for index, fault in enumerate(self.faults):
                mine = fault.turn is None or fault.turn == number
                if mine and (fault.times is None or self._fired.get(index, 0) < fault.times):
                    self._fired[index] = self._fired.get(index, 0) + 1
                    return fault
        return None

    def note(self, request: Request) -> None:
        with self._lock:
            self.log.append(request)

    def wait(self, requests: int = 1, seconds: float = 60.0) -> list[Request]:
        """The agent's own requests, once there are so many of them."""
        until = time.monotonic() + seconds
        while len(found := [request for request in self.log if request.main]) < requests:
            if time.monotonic() > until:
                raise TimeoutError(f"{len(found)} requests came in {seconds} s, not {requests}")
            time.sleep(0.02)
        return found

    def __enter__(self) -> Stub:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="stub", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join(10.0)
        if self.broken and error is None:
            raise self.broken[0]


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], stub: Stub) -> None:
        super().__init__(address, _Handler)
        self.stub = stub
        self.open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for connection in tuple(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        import sys

        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):  # an agent that was ended just goes away
            self.stub.broken.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._note("HEAD", {})
        self._object(Answer(200, None), empty=True)

    def do_GET(self) -> None:
        self._note("GET", {})
        path = urlsplit(self.path).path
        if self.headers.get("upgrade"):  # a try of a WebSocket: 426 has the agent fall back at once
            return self._object(Answer(426, {"error": {"message": "no websocket here"}}))
        found = next((value for end, value in self.server.stub.probes.items() if path.endswith(end)), None)
        return self._object(
            Answer(200, found) if found is not None else Answer(404, {"error": {"message": "no such path"}})
        )

    def do_POST(self) -> None:
        stub = self.server.stub
        raw = self._body()
        try:
            body = json.loads(raw or b"{}")
        except ValueError:
            return self._object(
                Answer(400, {"error": {"message": "the body cannot be read", "type": "invalid_request_error"}})
            )
        request = self._request("POST", body)
        if stub.key is not None and request.key != stub.key:
            stub.note(request)
            return self._send(stub.refusal())
        return self._send(stub.answer(request))

    def _request(self, method: str, body: Any) -> Request:
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(method, self.path, headers, body if isinstance(body, dict) else {}, time.time())

    def _note(self, method: str, body: Any) -> None:
        self.server.stub.note(self._request(method, body))

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("transfer-encoding", ""):
            raw = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                raw += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():  # trailers
                pass
        else:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        return gzip.decompress(raw) if self.headers.get("content-encoding") == "gzip" else raw

    # ── answers ──────────────────────────────────────────────────────────────────────────────────

    def _send(self, answer: Answer) -> None:
        if answer.code == 0:  # no answer at all
            if answer.hang:
                self.server.stub.closing.wait(STALL_SECONDS)
            self.close_connection = True
        elif answer.events is None:
            self._object(answer)
        else:
            self._stream(answer)

    def _object(self, answer: Answer, empty: bool = False) -> None:
        data = b"" if empty else json.dumps(answer.object).encode()
        self._head(answer, {"content-type": "application/json", "content-length": str(len(data))})
        self.wfile.write(data)

    def _head(self, answer: Answer, more: Mapping[str, str]) -> None:
        self.send_response(answer.code)
        for name, value in {**more, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _stream(self, answer: Answer) -> None:
        self._head(
            answer, {"content-type": "text/event-stream", "cache-control": "no-cache", "transfer-encoding": "chunked"}
        )
        for event in answer.events or ():
            self._event(event)
        if answer.hang:
            self._hang(answer.ping)
        if answer.hang or answer.cut:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _hang(self, ping: Event | None) -> None:
        until = time.monotonic() + STALL_SECONDS
        while time.monotonic() < until and not self.server.stub.closing.wait(1.0):
            if ping is not None:
                self._event(ping)

    def _event(self, event: Event) -> None:
        name, data = event
        text = data if isinstance(data, str) else json.dumps(data)
        piece = (f"event: {name}\n" if name else "") + f"data: {text}\n\n"
        self.wfile.write(f"{len(piece.encode()):x}\r\n{piece}\r\n".encode())
        self.wfile.flush()


def silent() -> Answer:
    """The connection stands and nothing comes."""
    return Answer(0, hang=True)


def closed() -> Answer:
    """The connection is closed before any answer."""
    return Answer(0)


def words(text: str) -> list[str]:
    """A text in the pieces that a stream brings it in."""
    pieces = text.split(" ")
    return [piece + " " for piece in pieces[:-1]] + pieces[-1:] if text else []
