"""A clock that only moves when every slot sleeps: then it leaps to the next moment that one of them waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable

POLL = 0.01
"""Real seconds between two looks of a sleeper whom no leap wakes."""


class FakeClock:
    """Epoch seconds; called for the time. Its sleepers are the threads that run slots: the clock stands still while any
    of them works (judging takes no time at all here)."""

    def __init__(self, start: float) -> None:
        self._now = start
        self._lock = threading.Condition(threading.RLock())
        self._sleepers: dict[int, tuple[float, Callable[[], bool]]] = {}

    def __call__(self) -> float:
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        self.wait(threading.Condition(), lambda: False, seconds)

    def wait(self, changed: threading.Condition, enough: Callable[[], bool], seconds: float) -> None:
        """As Condition.wait_for, in this clock's seconds."""
        me, until = threading.get_ident(), self() + max(seconds, 0.0)
        with self._lock:
            self._sleepers[me] = (until, enough)
        try:
            while not enough() and self() < until:
                with self._lock:
                    if not self._leap():
                        self._lock.wait(POLL)
        finally:
            with self._lock:
                del self._sleepers[me]

    def _leap(self) -> bool:
        """Move on when all slots sleep and none has anything to wake up for."""
        slots = [thread for thread in threading.enumerate() if thread.name.startswith("slot ")]
        asleep = list(self._sleepers.values())
        if len(asleep) < len(slots) or not all(until > self._now and not enough() for until, enough in asleep):
            return False
        self._now = min(until for until, _ in asleep)
        self._lock.notify_all()
        return True
