"""List prices: whose they are, and that an unknown one is never 0."""

from __future__ import annotations

import re

import pytest

from kernelfactory.agents.prices import LIST, Price, dollars, read
from kernelfactory.model import Tokens

MILLION = Tokens(1_000_000, 1_000_000, 1_000_000, 1_000_000)


@pytest.mark.parametrize(
    "model, name",
    [
        ("claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-sonnet-4-0", "claude-sonnet-4"),
        ("claude-opus-4-1@20250805", "claude-opus-4-1"),
        ("claude-opus-4-8[1m]", "claude-opus-4-8"),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("anthropic/claude-opus-5", "claude-opus-5"),
        ("openrouter/anthropic/claude-opus-5-5:thinking", "claude-opus-5-5"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
        ("gpt-5", "gpt-5"),
        ("gpt-5-2025-08-07", "gpt-5"),
        ("GPT-5.5[high]", "gpt-5.5"),
        ("openai/gpt-5.3-codex", "gpt-5.3-codex"),
        ("gemini-2.5-flash", "gemini-2.5-flash"),
        ("models/gemini-3-flash-preview", "gemini-3-flash"),
        ("gemini-2.5-flash-lite-preview-09-2025", "gemini-2.5-flash-lite"),
    ],
)
def test_a_model_goes_by_the_longest_name_that_fits(model: str, name: str) -> None:
    assert LIST.price(model) == LIST.models[name]


@pytest.mark.parametrize(
    "model",
    ["", "stub-model", "gpt-5.7", "gpt-5-turbo", "gpt-6.1-sol", "claude-opus-5-7", "claude-sonnet", "xgpt-5", "a/b\n"],
)
def test_a_model_that_is_not_known_has_no_price(model: str) -> None:
    assert LIST.price(model) is None
    assert dollars({model: Tokens(1)}) is None and dollars({"gpt-5": MILLION, model: Tokens(output=1)}) is None
    assert dollars({"gpt-5": Tokens(1_000_000), model: Tokens()}) == 1.25  # of which nothing was used


def test_dollars_as_the_agents_themselves_count_them() -> None:
    assert dollars({"claude-sonnet-4-5": Tokens(3000, 150, 15000, 600)}) == pytest.approx(0.018)
    assert dollars({"claude-haiku-4-5": Tokens(3000, 150, 15000, 600)}) == pytest.approx(0.006)
    assert dollars({"claude-sonnet-4-5": MILLION, "gpt-5.5": MILLION}) == pytest.approx(22.05 + 40.5)
    assert dollars({}) == 0.0


def test_the_table_is_sound() -> None:
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", LIST.date) and len(LIST.models) > 30
    for name, price in LIST.models.items():
        assert LIST.price(name) == price and name == name.lower()
        assert 0 < price.cache_read <= price.input <= price.cache_write * 1.01 and price.input < price.output, name


def test_a_table_of_ones_own() -> None:
    own = read("date = 2027-01-01\n[models.local]\ninput = 1\noutput = 2\n")
    assert own.models["local"] == Price(1, 2, 1, 1) and own.date == "2027-01-01"
    assert own.dollars({"local": MILLION}) == pytest.approx(5.0) and own.dollars({"gpt-5": MILLION}) is None
