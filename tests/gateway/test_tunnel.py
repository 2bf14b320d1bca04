"""What else a cage reaches: hosts that are named, public addresses, and nothing on this machine."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from kernelfactory.gateway import Route
from kernelfactory.gateway.dial import Outside, public
from kernelfactory.gateway.doors import Door, Gateway
from kernelfactory.gateway.tunnel import Hosts, place
from kernelfactory.model import BadInput

from .servers import KEY, PATIENCE, Server, client, opened, rest, said

Opener = Callable[..., Door]


def loopback(_: str) -> Sequence[str]:
    return ["127.0.0.1"]


@pytest.fixture
def opener(tmp_path: Path) -> Iterator[Opener]:
    """Doors of gateways for which every name is this machine's, and may be reached."""
    made: list[Gateway] = []

    def open_door(*hosts: str, outside: Outside | None = None, tcp: bool = False) -> Door:
        made.append(Gateway(outside or Outside(loopback, allow_private=True, proxies={})))
        folder = tmp_path / str(len(made))
        folder.mkdir()
        return made[-1].open([], hosts, tcp=tcp, folder=str(folder))

    yield open_door
    for gateway in made:
        gateway.close()


def connect(where: str) -> bytes:
    return f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n\r\n".encode()


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


# ── which hosts ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("hosts", "wanted", "way"),
    [
        (["example.org"], "example.org:443", "named"),
        (["Example.org"], "EXAMPLE.ORG.:443", "named"),
        (["example.org"], "example.org:80", None),
        (["example.org:8443"], "example.org:8443", "named"),
        (["example.org:8443"], "example.org:443", None),
        (["example.org"], "a.example.org:443", None),
        (["example.org"], "example.org.evil.test:443", None),
        (["example.org"], "evilexample.org:443", None),
        (["*.example.org"], "a.b.example.org:443", "named"),
        (["*.example.org"], "example.org:443", None),
        (["*.example.org"], "evilexample.org:443", None),
        (["*"], "anything.test:443", "any"),
        (["*"], "anything.test:22", None),
        (["*:22"], "anything.test:22", "any"),
        (["*", "example.org"], "example.org:443", "named"),
        (["[2001:db8::1]:8443"], "[2001:DB8::1]:8443", "named"),
        (["[2001:db8::1]"], "[2001:db8::1]:443", "named"),
        ([], "example.org:443", None),
    ],
)
def test_hosts(hosts: list[str], wanted: str, way: str | None) -> None:
    there = place(wanted.encode(), None)
    assert there is not None and Hosts.of(hosts).way(there, 443) == way


@pytest.mark.parametrize(
    "bad", ["https://example.org", "example.org/x", "a b", "", "*.", "**", "a.*.org", "x:y", "a@b"]
)
def test_hosts_that_are_none_are_refused(bad: str) -> None:
    with pytest.raises(BadInput):
        Hosts.of([bad])


@pytest.mark.parametrize(
    "bad", ["a", "a:", "a:0", "a:65536", "a:443x", "u@a:443", "a b:443", ":443", "...:443", "é:443"]
)
def test_places_that_are_none(bad: str) -> None:
    assert place(bad.encode(), None) is None


def let_through(door: Door, server: Server, *names: str) -> list[str]:
    """Those of the names that the door leads to."""
    return [name for name in names if status(said_and_done(door, connect(f"{name}:{server.port}"))) == 200]


def said_and_done(door: Door, data: bytes) -> bytes:
    with opened(door) as line:
        line.sendall(data)
        return line.recv(65536)


STRANGERS = ("other.test", "allowed.test.evil.test", "notallowed.test", "127.0.0.1", "localhost")


def test_only_named_hosts_are_reached(opener: Opener, server: Server) -> None:
    door = opener(f"allowed.test:{server.port}")
    assert let_through(door, server, "allowed.test", *STRANGERS) == ["allowed.test"]


def test_a_list_that_names_too_much_is_found_out(opener: Opener, server: Server) -> None:
    """Injected fault."""
    assert let_through(opener(f"*:{server.port}"), server, *STRANGERS) == list(STRANGERS)


def test_a_refusal_says_what_would_allow_it(tmp_path: Path) -> None:
    told: list[str] = []
    with Gateway(Outside(loopback, proxies={})) as gateway:
        door = gateway.open([], ["a.test"], tcp=False, folder=str(tmp_path), on_refused=told.append)
        answers = [said(door, connect(where)).decode() for where in ("b.test:443", "b.test:443", "a.test:22")]
    assert all(answer.startswith("HTTP/1.1 403 ") for answer in answers)
    assert told == [answer.rpartition("\r\n\r\n")[2].strip() for answer in answers[1:]], "each once"
    assert "`hosts` with b.test would" in told[0] and "`hosts` with a.test:22 would" in told[1]
    assert (door.counts.requests, door.counts.refused) == (3, 3)


