"""The gallery for each kind of problem, in each jail: every case has its answer, and leaves nothing running, nothing on
disk and nothing in the judge's memory.

A case is a file tests/cheats/PROBLEM/NAME.py that takes the place of the seed's own file (of an `artefact` problem: it
stands before that); a line `# FILE: name` begins another file of the candidate. Its head says what must be answered:

  REJECT [code]      a rejection (with that reason code)
  ACCEPT score       that score, exactly
  HONEST             the seed's own score, exactly
  NO BETTER          a rejection, or a score that is no better than the seed's
  NO FASTER, FASTER  of a timed problem: not shown to be faster than the seed (or a rejection); shown to be
  SELF-REPORTED n    what the program says of itself, and a verdict that says so
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from kernelfactory import problem
from kernelfactory.jail import Jail
from kernelfactory.judge import Judge
from kernelfactory.model import Files, Problem, Verdict

TESTS = Path(__file__).parent.parent
CHEATS = TESTS / "cheats"
FOLDERS = ("artefact", "calls", "near", "timed", "shim", "script", "loose")
CASES = [path for folder in FOLDERS for path in sorted((CHEATS / folder).glob("*.py"))]
CELLS = ("bubblewrap", "landlock")
MEMORY = 200 << 20
"""By so many bytes the judge's own process may grow over one case."""


def params() -> list[object]:
    """Every case in every jail; without the slow ones, and in the best jail only, in the ordinary test run."""
    made: list[object] = []
    for cell, case in product(CELLS, CASES):
        soak = cell != CELLS[0] or "\n# SLOW\n" in case.read_text()
        name = f"{case.parent.name}-{case.stem}-{cell}"
        made.append(pytest.param(cell, case, id=name, marks=[pytest.mark.soak] if soak else []))
    return made


# ── one case ─────────────────────────────────────────────────────────────────────────────────────


def load(folder: str) -> Problem:
    if folder != "artefact":
        return problem.load(CHEATS / "problems" / folder)
    made = problem.load(TESTS / "problems/tiny_network")
    assert made.produce is not None
    return replace(made, produce=replace(made.produce, seconds=2.0))


def candidate(case: Path, of: Problem) -> dict[str, bytes]:
    """The files of a case."""
    main = next(name for name in of.seed if name.endswith(".py") and problem.is_editable(name, of.editable))
    first, *others = re.split(r"^# FILE: (.*)\n", case.read_text(), flags=re.MULTILINE)
    before = of.seed[main] if of.kind == "artefact" else b""
    made = {main: first.encode() + b"\n" + before}
    return {**made, **{name: text.encode() for name, text in zip(others[::2], others[1::2], strict=True)}}


def expected(case: Path) -> str:
    (found,) = re.findall(r"^# JUDGE MUST ANSWER: (.*)$", case.read_text(), re.MULTILINE)
    return str(found)


def answers(wanted: str, verdict: Verdict, seed: Verdict) -> bool:
    """Is this verdict one that a case's head allows?"""
    return any(_answers(each.split(), verdict, seed) for each in wanted.split(" or "))


def _answers(words: list[str], verdict: Verdict, seed: Verdict) -> bool:
    rejected = verdict.verdict == "rejected" and verdict.score is None
    if words[0] == "REJECT":
        return rejected and words[1:] in ([], [verdict.reason_code])
    if verdict.verdict != "accepted" or verdict.score is None or seed.score is None:
        return rejected and words[0] == "NO"
    if words[0] == "NO" and words[1] == "BETTER":
        return verdict.score <= seed.score
    if words[0] in ("NO", "FASTER"):
        shown = verdict.interval is not None and verdict.interval[0] > 1.15  # a process may be luckier than another
        return shown == (words[0] == "FASTER")
    if words[0] == "SELF-REPORTED":
        return verdict.score == float(words[1]) and verdict.trust == "self-reported"
    return abs(verdict.score - (seed.score if words[0] == "HONEST" else float(words[1]))) < 1e-12


def tells(verdict: Verdict) -> bool:
    """Does what an agent is told hold something that only an input can have been, or what acts on terminals?"""
    said = f"{verdict.reason} {verdict.instruments.get('stderr', '')}"
    odd = any(not (char.isprintable() or char in "\n\t") for char in said)
    return odd or (verdict.reason_code != "timeout" and re.search(r"\d{6}", said) is not None)


# ── what must be as before ───────────────────────────────────────────────────────────────────────


