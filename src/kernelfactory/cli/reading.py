"""Commands that read an experiment, now or later: status, attempts, show, notes. Write nothing in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kernelfactory.cli import nights, telling
from kernelfactory.cli.options import Experiment, Json
from kernelfactory.cli.places import experiment as the_experiment
from kernelfactory.cli.places import shown as path_shown
from kernelfactory.cli.terminal import (
    clock,
    colour_diff,
    document,
    fits,
    gain,
    loud,
    money,
    number,
    one_line,
    plain,
    say,
    score,
    table,
)  # fmt: skip
from kernelfactory.model import BadInput

if TYPE_CHECKING:
    from kernelfactory.model import Metric
    from kernelfactory.record import Reader
    from kernelfactory.trees import Trees

Number = Annotated[
    int | None, typer.Argument(metavar="N", help="Which attempt (default: the best).", show_default=False)
]


def _open(folder: Path | None) -> Reader:
    from kernelfactory.record import Reader

    return Reader.open(the_experiment(folder))


# ── status ───────────────────────────────────────────────────────────────────────────────────────


def status(experiment: Experiment = None, json: Json = False) -> int:
    """Where an experiment stands."""
    at = time.time()
    with _open(experiment) as reader:
        now, metric, outcomes = reader.status(at), reader.experiment.metric, reader.outcomes()
        parked, kept, last = reader.parked(), reader.kept(at), nights.rare(reader.incidents())
        folder = path_shown(reader.folder)
    if json:
        document({**now, "outcomes": outcomes})
        return 0
    say(*_status_lines(now, outcomes, metric, folder), "")
    rows = [
        [str(i["island"]), *(number(i[key]) for key in ("candidates", "best", "visits", "stale"))]
        for i in now["islands"]
    ]
    table(("island", "valid", "best", "visits", "stale"), rows)
    if now["agents"]:
        say("")
        nights.crew(now["agents"], parked, at)
    if kept:
        say("")
        nights.kept(kept, at)
    if last:
        say("")
        nights.incidents(last)
    return 0


def _status_lines(now: dict[str, Any], outcomes: dict[str, int], metric: Metric, folder: str) -> list[str]:
    best, spent = now["best"], now["spent"]
    dollars = money(spent["dollars"]) + (" and more of unknown price" if spent.get("dollars_unknown") else "")
    return [
        f"{one_line(now['experiment'])}: {now['state']}" + (f" ({one_line(now['why'])})" if now["why"] else ""),
        f"  folder        {folder}",
        f"  problem       {one_line(now['problem'])}",
        f"  best          {best_line(best, now['baseline'], metric)}",
        *tally(now, outcomes, folder),
        f"  spent         {dollars}, {number(spent['tokens'])} tokens, {clock(spent['seconds'])} of agents' time",
        *nights.counted(now["incidents"]),
    ]


def tally(now: dict[str, Any], outcomes: dict[str, int], folder: str) -> list[str]:
    """Attempts by what came of them, and measurements by verdict: the same words wherever they are counted."""
    words = {"improved": "improved", "equal": "equal", "worse": "worse", "rejected": "rejected",
             "quarantined": "quarantined", "none": "without a result"}  # fmt: skip
    states = {"claimed": "at work", "submitted": "being judged"}
    counts = [(outcomes.get(key, 0), word) for key, word in words.items()]
    counts += [(now["attempts"][key], word) for key, word in states.items()]
    ended = ", ".join(f"{number(count)} {word}" for count, word in counts if count)
    judged = f"{number(now['rejected'])} rejected, {number(now['quarantined'])} quarantined"
    waiting = number(now.get("waiting", 0))
    return [
        f"  attempts      {number(sum(now['attempts'].values()))}{': ' + ended if ended else ''}",
        f"  measurements  {number(now['measurements'])}: {judged}",
        *([f"  WAITING       {waiting} for a person to look: kf quarantine {folder} list"] if waiting != "0" else []),
    ]


def best_line(best: dict[str, Any] | None, baseline: float | None, metric: Metric) -> str:
    """The best, and how far it is from the seed, in words."""
    if best is None:
        return "nothing valid yet"
    head = f"{loud(best.get('trust'))}{score(best['score'], metric)}"
    if not best["attempt"] or baseline is None or best["score"] == baseline:
        return f"{head} (the seed)"
    return f"{head}, {gain(best['score'], baseline)} than the seed's {number(baseline)} (attempt {best['attempt']})"


# ── attempts ─────────────────────────────────────────────────────────────────────────────────────


def attempts(
    experiment: Experiment = None,
    outcome: Annotated[
        str | None, typer.Option("--outcome", metavar="O", help="Only: improved equal worse rejected quarantined none.")
    ] = None,
    island: Annotated[int | None, typer.Option("--island", metavar="I", help="Only those of one island.")] = None,
    last: Annotated[int | None, typer.Option("--last", metavar="N", min=1, help="Only the newest N.")] = None,
    json: Json = False,
) -> int:
    """Every attempt, one line each."""
    from kernelfactory.record import Filter

    with _open(experiment) as reader:
        rows = reader.attempts_json(Filter(outcome=_outcome(outcome), island=island))
    rows = rows[-last:] if last else rows
    if json:
        document(rows)
        return 0
    heads = (
        "attempt",
        "parent",
        "island",
        "agent",
        "outcome",
        "score",
        "change",
        "tries",
        "time",
        "end",
        "why this parent",
    )
    say(*_loud(rows))
    less = ("time", "tries", "why this parent", "end", "agent", "change")
    cells = [_attempt_cells(row) for row in rows]
    if not fits(heads, cells):
        cells = [_attempt_cells(row, 40) for row in rows]
    table(heads, cells, ("agent", "outcome", "end", "why this parent"), less)
    return 0


def _loud(rows: list[dict[str, Any]]) -> list[str]:
    """What must be said before scores of attempts are shown."""
    weak = [row for row in rows if row["trust"] not in (None, "judged")]
    free = sum(row["cage"] == "none" for row in rows)
    said = _weak("result", [row["trust"] for row in weak])
    caged = f"UNCAGED: {free} attempts by agents without a cage, who could see everything" if free else ""
    return [line for line in (said, caged) if line]


WEAKER = {"unprotected": "judged without a jail", "judged-weak": "judged in a weak jail"}


def _weak(what: str, trusts: Sequence[str | None]) -> str:
    """How many results or runs can be forged, and why; empty where none can."""
    if not trusts:
        return ""
    how = WEAKER.get(trusts[-1] or "", "scored by the problem's own evaluator")
    counted = f"{number(len(trusts))} {what}{' was' if len(trusts) == 1 else 's were'}"
    return f"{loud(trusts[-1]).strip()}: {counted} {how} and can be forged"


def _outcome(named: str | None) -> Any:
    from typing import get_args

    from kernelfactory.model import Outcome

    if named is not None and named not in get_args(Outcome):
        raise BadInput(f"no outcome {named!r}: one of {', '.join(get_args(Outcome))}")
    return named


def _attempt_cells(row: dict[str, Any], longest: int = 0) -> list[str]:
    agent = f"{row['agent']}@{row['model']}" if row["model"] else row["agent"]
    change = "" if row["delta"] is None else f"{row['delta']:+,g}"
    return [
        str(row["attempt"]), number(row["parent"]), str(row["island"]), one_line(agent, longest),
        row["outcome"] or row["state"], number(row["score"]), change, str(row["measurements"]),
        clock(row["seconds"]), row["end"] or "", row["policy_reason"] or "",
    ]  # fmt: skip


# ── show ─────────────────────────────────────────────────────────────────────────────────────────


def show(  # noqa: PLR0913, PLR0917 - one parameter for each option
    experiment: Annotated[
        str | None,
        typer.Argument(
            metavar="EXPERIMENT", help="The folder of an experiment (default: the latest one made)", show_default=False
        ),
    ] = None,
    attempt: Number = None,
    diff: Annotated[bool, typer.Option("--diff", help="What it changed in its parent's program.")] = False,
    notes: Annotated[bool, typer.Option("--notes", help="Its progress.md.")] = False,
    brief: Annotated[bool, typer.Option("--brief", help="What the agent was given to read.")] = False,
    transcript: Annotated[bool, typer.Option("--transcript", help="What the agent did and said.")] = False,
    json: Json = False,
) -> int:
    """One attempt: where it came from and what came of it.

    Without N: the best one. On request its program's changes, notes, brief and transcript."""
    folder, wanted = _split(experiment, attempt)
    with _open(folder) as reader:
        number_ = _wanted(reader, wanted)
        parts = {"diff": diff, "notes": notes, "brief": brief}
        texts: dict[str, Any] = {name: _PARTS[name](reader, number_) for name, asked in parts.items() if asked}
        if json:
            texts |= {"transcript": telling.data(reader, number_)} if transcript else {}
            document({**_attempt_json(reader, number_), "verdicts": _verdicts(reader, number_), **texts})
            return 0
        _show_attempt(reader, number_)
        for name, text in texts.items():
            _headed(name, [colour_diff(plain(text)) if name == "diff" else plain(text)])
        if transcript:
            _headed("transcript", telling.told(reader, number_))
    return 0


