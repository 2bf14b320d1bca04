"""What an agent says it has spent, as it is kept. Refuses to believe figures that are none."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import fields

from kernelfactory.model import Tokens, Usage, Work
from kernelfactory.record.rows import text

MOST_TOKENS, MOST_DOLLARS, MOST_SECONDS = 10**15, 1e9, 1e9
"""What an agent says beyond these is cut to them, so that sums stay numbers."""
MOST_MODELS = 30
OTHERS = "other models"


def spent_of(usage: Usage) -> dict[str, object]:
    """What a usage is in an attempt's row. A price that is no number from 0 is unknown."""
    dollars, seconds = usage.dollars, usage.seconds if math.isfinite(usage.seconds) else 0.0
    if dollars is not None:
        dollars = min(dollars, MOST_DOLLARS) if dollars >= 0.0 else None
    return {"seconds": min(max(0.0, seconds), MOST_SECONDS), "tokens": _counted(usage.tokens), "dollars": dollars}


def by_model(usage: Usage, known: Collection[str] = ()) -> dict[str, Tokens]:
    """Tokens by model as they are kept: so many models (with those `known` already), named in so many letters, the
    others together."""
    answer: dict[str, Tokens] = {}
    for name, tokens in usage.models.items():
        model = text(name, 200)
        named = {*known, *answer}
        model = model if model in named or len(named) < MOST_MODELS else OTHERS
        kept = Tokens(*(_counted(getattr(tokens, field.name)) for field in fields(Tokens)))
        answer[model] = answer.get(model, Tokens()).plus(kept)
    return answer


def _counted(tokens: int) -> int:
    return min(max(0, tokens), MOST_TOKENS)


def handed_in(work: Work) -> dict[str, object]:
    """What is kept of work that was handed in."""
    return spent_of(work.usage) | {
        "end": work.end,
        "fault": work.fault and text(work.fault),
        "notes": text(work.notes, None),
    }
