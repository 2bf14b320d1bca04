"""Commands that ask the judge: judge (one verdict), check (is the problem sound?). Run no candidate themselves."""

from __future__ import annotations

import sys
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kernelfactory.cli import alarms
from kernelfactory.cli.options import Json, Problem, Unprotected
from kernelfactory.cli.terminal import document, last_words, loud, number, one_line, say, table, warn
from kernelfactory.model import BadInput, Metric, Verdict

if TYPE_CHECKING:
    from kernelfactory.judge.check import Check


SEEN = 160
"""Of what was seen, so many characters in a table."""


def judge(
    problem: Problem,
    folder: Annotated[
        Path | None, typer.Argument(help="Where the editable files lie (default: the seed).", show_default=False)
    ] = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="On the fresh inputs of a confirmation.")] = False,
    unprotected: Unprotected = False,
    json: Json = False,
) -> int:
    """One verdict on a program.

    Exit code 0 when it is accepted, 1 when it is rejected or quarantined."""
    from kernelfactory import files, jail
    from kernelfactory import problem as problems
    from kernelfactory.judge import Judge
    from kernelfactory.judge.answer import verdict_json

    found = problems.load(problems.find(problem))
    if folder is not None and not folder.is_dir():
        raise BadInput(f"{folder}: no such folder; give the one that holds {', '.join(found.editable)}")
    program = files.read_tree(folder, found.editable) if folder is not None else _seed(found)
    if not program:
        raise BadInput(f"{folder} holds none of the editable files ({', '.join(found.editable)})")
    chosen = jail.find(unprotected)
    for alarm in alarms.of_jail(chosen.note, chosen.holds):
        warn(alarms.line(alarm))
    with (
        tempfile.TemporaryDirectory(prefix="kf-judge-") as scratch,
        Judge(found, chosen, scratch=Path(scratch)) as the_judge,
    ):
        verdict = the_judge.confirm(program) if confirm else the_judge.screen(program)
    if json:
        document(verdict_json(verdict, found.metric))
    else:
        say(*_lines(verdict, found.metric))
    for alarm in alarms.of(verdict.trust, verdict.ruler):
        warn(alarms.line(alarm))
    return 0 if verdict.verdict == "accepted" else 1


def _seed(found: Any) -> dict[str, bytes]:
    from kernelfactory.problem import is_editable

    return {name: data for name, data in found.seed.items() if is_editable(name, found.editable)}


def _lines(verdict: Verdict, metric: Metric) -> list[str]:
    """The verdict for reading."""
    confirmed = " (confirmed)" if verdict.confirmed else ""
    head = f"{loud(verdict.trust)}{verdict.verdict}: "
    if verdict.score is None:
        lines = [f"{head}{one_line(verdict.reason or 'no reason given')} [{verdict.reason_code}]"]
        lines += last_words(verdict.instruments)
    else:
        lines = [f"{head}{number(verdict.score)} {metric.unit}{_on(verdict)}{confirmed}"]
        lines += [f"  {one_line(verdict.reason)}"] if verdict.reason else []
        lines += _references(verdict.score, metric)
        lines += [f"  {one_line(name)}: {value:.4g}" for name, value in verdict.measures.items()]
    lines += [
        f"  flag {one_line(flag.rule)} at {one_line(flag.where)}: {one_line(flag.text, 120)}" for flag in verdict.flags
    ]
    ruled = f"{verdict.ruler.backend} {verdict.ruler.digest.removeprefix('sha256:')[:12]}"
    return [
        *lines,
        f"  {verdict.trust} in {verdict.jail}, ruler {ruled}, {verdict.seconds:.2f} s, tree {verdict.tree[:12]}",
    ]


def _on(verdict: Verdict) -> str:
    """On how much it was measured, and how sure a timed score is."""
    if verdict.interval is None:
        return f" on {verdict.inputs} input{'' if verdict.inputs == 1 else 's'}"
    low, high = verdict.interval
    return f" (95 %: {low:.4g} to {high:.4g}) in {verdict.instruments.get('pairs', verdict.inputs)} pairs"


