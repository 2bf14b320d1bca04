"""Bytes to and from a child, moved as they come, up to a cap. Refuses to start or end anything."""

from __future__ import annotations

import os
import selectors
import threading
import time
from collections.abc import Callable
from typing import Protocol

class Talk(Protocol):
    """A conversation with a running process. All of it is called in the thread that runs the process: `line` and
    `error` with each line of its stdout and stderr (hostile), `tick` at least every `every` seconds; after each of
    them it is asked for `words` to write to its stdin now, whether it `hung_up` (its stdin is closed once all is
    written), and whether it is `over` (the process is ended now, with its tree)."""

    every: float

    def line(self, text: str) -> None: ...

    def error(self, text: str) -> None: ...

    def tick(self) -> None: ...

    def words(self) -> bytes: ...

    def hung_up(self) -> bool: ...

    def over(self) -> bool: ...


CHUNK = 1 << 18
_LINE = 1 << 16


class End:
    """Our end of one pipe, and for a moment theirs."""

    def __init__(self, mine: int, theirs: int) -> None:
        self.fd, self.theirs = mine, theirs
        if mine >= 0:
            os.set_blocking(mine, False)

    def move(self) -> bool:
        """Take or give what can be moved at once; False when that is nothing."""
        raise NotImplementedError

    def close_theirs(self) -> None:
        os.close(self.theirs)
        self.theirs = -1

    def close(self) -> None:
        for fd in (self.fd, self.theirs):
            if fd >= 0:
                os.close(fd)
        self.fd = self.theirs = -1


class Sink(End):
    """What came from one pipe, up to its cap."""

    def __init__(self, cap: int, keep_going: bool, on_line: Callable[[str], None] | None) -> None:
        super().__init__(*os.pipe())
        self.cap, self.keep_going, self.on_line = cap, keep_going, on_line
        self.data = bytearray()
        self.line = bytearray()
        self.over = False

    def move(self) -> bool:
        if self.fd < 0:
            return False
        try:
            piece = os.read(self.fd, CHUNK)
        except BlockingIOError:
            return False
        if not piece:
            self.close()
            return False
        room = self.cap - len(self.data)
        self.data += piece[:room]
        self.over = self.over or len(piece) > room
        if self.on_line is not None:
            self.line += piece
            self._lines(self.on_line)
        return True

    def _lines(self, on_line: Callable[[str], None]) -> None:
        *whole, rest = self.line.split(b"\n")
        for line in whole:
            on_line(line.decode(errors="replace"))
        if len(rest) > _LINE:
            on_line(rest.decode(errors="replace"))
            rest = bytearray()
        self.line = rest

    def drain(self) -> None:
        """What still lies in the pipe when the tree has ended; an escaped daemon cannot keep this going."""
        for _ in range(64):
            if not self.move():
                break
        if self.on_line is not None and self.line:
            self.on_line(self.line.decode(errors="replace"))
            self.line = bytearray()


class Feed(End):
    """Bytes on their way to a child's stdin; nothing at all is /dev/null."""

    def __init__(self, data: bytes) -> None:
        theirs, mine = os.pipe() if data else (os.open(os.devnull, os.O_RDONLY), -1)
        super().__init__(mine, theirs)
        self.view = memoryview(data)

    def move(self) -> bool:
        try:
            sent = os.write(self.fd, self.view)
        except BlockingIOError:
            return False
        except BrokenPipeError:
            sent = len(self.view)
        self.view = self.view[sent:]
        if not self.view:
            self.close()
        return sent > 0


def pump(over: int, feed: Feed, sinks: list[Sink], until: tuple[float, threading.Event | None]) -> str:
    """Move bytes until the main process ended, the deadline, the stop or an overflow; which one it was."""
    with selectors.DefaultSelector() as selector:
        selector.register(over, selectors.EVENT_READ, None)
        for sink in sinks:
            selector.register(sink.fd, selectors.EVENT_READ, sink)
        if feed.fd >= 0:
            selector.register(feed.fd, selectors.EVENT_WRITE, feed)
        while not (why := _verdict(sinks, until)):
            wait = min(until[0] - time.monotonic(), 3600.0 if until[1] is None else 0.05)
            ready = [key.data for key, _ in selector.select(max(wait, 0.0))]
            for end in ready:
                _move(selector, end)
            if None in ready:
                return "ended"
    return why


def _verdict(sinks: list[Sink], until: tuple[float, threading.Event | None]) -> str:
    """Why to stop now, or nothing."""
    deadline, stop = until
    if any(sink.over and not sink.keep_going for sink in sinks):
        return "overflow"
    if stop is not None and stop.is_set():
        return "stop"
    return "timeout" if time.monotonic() >= deadline else ""


def _move(selector: selectors.BaseSelector, end: End | None) -> None:
    if end is None:
        return
    fd = end.fd
    end.move()
    if end.fd < 0:
        selector.unregister(fd)
