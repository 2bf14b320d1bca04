"""`kf publish-check`: would a private program leave this machine? Looks and says; sends and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kernelfactory.cli import places
from kernelfactory.cli.options import Json
from kernelfactory.cli.terminal import document, number, one_line, say, score, table, warn
from kernelfactory.model import BadInput

if TYPE_CHECKING:
    from kernelfactory.publish import Leak, Report

SHOWN = 40
"""Rows of the table; --json has all."""


def publish_check(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="What would be published: a folder, or a git repository.")
    ],
    experiments: Annotated[
        list[Path] | None,
        typer.Option(
            "--experiment",
            metavar="E",
            help="Look for the programs of this experiment; several times for several. Default: all known here.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Would this give away a program whose problem says solutions = "private"?

    Looks at every file, and in a git repository at every object of its history. Exit code 1 when it would."""
    from kernelfactory import known, publish

    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder; name what you mean to publish")
    named = [places.experiment(each).resolve() for each in experiments or ()]
    report = publish.check(folder, named, [] if named else known.every_experiment())
    if json:
        document(_document(folder, report))
    else:
        _tell(folder, report)
    return 0 if report.clear else 1


def _tell(folder: Path, report: Report) -> None:
    looked, shown = report.looked, one_line(places.shown(folder))
    if report.clear:
        say(f"nothing found: no known private program is in {shown}")
    if looked.leaks:
        _tell_leaks(shown, report)
    for sign in looked.signs[:SHOWN]:
        say(f"{one_line(sign.where)}{f' (commit {sign.commit[:12]})' if sign.commit else ''}: {sign.what}")
    if not report.clear and looked.remotes:
        names = ", ".join(one_line(name, 60) for name in looked.remotes[:8])
        say(f"a push would take what is committed to {names} (not contacted)")
    say(*(f"  {line}" for line in _footing(report)))
    for line in _doubts(report):
        warn(f"kf: {line}")


def _tell_leaks(shown: str, report: Report) -> None:
    leaks, count = report.looked.leaks[:SHOWN], len(report.looked.leaks)
    say(f"{_counted(count, 'place')} in {shown} would give private programs away")
    heads = ["attempt", "score", "likeness", "commit", "experiment", "where"]
    rows = [_cells(leak, report) for leak in leaks]
    if len({leak.match.program.experiment for leak in report.looked.leaks}) == 1:
        heads, rows = [*heads[:4], *heads[5:]], [[*row[:4], *row[5:]] for row in rows]
        say(f"  all of {one_line(places.shown(Path(leaks[0].match.program.experiment)))}", "")
    table(heads, rows, heads[2:], less=[name for name in ("experiment", "commit") if name in heads])
    say(*([f"… and {number(count - SHOWN)} more (--json has all)"] if count > SHOWN else []), "")


def _doubts(report: Report) -> list[str]:
    """What weakens the answer."""
    unread = report.looked.unread
    lines = [f"not looked into: {one_line(line, 200)}" for line in unread[:8]]
    lines += [f"not looked into: {len(unread) - 8} more (--json has all)"] if len(unread) > 8 else []
    lines += [f"not compared with {one_line(str(path))}: {one_line(why, 200)}" for path, why in _unreadable(report)]
    if not report.known:
        lines.append("no experiment with private solutions is known here: name one with --experiment")
    return lines


def _cells(leak: Leak, report: Report) -> list[str]:
    program = leak.match.program
    metric = next(known.metric for known in report.known if str(known.folder) == program.experiment)
    return [
        "?" if program.attempt is None else str(program.attempt),
        score(program.score, metric),
        _likeness(leak),
        leak.commit[:8] if leak.commit else "",
        places.shown(Path(program.experiment)),
        one_line(leak.where) or "(no path)",
    ]


def _likeness(leak: Leak) -> str:
    share = f"{100 * leak.match.share:.0f} %"
    words = {
        "same": "same content",
        "layout": "same but for layout",
        "near": f"{share} of the program",
        "part": f"{share} of its new code",
    }
    return words[leak.match.likeness]


def _footing(report: Report) -> list[str]:
    """What was looked at, and against what."""
    looked, private = report.looked, [known for known in report.known if known.programs]
    count = sum(known.programs for known in private)
    lines = [f"looked at {_counted(looked.files, 'file')}"]
    if looked.repositories:
        past = f"{_counted(looked.commits, 'commit')} and {_counted(looked.blobs, 'version')} of files"
        lines[0] += f"; in the history at {past}"
    if report.known:
        whose = f"{_counted(len(private), 'experiment')} with private solutions"
        lines.append(f"for {_counted(count, 'program')} of {whose}")
    if report.by_content_only:
        lines.append(f"{number(report.by_content_only)} of them, small or not the best, by their exact content only")
    lines += [f"note: {one_line(note, 200)}" for note in looked.notes[:8]]
    return lines


def _counted(count: int, word: str) -> str:
    return f"{number(count)} {word}{'' if count == 1 else 's'}"


def _unreadable(report: Report) -> list[tuple[Path, str]]:
    return [(path, why) for path, why in report.passed if why != "its solutions are public"]


def _document(folder: Path, report: Report) -> dict[str, Any]:
    from kernelfactory.record.rows import plain as whole

    looked = report.looked
    return {
        "folder": str(folder.resolve()),
        "clear": report.clear,
        "leaks": [
            {
                "where": leak.where,
                "commit": leak.commit,
                "likeness": leak.match.likeness,
                "share": leak.match.share,
                "experiment": leak.match.program.experiment,
                "attempt": leak.match.program.attempt,
                "score": whole(leak.match.program.score),
                "program": leak.match.program.name,
            }
            for leak in looked.leaks
        ],
        "signs": [{"where": sign.where, "commit": sign.commit, "what": sign.what} for sign in looked.signs],
        "notes": looked.notes,
        "unread": looked.unread,
        "remotes": looked.remotes,
        "looked_at": {
            "files": looked.files,
            "repositories": looked.repositories,
            "commits": looked.commits,
            "blobs": looked.blobs,
        },
        "experiments": [
            {"folder": str(known.folder), "problem": known.problem, "programs": known.programs}
            for known in report.known
        ],
        "not_compared": [{"folder": str(path), "why": why} for path, why in report.passed],
    }