def _references(score: float, metric: Metric) -> list[str]:
    """Which published scores are reached, and the next one."""
    ahead = [(value, name) for name, value in metric.reference if metric.better(value, score)]
    reached = len(metric.reference) - len(ahead)
    if not metric.reference:
        return []
    said = f"  {reached} of {len(metric.reference)} published scores reached"
    if not ahead:
        return [said]
    value, name = max(ahead) if metric.goal == "min" else min(ahead)
    return [f"{said}; next: {number(value)}, {one_line(name)}"]


def check(
    problem: Problem,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="WORD", help="Only the checks and attacks with this in their names (repeatable)."
        ),
    ] = None,
    unprotected: Unprotected = False,
    json: Json = False,
) -> int:
    """Is the problem sound?

    Tries its seed, its ruler and its limits, then the cheats that fit its programs: what came of each, where it
    stopped, and how to mend the problem where it did not. Exit code 1 if it is not sound."""
    from kernelfactory import jail
    from kernelfactory import problem as problems
    from kernelfactory.judge.check import check_problem

    found = problems.load(problems.find(problem))
    chosen = jail.find(unprotected)
    for alarm in alarms.of_jail(chosen.note, chosen.holds):
        warn(alarms.line(alarm))
    trust = "self-reported" if found.kind == "command" else chosen.trust
    if chosen.trust == "unprotected":
        warn(alarms.line(alarms.UNPROTECTED))
    checks = check_problem(found, chosen, _progress, only or ())
    sound = all(item.ok for item in checks)
    if json:
        head: dict[str, Any] = {"problem": found.name, "digest": found.digest, "kind": found.kind, "trust": trust}
        head |= {"sound": sound if sound is False or not only else None}
        document({**head, "checks": [_row(item) for item in checks]})
    else:
        _tables(checks)
        word = "NOT sound" if not sound else f"nothing wrong in {len(checks)} rows" if only else "sound"
        say(*_mending(checks), "", f"{loud(trust)}{found.name}: {word}")
    return 0 if sound else 1


def _tables(checks: Sequence[Check]) -> None:
    """What the problem was asked; then what it was attacked with, and where that stopped."""
    plain = [item for item in checks if not item.stopped]
    marks = {True: "ok", False: "wrong"}
    heads: tuple[str, ...] = ("", "check", "seen")
    table(heads, [[marks[item.ok], item.name, one_line(item.detail, SEEN)] for item in plain], left=heads)
    tried = [item for item in checks if item.stopped]
    cells = [[marks[item.ok], item.name, item.outcome, item.stopped, one_line(item.detail, SEEN)] for item in tried]
    if cells:
        heads = ("", "attack", "outcome", "stopped by", "seen")
        say("")
        table(heads, cells, left=heads)


def _progress(done: int, count: int, name: str) -> None:
    """One line on a terminal, written over; nothing elsewhere."""
    if sys.stderr.isatty():
        line = f"{done} of {count} tried: {one_line(name, 50)}" if count else one_line(name, 50)
        print(f"\r\x1b[K{line if not count or done < count else ''}", end="", file=sys.stderr, flush=True)


def _row(item: Check) -> dict[str, Any]:
    return {
        "check": item.name,
        "ok": item.ok,
        "detail": item.detail,
        "group": item.group,
        "outcome": item.outcome,
        "stopped": item.stopped,
        "fix": item.fix,
    }


def _mending(checks: Sequence[Check]) -> list[str]:
    """How to mend what is wrong, each way once."""
    ways: dict[str, list[str]] = {}
    for item in checks:
        if not item.ok and item.fix:
            ways.setdefault(item.fix, []).append(item.name)
    lines = ["", "How to mend it:"] if ways else []
    for way, names in ways.items():
        lines += [f"- {'; '.join(names)}:", *textwrap.wrap(way, 100, initial_indent="    ", subsequent_indent="    ")]
    return lines
