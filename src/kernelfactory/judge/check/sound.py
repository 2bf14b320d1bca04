"""Is a problem sound by itself: its ruler, its seed, its limits, its globs, its data sets. Tries no attack; changes
nothing in the problem."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from kernelfactory import files
from kernelfactory.jail import Jail
from kernelfactory.judge import Judge
from kernelfactory.judge.check import advice, data
from kernelfactory.judge.check.interface import loaded_dice
from kernelfactory.judge.check.trying import Ask
from kernelfactory.judge.check.yard import Yard, seen, shown
from kernelfactory.model import BadIntake, Files, Problem, Produce, Verdict
from kernelfactory.problem import NEVER_TAKEN, is_editable

PROBE_SECONDS = 2.0
PROBE_MEMORY = 512 << 20

ENDLESS = "while True: pass"
MEMORY = "import os\ndata = bytearray(8 << 30)\nos.write(int(os.environ['KF_ARTEFACT_FD']), b'1')"
CHATTER = "import sys\nwhile True: sys.stdout.write('x' * 65536)"
ARTEFACT = "import os\nwhile True: os.write(int(os.environ['KF_ARTEFACT_FD']), b'[' * 65536)"
SILENCE = "pass"
FAILURE = "import os\nos.write(int(os.environ['KF_ARTEFACT_FD']), b'1')\nraise SystemExit(3)"

PROBES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "an endless build is stopped": (ENDLESS, ("timeout",)),
    "a build that wants 8 GiB is stopped": (MEMORY, ("crashed", "over_limit")),
    "endless output is stopped": (CHATTER, ("over_limit",)),
    "an endless artefact is stopped": (ARTEFACT, ("over_limit",)),
    "a build without artefact is rejected": (SILENCE, ("malformed",)),
    "a build that fails is rejected": (FAILURE, ("crashed",)),
}
"""What a build may try (Python text in place of the command), and the reason codes that are right for it."""

LOOK = """import os

from kernelfactory.model import Measured

HERE = os.path.dirname(os.path.abspath(__file__))


def look(*_):
    found = float(sum(len(names) for _, _, names in os.walk(os.path.join(HERE, "confirm"))))
    return Measured(found, interval=(found, found))


def count(path):
    return look().score
"""
"""A ruler whose score is how many files of judge/confirm/ it can see."""

Answer = tuple[bool, str]
Question = tuple[str, Callable[[], Answer], str]
"""A name, what answers it, and what to do when the answer is no."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What the questions are asked of. `ask`: where time is no matter. `verdict`: the first on
    the seed."""

    judge: Judge
    ask: Ask
    verdict: Verdict
    jail: Jail
    scratch: Path
    seed: Files
    sources: Files
    yard: Yard


def editable(problem: Problem) -> dict[str, bytes]:
    """The seed's editable files."""
    return {name: content for name, content in problem.seed.items() if is_editable(name, problem.editable)}


def questions(asked: Sound) -> Iterator[Question]:
    """All questions but the first, whether the seed is valid."""
    judge, seed = asked.judge, asked.seed
    problem = judge.problem
    if problem.measure.timed:
        yield "the seed is no faster than itself", lambda: _even(asked), advice.TIMED
    else:
        yield "its verdict repeats", lambda: _repeats(judge, seed), advice.REPEATS
    yield "the confirmation accepts it", lambda: accepted(judge.confirm(seed)), advice.SEED
    yield "the ruler is the same in another process", lambda: _same_ruler(asked), advice.RULER
    for name, candidate in _broken(seed).items():
        yield name, lambda it=candidate: _refused(asked, asked.ask(it)), advice.UNCHECKED  # type: ignore[misc]
    yield "other files change nothing", lambda: _strays(asked), advice.GLOBS
    yield "no editable file acts at start-up", lambda: _globs(problem), advice.GLOBS
    if problem.kind != "function":
        yield "the inputs are not seeded by a constant", lambda: _dice(asked.sources), advice.FRESH
    if problem.kind == "artefact":
        yield "junk artefacts gain nothing", lambda: _junk(judge, asked.yard), advice.FAULT
    if problem.measure.separate:
        yield "a screening cannot see judge/confirm/", lambda: _sets(asked), advice.SETS
    if problem.produce is not None:
        for name, (text, codes) in PROBES.items():
            yield name, lambda text=text, codes=codes: _probe(judge, text, codes), advice.LIMITS  # type: ignore[misc]


def _broken(seed: Files) -> dict[str, Files]:
    return {
        "empty files are rejected": dict.fromkeys(seed, b""),
        "missing files are rejected": {},
        "junk in the editable files is rejected": dict.fromkeys(seed, b"\0\xff(" * 99),
    }


# ── the answers ──────────────────────────────────────────────────────────────────────────────────


def accepted(verdict: Verdict) -> Answer:
    if verdict.verdict == "accepted":
        inputs = f"{verdict.inputs} input{'' if verdict.inputs == 1 else 's'}"
        return True, f"score {shown(verdict.score)} on {inputs}, {verdict.seconds:.2f} s"
    return False, seen(verdict)


def _refused(asked: Sound, verdict: Verdict) -> Answer:
    """Rejected; an evaluator of the author's own may also give it a worse score than the seed's."""
    worse = verdict.score is not None and asked.yard.metric.better(asked.yard.best, verdict.score)
    lenient = asked.judge.problem.kind == "command" or asked.judge.problem.measure.evaluator
    return verdict.verdict == "rejected" or (lenient and worse), seen(verdict)


def _repeats(judge: Judge, seed: Files) -> Answer:
    first, second = judge.screen(seed), judge.screen(seed)
    same = [(verdict.verdict, verdict.score, verdict.tree, verdict.reason_code) for verdict in (first, second)]
    return same[0] == same[1], f"{shown(first.score)} and {shown(second.score)}"


