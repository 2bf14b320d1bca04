"""A real server that a door leads to, and clients of a door."""

from __future__ import annotations

import http.client
import json
import queue
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kernelfactory.gateway.doors import Door

KEY = "sk-live-0123456789-abcdefghij"
PATIENCE = 60.0


class Server(ThreadingHTTPServer):
    """What it was asked is in `asked`; `go` lets an answer go on; whoever hangs up is in `hung_up`."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, trust: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), Answers)
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.parts: queue.Queue[bytes] = queue.Queue()
        self.go = threading.Event()
        self.hung_up = threading.Event()
        self.visits = 0
        self.port = int(self.server_address[1])
        self.url = f"{'https://localhost' if trust else 'http://127.0.0.1'}:{self.port}"
        if trust is not None:
            self.socket = trust.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def verify_request(self, *_: object) -> bool:
        self.visits += 1
        return True

    def handle_error(self, *_: object) -> None:
        """Broken connections are part of the tests."""

    def close(self) -> None:
        self.go.set()
        self.shutdown()
        self.server_close()


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].rpartition("/")[2]
        if name == "early":
            self.say(400, b"no", connection="close")
        body = b"".join(self.body())
        if name == "early":
            self.close_connection = True
            return None
        self.server.asked.append((self.command, self.path, dict(self.headers.items()), body))
        if (tell := getattr(self, f"tell_{name}", None)) is not None:
            return tell()
        return self.tell_echo()

    do_POST = do_PUT = do_HEAD = do_DELETE = do_GET

    def body(self) -> Iterator[bytes]:
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                part = self.rfile.read(size)
                self.rfile.readline()
                self.server.parts.put(part)
                yield part
            self.rfile.readline()
        yield self.rfile.read(int(self.headers.get("content-length", 0)))

    def say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"content_length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def tell_echo(self) -> None:
        """All that it was sent, and so also the key."""
        self.say(200, json.dumps(dict(self.headers.items())).encode(), x_key=self.headers.get("x-api-key", ""))

    def tell_redirect(self) -> None:
        self.say(302, b"", location=f"http://elsewhere.test/?key={self.headers.get('x-api-key')}")

    def tell_cut(self) -> None:
        self.say(200, b"half", content_length="100")
        self.close_connection = True

    def tell_nothing(self) -> None:
        self.close_connection = True

    def tell_events(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("connection", "close, x-hop")
        self.send_header("x-hop", "1")
        self.end_headers()
        self.chunk(b"data: one\n\n")
        self.server.go.wait(PATIENCE)
        half = len(KEY) // 2
        self.chunk(f"data: {KEY[:half]}".encode())
        self.chunk(f"{KEY[half:]}\n\n".encode())
        self.chunk(b"")

    def tell_silence(self) -> None:
        """An answer that does not come to an end, until the other side hangs up."""
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.chunk(b"first")
        self.connection.settimeout(PATIENCE)
        if self.connection.recv(1) == b"":
            self.server.hung_up.set()
        self.close_connection = True


class Client(http.client.HTTPConnection):
    """HTTP over a door's Unix socket."""

    def __init__(self, door: Door) -> None:
        super().__init__("door.test", timeout=PATIENCE)
        self.door = door

    def connect(self) -> None:
        self.sock = opened(self.door)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        self.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = self.getresponse()
        return answer.status, answer.read()


def opened(door: Door) -> socket.socket:
    made = socket.socket(socket.AF_INET if door.port else socket.AF_UNIX)
    try:
        made.connect(("127.0.0.1", door.port) if door.port else door.socket)
    except OSError:
        made.close()
        raise
    made.settimeout(PATIENCE)
    return made


@contextmanager
def client(door: Door) -> Iterator[Client]:
    made = Client(door)
    try:
        yield made
    finally:
        made.close()


def said(door: Door, data: bytes) -> bytes:
    """All that a door answers to some bytes, until it hangs up."""
    with opened(door) as line:
        with suppress(OSError):  # it has had enough
            line.sendall(data)
        return rest(line)


def rest(line: socket.socket) -> bytes:
    out = b""
    try:
        while part := line.recv(65536):
            out += part
    except ConnectionError:
        pass
    return out
