"""A problem folder as a value: read once, checked strictly, locked by digest. Refuses to run anything in it."""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, NoReturn, cast

from kernelfactory import files
from kernelfactory.model import Axis, BadInput, BadIntake, BadProblem, Files, Kind, Measure, Metric, Problem, Produce

SHIPPED = Path(__file__).parent / "problems"
CAPS = files.Caps(file_bytes=32 << 20, total_bytes=256 << 20, count=20_000)
RESERVED = ("BRIEF.md", "progress.md", ".kf")
_TOML = "problem.toml"
_SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB)")
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_RULER = re.compile(r"[A-Za-z_]\w*:[A-Za-z_]\w*", re.ASCII)
_SYNTAX = re.compile(r"\s*\(at line (\d+), column \d+\)")
_LATER = 'this version judges only kind = "artefact"; kind = "{}" cannot be judged yet'


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
    top = _open(everything.get(_TOML, b""), f"{folder}/{_TOML}")
    kind = _kind(top)
    seed = {name[5:]: data for name, data in everything.items() if name.startswith("seed/")}
    editable = _editable(top, seed)
    produce = _produce(top.table("produce"), seed, editable) if "produce" in top.values else None
    if produce is None and len(_matching(seed, editable)) != 1:
        top.fault("editable", "without [produce] the artefact is the one editable file: name exactly one file")
    problem = Problem(
        name=top.text("name", pattern=_NAME, shape="letters, digits, _ . -, at most 64"),
        folder=folder,
        digest=files.digest(everything),
        task=_task(top, everything),
        seed=seed,
        editable=editable,
        kind=kind,
        metric=_metric(top.table("metric")),
        measure=_measure(top.table("measure"), everything),
        produce=produce,
        axes=_axes(top.table("measures")) if "measures" in top.values else (),
        private=top.text("solutions", "public", one_of=("public", "private")) == "private",
        web=top.flag("web", True),
    )
    top.finish()
    return problem


def is_editable(name: str, globs: Sequence[str]) -> bool:
    """Does a file's POSIX path match one of the editable globs (fnmatch per segment, `**` any number of segments)?
    What a workspace keeps for itself (RESERVED) never does."""
    parts = name.split("/")
    return parts[0] not in RESERVED and any(_matches(parts, glob.split("/")) for glob in globs)