def _even(asked: Sound) -> Answer:
    """The seed is timed against itself. Luck shows a difference now and then; twice in one direction is no luck."""
    sides = [_side(asked.verdict)]
    again = asked.judge.screen(asked.seed) if sides[0] else asked.verdict
    low, high = again.interval or (0.0, 0.0)
    return not sides[0] or _side(again) != sides[0], f"{shown(again.score)} times as fast ({low:.3f} to {high:.3f})"


def _side(verdict: Verdict) -> int:
    """Is it shown to be faster (1), slower (-1), or neither?"""
    low, high = verdict.interval or (0.0, 0.0)
    return (low > 1.0) - (high < 1.0)


def _same_ruler(asked: Sound) -> Answer:
    with Judge(asked.judge.problem, asked.jail, scratch=asked.scratch) as other:
        mine, its = asked.judge.ruler, other.ruler
        return its == mine, f"{mine.digest[:19]}… and {its.digest[:19]}…"


def _strays(asked: Sound) -> Answer:
    """Files that no glob names, beside the seed's and in place of its own."""
    judge, seed = asked.judge, asked.seed
    fixed = {name: b"raise SystemExit(1)\n" for name in judge.problem.seed if name not in seed}
    strays = {
        name: b"x" for name in (".kf-stray", "kf_stray/problem.toml") if not is_editable(name, judge.problem.editable)
    }
    verdict, expected = asked.ask({**seed, **fixed, **strays}), asked.ask(seed)
    same = verdict.tree == expected.tree and (
        judge.problem.measure.timed
        or verdict.score == expected.score
        or asked.ask(seed).score != expected.score  # the score is no witness where it changes by itself
    )
    return same, f"{len(fixed) + len(strays)} files outside `editable` were dropped" if same else "the verdict changed"


def _globs(problem: Problem) -> Answer:
    taken = [name.replace("*", "kf") for name in NEVER_TAKEN if is_editable(name.replace("*", "kf"), problem.editable)]
    taken += [name for name in problem.editable if _acts(name)]
    return not taken, f"`editable` takes {', '.join(sorted(set(taken)))}" if taken else "none is taken"


def _acts(glob: str) -> bool:
    return any(fnmatchcase(glob.rpartition("/")[2], never) for never in NEVER_TAKEN)


def _dice(sources: Files) -> Answer:
    where = loaded_dice(sources)
    return where is None, f"a generator with a constant seed at {where}" if where else "no generator is"


def _junk(judge: Judge, yard: Yard) -> Answer:
    junk = data.junk()
    for content in junk:
        score = judge.weigh(content)
        if score is not None and yard.metric.better(score, yard.best):
            return False, f"the ruler gave {content[:20]!r}… the score {shown(score)}"
    return True, f"{len(junk)} of them, none better than the seed"


def _sets(asked: Sound) -> Answer:
    """By a ruler that counts what it sees."""
    problem = asked.judge.problem
    folder = asked.scratch / "sets"
    files.write_tree(folder / "judge", {**asked.sources, "kf_look.py": LOOK.encode()})
    ruler = "kf_look:count" if problem.measure.evaluator else "kf_look:look"
    measure = replace(problem.measure, ruler=ruler, edges=None)
    looking = replace(problem, folder=str(folder), measure=measure, metric=replace(problem.metric, impossible=None))
    with Judge(looking, asked.jail, scratch=asked.scratch) as judge:
        found = judge.screen(asked.seed).score, judge.confirm(asked.seed).score
    return found[0] == 0 and bool(
        found[1]
    ), f"a screening sees {shown(found[0])} files of it, a confirmation {shown(found[1])}"


def _probe(judge: Judge, text: str, codes: tuple[str, ...]) -> Answer:
    produce = judge.problem.produce or Produce(())
    artefact_bytes = min(produce.artefact_bytes, 1 << 20)
    changed = replace(produce, command=("python", "-c", text), seconds=PROBE_SECONDS, memory=PROBE_MEMORY)
    refusal = judge.probe(replace(changed, artefact_bytes=artefact_bytes))
    if refusal is None:
        return False, "an artefact came out of it"
    return refusal.code in codes, f"{refusal.code}: {refusal.reason}"


# ── what is taken from an agent's folder ─────────────────────────────────────────────────────────


def intake(problem: Problem, file: str, scratch: Path) -> Iterator[Question]:
    """Folders as a hostile agent might leave them: what is read of them is refused, or is their own."""
    outside, judge = Path(problem.folder, "problem.toml"), Path(problem.folder, "judge")
    makes: dict[str, Callable[[Path], object]] = {
        "a link as the program": lambda path: path.symlink_to(outside),
        "a link in place of its folder": lambda path: _linked(path, judge),
        "a FIFO as the program": os.mkfifo,
        "a folder as the program": Path.mkdir,
        "a file of 1 TiB": _sparse,
    }
    for number, (name, make) in enumerate(makes.items()):
        yield name, partial(_taken, problem, scratch / f"intake-{number}", file, make), advice.JAIL


def _taken(problem: Problem, folder: Path, file: str, make: Callable[[Path], object]) -> Answer:
    path = folder / file
    path.parent.mkdir(parents=True)
    try:
        make(path)
    except OSError as error:
        return True, f"cannot be made here ({error.strerror})"
    try:
        taken = files.read_tree(folder, problem.editable)
    except BadIntake as error:
        return True, f"refused: {error}"
    return not taken, "nothing is taken" if not taken else f"{', '.join(taken)} is taken"


def _linked(path: Path, judge: Path) -> None:
    path.parent.rmdir()
    path.parent.symlink_to(judge)


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)
