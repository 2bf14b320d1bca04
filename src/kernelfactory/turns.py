"""Turns at the judge: so many at once, first come first served, one at a time for each attempt. Judges nothing."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from kernelfactory.model import Refused


class Turns:
    """`seats` turns at once, in the order they were asked for."""

    def __init__(self, seats: int) -> None:
        self._free = seats
        self._waiting: deque[threading.Event] = deque()
        self._busy: set[int] = set()
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, attempt: int) -> Iterator[None]:
        """Wait for a seat and hold it. Raises Refused at once when `attempt` waits or holds one already."""
        go = threading.Event()
        with self._lock:
            if attempt in self._busy:
                raise Refused("a measurement of this attempt is still running: wait for its answer")
            self._busy.add(attempt)
            self._waiting.append(go)
            self._advance()
        go.wait()
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(attempt)
                self._free += 1
                self._advance()

    def _advance(self) -> None:
        while self._free and self._waiting:
            self._free -= 1
            self._waiting.popleft().set()
