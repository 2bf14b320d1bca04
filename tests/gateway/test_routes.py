"""Requests to models: the key goes out and never comes in, and what comes back comes as it is made."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from kernelfactory.agents.upstreams import ASKS
from kernelfactory.gateway import Route
from kernelfactory.gateway.dial import Outside
from kernelfactory.gateway.doors import Door, Gateway
from kernelfactory.model import BadInput

from .servers import KEY, PATIENCE, Server, client, opened, rest, said


def route(server: Server, **more: str) -> Route:
    return Route("api", f"{server.url}/base/", {"x-api-key": KEY, "Authorization": f"Bearer {KEY}", **more})


@pytest.fixture
def door(gateway: Gateway, server: Server, tmp_path: Path) -> Door:
    return gateway.open([route(server)], [], tcp=False, folder=str(tmp_path))


def test_a_request_goes_on_with_the_key_and_without_what_it_came_with(door: Door, server: Server) -> None:
    with client(door) as line:
        dummies = {"X-Api-Key": "dummy", "authorization": "dummy", "x-goog-api-key": "dummy", "x-gone": "1"}
        hops = {"connection": "keep-alive, x-gone", "te": "trailers", "proxy-authorization": "Basic eDp5"}
        line.request("POST", "/api/v1/x%20y?a=1&b=%2F", b"text", {**dummies, **hops, "x-stays": "1"})
        status = line.getresponse().status
    method, path, headers, body = server.asked[0]
    seen = {name.lower(): value for name, value in headers.items()}
    assert (status, method, path, body) == (200, "POST", "/base/v1/x%20y?a=1&b=%2F", b"text")
    assert (seen["x-api-key"], seen["authorization"], seen["x-stays"]) == (KEY, f"Bearer {KEY}", "1")
    assert seen["host"] == f"127.0.0.1:{server.port}" and "dummy" not in str(headers)
    assert not {"x-gone", "te", "proxy-authorization", "x-goog-api-key"} & seen.keys()


def test_a_key_cannot_be_named_away(door: Door, server: Server) -> None:
    with client(door) as line:
        line.ask("GET", "/api/", connection="x-api-key, authorization")
    assert server.asked[0][2].get("x-api-key") == KEY


@pytest.mark.parametrize(
    ("path", "there"),
    [("/api", "/base"), ("/api/", "/base/"), ("/api?x", "/base?x"), ("/api//a?b/../c", "/base//a?b/../c")],
)
def test_paths_are_put_below_the_upstreams(door: Door, server: Server, path: str, there: str) -> None:
    with client(door) as line:
        line.ask("GET", path)
    assert server.asked[0][1] == there


@pytest.mark.parametrize(
    "path", ["/api/../x", "/api/a/%2e%2E/x", "/api/a%2F..%2Fx", "/api/a\\..\\x", "/api/.", "/api/.."]
)
def test_no_path_leads_above_the_upstreams(door: Door, server: Server, path: str) -> None:
    assert said(door, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()).startswith(
        b"HTTP/1.1 400 "
    )
    assert server.asked == []


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("POST /api/v1/messages", 200),
        ("POST /api/v1/messages?beta=true", 200),
        ("POST /api/v1/messages/count_tokens", 200),
        ("POST /api/responses", 200),
        ("POST /api/responses/compact", 200),
        ("POST /api/openai/deployments/gpt-5.5/chat/completions?api-version=1", 200),
        ("POST /api/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse", 200),
        ("POST /api/v1/projects/p/locations/l/publishers/anthropic/models/claude@1:rawPredict", 200),
        ("POST /api/models/meta%2Fllama:generateContent", 200),
        ("GET /api/v1/models", 200),
        ("GET /api/models/openai/gpt-5.5", 200),
        ("HEAD /api", 200),
        ("GET /api/", 200),
        ("GET /api/v1/files", 403),
        ("GET /api/files/file-1/content", 403),
        ("DELETE /api/v1/files/file-1", 403),
        ("POST /api/files", 403),
        ("POST /api/v1/messages/batches", 403),
        ("GET /api/v1/messages/batches/b/results", 403),
        ("POST /api/batches", 403),
        ("GET /api/responses/resp_1", 403),
        ("GET /api/responses?x=/models", 403),
        ("DELETE /api/models/ft:mine", 403),
        ("POST /api/fine_tuning/jobs", 403),
        ("POST /api/images/generations", 403),
        ("GET /api/v1/organizations/api_keys", 403),
        ("POST /api/v1beta/cachedContents", 403),
        ("POST /api/v1beta/models/gemini-3-pro:batchGenerateContent", 403),
        ("GET /api/v1/messages", 403),
        ("PUT /api/responses", 403),
        ("POST /api/..;/responses", 403),
        ("GET /api/models/%252e%252e/files", 403),
        ("GET /api/models/%2e%2e/files", 400),
        ("GET /api/files//models", 403),
        ("POST /api/responses%20", 403),
    ],
)
def test_a_key_asks_models_and_opens_nothing_else(
    gateway: Gateway, server: Server, tmp_path: Path, line: str, status: int
) -> None:
    """What agents' routes let through. The injected fault: without that, all of it is."""
    refused: list[str] = []
    fault = Route("api", server.url, {"x-api-key": KEY})
    (tmp_path / "fault").mkdir()
    whole = gateway.open([fault], [], tcp=False, folder=str(tmp_path / "fault"))
    door = gateway.open([replace(fault, asks=ASKS)], [], tcp=False, folder=str(tmp_path), on_refused=refused.append)
    text = f"{line} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
    assert said(door, text).startswith(f"HTTP/1.1 {status} ".encode())
    assert len(server.asked) == (status == 200)
    assert bool(refused) == (status != 200)
    assert status == 400 or said(whole, text).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_methods_stay(door: Door, server: Server, method: str) -> None:
    with client(door) as line:
        assert [line.ask(method, "/api/x")[0] for _ in range(3)] == [200] * 3, "one connection, three requests"
    assert [asked[0] for asked in server.asked] == [method] * 3


