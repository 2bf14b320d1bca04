"""reach: a port of the jail's own loopback leads to one socket outside, for any use, and nothing else leads out."""

from __future__ import annotations

import hashlib
import os
import socket
import socketserver
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kernelfactory.cage import Cage
from kernelfactory.jail import Bubblewrap, Jail, Reach, Spec, cage_uid, find, interpreter_binds, own, python
from kernelfactory.jail.landlock import Landlock
from kernelfactory.jail.rooms import Room
from kernelfactory.jail.seatbelt import profile
from kernelfactory.model import BadInput
from kernelfactory.process import Finished, Options

ENV = {"PATH": "/usr/bin:/bin"}
PORT = 8118
MIB = 1 << 20
BIG = 8 * MIB

CLIENT = f"""
import hashlib, os, socket, sys, threading, time
PORT, BIG = int(os.environ.get('PORT', {PORT})), {BIG}
def opened(): return socket.create_connection(('127.0.0.1', PORT), 60)
def rest(made):
    told = b''
    while piece := made.recv(1 << 16): told += piece
    return told
def asked(text):
    with opened() as made:
        made.sendall(text)
        made.shutdown(socket.SHUT_WR)
        return rest(made)
"""


@dataclass
class Outside:
    """A jail, and what it is to reach: an Answer."""

    jail: Jail
    reach: Reach

    def run(self, text: str, **more: object) -> Finished:
        spec = Spec((python(), "-I", "-S", "-c", CLIENT + text), read=interpreter_binds(), seconds=120, env=ENV)
        spec = replace(spec, env={**ENV, "PORT": str(self.reach.port)}, reach=(self.reach,), proc=True)
        return self.jail.run(replace(spec, **more))  # type: ignore[arg-type]

    def said(self, text: str, **more: object) -> str:
        done = self.run(text, **more)
        assert done.returncode == 0, done
        return done.stdout.decode().strip()


class Answer(socketserver.BaseRequestHandler):
    """In capitals, when all of a request has come; or BIG bytes at once, for "big", and what came is summed up."""

    def handle(self) -> None:
        with suppress(OSError):
            how, rest = self.request.recv(3), b""
            if how == b"big":
                self.request.sendall(b"y" * BIG)
            while piece := self.request.recv(MIB):
                rest += piece
            self.request.sendall(hashlib.sha256(rest).hexdigest().encode() if how == b"big" else rest.upper())


class Local(socketserver.ThreadingUnixStreamServer):
    daemon_threads, request_queue_size = True, 8


class Tcp(socketserver.ThreadingTCPServer):
    daemon_threads, request_queue_size = True, 1000


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kf-reach-", dir="/var/tmp") as made:
        os.chmod(made, 0o755)
        yield Path(made)


def landlock() -> Landlock:
    try:
        return Landlock()
    except BadInput as error:
        if "landlock" in os.environ.get("KF_REQUIRE", "").split(","):
            pytest.fail(f"KF_REQUIRE names landlock: {error}")
        pytest.skip(str(error))


@pytest.fixture(params=["bubblewrap", "landlock"])
def outside(request: pytest.FixtureRequest, folder: Path) -> Iterator[Outside]:
    kind = request.param
    server = Local(str(folder / "socket"), Answer) if kind == "bubblewrap" else Tcp(("127.0.0.1", 0), Answer)
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            if kind == "bubblewrap":
                os.chmod(folder / "socket", 0o666)
                yield Outside(find(), Reach(PORT, str(folder / "socket")))
            else:
                yield Outside(landlock(), Reach(server.server_address[1], ""))  # type: ignore[arg-type]
        finally:
            server.shutdown()
            thread.join()


def forwarded(outside: Outside) -> None:
    if not isinstance(outside.jail, Bubblewrap):
        pytest.skip("nothing is forwarded there")


# ── the way out ──────────────────────────────────────────────────────────────────────────────────


def test_a_request_is_answered(outside: Outside) -> None:
    assert outside.said("print(asked(b'xxxhello'), asked(b'xxx'), asked(b'xxxagain'))") == "b'HELLO' b'' b'AGAIN'"


def test_a_cage_reaches_it_too(outside: Outside, folder: Path) -> None:
    (folder / "mine").mkdir()
    own(folder / "mine", cage_uid(1))
    cage = Cage(workspace=str(folder / "mine"), uid=cage_uid(1), reach=(outside.reach,))
    text = CLIENT + "print(asked(b'xxxhello'))"
    spec = cage.spec([python(), "-I", "-S", "-c", text], env={"PORT": str(outside.reach.port)}, seconds=60)
    assert outside.jail.run(spec).stdout == b"b'HELLO'\n"