def running(scratch: Path) -> set[str]:
    """Processes that come from this judge: their command, folder or environment speaks of its scratch folder."""
    found, word = set(), os.fsencode(scratch)
    for name in filter(str.isdigit, os.listdir("/proc")):
        for file in ("cmdline", "environ", "cwd"):
            try:
                path = Path(f"/proc/{name}/{file}")
                said = os.fsencode(os.readlink(path)) if file == "cwd" else path.read_bytes()
            except OSError:
                continue
            if word in said:
                found.add(f"{name} {said.decode(errors='replace')}"[:300])
    return found


def children() -> set[int]:
    """Everything below this process."""
    found = [os.getpid()]
    for pid in found:  # grows meanwhile
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
        except OSError:
            continue
    return set(found[1:])


def peak() -> int:
    """The most bytes that this process ever had at once since `forget`."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10


def forget() -> int:
    """Have `peak` begin anew; where it begins."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def until(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


class Range:
    """A problem's judge in one jail, with what every case is compared with."""

    def __init__(self, folder: str, cell: Jail, scratch: Path) -> None:
        scratch.mkdir(exist_ok=True)
        self.problem = load(folder)
        self.judge = Judge(self.problem, cell, scratch=scratch)
        self.seed = self._honest()
        self.calm = children()

    def _honest(self) -> Verdict:
        verdict = self.judge.screen(self.problem.seed)
        assert verdict.verdict == "accepted", verdict
        return verdict

    def shoot(self, case: Path) -> Verdict:
        """Judge a case, and look whether anything is left of it."""
        made, wanted = candidate(case, self.problem), expected(case)
        before = forget()
        verdict = self._judged(made, wanted)
        grown = peak() - before
        assert answers(wanted, verdict, self.seed), (wanted, verdict)
        assert not tells(verdict), verdict
        assert verdict.trust == ("self-reported" if self.problem.kind == "command" else self.judge.trust)
        assert grown < MEMORY, f"the judge grew by {grown >> 20} MiB"
        assert until(lambda: not running(self.judge.scratch)), running(self.judge.scratch)
        assert until(lambda: children() <= self.calm or self._replaced()), children() - self.calm
        assert list(self.judge.scratch.iterdir()) == []
        assert problem.load(self.problem.folder).digest == self.problem.digest
        if self.problem.kind == "function" and not self.problem.measure.timed:
            assert self._honest().score == self.seed.score  # whoever comes next has no harm of it
        return verdict

    def _judged(self, made: Files, wanted: str) -> Verdict:
        """On a busy machine an honest program can be late, and the luck of a process can look like speed: a case that
        is not a timeout has three tries."""
        for _ in range(3):
            verdict = self.judge.screen(made)
            if answers(wanted, verdict, self.seed) or not (verdict.reason_code == "timeout" or verdict.interval):
                break
        return verdict

    def _replaced(self) -> bool:
        """A ruler that died or took too long was replaced: the next verdict is honest, and the new one stays."""
        self._honest()
        now = children()
        alike = len(now) <= len(self.calm)
        self.calm = now if alike else self.calm
        return alike


@pytest.fixture(scope="module")
def ranges(
    cell_named: Callable[[str], Jail], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str, str], Range]]:
    """The range of a problem in a jail; one at a time, so that nobody else's processes are in the way."""
    os.environ["KF_TEST_SECRET"] = "hidden"
    made: dict[tuple[str, str], Range] = {}

    def get(folder: str, cell: str) -> Range:
        if (folder, cell) not in made:
            for old in made.values():
                old.judge.close()
            made.clear()
            made[folder, cell] = Range(folder, cell_named(cell), tmp_path_factory.mktemp(f"{folder}-{cell}"))
        return made[folder, cell]

    yield get
    for old in made.values():
        old.judge.close()
    del os.environ["KF_TEST_SECRET"]


@pytest.mark.parametrize(("cell", "case"), params())
def test_a_case_has_its_answer_and_leaves_nothing(ranges: Callable[[str, str], Range], cell: str, case: Path) -> None:
    ranges(case.parent.name, cell).shoot(case)


def test_every_case_has_a_head() -> None:
    for case in CASES:
        head = case.read_text().split("\n")[:3]
        assert [line.partition(": ")[0] for line in head] == ["# TECHNIQUE", "# ATTEMPTS", "# JUDGE MUST ANSWER"], case
        assert case.stem[0] != "c" or expected(case).split()[0] in ("ACCEPT", "HONEST", "FASTER", "NO"), case
    assert len(CASES) >= 30 and {case.parent.name for case in CASES} == set(FOLDERS)
