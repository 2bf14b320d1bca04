"""A problem folder as a value: read once, checked strictly, locked by digest. Refuses to run anything in it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, cast

from kernelfactory import files
from kernelfactory.model import (
    Answering,
    Axis,
    BadInput,
    BadIntake,
    BadProblem,
    Evaluating,
    Files,
    Kind,
    Measure,
    Metric,
    Problem,
    Produce,
)
from kernelfactory.problem.table import Table, finite, open_table, safe

SHIPPED = Path(__file__).parent.parent / "problems"
CAPS = files.Caps(file_bytes=32 << 20, total_bytes=256 << 20, count=20_000)
RESERVED = ("BRIEF.md", "progress.md", ".kf")
_TOML = "problem.toml"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_RULER = re.compile(r"[A-Za-z_]\w*:[A-Za-z_]\w*", re.ASCII)
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*(:[A-Za-z_]\w*)?", re.ASCII)
NEVER_TAKEN = ("conftest.py", "sitecustomize.py", "usercustomize.py", "pyvenv.cfg", "*.pth", "*.pyc", "*.pyo")
"""Names that act at start-up, or hide what runs: never taken from a candidate unless a glob spells them out."""


def find(name_or_folder: str) -> Path:
    """The problem folder meant by `name_or_folder`: a folder that holds problem.toml, else the name of a shipped
    problem. Raises BadInput that lists the shipped names."""
    if os.path.exists(os.path.join(name_or_folder, _TOML)):
        return Path(name_or_folder)
    if name_or_folder in shipped():
        return SHIPPED / name_or_folder
    if os.path.isdir(name_or_folder):
        raise BadInput(f"{name_or_folder!r} holds no {_TOML}; write one as docs/problems.md says")
    known = ", ".join(shipped()) or "none"
    raise BadInput(f"no problem {name_or_folder!r}: give a folder that holds {_TOML}, or a shipped name ({known})")


def shipped() -> tuple[str, ...]:
    """The names of the problems that come with the package, sorted."""
    return tuple(sorted(path.parent.name for path in SHIPPED.glob(f"*/{_TOML}")))


def load(folder: str | Path) -> Problem:
    """Read a problem folder, every file once, and check it. Links, FIFOs and names that are not UTF-8 raise
    BadIntake; anything wrong in problem.toml raises BadProblem with file, line and key."""
    source = os.path.join(folder, _TOML)
    if not os.path.exists(source):
        raise BadProblem(f"{source}:1: the file is missing; write one as docs/problems.md says, then run kf check")
    if not os.path.isfile(source):
        raise BadProblem(f"{source}: {_TOML} must be a file; write one as docs/problems.md says, then run kf check")
    return parse(_read(folder), os.path.realpath(folder))


def _read(folder: str | Path) -> dict[str, bytes]:
    try:
        return files.read_tree(os.path.realpath(folder), ["**"], CAPS)
    except BadIntake as error:
        raise BadIntake(f"{folder}: {error}") from None


def lock(folder: str | Path, dest: str | Path) -> Problem:
    """Copy a problem folder by its files' bytes (no links survive) into `dest`, which must be new or empty; the copy
    has the same digest. Raises what `load` raises."""
    original, dest = load(folder), Path(dest)
    if dest.exists() and any(dest.iterdir()):
        raise BadInput(f"{dest} is not empty; give a new folder for the locked copy of {original.name}")
    dest.mkdir(parents=True, exist_ok=True)
    files.write_tree(dest, _read(folder), sync=True)
    copy = load(dest)
    if copy.digest != original.digest:
        raise BadProblem(f"{folder}/{_TOML}:1: the folder changed while it was copied; run it again")
    return copy


def parse(everything: Files, folder: str) -> Problem:
    """The problem that the files of a folder make (pure). `folder` is only named, in errors and in the result."""
    top = open_table(everything.get(_TOML, b""), f"{folder}/{_TOML}")
    kind = cast(Kind, top.text("kind", one_of=("artefact", "function", "command")))
    seed = {name[5:]: data for name, data in everything.items() if name.startswith("seed/")}
    editable = _editable(top, seed)
    produce = _produce(top.table("produce"), seed, editable) if "produce" in top.values else None
    if kind == "artefact" and produce is None and len(_matching(seed, editable)) != 1:
        top.fault("editable", "without [produce] the artefact is the one editable file: name exactly one file")
    answering = _answering(top.table("call"), seed, editable) if kind == "function" else None
    measure = _measuring(top, kind, everything)
    if measure.timed and answering is not None and answering.threads > 1:
        measure = _by_the_wall(top.table("measure"), measure)
    problem = Problem(
        name=top.text("name", pattern=_NAME, shape="letters, digits, _ . -, at most 64"),
        folder=folder,
        digest=files.digest(everything),
        task=_task(top, everything),
        seed=seed,
        editable=editable,
        kind=kind,
        metric=_metric(top.table("metric")),
        measure=measure,
        produce=produce,
        axes=_axes(top.table("measures")) if "measures" in top.values else (),
        private=top.text("solutions", "public", one_of=("public", "private")) == "private",
        web=top.flag("web", True),
        answering=answering,
        evaluating=_evaluating(top.table("evaluate"), everything) if kind == "command" else None,
    )
    if problem.measure.timed and problem.metric.goal != "max":
        top.table("metric").fault("goal", 'a timed score is a speedup over the baseline: set goal to "max"')
    top.finish()
    return problem


def is_editable(name: str, globs: Sequence[str]) -> bool:
    """Does a file's POSIX path match one of the editable globs (fnmatch per segment, `**` any number of segments)?
    What a workspace keeps for itself (RESERVED) never does; what acts at start-up (NEVER_TAKEN) only if spelt out."""
    parts = name.split("/")
    if parts[0] in RESERVED:
        return False
    acts = any(fnmatchcase(parts[-1], never) for never in NEVER_TAKEN)
    return name in globs if acts else any(_matches(parts, glob.split("/")) for glob in globs)


def _matches(parts: Sequence[str], glob: Sequence[str]) -> bool:
    if not glob:
        return not parts
    if glob[0] == "**":
        return any(_matches(parts[skip:], glob[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], glob[0]) and _matches(parts[1:], glob[1:])


# ── the parts ────────────────────────────────────────────────────────────────────────────────────


def _task(top: Table, everything: Files) -> str:
    name = top.text("task", "task.md")
    if name not in everything or name.startswith("judge/"):
        top.fault(
            "task", f"there is no file {name!r} in the problem folder that agents may read; write it or name another"
        )
    try:
        return everything[name].decode("utf-8")
    except UnicodeDecodeError:
        top.fault("task", f"{name} is not UTF-8; save it as UTF-8")


def _editable(top: Table, seed: Files) -> tuple[str, ...]:
    globs = top.texts("editable")
    if not globs:
        top.fault("editable", 'name at least one file under seed/, such as ["program.py"]')
    for name in sorted(seed):
        if name.split("/")[0] in RESERVED:
            top.fault("editable", f"seed/{name} has a name that workspaces use themselves; rename it")
    for glob in globs:
        if len(glob) > 500 or glob.count("**") > 3 or any(part in ("", ".", "..") for part in glob.split("/")):
            top.fault(
                "editable", f"{safe(glob)!r}: write a path relative to seed/, such as 'kernel.py' or 'src/**/*.c'"
            )
        if not _matching(seed, [glob]):
            top.fault("editable", f"{glob!r} matches no file under seed/; correct it or add the file")
    return globs


def _matching(seed: Files, globs: Sequence[str]) -> list[str]:
    return sorted(name for name in seed if is_editable(name, globs))


def _produce(table: Table, seed: Files, editable: tuple[str, ...]) -> Produce:
    produce = Produce(
        command=table.texts("command"),
        seconds=float(table.number("seconds", 60.0, above=0)),
        memory=table.size("memory", 2 << 30),
        artefact_bytes=table.size("artefact_bytes", 32 << 20),
        quick=table.texts("quick", []),
    )
    if not produce.command:
        table.fault("command", 'name the program and its arguments, such as ["python", "produce.py"]')
    _runs(table, produce.command, seed, editable)
    return produce


def _runs(table: Table, command: tuple[str, ...], seed: Files, editable: tuple[str, ...]) -> None:
    """A command must run a file of the seed that no candidate can replace."""
    scripts = [word for word in command if word in seed]
    if not scripts:
        table.fault("command", 'it must run a file of seed/ that is not editable, such as ["python", "produce.py"]')
    for word in scripts:
        if is_editable(word, editable):
            table.fault(
                "command", f"{word} is editable too: then a candidate could replace it; take it out of `editable`"
            )


def _answering(table: Table, seed: Files, editable: tuple[str, ...]) -> Answering:
    function = table.text("function", pattern=_FUNCTION, shape='"module:name"') if "function" in table.values else None
    command = table.texts("command", [])
    if (function is None) == (not command):
        table.fault("function", 'name what is called, such as "solve:solve", or a `command` of your own that answers')
    if command:
        _runs(table, command, seed, editable)
    if function is not None:
        path = function.partition(":")[0].replace(".", "/")
        if not {f"{path}.py", f"{path}/__init__.py"} & seed.keys():
            table.fault("function", f"there is no seed/{path}.py; write it or name another module")
    return Answering(
        function=function,
        command=command,
        seconds=float(table.number("seconds", 10.0, above=0)),
        memory=table.size("memory", 2 << 30),
        answer_bytes=table.size("answer_bytes", 32 << 20),
        threads=table.count("threads", 1),
        packages=table.flag("packages", False),
    )


def _evaluating(table: Table, everything: Files) -> Evaluating:
    command = table.texts("command")
    if not any(f"judge/{word}" in everything for word in command):
        table.fault("command", 'it must run a file of judge/, such as ["python", "evaluate.py"] for judge/evaluate.py')
    return Evaluating(
        command=command,
        seconds=float(table.number("seconds", 60.0, above=0)),
        memory=table.size("memory", 2 << 30),
        processes=table.count("processes", 64),
        packages=table.flag("packages", False),
        jump=float(table.number("jump", 2.0, above=1)),
    )


def _metric(table: Table) -> Metric:
    reference = table.take("reference", (dict,), 'a table such as { "published" = 123 }', {})
    for name, score in reference.items():
        if not name.isprintable() or isinstance(score, bool) or not isinstance(score, int | float) or not finite(score):
            table.fault("reference", f"set {safe(name)!r} to a number")
    return Metric(
        name=table.text("name"),
        unit=table.text("unit"),
        goal=cast(Literal["min", "max"], table.text("goal", one_of=("min", "max"))),
        impossible=table.number("impossible", None),
        reference=tuple(reference.items()),
    )


def _measuring(top: Table, kind: Kind, everything: Files) -> Measure:
    if kind == "command":
        table = top.table("measure") if "measure" in top.values else None
        return Measure("", table.count("screen", 1) if table else 1, table.count("confirm", 3) if table else 3)
    return _measure(top.table("measure"), kind, everything)


def _measure(table: Table, kind: Kind, everything: Files) -> Measure:
    evaluator = kind == "function" and "evaluator" in table.values
    shape = '"file:function"'
    ruler = (
        table.text("evaluator", pattern=_RULER, shape=shape)
        if evaluator
        else table.text("ruler", pattern=_RULER, shape=shape)
    )
    name = f"judge/{ruler.partition(':')[0]}.py"
    if name not in everything:
        table.fault("ruler", f"there is no {name} in the problem folder; write it or name another")
    timed = table.flag("timed", False) if kind == "function" and not evaluator else False
    return Measure(
        ruler=ruler,
        screen=table.count("screen", 1 if evaluator else 8),
        confirm=table.count("confirm", 3 if evaluator else 64),
        seconds=float(table.number("seconds", 60.0, above=0)),
        memory=table.size("memory", 2 << 30),
        quick=None if evaluator else _another(table, "quick", ruler),
        edges=None if evaluator else _another(table, "edges", ruler),
        evaluator=evaluator,
        score=table.text("score", "combined_score") if evaluator else "combined_score",
        timed=timed,
        clock=cast(Literal["cpu", "wall"], table.text("clock", "cpu", one_of=("cpu", "wall"))) if timed else "cpu",
        separate=_separate(table, everything),
    )


def _by_the_wall(table: Table, measure: Measure) -> Measure:
    """Processor time means something for one thread only."""
    if table.values.get("clock") == "cpu":
        table.fault("clock", 'processor time is for one thread: set call.threads to 1, or clock to "wall"')
    return replace(measure, clock="wall")


def _another(table: Table, key: str, ruler: str) -> str | None:
    """Another function of the ruler's file, where one is named."""
    named = table.text(key, "-") if key in table.values else None
    file = ruler.partition(":")[0]
    if named is not None and not (_RULER.fullmatch(named) and named.partition(":")[0] == file):
        table.fault(key, f'name a function of the ruler\'s file, such as "{file}:{key}"')
    return named


def _separate(table: Table, everything: Files) -> bool:
    """Is there data that only a confirmation may see, judge/confirm/, beside what a measurement sees, judge/screen/?"""
    sets = [any(name.startswith(folder) for name in everything) for folder in ("judge/screen/", "judge/confirm/")]
    if sets[0] != sets[1]:
        table.fault("ruler", "fixed data comes in two sets, judge/screen/ and judge/confirm/: one of them is missing")
    return sets[0]


def _axes(table: Table) -> tuple[Axis, ...]:
    return tuple(_axis(table, name) for name in table.values)


def _axis(table: Table, name: str) -> Axis:
    ends = table.take(name, (list,), "a range [low, high]")
    if len(ends) != 2 or not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
        table.fault(name, "set it to a range [low, high]")
    if not (name.isprintable() and finite(ends[0]) and finite(ends[1]) and ends[0] < ends[1]):
        table.fault(name, "set it to a range [low, high] with low below high")
    return Axis(name, float(ends[0]), float(ends[1]))
