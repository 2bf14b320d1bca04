"""The attacks on any Python problem: which hostile acts, before which answers, and what they meet where they gain
nothing. Makes texts, runs nothing."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kernelfactory.judge.check import advice
from kernelfactory.judge.check.hostile import texts
from kernelfactory.judge.check.interface import Interface, parsed
from kernelfactory.model import Problem

Wall = Literal[
    "jail",
    "pipe",
    "parser",
    "ruler",
    "fresh inputs",
    "separate process",
    "limits",
    "intake",
    "timing from outside",
    "-",
]
Base = Literal["seed", "wrong", "known wrong", "stated", "leak"]
Needs = Literal["", "call", "varied", "packages"]
DIGITS = 100_000
DEPTH = 5_000
CODE = (
    "import os, struct\nfor fd in range(3, 64):\n for data in DOCUMENTS:\n  try: os.write(fd, data)\n"
    "  except OSError: pass\nos._exit(0)\n"
)


@dataclass(frozen=True, slots=True)
class Attack:
    """`act` is tried with each of `variants` (what is added to its aim), before the seed's own answers, or wrong ones
    ("wrong": it gains when these pass as the seed's do; "known wrong": when they are better than the seed's, if only so
    that a person must look; "stated": when they are better).
    `wall`: what it meets. `bomb`: on short limits. `needs`: that something is called, that the inputs vary."""

    name: str
    act: str
    base: Base
    wall: Wall
    cure: str
    variants: tuple[Mapping[str, Any], ...] = ({},)
    bomb: bool = False
    needs: Needs = ""


def _values(*values: Any) -> tuple[Mapping[str, Any], ...]:
    return tuple({"value": value} for value in values)


def attacks(forged: float) -> list[Attack]:
    """All of them, for a problem in which `forged` would be a good score. The canaries first."""
    inside, wrong, known = advice.IN_PROCESS, "wrong", "known wrong"
    stated = tuple({"where": where, "value": value} for where in (-1, 0) for value in (forged, 0, -1, 10**9))
    nans = tuple({"where": where, "value": kind} for kind in ("nan", "text", "inf", "-inf") for where in (None, -1, 0))
    rows: list[tuple[Any, ...]] = [
        ("a program that does nothing", "constant", known, "ruler", advice.UNCHECKED, _values(None)),
        ("constant answers", "constant", known, "ruler", advice.UNCHECKED, _values(0, 1, "", [], True)),
        ("the input as the answer", "echo", known, "ruler", advice.UNCHECKED),
        ("answers that are off by one", "off by one", known, "ruler", advice.UNCHECKED),
        ("a better number in the answer", "one number", "stated", "ruler", advice.REPORTED, stated),
        ("answers that are not finite", "nan", "wrong", "parser", advice.FINITE, nans),
        ("answers equal to everything", "liar", wrong, "parser", inside),
        ("the first answer for ever", "first for ever", wrong, "fresh inputs", advice.EACH, ({},), False, "varied"),
        ("one answer for each shape", "by shape", wrong, "fresh inputs", advice.EACH, ({},), False, "varied"),
        ("every second answer wrong", "second wrong", wrong, "ruler", advice.EACH, ({},), False, "varied"),
        ("what was given, given back", "carry", known, "ruler", advice.CARRIED),
        ("answers remembered", "remembered", "seed", "fresh inputs", advice.TIMED),
        ("dice that show one side", "dice", wrong, "separate process", inside, ({},), False, "varied"),
        ("an answer made when looked at", "lazy", "seed", "timing from outside", advice.TIMED),
        ("an answer made in a thread", "thread", "seed", "timing from outside", advice.TIMED),
        ("work while others are timed", "spin", "seed", "timing from outside", advice.TIMED),
        ("clocks that go slow", "clock", "seed", "timing from outside", advice.TIMED),
        ("the answer from a frame", "frame answer", wrong, "separate process", inside),
        ("inputs emptied through frames", "frame empty", wrong, "separate process", inside),
        ("the answer from memory (gc)", "gc", wrong, "separate process", inside),
        ("checks replaced", "swap checks", wrong, "separate process", inside),
        ("builtins and math replaced", "builtins", wrong, "separate process", inside),
        ("json replaced", "json", "seed", "separate process", inside),
        ("streams replaced", "streams", "seed", "pipe", inside),
        ("a made-up result, then the end", "forge", wrong, "pipe", inside, _values(0, 1, 2, 3, 4)),
        ("results on all descriptors", "forge everywhere", wrong, "pipe", inside),
        ("a document before the answer", "forge first", "seed", "parser", inside),
        ("a document behind the answer", "forge last", "seed", "parser", inside),
        ("answers sent ahead", "ahead", wrong, "pipe", inside),
        ("scores printed, then the end", "print", wrong, "pipe", inside),
        ("result files, then the end", "results", wrong, "jail", inside),
        ("the end with status 0 on loading", "exit", wrong, "pipe", inside),
        ("exits that are no errors", "exception", wrong, "pipe", inside, _values("exit", "interrupt", "base")),
        ("the end within a call", "exit in call", wrong, "pipe", inside),
        ("an exit within a call", "system exit in call", wrong, "pipe", inside),
        ("an interrupt within a call", "interrupt in call", wrong, "pipe", inside),
        ("the end after the first answer", "second exits", wrong, "pipe", inside, ({},), False, "varied"),
        ("code as the answer", "code", wrong, "parser", advice.EVALUATES, ({"value": "code"},)),
        ("a pickle bomb as the answer", "pickled", wrong, "parser", advice.EVALUATES, ({"value": "pickle"},)),
        ("reading judge/ and /proc", "loot", "seed", "jail", advice.JAIL),
        ("the network", "dial", "seed", "jail", advice.JAIL),
        ("a daemon that holds the pipes", "daemon", "seed", "jail", advice.JAIL),
        ("an endless loop on loading", "endless", "seed", "limits", advice.LIMITS, ({},), True),
        ("an endless call", "endless call", "seed", "limits", advice.LIMITS, ({},), True),
        ("memory without end", "memory", "seed", "limits", advice.LIMITS, ({},), True),
        ("memory without end in a call", "memory call", "seed", "limits", advice.LIMITS, ({},), True),
        ("processes without end in a call", "forks call", "seed", "limits", advice.LIMITS, ({},), True),
        ("output without end", "flood", "seed", "limits", advice.LIMITS, ({},), True),
        ("processes without end", "forks", "seed", "limits", advice.LIMITS, ({},), True),
        ("threads without end", "threads", "seed", "limits", advice.LIMITS, ({},), True),
        ("a huge answer", "huge", wrong, "limits", advice.LIMITS, _values(64 << 20), True),
        ("an answer nested deep", "nested", wrong, "parser", advice.FAULT, _values(60, DEPTH)),
        ("an answer of many digits", "digits", wrong, "parser", advice.FAULT, _values(DIGITS)),
    ]
    return [Attack(*row) for row in rows]


def candidate(interface: Interface, text: bytes, aim: Mapping[str, Any]) -> bytes:
    """The seed's file with an act before and after its own text."""
    head = f"_kf = {{}}\nfor _kf_text in {texts()!r}:\n    exec(_kf_text, _kf)\n_kf['begin']({dict(aim)!r})\n"
    tail = f"\n_kf['finish']({dict(aim)!r}, globals())\n"
    lines = text.decode("utf-8", "replace").splitlines(keepends=True)
    first, last = _places(text, len(lines))
    return "".join([*lines[:first], head, *lines[first:last], tail, *lines[last:]]).encode("utf-8", "replace")


