"""What a hostile Python program tries, made for any problem. These texts are put into a candidate's file and run
there, in the jail, before and after the candidate's own: one after the other in one namespace, importing nothing of
this package. They never run in it.

`begin(aim)` runs at the head of the file, `finish(aim, names)` at its end. `aim` says which act, and what to aim at."""

from __future__ import annotations

from functools import cache
from pathlib import Path

PARTS = ("answers.py", "process.py", "acts.py")


@cache
def texts() -> tuple[str, ...]:
    """The texts, in the order in which they run."""
    return tuple(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in PARTS)
