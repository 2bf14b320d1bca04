"""What tokens cost by public list prices, from a dated table. Refuses to guess: an unknown price is None, never 0."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from kernelfactory.model import Tokens

_PROVIDER = re.compile(r"(?:.*/)?(?:(?:us|eu|apac|jp|au|global)\.)?(?:(?:anthropic|openai|google)\.)?")
_VERSION = re.compile(
    r"(?:[-@]20\d\d-?\d\d-?\d\d|-latest|-preview(?:-\d\d-\d{2,4})?|-\d{3}|-0(?=@|$|-20))*(?:-v\d+(?::\d+)?)?"
    r"(?:\[[^\[\]]*\]|:[\w.-]+)?"
)


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million tokens, of each kind as `Tokens` counts them."""

    input: float
    output: float
    cache_read: float
    cache_write: float

    def of(self, tokens: Tokens) -> float:
        parts = (tokens.input * self.input, tokens.output * self.output)
        cached = (tokens.cache_read * self.cache_read, tokens.cache_write * self.cache_write)
        return (sum(parts) + sum(cached)) / 1e6


@dataclass(frozen=True, slots=True)
class Prices:
    """A table of prices by model name, and the day they were so (ISO)."""

    date: str
    models: Mapping[str, Price]

    def price(self, model: str) -> Price | None:
        """By the longest name that `model` begins with, when what is left is only a version, an effort or a tag."""
        name = model[_PROVIDER.match(model).end() :].lower()  # type: ignore[union-attr]
        fits = [known for known in self.models if name.startswith(known) and _VERSION.fullmatch(name[len(known) :])]
        return self.models[max(fits, key=len)] if fits else None

    def dollars(self, models: Mapping[str, Tokens]) -> float | None:
        """What so many tokens cost; None when any that were used are of a model whose price is not known."""
        total = 0.0
        for model, tokens in models.items():
            if tokens.all:
                price = self.price(model)
                if price is None:
                    return None
                total += price.of(tokens)
        return total


def read(text: str) -> Prices:
    """The table of a prices.toml: `date`, and [models.NAME] with input, output, cache_read, cache_write."""
    told: dict[str, Any] = tomllib.loads(text)
    models = {
        name: Price(
            each["input"], each["output"], each.get("cache_read", each["input"]), each.get("cache_write", each["input"])
        )
        for name, each in told["models"].items()
    }
    return Prices(str(told["date"]), models)


LIST = read(files("kernelfactory.agents").joinpath("prices.toml").read_text(encoding="utf-8"))


def dollars(models: Mapping[str, Tokens]) -> float | None:
    """`Prices.dollars` by the list prices."""
    return LIST.dollars(models)