# ── the key ──────────────────────────────────────────────────────────────────────────────────────


def seen_inside(door: Door, server: Server) -> str:
    """All that a cage gets to see of a server that tells what it is told, in every way it has."""
    server.go.set()
    asks = [
        f"GET /api/{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        for name in ("echo", "redirect", "events", "none")
    ]
    return "".join(said(door, ask).decode().replace("\r\n", "") for ask in asks)


def test_no_key_comes_in(door: Door, server: Server) -> None:
    """Neither from a server that says it back, nor in a redirect, nor in two parts."""
    seen = seen_inside(door, server)
    assert KEY not in seen and KEY[12:] not in seen and seen.count("[redacted:api ") >= 4
    assert "302" in seen and "elsewhere.test" in seen, "told, not followed"


def test_a_key_that_comes_in_is_seen(gateway: Gateway, server: Server, tmp_path: Path) -> None:
    """Injected fault: a header of which nothing says that it is a key."""
    faulty = gateway.open([Route("api", server.url, {"x-what": KEY})], [], tcp=False, folder=str(tmp_path))
    assert KEY in seen_inside(faulty, server)


def test_no_key_is_shown_or_logged(
    gateway: Gateway,
    server: Server,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    ready = gateway.open([route(server)], [], tcp=False, folder=str(tmp_path), on_refused=told.append)
    for ask in (b"GET /api/nothing", b"GET /api/cut", b"GET /none", b"BAD", b"CONNECT a:443", b"GET http://a/"):
        assert KEY.encode() not in said(ready, ask + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert told and KEY not in f"{told} {ready!r} {route(server)!r} {caplog.text} {capfd.readouterr()}"
    assert KEY not in repr(list(vars(ready).values()))


@pytest.mark.parametrize("value", [f"{KEY}\n", f" {KEY}", f"{KEY}\r\nx: y", "", "ключ-который-не-годится"])
def test_keys_that_are_no_header_are_refused_unshown(gateway: Gateway, tmp_path: Path, value: str) -> None:
    with pytest.raises(BadInput, match="x-api-key of api") as refused:
        gateway.open([Route("api", "https://a.test", {"x-api-key": value})], [], tcp=False, folder=str(tmp_path))
    assert KEY not in str(refused.value) and "ключ" not in str(refused.value)


@pytest.mark.parametrize(
    "bad",
    [
        Route("api", "http://models.example.org", {"x-api-key": KEY}),
        Route("api", "http://127.0.0.1.example.org", {"x-api-key": KEY}),
        Route("api", "https://user:pass@a.test"),
        Route("api", "https://a.test/?x"),
        Route("api", "ftp://a.test"),
        Route("api", "a.test"),
        Route("a/b", "https://a.test"),
        Route("..", "https://a.test"),
        Route("", "https://a.test"),
    ],
)
def test_routes_that_cannot_be_are_refused(gateway: Gateway, tmp_path: Path, bad: Route) -> None:
    with pytest.raises(BadInput):
        gateway.open([bad], [], tcp=False, folder=str(tmp_path))


def test_two_routes_of_one_name_are_refused(gateway: Gateway, server: Server, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        gateway.open([route(server), route(server)], [], tcp=False, folder=str(tmp_path))
    plain = Route("api", "http://models.example.org", {"x-api-key": KEY}, plain=True)
    gateway.open([plain], [], tcp=False, folder=str(tmp_path)).close()


# ── as it comes ──────────────────────────────────────────────────────────────────────────────────


def events(line: socket.socket, server: Server, seconds: float) -> bytes:
    """What has come before the server is let go on."""
    line.sendall(b"GET /api/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    line.settimeout(seconds)
    out = b""
    try:
        while b"data: one\n\n" not in out:
            out += line.recv(65536)
    except TimeoutError:
        pass
    server.go.set()
    return out


def test_events_come_one_by_one(door: Door, server: Server) -> None:
    with opened(door) as line:
        first = events(line, server, PATIENCE)
        assert b"data: one\n\n" in first and b"x-hop" not in first
        line.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def buffering(door: Door) -> Iterator[socket.socket]:
    """A client's end of a relay before the door that passes nothing on before all of it is there."""
    near, far = socket.socketpair()

    def relay() -> None:
        with suppress(OSError), far, opened(door) as line:
            line.sendall(far.recv(65536))
            far.sendall(rest(line))

    thread = threading.Thread(target=relay)
    thread.start()
    yield near
    near.close()
    thread.join(PATIENCE)


def test_a_buffered_answer_is_found_out(buffering: socket.socket, server: Server) -> None:
    """Injected fault."""
    assert b"data: one" not in events(buffering, server, 1.0)


def test_a_request_is_sent_on_as_it_comes(door: Door, server: Server) -> None:
    with opened(door) as line:
        line.sendall(b"POST /api/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        assert server.parts.get(timeout=PATIENCE) == b"one"
        line.sendall(b"3\r\ntwo\r\n0\r\n\r\n")
        assert server.parts.get(timeout=PATIENCE) == b"two"
        assert line.recv(12) == b"HTTP/1.1 200"
    assert server.asked[0][3] == b"onetwo"


def test_who_expects_to_be_told_to_go_on_is(door: Door, server: Server) -> None:
    with opened(door) as line:
        line.sendall(b"POST /api/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert line.recv(65536).startswith(b"HTTP/1.1 100 ")
        line.sendall(b"yes")
        assert line.recv(12) == b"HTTP/1.1 200"
    assert server.asked[0][3] == b"yes"


def test_who_hangs_up_ends_the_models_work(door: Door, server: Server) -> None:
    with opened(door) as line:
        line.sendall(b"GET /api/silence HTTP/1.1\r\nHost: x\r\n\r\n")
        while b"first" not in line.recv(65536):
            pass
    assert server.hung_up.wait(PATIENCE)


def test_long_bodies_pass_whole(door: Door, server: Server) -> None:
    body = bytes(range(256)) * 40_000
    with client(door) as line:
        assert line.ask("POST", "/api/x", body)[0] == 200
    assert server.asked[0][3] == body


def test_an_answer_before_the_question_is_over(door: Door, server: Server) -> None:
    with opened(door) as line:
        line.sendall(b"POST /api/early HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\nbegun")
        assert line.recv(65536).startswith(b"HTTP/1.1 400 ")
        line.sendall(bytes(3_000_000 - 5) + b"GET /api/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"HTTP/1.1 200 " in rest(line)


def test_requests_in_a_row_are_answered_in_order(door: Door, server: Server) -> None:
    asks = [f"GET /api/{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for name in ("a", "redirect", "b")]
    with opened(door) as line:
        line.sendall(b"".join([*asks, b"GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"]))
        seen = rest(line)
    assert [part[:3] for part in seen.split(b"HTTP/1.1 ")[1:]] == [b"200", b"302", b"200", b"404"]
    assert [asked[1] for asked in server.asked] == ["/base/a", "/base/redirect", "/base/b"]


def test_old_clients_are_served(door: Door) -> None:
    assert said(door, b"GET /api/x HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


# ── refusals and failures ────────────────────────────────────────────────────────────────────────


def test_a_websocket_is_refused_at_once(door: Door, server: Server) -> None:
    with client(door) as line:
        assert line.ask("GET", "/api/x", connection="upgrade", upgrade="websocket")[0] == 426
    assert server.asked == []


def test_no_request_goes_on_once_the_check_says_why(gateway: Gateway, server: Server, tmp_path: Path) -> None:
    why: list[str] = []
    door = gateway.open(
        [route(server)], [], tcp=False, folder=str(tmp_path), check=lambda: why[0] if why else None
    )  # fmt: skip
    with client(door) as line:
        assert line.ask("POST", "/api/x", b"1")[0] == 200
        why.append("the budget is spent")
        status, body = line.ask("POST", "/api/x", b"2" * 3_000_000)
        assert status == 429 and json.loads(body)["error"]["message"] == "the budget is spent"
        assert line.ask("POST", "/api/x", b"3")[0] == 429, "on the same connection: the long body was read away"
    assert [asked[3] for asked in server.asked] == [b"1"]
    assert (door.counts.requests, door.counts.refused) == (3, 2) and door.counts.bytes > 3_000_000


def test_a_check_that_fails_lets_nothing_through(gateway: Gateway, server: Server, tmp_path: Path) -> None:
    def check() -> str | None:
        raise OSError(KEY)

    door = gateway.open([route(server)], [], tcp=False, folder=str(tmp_path), check=check)
    with client(door) as line:
        status, body = line.ask("GET", "/api/x")
    assert status == 429 and KEY.encode() not in body and server.asked == []


def test_failures_of_the_upstream_are_told(door: Door, server: Server) -> None:
    with client(door) as line:
        status, body = line.ask("GET", "/api/nothing")
        assert status == 502 and f"127.0.0.1:{server.port} broke off" in json.loads(body)["error"]["message"]
        with pytest.raises(http.client.IncompleteRead):
            line.ask("GET", "/api/cut")
    server.close()
    with client(door) as line:
        status, body = line.ask("GET", "/api/x")
        assert status == 502 and "does not answer" in json.loads(body)["error"]["message"]


def test_certificates_are_looked_at(
    gateway: Gateway, safe: Server, trust: ssl.SSLContext, tmp_path: Path
) -> None:  # fmt: skip
    (tmp_path / "wrong").mkdir()
    with client(gateway.open([route(safe)], [], tcp=False, folder=str(tmp_path / "wrong"))) as line:
        status, body = line.ask("GET", "/api/x")
    assert status == 502 and b"certificate" in body and safe.asked == []
    with (
        Gateway(Outside(trust=trust)) as other,
        client(other.open([route(safe)], [], tcp=False, folder=str(tmp_path))) as line,
    ):
        assert line.ask("GET", "/api/x")[0] == 200
    assert safe.asked[0][2]["host"] == f"localhost:{safe.port}"
