"""The verbs inside a lent workspace: measure, submit, abandon, renew. Knocks on the desk's socket; sees no experiment."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from kernelfactory.cli.options import Json
from kernelfactory.cli.terminal import document, number, one_line, say
from kernelfactory.model import BadInput, KernelFactoryError

ANSWER_BYTES = 4 << 20
WAIT_SECONDS = 3600.0
"""A judging may wait for its turn; the desk answers or hangs up long before."""


class Answered(KernelFactoryError):
    """The desk said no; `exit_code` is what it says the command ends with."""

    def __init__(self, line: str, code: int) -> None:
        super().__init__(line)
        self.exit_code = code


@dataclass(frozen=True, slots=True)
class Door:
    """The `.kf` folder of the workspace that this process is in."""

    folder: Path

    @classmethod
    def here(cls) -> Door:
        """Look for `.kf` from the current folder upwards. Raises BadInput outside a workspace."""
        start = Path.cwd()
        for folder in (start, *start.parents):
            if (folder / ".kf" / "token").is_file():
                return cls(folder / ".kf")
        raise BadInput("no workspace here: run this inside the folder that was lent to an attempt (it holds .kf/token)")

    def ask(self, verb: str, **more: object) -> dict[str, Any]:
        """One line to the desk, one line back. Raises Answered when it refuses and BadInput when nobody is there."""
        request = {"verb": verb, "token": self._token(), **more}
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
                line.settimeout(WAIT_SECONDS)
                os.chdir(self.folder)  # a socket's name may have 107 bytes only; its folder may lie deep
                line.connect("desk.sock")
                line.sendall(json.dumps(request).encode() + b"\n")
                reply = json.loads(_one_line_of(line))
        except OSError as gone:
            raise BadInput(f"the desk does not answer ({gone.strerror or gone}): this attempt is over") from gone
        except ValueError as garbled:
            raise BadInput("the desk hung up without an answer: this attempt is over") from garbled
        if not reply.get("ok"):
            raise Answered(one_line(str(reply.get("error", "refused")), 500), int(reply.get("code", 2)))
        answer = reply.get("answer")
        return answer if isinstance(answer, dict) else {}

    def _token(self) -> str:
        return (self.folder / "token").read_text().strip()


def _one_line_of(line: socket.socket) -> bytes:
    got = bytearray()
    while not got.endswith(b"\n") and len(got) < ANSWER_BYTES:
        part = line.recv(65536)
        if not part:
            break
        got += part
    return bytes(got)


def measure(
    quick: Annotated[bool, typer.Option("--quick", help="A smaller size, for a hint only: never a verdict.")] = False,
    json: Json = False,
) -> int:
    """Have the judge measure the workspace as it is now."""
    answer = Door.here().ask("measure", quick=quick)
    if json:
        document(answer)
    else:
        say(*(_quick_lines(answer) if quick else _verdict_lines(answer)))
    good = answer.get("ok") if quick else answer.get("verdict") == "accepted"
    return 0 if good else 1


def submit(json: Json = False) -> int:
    """Hand the workspace in: the best valid snapshot of this attempt becomes its result."""
    return _end("submit", "handed in", json)


def abandon(json: Json = False) -> int:
    """Give the attempt back; what was measured is kept."""
    return _end("abandon", "given back", json)


def renew(json: Json = False) -> int:
    """Ask for more time on this attempt's lease."""
    return _end("renew", "renewed", json)


def _end(verb: str, done: str, json: bool) -> int:
    answer = Door.here().ask(verb)
    if json:
        document(answer)
    else:
        detail = ", ".join(f"{key} {_shown(value)}" for key, value in answer.items() if value is not None)
        say(one_line(f"{done}: {detail}" if detail else done))
    return 0


def _quick_lines(answer: dict[str, Any]) -> list[str]:
    if not answer.get("ok"):
        return [f"quick: not valid: {one_line(str(answer.get('reason') or 'no reason given'))}"]
    return [f"quick: {_shown(answer.get('figure'))} (a hint at a smaller size, not a verdict)"]


def _verdict_lines(answer: dict[str, Any]) -> list[str]:
    """The verdict, what it is compared with, and the instruments."""
    if answer.get("score") is None:
        return [f"{answer.get('verdict')}: {one_line(str(answer.get('reason') or 'no reason given'))}"]
    first = f"{answer['verdict']}: {_shown(answer['score'])} {answer.get('metric', '')} ({answer.get('goal', '')})"
    compared = [f"{word} {_shown(answer.get(key))}" for word, key in _COMPARED if answer.get(key) is not None]
    instruments = [f"  {one_line(str(key))}: {_shown(value)}" for key, value in (answer.get("instruments") or {}).items()]
    return [first, "  " + ", ".join(compared), *instruments]


_COMPARED = (("best here", "best_here"), ("parent", "parent_score"), ("best of all", "best_score"))


def _shown(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, (int, float)):
        return number(value)
    return one_line(json.dumps(value) if isinstance(value, (dict, list)) else str(value))
