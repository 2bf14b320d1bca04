"""Makes every recorded choice again from the record alone. Changes nothing, and runs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kernelfactory.factory import dice
from kernelfactory.model import Choice
from kernelfactory.policy import Policy
from kernelfactory.population import Population
from kernelfactory.record import Reader


class Again(NamedTuple):
    """A choice as it was recorded and as it comes out now."""

    attempt: int
    recorded: Choice
    chosen: Choice


def replay(record: Reader, policy: Policy) -> Iterator[Again]:
    """Fold the events in recorded order and choose again at each claim, from (seed, attempt number, events before it).

    What clocks caused, a reaped lease or a restart, is among the events; so all choices come out the same. Whether work
    that was cut short goes on is for a clock to say, and no choice."""
    experiment = record.experiment
    population = Population(experiment.metric, experiment.axes, policy.islands)
    for event in record.events():
        if event.kind == "claimed" and record.attempt(event.attempt).continues is None:
            yield Again(
                event.attempt,
                _recorded(record, event.attempt),
                policy.choose(population, dice(experiment.seed, event.attempt)),
            )
        population.apply(event)


def _recorded(record: Reader, attempt: int) -> Choice:
    row = record.attempt(attempt)
    return Choice(
        parent=row.parent if row.parent is not None else -1,
        island=row.island,
        reason=row.reason,
        move=row.move,
        inspirations=row.inspirations,
        share_notes=row.share_notes,
    )
