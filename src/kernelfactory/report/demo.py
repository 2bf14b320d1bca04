"""A made-up experiment for the gallery and the tests: plausible figures, no program. Pure; refuses to be a record."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from kernelfactory.model import Metric, Ruler
from kernelfactory.report.data import Diff, ReportData, Row, Spend, Step
from kernelfactory.report.facts import counts, landed

METRIC = Metric(
    "cycles",
    "cycles",
    "min",
    100.0,
    (
        ("naive kernel", 147734.0),
        ("two-hour version, start", 18532.0),
        ("post's best", 1297.0),
        ("harness of four agents", 1103.0),
    ),
)
REASONS = (
    "select: weight 0.31 of {n} candidates, visited {v} times, score in the best third of the island",
    "explore: cell (load 0.4, valu 0.1) had the fewest visits",
    "migrate: best of island {i} enters after 40 attempts without exchange",
    "pivot: 12 attempts without a new best here",
)
FAULTS = (
    "wrong_answer: memory differs on input 1",
    "malformed: bundle 17 has 3 load slots, 2 allowed",
    "timeout: no artefact within 60 s",
    "crashed: the candidate's process ended with code 1",
)


def fold(rows: Sequence[Row], baseline: float, metric: Metric) -> tuple[Step, ...]:
    """Best so far from rows alone, with the spend of the results until then."""
    steps = [Step(0.0, 0, baseline)]
    seconds = judge = 0.0
    tokens = 0
    for number, row in enumerate(landed(rows), start=1):
        seconds, judge, tokens = seconds + row.seconds, judge + row.judge_seconds, tokens + row.tokens
        if row.score is not None and counts(row) and metric.better(row.score, steps[-1].score):
            spent = Spend(number, 0.0, 0, tokens, seconds, judge)
            steps.append(Step(row.at or 0.0, row.attempt, row.score, spent))
    return tuple(steps)


def attempts(number: int, islands: int, floor: float, rng: random.Random) -> list[Row]:
    """A plausible search from 147,734 towards `floor`, on `islands` islands, an attempt every 0.4 s or so."""
    pools: list[list[tuple[int, float]]] = [[(0, 147734.0)] for _ in range(islands)]
    rows = []
    clock = 0.0
    for attempt in range(1, number + 1):
        island = rng.randrange(islands)
        pool = pools[island] if rng.random() > 0.015 else pools[rng.randrange(islands)]
        parent, score = min(rng.sample(pool, min(3, len(pool))), key=lambda item: item[1])
        clock += rng.expovariate(2.5)
        row = _attempt(attempt, (parent, score), island, (clock, floor), rng)
        rows.append(row)
        if row.score is not None:
            pools[island].append((attempt, row.score))
            pools[island] = sorted(pools[island], key=lambda item: item[1])[:12]
    return rows


def _attempt(attempt: int, base: tuple[int, float], island: int, frame: tuple[float, float], rng: random.Random) -> Row:
    parent, score = base
    clock, floor = frame
    draw = rng.random()
    took = rng.uniform(0.3, 1.4)
    delta: float | None
    fault = ""
    if draw < 0.42:
        outcome, new, delta, fault = "rejected", None, None, rng.choice(FAULTS)
    elif draw < 0.62:
        outcome, new, delta = "equal", score, 0.0
    elif draw < 0.86:
        new = score + math.ceil(rng.expovariate(1 / (score * 0.04)))
        outcome, delta = "worse", new - score
    else:
        new = score - math.floor((score - floor) * min(0.5, rng.expovariate(11)))
        outcome, delta = ("improved", new - score) if new < score else ("equal", 0.0)
    move = rng.choices(("select", "explore", "migrate", "pivot"), (80, 15, 2, 3))[0]
    reason = REASONS[("select", "explore", "migrate", "pivot").index(move)]
    return Row(
        attempt,
        parent,
        island,
        outcome,
        new,
        delta,
        "mutator",
        None,
        "judged",
        clock,
        clock + took,
        took,
        0.0,
        0,
        rng.uniform(0.04, 0.3),
        rng.randint(1, 4),
        move,
        reason.format(n=rng.randint(3, 40), v=rng.randint(0, 9), i=rng.randrange(3)),
        fault,
        "finished",
        "bubblewrap",
        f"{rng.getrandbits(160):040x}",
        0,
        outcome == "improved",
    )


def demo(number: int = 400, islands: int = 3, seed: int = 7, name: str = "demo data") -> ReportData:
    """A whole made-up experiment; scores never fall below 90,000 cycles."""
    rng = random.Random(seed)
    rows = attempts(number, islands, 92000.0, rng)
    steps = fold(rows, 147734.0, METRIC)
    notes = {
        row.attempt: f"# Attempt {row.attempt}\n\nMoved one statement out of the inner loop and measured again: "
        f"{row.outcome}. What I would try next: the same on the second half.\n"
        for row in rows
        if row.outcome in ("improved", "worse") and row.attempt % 3 == 0
    }
    at = [row.at or 0.0 for row in rows]
    return ReportData(
        name=name,
        problem="vliw_tree",
        digest="sha256:" + "3b9f" * 16,
        metric=METRIC,
        created_at=1.8e9,
        state="finished",
        why="the attempts asked for were made",
        private=True,
        policy="islands",
        islands=islands,
        seed=seed,
        agents=("mutator:2",),
        caps=(("Attempts at most", f"{number:,}"), ("Time per attempt", "30 s")),
        trust="judged",
        jail="bubblewrap",
        rulers=(Ruler("c", "sha256:" + "81d0" * 16),),
        elapsed=max([1.0, *at]),
        baseline=147734.0,
        steps=steps,
        rows=tuple(rows),
        notes=notes,
        spend=Spend(number, 0.0, 0, 0, sum(r.seconds for r in rows), sum(r.judge_seconds for r in rows)),
        diff=Diff(
            None, "Solutions of this problem are private, so their text is left out: kf report --with-code shows it."
        ),
    )
