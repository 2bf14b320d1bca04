"""An agent's transcript, as a person reads it and as JSON. Reads the kept stream alone, and believes none of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernelfactory.cli.terminal import money, number, one_line, plain
from kernelfactory.model import BadInput, Tokens

if TYPE_CHECKING:
    from kernelfactory.record import Attempt, Reader
    from kernelfactory.transcript import Event

FILE = "transcript.jsonl"
EVENTS = 50_000
LINES = 40
"""Lines of a tool's output that are shown; with --json all of them."""


def path_of(folder: Path, attempt: int, name: str = FILE) -> Path:
    return folder / "attempts" / f"{attempt:06}" / name


def events(reader: Reader, attempt: int) -> Iterator[Event]:
    """What an attempt's transcript says, read as its kind of agent prints it."""
    from kernelfactory.transcript import parser, read

    row = reader.attempt(attempt)
    path = path_of(reader.folder, attempt)
    if not path.is_file():
        return
    before, dollars = _before(reader, row)
    made = parser(_kind(reader.folder, row.agent), row.model or "", before, dollars)
    with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        yield from read(lines, made)


def changed(reader: Reader, attempt: int) -> bool:
    """Is the file another one than was recorded?"""
    recorded, path = reader.attempt(attempt).transcript, path_of(reader.folder, attempt)
    if recorded is None or not path.is_file():
        return recorded is not None
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" != recorded


def _kind(folder: Path, agent: str) -> str:
    """The kind of agent that goes by this name here."""
    from kernelfactory.agents.config import load

    try:
        entry = load(folder).get(agent)
    except BadInput:  # to read what was, nothing of it is needed
        return agent
    return entry.agent if entry is not None else agent


def resumed(reader: Reader, row: Attempt) -> Attempt | None:
    """The attempt whose session this one went on with; one whose session was gone had to begin its own."""
    if row.continues is None or row.continues >= row.attempt or row.session is None:
        return None
    earlier = reader.attempt(row.continues)
    return earlier if earlier.session == row.session else None


def _before(reader: Reader, row: Attempt) -> tuple[dict[str, Tokens], float]:
    """What the session that this attempt went on with had spent, all told."""
    models: dict[str, Tokens] = {}
    dollars = 0.0
    while (earlier := resumed(reader, row)) is not None:
        row = earlier
        dollars += row.dollars or 0.0
        for model, tokens in reader.billed(row.attempt).items():
            models[model] = models.get(model, Tokens()).plus(tokens)
    return models, dollars


def as_json(event: Event) -> dict[str, Any]:
    """An event without what it does not say."""
    return {key: value for key, value in asdict(event).items() if value not in ("", None, False, {})}


MARKS = {"message": "  ", "reasoning": "~ ", "call": "> ", "result": "| ", "usage": "· ", "limit": "! ", "error": "! ",
         "end": "= "}  # fmt: skip
"""What each line begins with, so that no text can look like something else."""


def lines(event: Event) -> list[str]:
    """An event for a person: its mark, and its text made harmless."""
    mark = MARKS[event.kind]
    match event.kind:
        case "call":
            said = [f"{one_line(event.name, 80) or 'tool'}: {event.text}"]
        case "result":
            said = [("failed: " if event.failed else "") + event.text]
        case "usage":
            total = sum(tokens.all for tokens in event.models.values())
            price = "" if event.dollars is None else f", {money(event.dollars)}"
            said = [f"{number(total)} tokens so far{price}"]
        case "limit" | "error" | "end":
            word = f"{event.kind}, {event.trouble}" if event.trouble else event.kind
            said = [f"{word}: {event.text}" if event.text else word]
        case _:
            said = [event.text]
    shown = plain("\n".join(said)).strip("\n").split("\n")
    cut = len(shown) - LINES if event.kind == "result" and len(shown) > LINES else 0
    if cut:
        shown = [*shown[:LINES], f"… {number(cut)} more lines"]
    return [f"{mark}{line}".rstrip() for line in shown]


def told(reader: Reader, attempt: int) -> Iterator[str]:
    """The lines of a transcript for a person, as they are read, for there may be millions; where there is none, what
    the agent's processes printed."""
    if not path_of(reader.folder, attempt).is_file():
        yield from plain(_log(reader, attempt)).split("\n")
        return
    if changed(reader, attempt):
        yield from ("(this file is not the one that was recorded)", "")
    apart = False
    for event in events(reader, attempt):
        yield from ([""] if apart else [])
        yield from lines(event)
        apart = event.kind in ("message", "result", "end")


def _log(reader: Reader, attempt: int) -> str:
    log = path_of(reader.folder, attempt, "agent.log")
    return log.read_text("utf-8", "replace").rstrip("\n") if log.is_file() else ""


def data(reader: Reader, attempt: int) -> list[dict[str, Any]]:
    """The same as events, the first EVENTS of them; what merely printed lines has a message for each."""
    if path_of(reader.folder, attempt).is_file():
        return [as_json(event) for event in islice(events(reader, attempt), EVENTS)]
    return [{"kind": "message", "text": line} for line in _log(reader, attempt).splitlines() if line]
