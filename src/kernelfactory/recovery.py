"""What a desk does before it opens and after it closes: settle what a dead run left, and judge again what must be true.
Chooses nothing and lends nothing. Each step yields what it did in words, or None where there is nothing to say, so that
whoever drives it may stop in between."""

from __future__ import annotations

from collections.abc import Iterator

from kernelfactory.factory import Factory
from kernelfactory.model import TRUST_ORDER, Candidate, Ruler, Trust
from kernelfactory.record import Best
from kernelfactory.redact import Mask
from kernelfactory.workspace import left_notes

FALLS = 1000
"""Programs that may fall in a row before it is given up; the seed always stands."""

NO_SECRETS = Mask({})

Steps = Iterator[str | None]


def recover(factory: Factory, mask: Mask = NO_SECRETS) -> Steps:
    """Settle every claim of runs that are over: nothing judged or handed in is lost, nothing is counted twice. Notes
    that were left lying are taken in without what `mask` knows."""
    submitted = claimed = 0
    for row in factory.rooms.record.open_attempts():
        if row.state == "submitted":
            factory.finish(row.attempt, factory.assay.editable(row.commit) if row.commit else None)
            submitted += 1
        else:
            factory.interrupted(row, mask.cut(left_notes(row.workspace).encode("utf-8", "replace")).decode())
            claimed += 1
        factory.found(row.attempt)
        yield None
    if submitted:
        yield f"{submitted} handed in before the last run ended: judged now"
    if claimed:
        yield f"{claimed} cut short when the last run ended: what they had measured is kept"
    factory.assay.crown()


def under_this_ruler(factory: Factory) -> Steps:
    """Judge the best and the elites anew when another ruler, jail or trust made their verdicts; a stronger trust than
    this run's stays as it is."""
    judge, record = factory.rooms.judge, factory.rooms.record
    stale = [c for c in _elites(factory) if _stale(factory, c.attempt, c.trust)]
    if not stale:
        return
    old = record.measurement(record.attempt(stale[0].attempt).measurement or 0).verdict
    yield (
        f"verdicts here were made by {_said(old.ruler, old.jail)}, this is {_said(judge.ruler, judge.jail_name)}: "
        f"judging the best and {len(stale) - 1} others again"
    )
    for candidate in stale:
        yield _again(factory, candidate.attempt, confirm=_must_confirm(factory, candidate), fresh=False)
    for _ in range(FALLS):  # the same tree may be the result of other attempts too
        best = record.best()
        if best is None or not _stale(factory, best.attempt, best.trust):
            break
        said = _again(factory, best.attempt, confirm=True, fresh=False)
        yield said
        if said is not None and UNDECIDED in said:
            break
    yield from _confirm_heirs(factory)
    factory.assay.crown()
    yield "judged again: the best is " + _score(record.best())


def stand_by_best(factory: Factory) -> Steps:
    """At the end of a run the best is judged once more, from the trees, and timed against the next best if scores are
    timed; what falls is the best no more."""
    record, judge = factory.rooms.record, factory.rooms.judge
    for _ in range(FALLS):
        best = record.best()
        if best is None or best.attempt == 0 or _level(best.trust) > _level(judge.trust):
            break
        fallen = _again(factory, best.attempt, confirm=True, fresh=True)
        now = record.best()
        if fallen is None and now is not None and now.attempt != best.attempt:
            how, on = ("slower", "pairs") if factory.rooms.problem.measure.timed else ("worse", "inputs")
            fallen = f"attempt {best.attempt} is {how} than attempt {now.attempt} on fresh {on}: no longer the best"
        if fallen is None:
            yield f"best/ judged again from the trees: {_score(record.best())}, it stands"
            break
        yield fallen
        if UNDECIDED in fallen:
            break
        yield from _confirm_heirs(factory)
    factory.assay.crown()


UNDECIDED = "could not be judged again now"


def _again(factory: Factory, attempt: int, *, confirm: bool, fresh: bool) -> str | None:
    """Judge one result anew; None: it stands, else what became of it."""
    found = factory.assay.again(attempt, confirm=confirm, fresh=fresh)
    factory.fold()
    if found is None:
        return f"attempt {attempt} {UNDECIDED} (timeout or crash): its verdict stays"
    if found.verdict.verdict == "accepted":
        return None
    return f"attempt {attempt} did not stand when judged again ({found.verdict.reason}): no longer a candidate"


def _confirm_heirs(factory: Factory) -> Steps:
    """After a fall: whoever is better than the best that is left, and was never confirmed, is confirmed or falls."""
    for _ in range(FALLS):
        heirs = [c for c in _elites(factory) if not c.confirmed and c.attempt != 0 and _must_confirm(factory, c)]
        if not heirs:
            return
        heir = max(heirs, key=factory.population.merit)
        said = _again(factory, heir.attempt, confirm=True, fresh=True)
        yield said
        if said is not None and UNDECIDED in said:
            return


def _must_confirm(factory: Factory, candidate: Candidate) -> bool:
    """Was it confirmed, or would it lead now that others have fallen?"""
    population = factory.population
    best = population.best
    return candidate.confirmed or best is None or population.merit(candidate) > population.merit(best)


def _elites(factory: Factory) -> list[Candidate]:
    """The best first, then the seed, whatever islands and cells hold, and the stepping stones."""
    population = factory.population
    first = [c for c in (population.best, population.seed) if c is not None]
    rest = [c for island in population.islands for c in island.live()]
    return list({c.attempt: c for c in [*first, *rest, *population.stones]}.values())


def _stale(factory: Factory, attempt: int, trust: Trust) -> bool:
    """Was its verdict made elsewhere, and not under a stronger trust than this run's?"""
    judge, record = factory.rooms.judge, factory.rooms.record
    verdict = record.measurement(record.attempt(attempt).measurement or 0).verdict
    made = (verdict.ruler.digest, verdict.jail, verdict.trust)
    return _level(trust) <= _level(judge.trust) and made != (judge.ruler.digest, judge.jail_name, judge.trust)


def _level(trust: Trust) -> int:
    return TRUST_ORDER.index(trust)


def _score(best: Best | None) -> str:
    return "none" if best is None else f"{best.score:,g}"


def _said(ruler: Ruler, jail: str) -> str:
    return f"the {ruler.backend} ruler {ruler.digest.removeprefix('sha256:')[:8]} in jail {jail}"
