"""Doors: who may come in, what the worst of them can do, and when it is over."""

from __future__ import annotations

import base64
import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kernelfactory.gateway import Route
from kernelfactory.gateway.dial import Outside
from kernelfactory.gateway.doors import CONNECTIONS, DIALLING, THREADS, TOLD, Door, Gateway
from kernelfactory.gateway.lines import HEAD_BYTES

from .servers import KEY, PATIENCE, Server, client, opened, rest, said

GET = b"GET /api/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture
def door(gateway: Gateway, server: Server, tmp_path: Path) -> Door:
    return gateway.open([Route("api", server.url, {"x-api-key": KEY})], [], tcp=False, folder=str(tmp_path))


@pytest.fixture
def gate(server: Server) -> Iterator[Door]:
    """A door at a TCP port, to everywhere."""
    with Gateway(Outside(allow_private=True, proxies={})) as gateway:
        yield gateway.open([Route("api", server.url)], [f"*:{server.port}"], tcp=True, folder="")


# ── who comes in ─────────────────────────────────────────────────────────────────────────────────


def test_a_socket_that_the_cages_user_may_connect_to(door: Door, tmp_path: Path) -> None:
    assert door.socket == str(tmp_path / "gateway.sock") and (door.port, door.token, door.address) == (0, "", "")
    assert stat.S_IMODE(os.stat(door.socket).st_mode) == 0o666
    assert said(door, GET).startswith(b"HTTP/1.1 200 ")


def test_a_path_too_long_for_a_socket(gateway: Gateway, server: Server, tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 20) / ("er" * 40)
    folder.mkdir(parents=True)
    with gateway.open([], [], tcp=False, folder=str(folder)) as door:
        assert Path(door.socket).is_socket()
    assert not Path(door.socket).exists()


def asks(gate: Door, server: Server, token: str) -> list[bytes]:
    """What can be asked for with a token, in every place where one may be said."""
    end = b"Host: x\r\nConnection: close\r\n"
    basic = base64.b64encode(f"kf:{token}".encode()).decode()
    there = f"127.0.0.1:{server.port}"
    return [
        f"GET /{token}/api/x HTTP/1.1\r\n".encode() + end + b"\r\n",
        f"GET http://127.0.0.1:{gate.port}/{token}/api/x HTTP/1.1\r\n".encode() + end + b"\r\n",
        f"GET /api/x HTTP/1.1\r\nProxy-Authorization: Bearer {token}\r\n".encode() + end + b"\r\n",
        f"GET http://{there}/ HTTP/1.1\r\nProxy-Authorization: Basic {basic}\r\n".encode() + end + b"\r\n",
        f"CONNECT {there} HTTP/1.1\r\nProxy-Authorization: Basic {basic}\r\n".encode() + end + b"\r\n" + GET,
    ]


def test_who_knows_the_token_comes_in(gate: Door, server: Server) -> None:
    assert gate.address == f"http://127.0.0.1:{gate.port}/{gate.token}" and len(gate.token) >= 32
    for ask in asks(gate, server, gate.token):
        assert said(gate, ask).startswith(b"HTTP/1.1 200 "), ask
    assert gate.token not in str(server.asked) and gate.token not in repr(gate)


@pytest.mark.parametrize("token", ["", "api", "x" * 32, "é", "%2e"])
def test_nobody_else_does(gate: Door, server: Server, token: str) -> None:
    for ask in asks(gate, server, token):
        assert said(gate, ask)[:12] in (b"HTTP/1.1 403", b"HTTP/1.1 407", b"HTTP/1.1 400"), ask
    assert server.visits == 0


