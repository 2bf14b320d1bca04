"""What one process of an agent has spent, from what is said of it along the way and in the end. Knows no prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kernelfactory.model import Tokens
from kernelfactory.transcript.form import Event

_MODELS = 64
_PARTS = 4096


class Spend:
    """Parts (one request to a model each, which may be told of again and again, more each time) and totals (what the
    agent itself says; of the whole session, so that `before` and `dollars`, what that had spent before this process,
    are taken off). The higher of both counts. Its dollars stand until a part comes that cannot be in them."""

    def __init__(self, before: Mapping[str, Tokens] | None = None, dollars: float = 0.0) -> None:
        self._before, self._dollars_before = dict(before or {}), dollars
        self._seen: dict[str, Tokens] = {}
        self._parts: dict[str, Tokens] = {}
        self._said: dict[str, Tokens] = {}
        self._dollars: float | None = None
        self._told: Event | None = None

    def part(self, key: str, model: str, tokens: Tokens) -> None:
        """The request `key` to `model` has used at least this much."""
        old = self._seen.pop(key, Tokens())
        new = _most(old, tokens)
        self._seen[key] = new
        if len(self._seen) > _PARTS:
            del self._seen[next(iter(self._seen))]
        if new != old:
            model = model if model in self._parts or len(self._parts) < _MODELS else "other"
            self._parts[model] = self._parts.get(model, Tokens()).plus(less(new, old))
            self._dollars = None

    def total(self, models: Mapping[str, Tokens], dollars: float | None = None) -> None:
        """So much was spent in the session, says the agent; no models: it does not say by which."""
        kept = dict(list(models.items())[:_MODELS])
        again = any(_short(kept.get(model, Tokens()), old) for model, old in self._before.items())
        self._said = (
            kept if again else {model: less(new, self._before.get(model, Tokens())) for model, new in kept.items()}
        )
        if dollars is not None and dollars >= self._dollars_before and not (again and kept):
            dollars -= self._dollars_before
        fits = all(not _short(self._said.get(model, Tokens()), part) for model, part in self._parts.items())
        self._dollars = dollars if fits or not kept else None

    def tell(self) -> Sequence[Event]:
        """A `usage`, when there is something new to say."""
        models = {m: _most(self._parts.get(m, Tokens()), self._said.get(m, Tokens())) for m in self._parts | self._said}
        event = Event("usage", models={m: tokens for m, tokens in models.items() if tokens.all}, dollars=self._dollars)
        if event == self._told or (self._told is None and not event.models and event.dollars is None):
            return ()
        self._told = event
        return (event,)


def _most(a: Tokens, b: Tokens) -> Tokens:
    return Tokens(
        max(a.input, b.input),
        max(a.output, b.output),
        max(a.cache_read, b.cache_read),
        max(a.cache_write, b.cache_write),
    )


def less(a: Tokens, b: Tokens) -> Tokens:
    """`a` without `b`, kind by kind."""
    return Tokens(a.input - b.input, a.output - b.output, a.cache_read - b.cache_read, a.cache_write - b.cache_write)


def _short(a: Tokens, b: Tokens) -> bool:
    """Has `a` less than `b` of any kind?"""
    return _most(a, b) != a