def _headed(name: str, lines: Iterable[str]) -> None:
    """A part of what is shown of an attempt, line by line as it comes."""
    say("", f"── {name} " + "─" * (70 - len(name)))
    empty = True
    for line in lines:
        empty = empty and not line
        say(*([] if empty else [line]))
    say(*(["(empty)"] if empty else []))


def _split(named: str | None, attempt: int | None) -> tuple[Path | None, int | None]:
    """`kf show 42` means attempt 42 of the latest experiment, unless there is a folder of that name."""
    if named is not None and attempt is None and named.isdigit() and not Path(named).is_dir():
        return None, int(named)
    return (Path(named) if named is not None else None), attempt


def _wanted(reader: Reader, attempt: int | None) -> int:
    if attempt is not None:
        return reader.attempt(attempt).attempt
    best = reader.best()
    if best is None:
        raise BadInput(f"{reader.folder} has no valid program yet: name an attempt (kf attempts lists them)")
    return best.attempt


def _attempt_json(reader: Reader, attempt: int) -> dict[str, Any]:
    from dataclasses import asdict

    from kernelfactory.agents.prices import dollars
    from kernelfactory.record.rows import attempt_json, iso

    row = reader.attempt(attempt)
    happened = [{**asdict(i), "at": iso(i.at)} for i in reader.incidents(attempt)]
    bill = {
        model: {**asdict(tokens), "list_dollars": dollars({model: tokens})}
        for model, tokens in reader.billed(attempt).items()
    }
    more = {"bill": bill, "incidents": happened}
    return {**attempt_json(row, row.score, reader.flags(attempt)), **more}


