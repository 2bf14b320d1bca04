"""Commands round an experiment: report (a page), clean (leftover workspaces). Neither changes what happened."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from kernelfactory.cli import alarms, places
from kernelfactory.cli.options import Experiment, Json
from kernelfactory.cli.terminal import document, one_line, say, size, warn
from kernelfactory.model import BadInput


def report(
    experiments: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[EXPERIMENT]...", help="Folders of experiments (default: the latest one made).", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="F.html", help="Where to (default: report.html in the experiment).")
    ] = None,
    with_code: Annotated[
        bool, typer.Option("--with-code", help="Show programs although the problem keeps them private.")
    ] = False,
    json: Json = False,
) -> int:
    """One self-contained page: charts, lineage, attempts."""
    from kernelfactory import report as pages

    folders = [places.experiment(folder) for folder in experiments or ()] or [places.experiment(None)]
    page = out if out is not None else folders[0] / "report.html"
    if page.is_dir():
        raise BadInput(f"{page} is a folder: name a file with --out")
    written = pages.write(folders, page, with_code=with_code)
    if with_code and (private := _private(folders)):
        warn(alarms.line(alarms.private(f"{places.shown(page)} shows programs of {private}: keep it on this machine")))
    if json:
        document({"report": str(page.resolve()), "files": [str(path.resolve()) for path in written]})
    else:
        say(*(f"{places.shown(path)} ({size(path.stat().st_size)})" for path in written))
    return 0


def _private(folders: Sequence[Path]) -> str:
    """The problems among these experiments' whose solutions are private."""
    from kernelfactory.record import Reader

    names = []
    for folder in folders:
        with Reader.open(folder) as reader:
            names += [one_line(reader.experiment.problem)] if reader.experiment.private else []
    return ", ".join(dict.fromkeys(names))


def clean(
    experiment: Experiment = None,
    logs: Annotated[bool, typer.Option("--logs", help="Also raw logs (attempts/*/agent.log, judge.log).")] = False,
    sessions: Annotated[
        bool, typer.Option("--sessions", help="Also homes and folders kept so that a session can go on.")
    ] = False,
    json: Json = False,
) -> int:
    """Remove leftover workspaces; say how much.

    They are left behind by a kill, or were kept for a session that was cut short (kf status lists those) until its time
    was over. Those in use, those whose notes kf resume will still keep, the record and the programs are never
    touched."""
    from kernelfactory import workspace
    from kernelfactory.record import Reader

    folder = places.experiment(experiment)
    with Reader.open(folder) as reader:
        rows = [(Path(row.workspace).parent, row.state) for row in reader.attempts() if row.workspace]
    over = {base for base, state in rows if state in ("judged", "abandoned")}
    roots = sorted({base.parent for base in over if base.parent.is_dir()})
    until = math.inf if sessions else time.time()
    left = [base for root in roots for base in workspace.leftovers(root, until) if base in over]
    names = ("agent.log", "judge.log") if logs else ()
    printed = sorted(log for name in names for log in folder.glob(f"attempts/*/{name}"))
    freed = sum(_bytes(base) for base in left) + sum(log.stat().st_size for log in printed)
    for base in left:
        workspace.remove(base)
    for log in printed:
        log.unlink()
    if json:
        document({"removed": [str(path) for path in (*left, *printed)], "bytes": freed})
    else:
        said = f", {len(printed)} logs" if logs else ""
        say(f"{len(left)} workspaces{said} removed, {size(freed)} freed")
    return 0


def _bytes(folder: Path) -> int:
    """What its files take; links are not followed, and what cannot be read counts as nothing."""
    return sum(os.lstat(os.path.join(at, name)).st_size for at, _, names in os.walk(folder) for name in names)