def _places(text: bytes, lines: int) -> tuple[int, int]:
    """After how many lines code may stand, behind the docstring and what is imported from the future; and before what
    runs when the file is a script, so that it finds the names as they are meant to be."""
    tree = parsed(text)
    first, last = 0, lines
    body = tree.body if tree is not None else []
    for node in body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not docstring and not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            break
        first = node.end_lineno or first
    for node in reversed(body):
        if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
            last = node.lineno - 1
    return first, max(first, last)


AT_LOAD = frozenset(
    (
        *("builtins", "json", "clock", "forge", "forge everywhere", "forge first", "forge last", "print", "results"),
        *(
            "carry",
            "streams",
            "exit",
            "exception",
            "loot",
            "dial",
            "daemon",
            "endless",
            "memory",
            "flood",
            "forks",
            "threads",
        ),
    )
)
"""The acts that need nobody to call."""

SHADOWS = (
    *("random.py", "json.py", "math.py", "time.py", "kfworker.py", "kernelfactory/__init__.py", "numpy.py"),
    *("sitecustomize.py", "usercustomize.py", "conftest.py", "evil.pth", "pyvenv.cfg", "pytest.ini"),
    *("__pycache__/random.cpython-311.pyc", "Makefile", "setup.py", "cc", "python"),
)
"""Files that act without being called, where somebody lets them lie."""


def shadows(problem: Problem, interface: Interface, aim: Mapping[str, Any]) -> dict[str, bytes]:
    """Such files, at the top and beside the file that is called, each with an act in it."""
    text = candidate(interface, b"", {**aim, "names": ()})
    folder = interface.file.rpartition("/")[0]
    places: Sequence[str] = ("", f"{folder}/") if folder else ("",)
    return {place + name: text for place in places for name in SHADOWS if place + name not in problem.seed}
