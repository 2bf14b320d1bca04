"""`kf best`: the best program, a copy of it, and what a clone's own tests say of it. Judges nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kernelfactory.cli import alarms
from kernelfactory.cli.options import Experiment, Json
from kernelfactory.cli.places import can_be_made, kf, work_tree
from kernelfactory.cli.places import experiment as the_experiment
from kernelfactory.cli.places import shown as path_shown
from kernelfactory.cli.reading import best_line
from kernelfactory.cli.terminal import document, one_line, plain, say, warn
from kernelfactory.model import BadInput

if TYPE_CHECKING:
    from kernelfactory.model import Files
    from kernelfactory.presets.takehome import Said
    from kernelfactory.record import Reader

LAST = 24
"""Lines of what a clone's tests printed."""


def best(
    experiment: Experiment = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="D", help="Copy the program into this folder.")] = None,
    final: Annotated[
        bool, typer.Option("--final", help="Of a take-home made from a clone: run the clone's own tests on it, jailed.")
    ] = False,
    json: Json = False,
) -> int:
    """The best confirmed program, and where its files are.

    Exit code 1 while nothing beats the seed; what a clone's tests say is shown apart and changes no exit code."""
    from kernelfactory.presets.takehome import has_tests
    from kernelfactory.record import Reader
    from kernelfactory.record.rows import plain as whole

    with Reader.open(the_experiment(experiment)) as reader:
        found, asked, baseline = reader.best(), reader.experiment, reader.baseline()
        if found is None:
            raise BadInput(f"{reader.folder} has no valid program yet")
        files = _editable(reader, found.commit) if found.commit else {}
        where, problem = reader.folder / "best", reader.folder / "problem"
    if final and not has_tests(problem):
        raise BadInput(
            f"{path_shown(problem)} keeps no clone's tests: kf new --preset takehome makes a problem that does"
        )
    if out is not None:
        _copy(out, files, asked.private)
        where = out
    said = _final(problem, files) if final else None
    facts = {
        "attempt": found.attempt,
        "score": whole(found.score),
        "commit": found.commit,
        "tree": found.tree,
        "trust": found.trust,
    }
    if json:
        told = {"folder": str(where.resolve()), "files": sorted(files), "final": _final_json(said)}
        document({**facts, "metric": asked.metric.name, "goal": asked.metric.goal, **told})
    else:
        say(best_line(facts, baseline, asked.metric), *_where(where, sorted(files)))
        say(*(_final_lines(said) if said else _offer(reader.folder) if has_tests(problem) else []))
    return 0 if found.attempt else 1


def _editable(reader: Reader, commit: str) -> dict[str, bytes]:
    """The files that the problem lets agents edit: what is ready to copy."""
    from kernelfactory.problem import is_editable, load
    from kernelfactory.trees import Trees

    globs = load(reader.folder / "problem").editable
    found = Trees(reader.folder / "trees.git").read(commit)
    return {name: data for name, data in found.items() if is_editable(name, globs)}


def _copy(out: Path, files: Files, private: bool) -> None:
    from kernelfactory.files import write_tree

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} is not an empty folder: name another with --out")
    can_be_made(out, "--out")
    write_tree(out, files)
    top = work_tree(out) if private else None
    if top is not None:
        said = f"{path_shown(out)} lies in a git repository; before a push: {kf()} publish-check {path_shown(top)}"
        warn(alarms.line(alarms.private(said)))


def _where(folder: Path, names: list[str]) -> list[str]:
    """Where the files of the best program are, or how to have them written."""
    if not folder.is_dir():
        return [f"  {path_shown(folder)}/ is gone: {kf()} best --out D writes its files anew"]
    return [f"  {path_shown(folder)}/", *(f"    {one_line(name)}" for name in names)]


# ── the clone's own tests ────────────────────────────────────────────────────────────────────────


def _final(problem: Path, files: Files) -> Said:
    from kernelfactory import jail
    from kernelfactory.presets import takehome

    try:
        found = jail.find()
    except BadInput:
        raise BadInput("--final runs only in a jail, and none works here: kf doctor says what to do") from None
    return takehome.final(problem, files, found)


def _offer(folder: Path) -> list[str]:
    import shlex

    return ["", f"  the clone's own tests have not seen it: {kf()} best {shlex.quote(path_shown(folder))} --final"]


def _final_lines(said: Said) -> list[str]:
    """What the tests said, as their own words: the program ran beside them and could have said it in their place."""
    how = said.cut or f"exit status {said.status}"
    words = plain(said.words).split("\n") if said.words else ["(nothing)"]
    cut = [f"  | … {len(words) - LAST} lines before these"] if len(words) > LAST else []
    return [
        "",
        f"SELF-REPORTED: the clone's own tests said ({how}, {said.seconds:.0f} s; the program runs inside them):",
        *cut,
        *(f"  | {line[:200]}".rstrip() for line in words[-LAST:]),
    ]


def _final_json(said: Said | None) -> dict[str, Any] | None:
    if said is None:
        return None
    words = plain(said.words).split("\n")[-LAST:]
    return {"trust": "self-reported", "status": said.status, "cut": said.cut, "seconds": said.seconds, "words": words}
