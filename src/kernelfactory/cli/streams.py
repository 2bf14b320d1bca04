"""The standard streams of one command, made so that closed, full and left ones are told apart. Knows no command."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kernelfactory.model import BadInput


class OutputLost(BadInput):
    """Standard output cannot be written, and nobody hung up: a full disk, say."""


class _Raw(io.FileIO):
    def write(self, data: Any, /) -> int | None:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            said = f"the output could not be written ({error.strerror}): send it elsewhere; what was recorded is kept"
            raise OutputLost(said) from error


def make_safe() -> None:
    """Give closed streams something to stand on, and let standard output raise OutputLost for what is no hang-up."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # closed by whoever called; the lowest free number is this one
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = _text(1, sys.stdout)
    if sys.stderr is None:
        sys.stderr = _text(2, None)


def _text(number: int, old: Any) -> io.TextIOWrapper:
    raw = io.BufferedWriter(_Raw(number, "w", closefd=False))
    encoding, lines = getattr(old, "encoding", "utf-8"), getattr(old, "line_buffering", False)
    return io.TextIOWrapper(raw, encoding, errors="backslashreplace", line_buffering=lines)


def hush() -> None:
    """Say nothing more on standard output, not even at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def tell(line: str) -> None:
    """One line on stderr, if that can be written at all."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def until_lost(write: Callable[[Any], None]) -> Callable[[Any], None]:
    """`write` as long as somebody can hear it: what shows how it goes must never end what goes on."""
    lost = False

    def written(said: Any) -> None:
        nonlocal lost
        if lost:
            return
        try:
            write(said)
        except BrokenPipeError:
            lost = True
        except (OSError, OutputLost) as error:
            lost = True
            tell(f"kf: {error}; the run goes on")

    return written
