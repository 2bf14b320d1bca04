"""What a run hears from outside while it lasts: signals, and whoever knocks at the owner's door. Acts on nothing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kernelfactory.desk import SOCKET, Decide, control_door


class Signals:
    """Counts SIGINT, SIGTERM and SIGHUP while it is open, in the main thread; elsewhere it counts none."""

    def __init__(self) -> None:
        self.count = 0
        self._old: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                self._old[number] = signal.signal(number, self._caught)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _caught(self, *_: object) -> None:
        self.count += 1


@contextmanager
def control(folder: Path, on_stop: Callable[[bool], None], on_word: Decide) -> Iterator[None]:
    """The owner's door, open while the run lasts."""
    door = control_door(folder, on_stop, on_word)
    try:
        yield
    finally:
        door.close()
        (folder / SOCKET).unlink(missing_ok=True)