def _verdicts(reader: Reader, attempt: int) -> list[dict[str, Any]]:
    from kernelfactory.judge.answer import verdict_json

    metric = reader.experiment.metric
    return [{"measurement": m.measurement, **verdict_json(m.verdict, metric)} for m in reader.measurements(attempt)]


def _show_attempt(reader: Reader, attempt: int) -> None:
    row, metric = reader.attempt(attempt), reader.experiment.metric
    parent = (
        "none: the seed itself" if row.parent is None else f"attempt {row.parent}, {score(row.parent_score, metric)}"
    )
    came = row.outcome or row.state
    ended = f", ended: {row.end}" if row.end else ""
    say(
        *_loud([{"trust": row.trust, "cage": row.cage}]),
        f"attempt {attempt}: {loud(row.trust)}{came}, {score(row.score, metric)}"
        + (", confirmed" if row.confirmed else ""),
        f"  parent    {parent} (island {row.island}, {row.move})",
        f"  reason    {one_line(row.reason)}",
        f"  lineage   {' ← '.join(str(n) for n in reader.lineage(attempt))}",
        f"  agent     {one_line(row.agent)}{'@' + one_line(row.model) if row.model else ''}, cage: {row.cage}",
        f"  spent     {clock(row.seconds)}, {number(row.tokens)} tokens, {money(row.dollars)}{ended}",
        f"  commit    {row.commit or '-'}",
    )
    if row.continues is not None:
        gone = telling.resumed(reader, row) is None
        say(f"  continues attempt {row.continues}, {'in a new session' if gone else 'whose session it went on with'}")
    if row.session:
        say(f"  session   {one_line(row.session)}")
    if row.fault:
        say(f"  fault     {one_line(row.fault, 300)}")
    for flag in reader.flags(attempt):
        say(f"  flag      {one_line(' '.join((flag['rule'], flag['where'], flag['text'])), 200)}")
    measured = reader.measurements(attempt)
    if measured:
        say("")
        rows = [
            [str(m.number), m.verdict.verdict, number(m.verdict.score), str(m.verdict.inputs), m.verdict.reason or ""]
            for m in measured
        ]
        table(("try", "verdict", "score", "inputs", "reason"), rows, left=("verdict", "reason"))
    if models := reader.billed(attempt):
        say("")
        nights.bill(models)
    if happened := reader.incidents(attempt):
        say("")
        nights.incidents(happened)


def _trees(reader: Reader) -> Trees:
    from kernelfactory.trees import Trees

    return Trees(reader.folder / "trees.git")


def _diff(reader: Reader, attempt: int) -> str:
    """Unified, against the parent; nothing for the seed, or where there is no valid program."""
    row = reader.attempt(attempt)
    old = reader.attempt(row.parent).commit if row.parent is not None else None
    return _trees(reader).diff(old, row.commit) if old and row.commit else ""


def _brief(reader: Reader, attempt: int) -> str:
    path = telling.path_of(reader.folder, attempt, "brief.md")
    return path.read_text("utf-8", "replace") if path.is_file() else ""


_PARTS: dict[str, Callable[[Reader, int], str]] = {
    "diff": _diff,
    "notes": lambda reader, attempt: reader.attempt(attempt).notes,
    "brief": _brief,
}


# ── notes ────────────────────────────────────────────────────────────────────────────────────────


def notes(
    experiment: Experiment = None,
    attempt: Annotated[
        int | None, typer.Option("--attempt", metavar="N", help="Only those of one attempt's lineage.")
    ] = None,
    json: Json = False,
) -> int:
    """The notes that attempts left for the next ones."""
    from kernelfactory.record.rows import plain as whole

    with _open(experiment) as reader:
        found = reader.notes(reader.lineage(reader.attempt(attempt).attempt) if attempt is not None else None)
        metric, weak = reader.experiment.metric, [run.trust for run in reader.runs() if run.trust != "judged"]
    if json:
        document(
            [
                {"attempt": n.attempt, "outcome": n.outcome, "score": whole(n.score), "agent": n.agent, "text": n.text}
                for n in found
            ]
        )
        return 0
    if weak:
        say(_weak("run", weak), "")
    for note in found:
        say(
            f"── attempt {note.attempt}: {note.outcome}, {score(note.score, metric)} ({one_line(note.agent)})",
            plain(note.text).rstrip(),
            "",
        )
    if not found:
        say("no notes yet")
    return 0