# ── which addresses ──────────────────────────────────────────────────────────────────────────────

PRIVATE = [
    *("127.0.0.1", "127.8.9.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("100.100.100.200", "168.63.129.16", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "198.18.0.1"),
    *("192.0.2.1", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"),
    *("2001::1", "fe80::1", "fe80::1%lo", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public(address: str) -> None:
    assert not public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_what_is_public(address: str) -> None:
    assert public(address)


NAMES = ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "localhost", "[::1]", "[::ffff:127.0.0.1]"]


def reached(door: Door, server: Server, names: Sequence[str]) -> list[str]:
    """Those of the names by which this machine is reached, as a tunnel or by plain HTTP; every host is allowed."""
    found = []
    for name in names:
        before = server.visits
        answers = [
            said_and_done(door, connect(f"{name}:{server.port}") + b"GET / HTTP/1.0\r\n\r\n"),
            said(door, f"GET http://{name}:{server.port}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()),
        ]
        if server.visits > before or any(status(answer) == 200 for answer in answers):
            found.append(name)
    return found


def test_this_machine_is_never_reached(opener: Opener, server: Server) -> None:
    door = opener(f"*:{server.port}", *(f"{name}:{server.port}" for name in NAMES), outside=Outside(proxies={}))
    assert reached(door, server, NAMES) == []


def test_reaching_this_machine_is_found_out(opener: Opener, server: Server) -> None:
    """Injected fault."""
    door = opener(f"*:{server.port}", outside=Outside(allow_private=True, proxies={}))
    assert "127.0.0.1" in (found := reached(door, server, NAMES)) and "localhost" in found


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["::ffff:127.0.0.1"], ["fe80::1%lo"]])
def test_a_name_is_what_it_resolves_to(opener: Opener, addresses: list[str]) -> None:
    answer = said(opener("inside.test", outside=Outside(lambda _: addresses, proxies={})), connect("inside.test:443"))
    assert status(answer) == 403 and b"not public: nothing allows that" in answer


def test_what_was_checked_is_what_is_connected_to(opener: Opener) -> None:
    """A name that means something else each time it is asked for is asked for once."""
    first, second = Server(host="127.0.0.2"), Server()
    answers = iter([["127.0.0.2"], ["127.0.0.1"]])
    door = opener(f"*:{first.port}", outside=Outside(lambda _: next(answers), allow_private=True, proxies={}))
    assert status(said_and_done(door, connect(f"moving.test:{first.port}"))) == 200
    assert next(answers) == ["127.0.0.1"] and second.visits == 0
    first.close()
    second.close()


def test_names_without_an_address(opener: Opener) -> None:
    def none(_: str) -> Sequence[str]:
        raise socket.gaierror("no such name")

    for outside in (Outside(none, proxies={}), Outside(lambda _: [], proxies={})):
        answer = said(opener("*", outside=outside), connect("nowhere.test:443"))
        assert status(answer) == 502 and b"nowhere.test has no address" in answer
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        answer = said(opener(f"*:{port}"), connect(f"quiet.test:{port}"))
    assert status(answer) == 502 and b"does not answer" in answer


# ── what passes ──────────────────────────────────────────────────────────────────────────────────


class Echo:
    """A server that says first who it is, then everything back, and at the end how much it was."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._socket.accept()
                with line:
                    line.sendall(b"hello\n")
                    length = 0
                    while part := line.recv(65536):
                        length += len(part)
                        line.sendall(part)
                    line.sendall(f"\n{length}".encode())

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.close()


def test_bytes_pass_both_ways_as_they_are(opener: Opener, echo: Echo) -> None:
    data = bytes(range(256)) * 4000
    door = opener(f"echo.test:{echo.port}")
    with opened(door) as line:
        line.sendall(connect(f"echo.test:{echo.port}") + b"early")
        seen = b""
        while not seen.endswith(b"hello\nearly"):
            seen += line.recv(65536)
        assert seen == b"HTTP/1.1 200 Connection established\r\n\r\nhello\nearly"
        sender = threading.Thread(target=lambda: (line.sendall(data), line.shutdown(socket.SHUT_WR)))
        sender.start()
        assert rest(line) == data + b"\n%d" % (len(data) + 5), "one side may end before the other"
        sender.join(PATIENCE)
    assert door.counts.bytes > 2 * len(data)


def test_tls_passes_untouched(opener: Opener, safe: Server, trust: ssl.SSLContext) -> None:
    door = opener(f"allowed.test:{safe.port}", tcp=True)
    line = http.client.HTTPSConnection("127.0.0.1", door.port, timeout=PATIENCE, context=trust)
    line.set_tunnel("allowed.test", safe.port, {"Proxy-Authorization": f"Bearer {door.token}"})
    line.request("GET", "/x", headers={"x-secret": KEY})
    assert KEY.encode() in line.getresponse().read(), "not read, not masked: it is the cage's own"
    assert safe.asked[0][1] == "/x" and "roxy" not in str(safe.asked[0][2])
    line.close()


def test_plain_http_to_a_named_host(opener: Opener, server: Server) -> None:
    door = opener(f"allowed.test:{server.port}")
    with client(door) as line:
        ask = f"http://allowed.test:{server.port}/a?b"
        assert line.ask("POST", ask, b"text", proxy_connection="keep-alive", x_stays="1")[0] == 200
        assert line.ask("GET", f"http://other.test:{server.port}/")[0] == 403
        assert line.ask("GET", "http://allowed.test/")[0] == 403, "another port"
        assert line.ask("GET", f"https://allowed.test:{server.port}/")[0] == 400
    [(method, path, headers, body)] = server.asked
    assert (method, path, body, headers["host"]) == ("POST", "/a?b", b"text", f"allowed.test:{server.port}")
    assert "x-stays" in headers and "proxy-connection" not in headers


@pytest.mark.parametrize("data", [b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_strange_asks_are_refused(opener: Opener, data: bytes) -> None:
    assert status(said_and_done(opener("*"), data)) == 400
    with_body = b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    assert status(said_and_done(opener("*"), with_body)) == 400


# ── by the user's own proxy ──────────────────────────────────────────────────────────────────────


def test_a_proxy_of_ours_is_used(opener: Opener, safe: Server, trust: ssl.SSLContext, tmp_path: Path) -> None:
    """Of which another door plays the part: with a password, and TLS through it."""
    far = opener(f"models.test:{safe.port}", f"allowed.test:{safe.port}", tcp=True)
    nobody = Outside(lambda _: [], trust=trust, proxies={"https": far.proxy, "no": "direct.test"})
    with Gateway(nobody) as gateway:
        routes = [
            Route("api", f"https://allowed.test:{safe.port}", {"x-api-key": KEY}),
            Route("else", "https://other.test", {"x-api-key": KEY}),
            Route("direct", "https://direct.test", {"x-api-key": KEY}),
        ]
        door = gateway.open(routes, [f"models.test:{safe.port}", "*"], tcp=False, folder=str(tmp_path))
        with client(door) as line:
            assert line.ask("POST", "/api/x", b"y" * 300_000)[0] == 200
            code, body = line.ask("GET", "/else/x")
            assert code == 502 and b"does not lead to other.test:443 (403)" in body
            code, body = line.ask("GET", "/direct/x")
            assert code == 502 and b"direct.test has no address" in body, "not through the proxy"
        assert status(said_and_done(door, connect(f"models.test:{safe.port}"))) == 200, "the proxy knows the name"
        assert status(said(door, connect("10.0.0.1:443"))) == 403
        assert status(said(door, connect("unnamed.test:443"))) == 502, "whose address was not checked"
    assert safe.asked[0][2]["x-api-key"] == KEY and far.counts.requests == 3


def test_an_address_that_was_checked_is_what_a_proxy_gets(opener: Opener, tmp_path: Path) -> None:
    far = opener("unnamed.test", tcp=True)
    with Gateway(Outside(lambda _: ["1.1.1.1"], proxies={"all": far.proxy})) as gateway:
        door = gateway.open([], ["*"], tcp=False, folder=str(tmp_path))
        assert b"does not lead to 1.1.1.1:443 (403)" in said(door, connect("unnamed.test:443"))


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "https://127.0.0.1:1", "http://"])
def test_proxies_that_we_cannot_speak_to_are_named(opener: Opener, proxy: str) -> None:
    answer = said(opener("a.test", outside=Outside(loopback, proxies={"https": proxy})), connect("a.test:443"))
    assert status(answer) == 502 and b"proxy of this machine's environment" in answer


def test_a_proxy_that_is_none(opener: Opener, echo: Echo) -> None:
    outside = Outside(loopback, proxies={"https": f"127.0.0.1:{echo.port}"})
    answer = said(opener("a.test", outside=outside), connect("a.test:443"))
    assert status(answer) == 502 and b"does not lead to a.test:443\n" in answer