def test_much_goes_both_ways_at_once(outside: Outside) -> None:
    text = (
        "made = opened(); made.sendall(b'big')\n"
        "def give(): made.sendall(b'z' * BIG); made.shutdown(socket.SHUT_WR)\n"
        "t = threading.Thread(target=give); t.start()\n"
        "told = rest(made); t.join(); print(len(told) - 64, told[-64:].decode())"
    )
    assert outside.said(text) == f"{BIG} {hashlib.sha256(b'z' * BIG).hexdigest()}"


def test_who_does_not_read_hinders_nobody(outside: Outside) -> None:
    text = (
        "slow = [opened() for _ in range(5)]\n"
        "for made in slow: made.sendall(b'big')\n"
        "time.sleep(0.2); print(asked(b'xxxhello'))\n"
        "for made in slow[:4]: made.close()\n"
        "got = 0\n"
        "while got < BIG: got += len(slow[4].recv(1 << 16))\n"
        "print(got)"
    )
    assert outside.said(text).split() == ["b'HELLO'", str(BIG)]


def test_thousands_of_connections(outside: Outside) -> None:
    """More than are held at a time, from two processes, and then as many again one after the other."""
    text = (
        "pid = os.fork()\n"
        "held = [opened() for _ in range(600)]\n"
        "for made in held: made.sendall(b'xxxa'); made.shutdown(socket.SHUT_WR)\n"
        "right = sum(rest(made) == b'A' for made in held)\n"
        "for made in held: made.close()\n"
        "right += sum(asked(b'xxxb') == b'B' for _ in range(400))\n"
        "assert right == 1000, right\n"
        "if pid: assert os.waitpid(pid, 0)[1] == 0; print('all')"
    )
    assert outside.said(text) == "all"


def test_who_breaks_off_leaves_nothing(outside: Outside) -> None:
    """Reset while much is under way, again and again: the forwarder holds no more descriptors than before."""
    forwarded(outside)
    text = (
        "import struct\n"
        "def held(): return [len(os.listdir(f'/proc/{p}/fd')) for p in filter(str.isdigit, os.listdir('/proc'))"
        " if open(f'/proc/{p}/comm').read() == 'forwarder\\n'][0]\n"
        "asked(b'xxx')\n"
        "for _ in range(50):\n"
        "  made = opened(); made.sendall(b'big'); made.recv(10)\n"
        "  made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); made.close()\n"
        "end = time.monotonic() + 60\n"
        "while held() > 5 and time.monotonic() < end: time.sleep(0.01)\n"
        "print(held(), asked(b'xxxhello'))"
    )
    assert outside.said(text) == "5 b'HELLO'"


def test_whom_nobody_accepts_waits(outside: Outside, folder: Path) -> None:
    """More than the socket's queue holds come before the first is accepted."""
    forwarded(outside)
    with socket.socket(socket.AF_UNIX) as lazy:
        lazy.bind(str(folder / "lazy"))
        lazy.listen(1)
        os.chmod(folder / "lazy", 0o666)

        def accept() -> None:
            for _ in range(20):
                made, _ = lazy.accept()
                made.sendall(b"late")
                made.close()

        thread = threading.Thread(target=accept, daemon=True)
        text = "held = [opened() for _ in range(20)]; print('all', flush=True); print({rest(made) for made in held})"
        spec = Spec((python(), "-I", "-S", "-c", CLIENT + text), read=interpreter_binds(), env=ENV, seconds=60)
        spec = replace(spec, reach=(Reach(PORT, str(folder / "lazy")),))
        done = outside.jail.run(spec, options=Options(on_line=lambda line: thread.start() if line == "all" else None))
        thread.join(60)
    assert done.stdout == b"all\n{b'late'}\n", done


def test_who_is_not_there_any_more_is_no_hang(outside: Outside, folder: Path) -> None:
    forwarded(outside)
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(folder / "gone"))
    reach = (outside.reach, Reach(PORT + 1, str(folder / "gone")))
    text = (
        "there = PORT; PORT += 1\n"
        "try: print(asked(b'xxx'))\n"
        "except OSError: print('broken off')\n"
        "PORT = there; print(asked(b'xxxhello'))"
    )
    assert outside.said(text, reach=reach) in ("broken off\nb'HELLO'", "b''\nb'HELLO'")