def test_who_waits_to_be_asked_for_the_password_was_not_refused(gate: Door) -> None:
    ask = b"CONNECT a.test:1 HTTP/1.1\r\nHost: a.test\r\n"
    answer = said(gate, ask + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 407 ") and b"proxy-authenticate: Basic " in answer and gate.counts.refused == 0
    assert said(gate, ask + b"Proxy-Authorization: Bearer x\r\n\r\n")[9:12] == b"407" and gate.counts.refused == 1


def test_tokens_differ(gate: Door, gateway: Gateway) -> None:
    other = gateway.open([], [], tcp=True, folder="")
    assert other.token != gate.token and said(gate, f"GET /{other.token}/api/x".encode() + GET[10:])[9:12] == b"403"


def test_a_route_is_found_when_it_is_asked_for_as_from_a_proxy(door: Door, server: Server) -> None:
    """By those who were told of a proxy and of no exception."""
    with client(door) as line:
        assert line.ask("GET", "http://127.0.0.1:8118/api/x")[0] == 200
        assert line.ask("GET", "http://127.0.0.1:8118/else/x")[0] == 403


# ── the worst ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"x: " + b"y" * HEAD_BYTES + b"\r\n", 431),
        (b"".join(b"x%d: y\r\n" % n for n in range(9000)), 431),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", 400),
        (b"Content-Length: -5\r\n", 400),
        (b"Content-Length: +5\r\n", 400),
        (b"Transfer-Encoding: xchunked\r\n", 501),
        (b"Transfer-Encoding: chunked, identity\r\n", 501),
        (b"Transfer-Encoding : chunked\r\n", 400),
        (b"Host: y\r\n", 400),
        (b"x: a\x00b\r\n", 400),
    ],
)
def test_heads_that_bomb_or_smuggle(door: Door, server: Server, head: bytes, code: int) -> None:
    inner = b"0\r\n\r\nGET /api/smuggled HTTP/1.1\r\n\r\n"
    answer = said(door, b"POST /api/x HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n" + inner)
    assert answer.startswith(b"HTTP/1.1 %d " % code) or (code == 431 and not answer), "maybe cut off unheard"
    assert server.asked == []
    assert said(door, GET).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\x00\x01\x00", b"SSH-2.0-x\r\n", b"\x00" * 100_000, b"GET / HTTP/9.9\r\n\r\n"]
)
def test_what_is_no_http(door: Door, data: bytes) -> None:
    with opened(door) as line:
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        assert rest(line)[:10] in (b"HTTP/1.1 4", b"")
    assert said(door, GET).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "body", [b"zz\r\n", b"ffffffffffffffffffffffffffffffff\r\n", b"3;" + b"x" * 100_000, b"3\r\nabcdef"]
)
def test_bodies_that_are_none(door: Door, server: Server, body: bytes) -> None:
    said(door, b"POST /api/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert server.asked == [] and said(door, GET).startswith(b"HTTP/1.1 200 ")


def flood(door: Door, count: int) -> list[socket.socket]:
    lines = [opened(door) for _ in range(count)]
    for line in lines:
        line.setblocking(False)
    return lines


def alive(lines: list[socket.socket]) -> int:
    """Connections that were not ended by the other side."""
    count = 0
    for line in lines:
        try:
            line.recv(1)
        except BlockingIOError:
            count += 1
        except OSError:
            pass
    return count


def test_a_thousand_connections(gateway: Gateway, door: Door, server: Server, tmp_path: Path) -> None:
    """As many as one may have, they wait; other doors see nothing of it."""
    (tmp_path / "other").mkdir()
    other = gateway.open([Route("api", server.url)], [], tcp=False, folder=str(tmp_path / "other"))
    first = flood(door, CONNECTIONS)
    for _ in range(1000 // CONNECTIONS):
        for line in flood(door, CONNECTIONS):
            line.close()
    late = flood(door, 10)
    assert said(other, GET).startswith(b"HTTP/1.1 200 ")
    assert alive(first) == CONNECTIONS
    for line in (late[0], first[0]):
        line.settimeout(PATIENCE)
    assert rest(late[0]) == b"", "one too many"
    first[0].sendall(GET)
    assert rest(first[0]).startswith(b"HTTP/1.1 200 "), "who was in is served"
    for line in (*first, *late):
        line.close()
    while not said(door, GET).startswith(b"HTTP/1.1 200 "):
        pass  # until it has seen that they are gone
    assert door.counts.refused > 900


def test_silence_and_dribble_come_to_an_end(server: Server, tmp_path: Path) -> None:
    with Gateway(Outside(proxies={}), idle=0.3, patience=0.3) as gateway:
        door = gateway.open([Route("api", server.url)], [], tcp=False, folder=str(tmp_path))
        with opened(door) as silent, opened(door) as half, opened(door) as waits, opened(door) as slow:
            half.sendall(b"POST /api/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
            waits.sendall(b"GET /api/silence HTTP/1.1\r\nHost: x\r\n\r\n")
            over = threading.Event()
            thread = threading.Thread(target=dribble, args=(slow, over))
            thread.start()
            assert rest(silent) == b"" and rest(half) == b"" and b"first" in rest(waits)
            assert rest(slow).startswith(b"HTTP/1.1 408 ")
            over.set()
            thread.join(PATIENCE)
    assert server.hung_up.wait(PATIENCE)


def dribble(line: socket.socket, over: threading.Event) -> None:
    try:
        for byte in b"GET /api/x HTTP/1.1\r\nx: " + b"x" * 5000:
            line.sendall(bytes([byte]))
            if over.wait(0.02):
                return
    except OSError:
        pass


def test_an_answer_that_nobody_reads_ends_nothing_else(door: Door, server: Server) -> None:
    with opened(door) as line:
        line.sendall(b"POST /api/x HTTP/1.1\r\nHost: x\r\n" + b"x: " + b"y" * 30_000 + b"\r\n\r\n" + GET * 500)
        assert said(door, GET).startswith(b"HTTP/1.1 200 ")


def test_refusals_are_told_once_and_not_without_end(gateway: Gateway, tmp_path: Path) -> None:
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        raise OSError("no room")

    door = gateway.open([], [], tcp=False, folder=str(tmp_path), on_refused=tell)
    with client(door) as line:
        for number in range(TOLD + 20):
            assert line.ask("GET", f"http://h{number}.test/")[0] == 403
    assert len(told) == TOLD == len(set(told)) and door.counts.refused == TOLD + 20


def test_no_door_waits_for_the_names_that_others_look_up(server: Server, tmp_path: Path) -> None:
    """Whoever chooses a name chooses who answers for it, or does not."""
    never, asked = threading.Event(), threading.Semaphore(0)

    def resolver(host: str) -> list[str]:
        if host.endswith(".silent.test"):
            asked.release()
            never.wait(PATIENCE)
        return ["127.0.0.1"]

    with Gateway(Outside(resolver, proxies={})) as gateway, ExitStack() as stack:
        stack.callback(never.set)
        lines = []
        for number in range(THREADS // DIALLING + 1):
            (tmp_path / str(number)).mkdir()
            hostile = gateway.open([], ["*"], tcp=False, folder=str(tmp_path / str(number)))
            lines += [stack.enter_context(opened(hostile)) for _ in range(DIALLING)]
        for number, line in enumerate(lines):
            line.sendall(f"CONNECT a{number}.silent.test:443 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        for _ in lines:
            assert asked.acquire(timeout=PATIENCE)
        url = f"http://localhost:{server.port}"
        door = gateway.open([Route("api", url)], [], tcp=False, folder=str(tmp_path), check=lambda: None)
        assert said(door, GET).startswith(b"HTTP/1.1 200 ")


# ── the end ──────────────────────────────────────────────────────────────────────────────────────


def test_the_end_of_a_door_is_the_end_of_its_connections(door: Door, server: Server, tmp_path: Path) -> None:
    with opened(door) as idle, opened(door) as busy:
        busy.sendall(b"GET /api/silence HTTP/1.1\r\nHost: x\r\n\r\n")
        while b"first" not in busy.recv(65536):
            pass
        door.close()
        assert rest(idle) == b"" and rest(busy) == b""
    assert server.hung_up.wait(PATIENCE) and list(tmp_path.iterdir()) == []
    with pytest.raises(OSError):
        opened(door)
    door.close()


def test_the_end_of_a_tunnel(gate: Door, server: Server) -> None:
    with opened(gate) as line:
        line.sendall(asks(gate, server, gate.token)[-1].replace(GET, b""))
        assert line.recv(12) == b"HTTP/1.1 200"
        gate.close()
        rest(line)
    with pytest.raises(OSError):
        opened(gate)


def test_two_hundred_doors_are_one_thread(gateway: Gateway, tmp_path: Path) -> None:
    gateway.open([], [], tcp=False, folder=str(tmp_path))
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    routes = [Route("api", "https://a.test", {"x-api-key": KEY})]
    for number in range(200):
        (tmp_path / str(number)).mkdir()
        gateway.open(routes, ["*"], tcp=False, folder=str(tmp_path / str(number)))
    assert threading.active_count() == threads and len(os.listdir("/proc/self/fd")) <= files + 200
    gateway.close()
    assert threading.active_count() == threads - 1 and not list(tmp_path.glob("*/gateway.sock"))


def test_a_gateway_may_be_opened_again(gateway: Gateway, server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        door = gateway.open([Route("api", server.url)], [], tcp=False, folder=str(tmp_path))
        assert said(door, GET).startswith(b"HTTP/1.1 200 ")
        gateway.close()
