"""From an experiment's folder to report data: reads record and trees. Refuses to write, and to know the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from kernelfactory.model import TRUST_ORDER, BadInput, Ruler, Trust
from kernelfactory.record import Attempt, Improvement, Reader, Run, Spent
from kernelfactory.report import facts
from kernelfactory.report.data import Diff, ReportData, Row, Spend, Step

PRIVATE = "Solutions of this problem are private, so their text is left out: kf report --with-code shows it."


def load(folder: Path, *, with_code: bool) -> ReportData:
    """One experiment, read while it runs or later. BadInput: no record there, or it is damaged."""
    with Reader.open(folder) as reader:
        attempts = reader.attempts()
        runs = reader.runs()
        end = _end(runs, attempts, reader.state()[0])
        clock = _clock(_spans(runs, attempts, end))
        (state, why), asked = reader.state(), reader.experiment
        steps = facts.standing([_step(point, clock) for point in reader.curve()], asked.metric)
        seeded = reader.measurements(0)
        say = _as_it_is if with_code or not asked.private else facts.prose
        return ReportData(
            name=asked.name,
            problem=asked.problem,
            digest=asked.digest,
            metric=asked.metric,
            created_at=asked.created_at,
            state=state,
            why=why,
            private=asked.private,
            with_code=with_code,
            policy=asked.policy,
            islands=asked.islands,
            seed=asked.seed,
            agents=asked.agents or tuple(sorted({row.agent for row in attempts})),
            caps=_caps(runs[-1]) if runs else (),
            trust=_weakest([*(run.trust for run in runs), *(m.verdict.trust for m in seeded)]),
            jail=", ".join(dict.fromkeys([*(m.verdict.jail for m in seeded), *(run.jail for run in runs)])) or None,
            rulers=tuple(dict.fromkeys([*(m.verdict.ruler for m in seeded), *map(_ruler, runs)])),
            elapsed=clock(end),
            baseline=reader.baseline(),
            steps=steps,
            spend=_spend(reader.spent()),
            rows=tuple(_row(reader, attempt, clock, say) for attempt in attempts),
            notes={note.attempt: say(note.text) for note in reader.notes() if note.attempt},
            diff=_diff(reader, with_code),
            waiting=len(reader.held()),
            released=_released(reader, say),
        )


def _released(reader: Reader, say: Callable[[str], str]) -> tuple[tuple[int, str], ...]:
    """Attempts that a person let out of quarantine, and who; what was taken back later is not among them."""
    last = {word.attempt: word for word in reader.decisions()}
    return tuple((attempt, say(word.who)) for attempt, word in sorted(last.items()) if word.decision == "release")


def _end(runs: Sequence[Run], attempts: Sequence[Attempt], state: str) -> float:
    """The last moment of the experiment, epoch seconds: now while it runs, else the last thing that happened."""
    if state == "running":
        return time.time()
    known = [run.ended_at or run.started_at for run in runs]
    return max([*known, *(row.ended_at or row.started_at for row in attempts)], default=0.0)


def _clock(spans: Sequence[tuple[float, float]]) -> Callable[[float], float]:
    """Epoch seconds → seconds of activity, so that nights between two runs take no room."""
    merged: list[tuple[float, float]] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return lambda at: sum(max(0.0, min(at, last) - first) for first, last in merged)


def _spans(runs: Sequence[Run], attempts: Sequence[Attempt], end: float) -> list[tuple[float, float]]:
    """When something went on: runs (one that ended without a word lasts until the next), and what visitors did."""
    starts = [*(run.started_at for run in runs[1:]), max([end, *(run.started_at for run in runs)])]
    ran = [(run.started_at, run.ended_at or later) for run, later in zip(runs, starts, strict=False)]
    return ran + [(row.started_at, row.ended_at or end) for row in attempts if row.run is None]


def _spend(spent: Spent | Improvement) -> Spend:
    """The record's totals."""
    return Spend(
        spent.attempts, spent.dollars, spent.dollars_unknown, spent.tokens, spent.agent_seconds, spent.judge_seconds
    )


def _step(point: Improvement, clock: Callable[[float], float]) -> Step:
    return Step(clock(point.at) if point.attempt else 0.0, point.attempt, point.score, _spend(point))


def _as_it_is(text: str) -> str:
    return text


def _row(reader: Reader, attempt: Attempt, clock: Callable[[float], float], say: Callable[[str], str]) -> Row:
    judged = reader.measurements(attempt.attempt) if attempt.measurements else []
    refused = [m.verdict for m in judged if m.verdict.reason] if attempt.outcome in ("rejected", "quarantined") else []
    why = [attempt.fault] if attempt.fault else []
    why += [
        f"{(verdict.reason_code or verdict.verdict).replace('_', ' ')}: {verdict.reason}" for verdict in refused[-1:]
    ]
    return Row(
        attempt=attempt.attempt,
        parent=attempt.parent,
        island=attempt.island,
        outcome=attempt.outcome or "none",
        score=attempt.score,
        delta=attempt.delta,
        agent=attempt.agent,
        model=attempt.model,
        state=attempt.state,
        started=clock(attempt.started_at),
        at=None if attempt.ended_at is None else clock(attempt.ended_at),
        seconds=attempt.seconds,
        dollars=attempt.dollars,
        tokens=attempt.tokens,
        judge_seconds=sum(m.verdict.seconds for m in judged),
        measurements=attempt.measurements,
        move=attempt.move,
        reason=attempt.reason,
        fault=say("; ".join(why)) if why else "",
        end=attempt.end,
        cage=attempt.cage,
        commit=attempt.commit,
        flags=len(reader.flags(attempt.attempt)) if attempt.flagged else 0,
        confirmed=attempt.confirmed,
    )


def _ruler(run: Run) -> Ruler:
    return Ruler(run.ruler_backend, run.ruler_digest)


def _weakest(found: Sequence[Trust]) -> Trust | None:
    return min(found, key=TRUST_ORDER.index, default=None)


def _caps(run: Run) -> tuple[tuple[str, str], ...]:
    """The latest run's caps in words."""
    caps = [
        ("Attempts at most", None if run.cap_attempts is None else f"{run.cap_attempts:,}"),
        ("Time at most", None if run.cap_seconds is None else facts.duration(run.cap_seconds)),
        ("Dollars at most", None if run.cap_dollars is None else f"${run.cap_dollars:,.2f}"),
        ("Tokens at most", None if run.cap_tokens is None else f"{run.cap_tokens:,}"),
        ("Target", None if run.target is None else facts.number(run.target)),
        ("Time per attempt", facts.duration(run.attempt_seconds)),
    ]
    return tuple((name, value) for name, value in caps if value is not None)


def _diff(reader: Reader, with_code: bool) -> Diff:
    best = reader.best()
    if best is None or best.attempt == 0 or best.commit is None:
        return Diff(None)
    if reader.experiment.private and not with_code:
        return Diff(None, PRIVATE)
    seed = reader.attempt(0).commit
    if seed is None:
        return Diff(None, "The seed's files are not in the trees.")
    from kernelfactory.trees import Trees  # git is slow to load, and most pages show no code

    try:
        return Diff(Trees(reader.folder / "trees.git").diff(seed, best.commit))
    except BadInput as error:
        return Diff(None, f"The trees could not be read: {error}")
