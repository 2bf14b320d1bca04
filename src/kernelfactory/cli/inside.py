"""The verbs inside a lent workspace: measure, submit, abandon, renew. Knows a token and a socket, no experiment."""

from __future__ import annotations

import json as jsons
import time
from typing import Annotated, Any

import typer

from kernelfactory.cli.options import Json
from kernelfactory.cli.terminal import document, last_words, loud, number, one_line, say

_COMPARED = (("best here", "best_here"), ("parent", "parent_score"), ("best of all", "best_score"))


def ask(verb: str, **more: object) -> dict[str, Any]:
    """One line to the desk of the workspace that this process is in, one line back.

    Raises BadInput outside a workspace, and whatever the desk answers."""
    from kernelfactory.wire import ask_inside

    return ask_inside(verb, None, **more)


def measure(
    quick: Annotated[bool, typer.Option("--quick", help="A smaller size, for a hint only: never a verdict.")] = False,
    json: Json = False,
) -> int:
    """Have the judge measure the workspace as it is now.

    Exit code 0 when it is accepted, 1 when it is not."""
    answer = ask("measure", quick=quick)
    if json:
        document(answer)
    else:
        say(*(_quick_lines(answer) if quick else _verdict_lines(answer)))
    good = answer.get("ok") if quick else answer.get("verdict") == "accepted"
    return 0 if good else 1


def submit(json: Json = False) -> int:
    """Hand the workspace in.

    The best valid snapshot of this attempt becomes its result."""
    return _end("submit", "handed in", json)


def abandon(json: Json = False) -> int:
    """Give the attempt back; what was measured is kept."""
    return _end("abandon", "given back", json)


def renew(json: Json = False) -> int:
    """Extend this attempt's lease."""
    return _end("renew", "renewed", json)


def _end(verb: str, done: str, json: bool) -> int:
    answer = ask(verb)
    if json:
        document(answer)
    else:
        say(one_line(f"{done}: attempt {answer.get('attempt')}{_until(answer)}"))
        if answer.get("fault"):
            say(f"  {one_line(str(answer['fault']))}")
    return 0


def _until(answer: dict[str, Any]) -> str:
    until = answer.get("lease_until")
    return (
        f", yours until {time.strftime('%H:%M:%S', time.localtime(until))}" if isinstance(until, (int, float)) else ""
    )


def _quick_lines(answer: dict[str, Any]) -> list[str]:
    if not answer.get("ok"):
        return [f"quick: not valid: {one_line(str(answer.get('reason') or 'no reason given'))}", *last_words(answer)]
    return [f"quick: {_shown(answer.get('figure'))} (a hint at a smaller size, not a verdict)"]


def _verdict_lines(answer: dict[str, Any]) -> list[str]:
    """The verdict, what it is compared with, and the instruments."""
    mark = loud(one_line(str(answer.get("trust") or "judged")))
    if answer.get("score") is None:
        said = f"{mark}{answer.get('verdict')}: {one_line(str(answer.get('reason') or 'no reason given'))}"
        return [said, *last_words(answer.get("instruments") or {})]
    first = (
        f"{mark}{answer['verdict']}: {_shown(answer['score'])} {answer.get('metric', '')} ({answer.get('goal', '')})"
    )
    compared = [f"{word} {_shown(answer.get(key))}" for word, key in _COMPARED if answer.get(key) is not None]
    instruments = [
        f"  {one_line(str(key))}: {_shown(value)}" for key, value in (answer.get("instruments") or {}).items()
    ]
    return [first, "  " + ", ".join([*compared, *_left(answer)]), *instruments]


def _left(answer: dict[str, Any]) -> list[str]:
    """How much time the attempt still has, where that is said."""
    left = answer.get("seconds_left")
    return [f"{left / 60:.0f} min left" if left >= 120 else f"{left:.0f} s left"] if isinstance(left, int) else []


def _shown(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, (int, float)):
        return number(value)
    return one_line(jsons.dumps(value) if isinstance(value, (dict, list)) else str(value))
