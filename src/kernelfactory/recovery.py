"""What a desk does before it opens and after it closes: settle what a dead run left, and judge again what must be true.
Chooses nothing and lends nothing."""

from __future__ import annotations

from collections.abc import Iterator

from kernelfactory.factory import INTERRUPTED, Factory
from kernelfactory.model import TRUST_ORDER, Candidate, Ruler, Usage, Work

ROUNDS = 20
"""Bests that may fall in a row at the end of a run before it is given up (the seed always stands)."""


def recover(factory: Factory) -> Iterator[str]:
    """Settle every claim of runs that are over: nothing judged or handed in is lost, nothing is counted twice.
    Yields what was done, in words."""
    submitted = claimed = 0
    for row in factory.rooms.record.open_attempts():
        if row.state == "submitted":
            files = factory.assay.editable(row.commit) if row.commit else None
            factory.finish(row.attempt, files)
            submitted += 1
        else:
            usage = Usage(row.seconds, row.tokens, row.dollars)
            factory.settle(row, Work(None, row.notes, usage, "interrupted", INTERRUPTED))
            claimed += 1
    if submitted:
        yield f"{submitted} handed in before the last run ended: judged now"
    if claimed:
        yield f"{claimed} cut short when the last run ended: what they had measured is kept"
    factory.assay.crown()


def under_this_ruler(factory: Factory) -> Iterator[str]:
    """Judge the best and the elites anew when another ruler, jail or trust made their verdicts. Yields what it did."""
    judge, record = factory.rooms.judge, factory.rooms.record
    now = (judge.ruler.digest, judge.jail_name, judge.trust)
    level = TRUST_ORDER.index(judge.trust)
    stale = [c for c in _elites(factory) if TRUST_ORDER.index(c.trust) <= level and _made_by(factory, c) != now]
    if not stale:
        return
    old = record.measurement(record.attempt(stale[0].attempt).measurement or 0).verdict
    yield (
        f"verdicts here were made by {_said(old.ruler, old.jail)}, this is {_said(judge.ruler, judge.jail_name)}: "
        f"judging the best and {len(stale) - 1} others again"
    )
    fallen = sum(not _again(factory, candidate) for candidate in stale)
    factory.fold()
    factory.assay.crown()
    yield f"judged again: {len(stale) - fallen} stand, {fallen} fell"


def stand_by_best(factory: Factory) -> Iterator[str]:
    """At the end of a run the best is judged once more, from the trees; what falls is best no more. Yields words."""
    for _ in range(ROUNDS):
        best = factory.rooms.record.best()
        weaker = best is None or TRUST_ORDER.index(best.trust) > TRUST_ORDER.index(factory.rooms.judge.trust)
        if best is None or best.attempt == 0 or best.commit is None or weaker:
            break
        found = factory.assay.again(best.attempt, factory.assay.editable(best.commit), confirm=True)
        if found.verdict.verdict == "accepted":
            yield f"best/ judged again from the trees: {found.verdict.score:g}, it stands"
            break
        yield f"attempt {best.attempt} did not stand when judged again ({found.verdict.reason}): no longer the best"
    factory.fold()
    factory.assay.crown()


def _elites(factory: Factory) -> list[Candidate]:
    """The best first, then the seed and whatever islands and cells hold."""
    population = factory.population
    first = [c for c in (population.best, population.seed) if c is not None]
    rest = [c for island in population.islands for c in island.live()]
    return list({c.attempt: c for c in [*first, *rest]}.values())


def _made_by(factory: Factory, candidate: Candidate) -> tuple[str, str, str]:
    record = factory.rooms.record
    verdict = record.measurement(record.attempt(candidate.attempt).measurement or 0).verdict
    return verdict.ruler.digest, verdict.jail, verdict.trust


def _again(factory: Factory, candidate: Candidate) -> bool:
    commit = factory.rooms.record.attempt(candidate.attempt).commit or ""
    found = factory.assay.again(candidate.attempt, factory.assay.editable(commit), confirm=candidate.confirmed)
    return found.verdict.verdict == "accepted"


def _said(ruler: Ruler, jail: str) -> str:
    return f"the {ruler.backend} ruler {ruler.digest.removeprefix('sha256:')[:8]} in jail {jail}"
