"""The standard streams of one command, made so that no closed, full or left one ends what goes on. Knows no command."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


class _Raw(io.FileIO):
    """Writes as long as somebody can hear it. `fault`: what ended that, unless the reader just went away."""

    fault: OSError | None = None
    _deaf = False

    def write(self, data: Any, /) -> int:
        if not self._deaf:
            try:
                return super().write(data)
            except BrokenPipeError:
                self._deaf = True
            except OSError as error:
                self._deaf, self.fault = True, error
                if self.fileno() == 1:
                    tell(f"kf: the output could not be written ({error.strerror}): send it elsewhere; the work goes on")
        return len(data)


def make_safe() -> _Raw:
    """Give closed streams something to stand on; from now on standard output and standard error never fail. Returns
    what is below standard output."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # closed by whoever called; the lowest free number is this one
            os.open(os.devnull, os.O_RDWR)
    sys.stderr, _ = _text(2, sys.stderr)
    sys.stdout, below = _text(1, sys.stdout)
    return below


def _text(number: int, old: Any) -> tuple[io.TextIOWrapper, _Raw]:
    raw = _Raw(number, "w", closefd=False)
    lines = number == 2 or getattr(old, "line_buffering", False)
    encoding = getattr(old, "encoding", "utf-8")
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=lines), raw


def tell(line: str) -> None:
    """One line on standard error."""
    print(line, file=sys.stderr)
