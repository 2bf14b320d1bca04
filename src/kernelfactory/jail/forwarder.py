"""Carries connections from ports of a jail's own loopback to Unix sockets of the outside. Refuses to read them.

Runs by itself in the jail (see programs.py), before the command. This process becomes the command, so that its code and
its signals are its own; the forwarder is an orphan beside it, and ends with their PID namespace. It has no right that
the command has not."""

from __future__ import annotations

import _socket
import resource
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import signal as _signal
    from typing import Any
else:  # their inner parts: a cage is started sooner without the rest
    import _signal
    import posix as os

SIZE = 1 << 16
"""Bytes held of one direction of a connection."""
MOST = 1000
"""Connections at a time; more wait to be accepted."""
QUEUE = 4096
AGAIN = 0.02
"""Seconds until somebody is asked again whose queue was full."""
ROUNDS = 16


# ── connections ──────────────────────────────────────────────────────────────────────────────────


class Way:
    """One direction of a connection. No more is taken before what was taken is given on."""

    def __init__(self, source: _socket.socket, target: _socket.socket) -> None:
        self.source, self.target = source, target
        self.held = b""
        self.ended = False

    def move(self) -> None:
        """What can be moved at once, within reason. Raises OSError when it is broken."""
        for _ in range(ROUNDS):
            try:
                if self.held:
                    self.held = self.held[self.target.send(self.held) :]
                elif not self.ended:
                    self.take()
                else:
                    return
            except BlockingIOError:
                return

    def take(self) -> None:
        self.held = self.source.recv(SIZE)
        if not self.held:
            self.ended = True
            self.target.shutdown(_socket.SHUT_WR)


class Connection:
    """Two sockets and the ways between them."""

    def __init__(self, near: _socket.socket, far: _socket.socket) -> None:
        self.out, self.back = Way(near, far), Way(far, near)
        self.heeded = {near.fileno(): 0, far.fileno(): 0}

    def moved(self) -> bool:
        """Move what can be moved; False when there is nothing to come."""
        try:
            self.out.move()
            self.back.move()
        except OSError:
            return False
        return not (self.out.ended and self.back.ended)

    def wanted(self) -> list[int]:
        """What to wait for on either socket. On one of which nothing is wanted, not even its end must wake us."""
        return [_event(self.out, self.back), _event(self.back, self.out)]

    def close(self) -> None:
        for way in (self.out, self.back):
            way.source.close()


def _event(taken: Way, given: Way) -> int:
    taking = select.EPOLLIN if not taken.held and not taken.ended else 0
    return taking | (select.EPOLLOUT if given.held else 0)


class Forwarder:
    """`ports`: listening sockets and the paths that they lead to."""

    def __init__(self, ports: list[tuple[_socket.socket, str]], most: int) -> None:
        self.epoll = select.epoll()
        self.ports = {listener.fileno(): (listener, path) for listener, path in ports}
        self.most = most
        self.held: dict[int, Connection] = {}
        self.waiting: list[tuple[_socket.socket, str]] = []
        self.listens = False

    def serve(self) -> None:
        while True:
            self.listen(not self.waiting and len(self.held) < 2 * self.most)
            for fd, _ in self.epoll.poll(AGAIN if self.waiting else -1):
                if fd in self.ports:
                    self.accept(*self.ports[fd])
                elif fd in self.held:
                    self.move(self.held[fd])
            self.waiting = [(near, path) for near, path in self.waiting if not self.reached(near, path)]

    def listen(self, wanted: bool) -> None:
        if wanted != self.listens:
            for fd in self.ports:
                self.epoll.register(fd, select.EPOLLIN) if wanted else self.epoll.unregister(fd)
            self.listens = wanted

    def accept(self, listener: _socket.socket, path: str) -> None:
        try:
            fd, _ = listener._accept()  # type: ignore[attr-defined]
        except BlockingIOError:
            return
        except OSError:  # it has gone meanwhile, or the machine is short of something
            time.sleep(AGAIN)
            return
        near = _socket.socket(fileno=fd)
        near.setblocking(False)
        near.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        self.waiting.append((near, path))

    def reached(self, near: _socket.socket, path: str) -> bool:
        """Connect it; False when it must wait."""
        far = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        far.setblocking(False)
        try:
            far.connect(path)
        except BlockingIOError:
            far.close()
            return False
        except OSError:
            far.close()
            near.close()
            return True
        made = Connection(near, far)
        self.held.update(dict.fromkeys(made.heeded, made))
        self.move(made)
        return True

    def move(self, connection: Connection) -> None:
        more = connection.moved()
        for (fd, now), wanted in zip(list(connection.heeded.items()), connection.wanted(), strict=True):
            event = wanted if more else 0
            if event and now:
                self.epoll.modify(fd, event)
            elif event:
                self.epoll.register(fd, event)
            elif now:
                self.epoll.unregister(fd)
            connection.heeded[fd] = event
        if not more:
            for fd in connection.heeded:
                del self.held[fd]
            connection.close()


# ── the process ──────────────────────────────────────────────────────────────────────────────────


def listening(port: int) -> _socket.socket:
    made = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    made.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    made.listen(QUEUE)
    made.setblocking(False)
    return made


def apart(kept: set[int]) -> int:
    """Nothing of the command's but these descriptors: no pipe is held open, no signal to its group or by its name
    comes here. How many connections may be open."""
    os.setsid()
    for number in (_signal.SIGHUP, _signal.SIGINT, _signal.SIGTERM):
        _signal.signal(number, _signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = 0
    for fd in [*sorted(kept), soft]:
        os.closerange(low, fd)
        low = fd + 1
    for _ in range(3):
        os.open("/dev/null", os.O_RDWR)
    try:
        with open("/proc/self/comm", "w") as file:
            file.write("forwarder")
    except OSError:
        pass  # no /proc here
    wanted = min(2 * MOST + 64, hard) if hard != resource.RLIM_INFINITY else 2 * MOST + 64
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    return max(1, min(MOST, (wanted - 64) // 2))


def main(orders: dict[str, Any]) -> None:
    ports = [(listening(port), path) for port, path in orders["reach"]]
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            try:
                Forwarder(ports, apart({listener.fileno() for listener, _ in ports})).serve()
            finally:
                os._exit(1)
        os._exit(0)
    os.waitpid(child, 0)
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):  # Python takes no notice of them
        _signal.signal(number, _signal.SIG_DFL)
    env: dict[Any, Any] = dict(os.environ)
    if not orders["typed"]:
        env.pop(b"LC_CTYPE", None)  # Python may have set it
    os.execve(orders["argv"][0], orders["argv"], env)
