"""Agents' event streams, read: pure parsers from what each command line prints to one normal form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from kernelfactory.model import Tokens
from kernelfactory.transcript.claude import Claude
from kernelfactory.transcript.codex import Codex
from kernelfactory.transcript.form import Clock, Event, Kind, Parser, Reset
from kernelfactory.transcript.gemini import Gemini
from kernelfactory.transcript.inside import Inside
from kernelfactory.transcript.lines import Lines
from kernelfactory.transcript.opencode import OpenCode

__all__ = ["Clock", "Event", "Kind", "Parser", "Reset", "parser", "read"]


def parser(agent: str, model: str = "", before: Mapping[str, Tokens] | None = None, dollars: float = 0.0) -> Parser:
    """A parser for one process of an agent of this kind; what is not known merely prints lines. `model`: whose tokens
    they are, where it is not said. `before`, `dollars`: what the session that it resumes had spent, all told."""
    match agent:
        case "claude":
            return Claude(before, dollars)
        case "codex":
            return Codex(model, before)
        case "gemini":
            return Gemini()
        case "opencode":
            return OpenCode(model)
        case "acp" | "mini":
            return Inside()
    return Lines()


def read(lines: Iterable[str], parser: Parser) -> Iterator[Event]:
    """The events of a kept transcript's lines. How its process ended is not in it: no end is made up."""
    for line in lines:
        yield from parser.line(line)
