"""The programs of one experiment, into an index. Reads its record and its objects; lends nothing out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kernelfactory import problem as problems
from kernelfactory.files import blob_id
from kernelfactory.model import BadInput, Metric
from kernelfactory.publish.likeness import Index, Program, Seed
from kernelfactory.publish.store import Store, commit_facts, entries
from kernelfactory.record import Reader

PROGRAM_BYTES = 8 << 20
DEPTH = 32


@dataclass(frozen=True, slots=True)
class Known:
    """An experiment whose programs are looked for; `programs` counts different files of candidates."""

    folder: Path
    problem: str
    metric: Metric
    programs: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """What must be known of an experiment: `judged` is commit to (attempt, score); `first` the seed's commit."""

    problem: str
    private: bool
    metric: Metric
    judged: Mapping[str, tuple[int, float | None]]
    first: str | None


def learn(folder: Path, index: Index) -> Known | None:
    """Put every program of a private experiment, valid or not, into `index`, best first; None when its solutions are
    public. Raises BadInput when it cannot be read."""
    asked = _asked(folder)
    if not asked.private:
        return None
    store = Store(folder / "trees.git" / "objects")
    globs = _editable(folder)
    begun = _begun(folder, store, asked)
    pristine = {blob_id(data) for data in begun.values()}
    found: dict[str, Program] = {}
    for commit in (oid for oid in store if (store.header(oid) or ("",))[0] == "commit"):
        attempt, score = asked.judged.get(commit, (None, None))
        for name, blob in _files(store, commit):
            if problems.is_editable(name, globs) and blob not in pristine:
                program = Program(str(folder), attempt, score, name, blob)
                if blob not in found or _before(program, found[blob], asked.metric):
                    found[blob] = program
    seed = Seed.of(begun.items())
    for program in _best_first(found, asked.metric):
        if (store.header(program.blob) or ("", 0))[1] <= PROGRAM_BYTES:
            index.add(program, store.read(program.blob) or b"", seed)
    return Known(folder, asked.problem, asked.metric, len(found))


def _asked(folder: Path) -> _Asked:
    """From the record; where that is of another version or damaged, from the locked problem: the programs are there
    all the same, without attempt and score. Raises BadInput."""
    try:
        with Reader.open(folder) as reader:
            asked, first = reader.experiment, reader.attempt(0).commit
            return _Asked(asked.problem, asked.private, asked.metric, _judged(reader), first)
    except BadInput as fault:
        try:
            problem = problems.load(folder / "problem")
        except (BadInput, OSError):
            raise fault from None
        return _Asked(problem.name, problem.private, problem.metric, {}, None)


def _begun(folder: Path, store: Store, asked: _Asked) -> dict[str, bytes]:
    """The seed's files."""
    if asked.first is not None:
        return {name: store.read(blob) or b"" for name, blob in _files(store, asked.first)}
    try:
        return dict(problems.load(folder / "problem").seed)
    except (BadInput, OSError):
        return {}


def _judged(reader: Reader) -> dict[str, tuple[int, float | None]]:
    """Commit to the attempt that it is of and its score."""
    return {
        found.commit: (found.attempt, found.verdict.score)
        for row in reader.attempts()
        if row.measurements
        for found in reader.measurements(row.attempt)
        if found.commit
    }


def _editable(folder: Path) -> tuple[str, ...]:
    try:
        return problems.load(folder / "problem").editable
    except (BadInput, OSError):
        return ("**",)


def _before(a: Program, b: Program, metric: Metric) -> bool:
    if a.score is None or b.score is None:
        return a.score is not None or (b.score is None and a.attempt is not None and b.attempt is None)
    return metric.better(a.score, b.score)


def _best_first(found: dict[str, Program], metric: Metric) -> list[Program]:
    sign = 1.0 if metric.goal == "min" else -1.0
    return sorted(found.values(), key=lambda one: (one.score is None, sign * (one.score or 0.0), one.blob))


def _files(store: Store, commit: str) -> Iterator[tuple[str, str]]:
    """(path, blob) of every file of a commit."""
    tree = commit_facts(store.read(commit) or b"")[0]
    waiting = [(tree, "", 0)] if tree else []
    while waiting:
        oid, above, depth = waiting.pop()
        for entry in entries(store.read(oid) or b""):
            if entry.folder and depth < DEPTH:
                waiting.append((entry.oid, f"{above}{entry.name}/", depth + 1))
            elif entry.file:
                yield above + entry.name, entry.oid