def _matches(parts: Sequence[str], glob: Sequence[str]) -> bool:
    if not glob:
        return not parts
    if glob[0] == "**":
        return any(_matches(parts[skip:], glob[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], glob[0]) and _matches(parts[1:], glob[1:])


# ── reading one table, key by key ────────────────────────────────────────────────────────────────

_ABSENT: Any = object()


@dataclass
class _Table:
    """One table of a problem.toml. Each read takes a key; `finish` refuses what nobody asked for."""

    source: str
    lines: list[str]
    path: tuple[str, ...]
    values: dict[str, Any]
    taken: set[str] = field(default_factory=set)
    inner: list[_Table] = field(default_factory=list)

    def fault(self, key: str, advice: str) -> NoReturn:
        where = _line(self.lines, self.path, key)
        name = ".".join((*self.path, key)) if key else f"[{'.'.join(self.path)}]"
        raise BadProblem(f"{self.source}:{where}: {name}: {advice}")

    def take(self, key: str, kinds: tuple[type, ...], what: str, default: Any = _ABSENT) -> Any:
        self.taken.add(key)
        value = self.values.get(key, default)
        if value is _ABSENT:
            self.fault(key, f"missing; set it to {what}")
        if key in self.values and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
            self.fault(key, f"set it to {what}")
        return value

    def text(
        self,
        key: str,
        default: Any = _ABSENT,
        *,
        one_of: tuple[str, ...] = (),
        pattern: re.Pattern[str] | None = None,
        shape: str = "a text",
    ) -> str:
        what = " or ".join(f'"{word}"' for word in one_of) or shape
        value = self.take(key, (str,), what, default)
        if not value or (one_of and value not in one_of) or (pattern and not pattern.fullmatch(value)):
            self.fault(key, f"set it to {what}")
        if not str(value).isprintable():
            self.fault(key, "take the control characters out")
        return str(value)

    def flag(self, key: str, default: bool) -> bool:
        return bool(self.take(key, (bool,), "true or false", default))

    def number(self, key: str, default: Any = _ABSENT, *, above: float = -math.inf) -> Any:
        what = "a number" if above == -math.inf else f"a number above {above:g}"
        value = self.take(key, (int, float), what, default)
        if value is not None and not (_finite(value) and value > above):
            self.fault(key, f"set it to {what}")
        return value

    def count(self, key: str, default: int) -> int:
        value = self.take(key, (int,), "a whole number from 1 to 100000", default)
        if not 1 <= value <= 100_000:
            self.fault(key, "set it to a whole number from 1 to 100000")
        return int(value)

    def size(self, key: str, default: int) -> int:
        what = 'a size such as "32MiB" or "2GiB"'
        value = self.take(key, (str,), what, default)
        found = _SIZE.fullmatch(value) if isinstance(value, str) else None
        if isinstance(value, str) and (found is None or int(found[1]) == 0 or len(found[1]) > 12):
            self.fault(key, f"set it to {what}")
        return int(found[1]) * _UNITS[found[2]] if found else int(value)

    def texts(self, key: str, default: Any = _ABSENT) -> tuple[str, ...]:
        what = 'a list of texts, such as ["a", "b"]'
        value = self.take(key, (list,), what, default)
        if not all(isinstance(item, str) and item and item.isprintable() for item in value):
            self.fault(key, f"set it to {what}")
        return tuple(value)

    def table(self, key: str) -> _Table:
        values = self.take(key, (dict,), f"a table, [{key}]")
        inner = _Table(self.source, self.lines, (*self.path, key), values)
        self.inner.append(inner)
        return inner

    def finish(self) -> None:
        for key in self.values.keys() - self.taken:
            self.fault(_safe(key), f"unknown key; take it out (known here: {', '.join(sorted(self.taken))})")
        for inner in self.inner:
            inner.finish()


def _open(data: bytes, source: str) -> _Table:
    try:
        text = data.decode("utf-8")
        return _Table(source, text.splitlines(), (), tomllib.loads(text))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadProblem(f"{source}:{line}: not UTF-8; save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        found = _SYNTAX.search(str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        said = _SYNTAX.sub("", str(error)).replace(" (at end of document)", " at the end of the file")
        raise BadProblem(f"{source}:{line}: TOML syntax: {_safe(said)}; correct this line") from None
    except (ValueError, RecursionError):  # over-long integer literals, nesting without end
        raise BadProblem(f"{source}:1: TOML: a number too long or tables nested too deep; correct it") from None


def _line(lines: Sequence[str], path: tuple[str, ...], key: str) -> int:
    """The line (from 1) where a key of a table is set; else the table's heading, else 1."""
    table: tuple[str, ...] = ()
    heading = 1
    for number, line in enumerate(lines, 1):
        if found := re.match(r"\s*\[\[?([^\[\]]+)\]\]?\s*(?:#.*)?$", line):
            table = _dotted(found[1])
            if table == (*path, key):
                return number
            heading = number if table == path and path else heading
        elif (found := re.match(r"\s*([\w.\"' -]+?)\s*=", line)) and _sets((*table, *_dotted(found[1])), (*path, key)):
            return number
    return heading


def _sets(here: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Does a line that sets `here` set `wanted`: itself, or a table given inline that holds it?"""
    return here == wanted[: len(here)] and len(here) >= len(wanted) - 1 and here != ()


def _dotted(text: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in text.split("."))


def _safe(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:200]


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


# ── the parts ────────────────────────────────────────────────────────────────────────────────────


def _kind(top: _Table) -> Kind:
    kind = top.text("kind", one_of=("artefact", "function", "command"))
    if kind != "artefact":
        top.fault("kind", _LATER.format(kind))
    return cast(Kind, kind)


def _task(top: _Table, everything: Files) -> str:
    name = top.text("task", "task.md")
    if name not in everything or name.startswith("judge/"):
        top.fault(
            "task", f"there is no file {name!r} in the problem folder that agents may read; write it or name another"
        )
    try:
        return everything[name].decode("utf-8")
    except UnicodeDecodeError:
        top.fault("task", f"{name} is not UTF-8; save it as UTF-8")


def _editable(top: _Table, seed: Files) -> tuple[str, ...]:
    globs = top.texts("editable")
    if not globs:
        top.fault("editable", 'name at least one file under seed/, such as ["program.py"]')
    for name in sorted(seed):
        if name.split("/")[0] in RESERVED:
            top.fault("editable", f"seed/{name} has a name that workspaces use themselves; rename it")
    for glob in globs:
        if len(glob) > 500 or glob.count("**") > 3 or any(part in ("", ".", "..") for part in glob.split("/")):
            top.fault(
                "editable", f"{_safe(glob)!r}: write a path relative to seed/, such as 'kernel.py' or 'src/**/*.c'"
            )
        if not _matching(seed, [glob]):
            top.fault("editable", f"{glob!r} matches no file under seed/; correct it or add the file")
    return globs


def _matching(seed: Files, globs: Sequence[str]) -> list[str]:
    return sorted(name for name in seed if is_editable(name, globs))


def _produce(table: _Table, seed: Files, editable: tuple[str, ...]) -> Produce:
    produce = Produce(
        command=table.texts("command"),
        seconds=float(table.number("seconds", 60.0, above=0)),
        memory=table.size("memory", 2 << 30),
        artefact_bytes=table.size("artefact_bytes", 32 << 20),
        quick=table.texts("quick", []),
    )
    if not produce.command:
        table.fault("command", 'name the program and its arguments, such as ["python", "produce.py"]')
    scripts = [word for word in produce.command if word in seed]
    if not scripts:
        table.fault("command", 'it must run a file of seed/ that is not editable, such as ["python", "produce.py"]')
    for word in scripts:
        if is_editable(word, editable):
            table.fault(
                "command", f"{word} is editable too: then a candidate could replace it; take it out of `editable`"
            )
    return produce


def _metric(table: _Table) -> Metric:
    reference = table.take("reference", (dict,), 'a table such as { "published" = 123 }', {})
    for name, score in reference.items():
        if (
            not name.isprintable()
            or isinstance(score, bool)
            or not isinstance(score, int | float)
            or not _finite(score)
        ):
            table.fault("reference", f"set {_safe(name)!r} to a number")
    return Metric(
        name=table.text("name"),
        unit=table.text("unit"),
        goal=cast(Literal["min", "max"], table.text("goal", one_of=("min", "max"))),
        impossible=table.number("impossible", None),
        reference=tuple(reference.items()),
    )


def _measure(table: _Table, everything: Files) -> Measure:
    ruler = table.text("ruler", pattern=_RULER, shape='"file:function", such as "ruler:measure"')
    name = f"judge/{ruler.partition(':')[0]}.py"
    if name not in everything:
        table.fault("ruler", f"there is no {name} in the problem folder; write it or name another")
    quick = table.text("quick", "-") if "quick" in table.values else None
    if quick is not None and not (_RULER.fullmatch(quick) and quick.partition(":")[0] == ruler.partition(":")[0]):
        table.fault("quick", f'name a function of the ruler\'s file, such as "{ruler.partition(":")[0]}:quick"')
    return Measure(
        ruler=ruler,
        screen=table.count("screen", 8),
        confirm=table.count("confirm", 64),
        seconds=float(table.number("seconds", 60.0, above=0)),
        memory=table.size("memory", 2 << 30),
        quick=quick,
    )


def _axes(table: _Table) -> tuple[Axis, ...]:
    return tuple(_axis(table, name) for name in table.values)


def _axis(table: _Table, name: str) -> Axis:
    ends = table.take(name, (list,), "a range [low, high]")
    if len(ends) != 2 or not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
        table.fault(name, "set it to a range [low, high]")
    if not (name.isprintable() and _finite(ends[0]) and _finite(ends[1]) and ends[0] < ends[1]):
        table.fault(name, "set it to a range [low, high] with low below high")
    return Axis(name, float(ends[0]), float(ends[1]))