# ── the command is as it would be without ────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("command", "ends"),
    [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -9 $$", 137),
        ("kill -TERM $$", 143),
        ("yes | head -n 1", 0),
        ("kill -PIPE $$", 141),
        ("kill -XFSZ $$", 153),
        ("no-such-program", 127),
        ("kill -9 0", 137),
    ],
)
def test_codes_and_signals_are_the_command_s(outside: Outside, command: str, ends: int) -> None:
    done = outside.jail.run(Spec(("sh", "-c", command), env=ENV, reach=(outside.reach,)))
    plain = outside.jail.run(Spec(("sh", "-c", command), env=ENV))
    assert (done.returncode, done.stdout) == (ends, plain.stdout), done


def test_the_command_has_no_more_than_it_would_have(outside: Outside) -> None:
    text = (
        "import json\n"
        "children = open('/proc/self/task/%d/children' % os.getpid()).read().split()\n"
        "open_ones = [n for n in range(3, 1000) if os.path.exists(f'/proc/self/fd/{n}')]\n"
        "print(sorted(set(os.environ) - {'LC_CTYPE'}), children, open_ones, sys.argv)"
    )
    plain = outside.said(text, reach=())
    assert outside.said(text) == plain
    listed = [outside.run("", argv=("env",), reach=reach).stdout.split() for reach in ((), (outside.reach,))]
    names = [sorted(line.partition(b"=")[0] for line in lines) for lines in listed]
    assert names[0] == names[1]


def test_the_forwarder_outlives_signals_and_not_the_command(outside: Outside, folder: Path) -> None:
    forwarded(outside)
    text = (
        "import signal\n"
        "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):\n"
        "  signal.signal(number, signal.SIG_IGN); os.kill(-1, number); os.kill(0, number)\n"
        "print(asked(b'xxxhello'))\n"
        "print(os.stat('/proc/self/ns/pid').st_ino)"
    )
    said, space = outside.said(text).split()
    assert said == "b'HELLO'"
    deadline = time.monotonic() + 60
    while left := _in_space(int(space)):  # who was killed may take a moment
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def _in_space(space: int) -> list[str]:
    """The processes of a PID namespace."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if os.stat(f"/proc/{pid}/ns/pid").st_ino == space:
                found.append(pid)
    return found


def test_it_holds_no_pipe_of_the_command(outside: Outside) -> None:
    """Whoever reads what the command closed sees its end while the command still runs."""
    forwarded(outside)
    seen: list[str] = []
    reading, leash = os.pipe()
    text = (
        f"os.close({leash}); print('closed', flush=True)\n"
        "def linked(path):\n"
        "  try: return os.readlink(path).partition(':')[0]\n"
        "  except OSError: return 'socket'\n"  # of a connection that was closed just now
        "for p in filter(str.isdigit, os.listdir('/proc')):\n"
        "  if open(f'/proc/{p}/comm').read() == 'forwarder\\n':\n"
        "    print(sorted({linked(f'/proc/{p}/fd/{n}') for n in os.listdir(f'/proc/{p}/fd')}))"
    )
    spec = Spec((python(), "-I", "-S", "-c", CLIENT + "asked(b'xxx')\n" + text), read=interpreter_binds(), env=ENV)
    spec = replace(spec, reach=(outside.reach,), proc=True)
    try:
        outside.jail.run(spec, options=Options(pass_fds=(leash,), on_line=seen.append))
    finally:
        os.close(leash)
        os.close(reading)
    assert seen == ["closed", "['/dev/null', 'anon_inode', 'socket']"]


# ── and nothing else ─────────────────────────────────────────────────────────────────────────────

OTHERS = """
import ctypes, json, struct, sys
other, datagrams, abstract = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
def connect(family, address, kind=socket.SOCK_STREAM, protocol=0):
    with socket.socket(family, kind, protocol) as made:
        made.settimeout(5); made.connect(address); made.send(b'hi')
def at_once():
    with socket.socket() as made: made.sendto(b'hi', 0x20000000, ('127.0.0.1', other))
def listening():
    with socket.socket() as made: made.listen()
def another_way():
    with socket.socket() as made:
        made.setsockopt(socket.IPPROTO_TCP, 30, 1); made.connect(('127.0.0.1', other)); made.send(b'hi')
