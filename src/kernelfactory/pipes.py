"""Bytes to and from a child, moved as they come, up to a cap. Refuses to start or end anything, and to look twice."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

CHUNK = 1 << 16
"""What a pipe holds."""

LINE = 1 << 16
TALK_LINE = 16 << 20
"""Bytes of a line before it is cut in pieces: for a listener, and in a conversation (pictures are lines there)."""

_POLL = 0.05
"""Seconds between looks at a stop that cannot be waited for."""


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


class Stop:
    """Said once, by any thread; whoever waits for `fd` to be readable hears it. Frees itself."""

    def __init__(self) -> None:
        self.fd, self._mouth = os.pipe()
        self._said = threading.Event()
        weakref.finalize(self, _closed, self.fd, self._mouth)

    def set(self) -> None:
        if not self._said.is_set():
            self._said.set()
            os.write(self._mouth, b"!")  # twice is no matter: nobody takes it out

    def is_set(self) -> bool:
        return self._said.is_set()


Halt = Stop | threading.Event
"""What may be waited for; an Event costs twenty looks a second."""


def _closed(*fds: int) -> None:
    for fd in fds:
        with suppress(OSError):
            os.close(fd)


# ── ends ─────────────────────────────────────────────────────────────────────────────────────────


class End:
    """Our end of one pipe, and for a moment theirs."""

    def __init__(self, mine: int, theirs: int) -> None:
        self.fd, self.theirs = mine, theirs
        if mine >= 0:
            os.set_blocking(mine, False)

    def event(self) -> int:
        """What to wait for, 0 for nothing."""
        raise NotImplementedError

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


def _sealed() -> tuple[int, int]:
    """As a pipe is, but nobody can open its other end by name (/proc/PID/fd/1): only who was given it writes to it."""
    mine, theirs = socket.socketpair()
    return mine.detach(), theirs.detach()


class Sink(End):
    """What came from one pipe, up to its cap. With `on_line` each line, cut at `most` bytes, is told as it comes; in a
    conversation (`sealed`) no other process can put a line in between."""

    def __init__(
        self,
        cap: int,
        keep_going: bool,
        on_line: Callable[[str], None] | None = None,
        most: int = LINE,
        sealed: bool = False,
    ) -> None:
        super().__init__(*(_sealed() if sealed else os.pipe()))
        self.cap, self.keep_going, self.on_line, self.most = cap, keep_going, on_line, most
        self.data = bytearray()
        self.line = bytearray()
        self.over = False

    def event(self) -> int:
        return select.POLLIN if self.fd >= 0 else 0

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
            self._lines(piece, self.on_line)
        return True

    def _lines(self, piece: bytes, on_line: Callable[[str], None]) -> None:
        *ends, rest = piece.split(b"\n")
        for end in ends:
            self.line += end
            self._told(on_line)
        self.line += rest
        if len(self.line) > self.most:
            self._told(on_line)

    def _told(self, on_line: Callable[[str], None]) -> None:
        line, self.line = self.line, bytearray()
        on_line(line.decode(errors="replace"))

    def drain(self) -> None:
        """What still lies in the pipe when the tree has ended; an escaped daemon cannot keep this going."""
        for _ in range(64):
            if not self.move():
                break
        if self.on_line is not None and self.line:
            self._told(self.on_line)


class Feed(End):
    """Bytes on their way to a child's stdin, which is closed after them unless it is `kept`; nothing at all is
    /dev/null."""

    def __init__(self, data: bytes, kept: bool = False) -> None:
        piped = data or kept
        theirs, mine = os.pipe() if piped else (os.open(os.devnull, os.O_RDONLY), -1)
        super().__init__(mine, theirs)
        self.view = memoryview(data)
        self.kept = kept

    def event(self) -> int:
        return select.POLLOUT if self.fd >= 0 and self.view else 0

    def say(self, data: bytes) -> None:
        """Give this next, when all before it is given."""
        self.view = memoryview(data)
        self.move()

    def move(self) -> bool:
        try:
            sent = os.write(self.fd, self.view)
        except BlockingIOError:
            return False
        except BrokenPipeError:
            self.close()
            return False
        self.view = self.view[sent:]
        if not self.view and not self.kept:
            self.close()
        return sent > 0


class Dialogue:
    """A conversation under way: what `feed` is given is what `talk` says."""

    def __init__(self, talk: Talk, feed: Feed) -> None:
        self._talk, self._feed = talk, feed
        self.over = False
        self.due = time.monotonic() + talk.every

    def line(self, text: str) -> None:
        self._talk.line(text)
        self.ask()

    def error(self, text: str) -> None:
        self._talk.error(text)
        self.ask()

    def turned(self) -> bool:
        """Have it look at the clock, when it is time to, and say what it has to; is it over?"""
        if time.monotonic() >= self.due:
            self.due = time.monotonic() + self._talk.every
            self._talk.tick()
        self.ask()
        return self.over

    def ask(self) -> None:
        """What has it to say? Nothing more while something is still to be written: what nobody reads must not grow."""
        self.over = self.over or self._talk.over()
        feed = self._feed
        while feed.fd >= 0 and not feed.view and not self.over:
            words = self._talk.words()
            if words:
                feed.say(words)
            elif self._talk.hung_up():
                feed.close()
            else:
                break


# ── moving ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Until:
    """What ends the moving, beside the end of the process itself: a time (time.monotonic), a stop, a conversation."""

    deadline: float
    stop: Halt | None = None
    dialogue: Dialogue | None = None

    def wait(self) -> float:
        """Seconds for which nothing has to be looked at."""
        due = self.deadline if self.dialogue is None else min(self.deadline, self.dialogue.due)
        wait = max(0.0, due - time.monotonic())
        return wait if self.stop is None or isinstance(self.stop, Stop) else min(wait, _POLL)

    def why(self) -> str:
        """Why to stop now, or nothing, once it was the conversation's turn."""
        if self.stop is not None and self.stop.is_set():
            return "stop"
        if self.dialogue is not None and self.dialogue.turned():
            return "over"
        return "timeout" if time.monotonic() >= self.deadline else ""


def pump(over: int, feed: Feed, sinks: Sequence[Sink], until: Until) -> str:
    """Move bytes until the main process ended, or something of `until`, or an overflow; which one it was."""
    ends = (feed, *sinks)
    while not (why := until.why() or _overflow(sinks)):
        ready = _ready(over, ends, until)
        for end in ends:
            if end.fd in ready:
                end.move()
        if over in ready:
            return "ended"
    return why


def _overflow(sinks: Sequence[Sink]) -> str:
    return "overflow" if any(sink.over and not sink.keep_going for sink in sinks) else ""


def _ready(over: int, ends: Sequence[End], until: Until) -> set[int]:
    """The descriptors of which something can be had now: waits until there is one, or it is time for something."""
    poller = select.poll()
    poller.register(over, select.POLLIN)
    if isinstance(until.stop, Stop):
        poller.register(until.stop.fd, select.POLLIN)
    for end in ends:
        if event := end.event():
            poller.register(end.fd, event)
    return {fd for fd, _ in poller.poll(min(until.wait(), 1e6) * 1000)}
