"""Turns at the judge: so many at once, first come first served, one at a time for each attempt. Judges nothing."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from kernelfactory.model import Refused


class Turns:
    """`seats` turns at once, in the order they were asked for."""

    def __init__(self, seats: int) -> None:
        self._free = seats
        self._waiting: deque[int] = deque()
        self._busy: set[int] = set()
        self._changed = threading.Condition()

    def enter(self, attempt: int, *, patient: bool = False) -> AbstractContextManager[None]:
        """Wait for a seat; it is held until the context that is returned ends. When `attempt` waits or holds one
        already: Refused at once, or, if `patient`, that one first."""
        with self._changed:
            if patient:
                self._changed.wait_for(lambda: attempt not in self._busy)
            elif attempt in self._busy:
                raise Refused("a measurement of this attempt is still running: wait for its answer")
            self._busy.add(attempt)
            self._waiting.append(attempt)
            self._changed.wait_for(lambda: self._free > 0 and self._waiting[0] == attempt)
            self._waiting.popleft()
            self._free -= 1
            self._changed.notify_all()
        return self._held(attempt)

    @contextmanager
    def _held(self, attempt: int) -> Iterator[None]:
        try:
            yield
        finally:
            with self._changed:
                self._busy.discard(attempt)
                self._free += 1
                self._changed.notify_all()