for name, work in {
    'another port': lambda: connect(socket.AF_INET, ('127.0.0.1', other)),
    'another address': lambda: connect(socket.AF_INET, ('127.0.0.2', other)),
    'the port of another address': lambda: connect(socket.AF_INET, (sys.argv[4], PORT)),
    'a mapped address': lambda: connect(socket.AF_INET6, ('::ffff:127.0.0.1', other)),
    'a datagram': lambda: connect(socket.AF_INET, ('127.0.0.1', datagrams), socket.SOCK_DGRAM),
    'a name server': lambda: connect(socket.AF_INET, ('192.0.2.1', 53), socket.SOCK_DGRAM),
    'multipath': lambda: connect(socket.AF_INET, ('127.0.0.1', other), protocol=262),
    'open at once': at_once,
    'open when sending': another_way,
    'an abstract socket': lambda: connect(socket.AF_UNIX, chr(0) + abstract),
    'listening': listening,
}.items():
    try: work(); print(name)
    except OSError as error: print(name, 'fails:', error, file=sys.stderr)
"""


@dataclass
class Others:
    """Whoever else listens on this machine, and what came."""

    argv: tuple[str, ...]
    port: int
    tcp: socket.socket
    udp: socket.socket
    abstract: socket.socket

    def came(self) -> bool:
        for listening in (self.tcp, self.abstract):
            try:
                listening.accept()[0].close()
            except BlockingIOError:
                continue
            return True
        try:
            return bool(self.udp.recv(10))
        except BlockingIOError:
            return False


@pytest.fixture
def others() -> Iterator[Others]:
    with (
        socket.create_server(("", 0)) as tcp,
        socket.socket(type=socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        udp.bind(("127.0.0.1", 0))
        abstract.bind("")  # the kernel names it
        abstract.listen()
        for made in (tcp, udp, abstract):
            made.setblocking(False)
        name = abstract.getsockname()[1:].decode()
        argv = (str(tcp.getsockname()[1]), str(udp.getsockname()[1]), name, "127.0.0.3")
        yield Others(argv, tcp.getsockname()[1], tcp, udp, abstract)


def tried(outside: Outside, others: Others, **more: object) -> set[str]:
    argv = (python(), "-I", "-S", "-c", CLIENT + OTHERS, *others.argv)
    done = outside.run("", argv=argv, **more)
    assert done.returncode == 0, done
    return set(done.stdout.decode().splitlines())


def test_nothing_else_can_be_reached(outside: Outside, others: Others) -> None:
    """In a network namespace one may listen, and send to nobody."""
    worked = tried(outside, others)
    alone = {"listening", "a datagram"} if isinstance(outside.jail, Bubblewrap) else set()
    assert worked <= alone and not others.came()


def test_with_a_network_much_else_can_be_reached(outside: Outside, others: Others) -> None:
    """Injected fault."""
    worked = tried(outside, others, reach=(), network=True)
    assert worked >= {"another port", "another address", "a datagram", "listening", "open when sending"}
    assert others.came()


def test_another_port_is_reached_when_it_is_named(outside: Outside, others: Others) -> None:
    """Injected fault: the same attempt, with a rule that allows it; beside it nothing changes."""
    if not isinstance(outside.jail, Landlock):
        pytest.skip("a port of the machine itself is reached under Landlock only")
    worked = tried(outside, others, reach=(outside.reach, Reach(others.port, "")))
    assert {"another port", "open when sending"} <= worked
    assert not worked & {"another address", "a datagram", "a mapped address", "open at once", "multipath", "listening"}


def test_a_jail_of_one_process_reaches_nothing(outside: Outside) -> None:
    forwarded(outside)
    for more in ({"alone": True}, {"network": True}, {"reach": (Reach(80, outside.reach.socket),)}):
        with pytest.raises(ValueError, match="reach"):
            outside.run("", **more)


def test_a_socket_that_is_not_there_is_an_error(outside: Outside, folder: Path) -> None:
    forwarded(outside)
    with pytest.raises(FileNotFoundError):
        outside.run("", reach=(Reach(PORT, str(folder / "none")),))


def test_on_macos_it_is_a_line_of_the_profile() -> None:
    text = profile(Spec(("true",), reach=(Reach(8118, ""),)), Room("/private/tmp/room", ()))
    assert '(deny network*)\n(allow network-outbound (remote ip "localhost:8118"))' in text
    assert "network-outbound" not in profile(Spec(("true",)), Room("/private/tmp/room", ()))
