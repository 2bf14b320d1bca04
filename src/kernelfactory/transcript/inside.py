"""The lines that our own programs in a cage print: an Event each, field by field. Trusts them no more than others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TypeVar, get_args

from kernelfactory.model import Tokens, Trouble
from kernelfactory.transcript.form import Clock, Event, Kind, Reset
from kernelfactory.transcript.loose import TEXT, at, count, name, number, plain, record, table, text, true
from kernelfactory.transcript.turn import Turn

_KINDS: dict[object, Kind] = {kind: kind for kind in get_args(Kind)}
_TROUBLES: dict[object, Trouble] = {trouble: trouble for trouble in get_args(Trouble)}
_MODELS = 64
T = TypeVar("T")


def show(event: Event | None = None, session: str | None = None) -> str:
    """The line (without its end) that says `event`, or what the session is called, or both."""
    said: dict[str, object] = {} if session is None else {"session": session}
    if event is not None:
        said |= {
            key: value for key, value in asdict(event).items() if value or (key == "dollars" and value is not None)
        }
    return json.dumps(said)


class Inside:
    def __init__(self) -> None:
        self.session: str | None = None
        self._turn = Turn()

    def line(self, line: str) -> Sequence[Event]:
        said = record(line)
        self.session = name(said, "session") or self.session
        event = _event(said)
        return () if event is None else self._take(event)

    def error(self, line: str) -> Sequence[Event]:
        self._turn.noise(line)
        return ()

    def end(self, returncode: int) -> Sequence[Event]:
        return self._turn.gone(returncode)

    def _take(self, event: Event) -> Sequence[Event]:
        match event.kind:
            case "end":
                return (self._turn.end(event.trouble, event.text, event.reset),)
            case "error" | "limit" if event.trouble is not None:
                return self._turn.wrong(event)
            case "message" | "reasoning" | "call" | "result":
                self._turn.goes_on(event.text if event.kind == "message" else "")
        return (event,)


def _event(said: dict[str, object]) -> Event | None:
    kind = _pick(_KINDS, at(said, "kind"))
    if kind is None:
        return None
    models = {plain(model, 200): _tokens(used) for model, used in list(table(said, "models").items())[:_MODELS]}
    return Event(
        kind,
        text=text(said, "text", cap=TEXT),
        name=text(said, "name"),
        call=text(said, "call"),
        failed=true(said, "failed"),
        models=models,
        dollars=number(said, "dollars"),
        trouble=_pick(_TROUBLES, at(said, "trouble")),
        reset=_reset(table(said, "reset")),
    )


def _pick(known: dict[object, T], said: object) -> T | None:
    return known.get(said) if isinstance(said, str) else None


def _tokens(used: object) -> Tokens:
    return Tokens(*(count(used, key) for key in ("input", "output", "cache_read", "cache_write")))


def _reset(said: dict[str, object]) -> Reset | None:
    if (epoch := number(said, "epoch")) is not None:
        return Reset(epoch=epoch)
    if (after := number(said, "after")) is not None:
        return Reset(after=after)
    clock = table(said, "clock")
    if number(clock, "hour") is None:
        return None
    day, month, year = (count(clock, key) or None for key in ("day", "month", "year"))
    return Reset(
        clock=Clock(count(clock, "hour"), count(clock, "minute"), day, month, year, text(clock, "zone") or None)
    )
