"""`kf new`: a problem folder to start from. Copies and writes; runs nothing."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kernelfactory.cli import places
from kernelfactory.cli.options import Json
from kernelfactory.cli.terminal import document, number, one_line, say
from kernelfactory.model import BadInput

if TYPE_CHECKING:
    from kernelfactory.model import Problem
    from kernelfactory.presets import Draft

PRESETS = ("takehome",)


def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The problem's folder: new or empty.")],
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="FOLDER", help="Make it round this folder's files.", show_default=False),
    ] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", metavar="NAME", help="takehome: from your clone of it, named with --from.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--kind", metavar="K", help="artefact (default), function or command, the strongest first."),
    ] = None,
    editable: Annotated[
        list[str] | None,
        typer.Option("--editable", metavar="GLOB", help="With --from: what agents may change; several times."),
    ] = None,
    json: Json = False,
) -> int:
    """A problem folder to start from: an example, or round files that you have.

    What it writes passes kf check as it is."""
    from kernelfactory import presets

    draft = _draft(presets.name_of(folder), source, preset, kind, editable or [])
    problem = presets.write(folder, draft)
    steps = _steps(folder, problem)
    if json:
        document(
            {
                "folder": str(folder.resolve()),
                "problem": problem.name,
                "kind": problem.kind,
                "solutions": "private" if problem.private else "public",
                "editable": list(problem.editable),
                "files": sorted(draft.files),
                "todo": list(draft.todo),
                "next": [line for line, _ in steps],
            }
        )
        return 0
    private = ", its solutions private" if problem.private else ""
    say(f"{places.shown(folder)}: a problem of the kind {problem.kind}{private}, {_files(draft)}")
    say(f"  agents may change {one_line(', '.join(problem.editable), 200)}")
    if draft.todo:
        say("", "to do", *(f"  {one_line(line)}" for line in draft.todo))
    width = max(len(line) for line, _ in steps)
    say("", "next", *(f"  {line.ljust(width)}   # {what}" for line, what in steps))
    return 0


def _draft(name: str, source: Path | None, preset: str | None, kind: str | None, editable: list[str]) -> Draft:
    from kernelfactory import presets
    from kernelfactory.presets import around, takehome

    if preset is not None:
        if preset not in PRESETS:
            raise BadInput(f"no preset {preset!r}: there is {', '.join(PRESETS)}")
        if source is None or kind is not None or editable:
            raise BadInput("--preset takehome needs --from CLONE, your own clone of the take-home, and no more")
        return takehome.takehome(source, name)
    if source is not None:
        return around.around(source, name, editable, kind)
    if editable:
        raise BadInput("--editable goes with --from FOLDER; a template says itself what agents may change")
    return presets.template(kind or presets.KINDS[0], name)


def _steps(folder: Path, problem: Problem) -> list[tuple[str, str]]:
    kf, where = places.kf(), shlex.quote(places.shown(folder))
    return [
        (f"{kf} judge {where}", "the seed's score"),
        (f"{kf} check {where}", "is the problem sound? after every change"),
        (f"{kf} run {where} --attempts 20", "the embedded agent has a go"),
    ]


def _files(draft: Draft) -> str:
    count = len(draft.files)
    return f"{number(count)} file{'s' if count != 1 else ''}"
