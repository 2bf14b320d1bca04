"""How a program in the cage talks with the factory: events as lines out, words as lines in. Knows no agent."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from typing import Any

from kernelfactory.transcript import Event
from kernelfactory.transcript.inside import show

Word = dict[str, Any]
"""{"prompt": text}, or {"interrupt": true}: stop what is going on."""


def say(event: Event | None = None, session: str | None = None) -> None:
    sys.stdout.write(show(event, session) + "\n")
    sys.stdout.flush()


def listen(heard: Callable[[Word | None], object]) -> None:
    """Have each word of stdin heard as it comes, in a thread; None when there will be none."""
    threading.Thread(target=_read, args=(heard,), name="words", daemon=True).start()


def _read(heard: Callable[[Word | None], object]) -> None:
    for line in sys.stdin:
        try:
            word = json.loads(line)
        except ValueError:
            continue
        if isinstance(word, dict):
            heard(word)
    heard(None)
