"""What an attempt's agent has spent, over all its processes. Refuses to call what is not known nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kernelfactory.agents import prices
from kernelfactory.model import Tokens, Usage
from kernelfactory.transcript import Event

WORK = ("message", "reasoning", "call", "result")


class Tally:
    """What the process that runs has told so far, on top of those before it. Its own dollars win over list prices; one
    that worked and told nothing has spent what nobody knows. Whatever it says later, it has spent no less than it said
    before: what it runs may have written that line."""

    def __init__(self) -> None:
        self._models: dict[str, Tokens] = {}
        self._dollars: float | None = 0.0
        self._told: Event | None = None
        self._least = 0.0
        self.worked = False

    def heard(self, event: Event) -> None:
        """One more event of the process that runs; a usage is all that it spent."""
        if event.kind == "usage":
            told = self._told
            self._told = event if told is None or _sum(event) >= _sum(told) else replace(event, models=told.models)
            self._least = max(self._least, event.dollars or 0.0)
        elif event.kind in WORK:
            self.worked = True

    def gone(self) -> None:
        """The process is gone: what comes is told by another."""
        self._models, self._dollars = self._all()
        self._told, self._least, self.worked = None, 0.0, False

    def usage(self, seconds: float) -> Usage:
        models, dollars = self._all()
        return Usage(seconds, sum(tokens.all for tokens in models.values()), dollars, models)

    def _all(self) -> tuple[dict[str, Tokens], float | None]:
        dollars = self._own()
        both = None if dollars is None or self._dollars is None else self._dollars + dollars
        return _added(self._models, self._told.models if self._told is not None else {}), both

    def _own(self) -> float | None:
        if self._told is None:
            return None if self.worked else 0.0
        dollars = prices.dollars(self._told.models) if self._told.dollars is None else self._told.dollars
        return None if dollars is None else max(dollars, self._least)


def _sum(event: Event) -> int:
    return sum(tokens.all for tokens in event.models.values())


def _added(a: Mapping[str, Tokens], b: Mapping[str, Tokens]) -> dict[str, Tokens]:
    return {model: a.get(model, Tokens()).plus(b.get(model, Tokens())) for model in {**a, **b}}
