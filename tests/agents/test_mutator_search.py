"""The mutator's search with a given `measure`, its notes, and what it may not know."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

import kernelfactory
from kernelfactory.agents.mutator import notes
from kernelfactory.agents.mutator.operators import Tally
from kernelfactory.agents.mutator.search import NoMore, Report, Search, Sources, Task, Trial
from kernelfactory.agents.mutator.syntax import PYTHON, C, Code

ROOM = Path(kernelfactory.__file__).parent / "agents" / "mutator"
PROGRAM = b"def run(items):\n    total = 0\n" + b"    total = total + 1\n" * 12 + b"    return total\n"
LOOPS = b"int run(int n) {\n    int s = 0;\n" + b"    s = s + n;\n" * 12 + b"    return s;\n}\n"


def clock() -> Callable[[], float]:
    """A second for each look."""
    ticks: Iterator[int] = itertools.count()
    return lambda: float(next(ticks))


def task(source: bytes = PROGRAM, seconds: float = 300.0, *, c: bool = False) -> Task:
    sources = {"a.c": Code(source, C)} if c else {"a.py": Code(source, PYTHON)}
    return Task(sources, float(len(source)), smaller_is_better=True, seconds=seconds)


def length(sources: Sources, quick: bool) -> Trial:
    """The shorter the better, but it must still hold a return."""
    text = b"".join(code.source for code in sources.values())
    return Trial(float(len(text))) if b"return" in text else Trial(None, "it returns nothing")


def search(given: Task, measure: Callable[[Sources, bool], Trial], seed: int = 1) -> tuple[Sources, Report]:
    return Search(given, measure, Random(seed), clock()).run()


@pytest.mark.parametrize("c", [False, True])
def test_it_improves_and_hands_in_at_a_worthwhile_gain(c: bool) -> None:
    given = task(LOOPS if c else PROGRAM, c=c)
    sources, report = search(given, length)
    found = length(sources, False).figure
    assert found is not None and report.best == found and found <= 0.99 * given.parent_score
    assert report.ended == "a worthwhile gain" and report.kept[-1].after == found


def test_it_never_hands_in_what_is_worse() -> None:
    for seed in range(20):
        given = task(seconds=20.0)
        sources, report = search(given, length, seed)
        found = length(sources, False).figure
        assert found is not None and found <= given.parent_score
        assert report.best is None or report.best < given.parent_score


def test_a_small_try_that_lies_gains_nothing() -> None:
    """The quick figure promises; the full one does not agree: nothing may be kept."""

    def lying(sources: Sources, quick: bool) -> Trial:
        figure = length(sources, quick).figure
        return Trial(figure if quick else 10_000.0) if figure is not None else Trial(None, "no")

    given = task(seconds=30.0)
    sources, report = search(given, lying)
    assert report.measured > 0 and report.best is None and report.kept == []
    assert {path: code.source for path, code in sources.items()} == {"a.py": PROGRAM}


def test_it_works_where_there_is_no_small_try() -> None:
    asked: list[bool] = []

    def full_only(sources: Sources, quick: bool) -> Trial:
        asked.append(quick)
        return Trial(None, "this problem has no quick try") if quick else length(sources, quick)

    _, report = search(task(), full_only)
    assert report.best is not None and asked.count(True) == 1


def test_its_time_is_kept() -> None:
    _, report = search(task(seconds=10.0), lambda sources, quick: Trial(5_000.0))
    assert report.ended == "time was over" and report.tries <= 10


def test_a_refusal_ends_it_with_what_it_has() -> None:
    left = iter([True, True, True])

    def few(sources: Sources, quick: bool) -> Trial:
        if not next(left, False):
            raise NoMore("the attempt is over")
        return Trial(None, "wrong")

    sources, report = search(task(), few)
    assert report.ended == "the attempt is over" and sources["a.py"].source == PROGRAM


def test_several_files_are_edited_and_the_others_kept() -> None:
    sources = {"a.py": Code(PROGRAM, PYTHON), "b.c": Code(LOOPS, C)}
    touched: set[str] = set()
    for seed in range(10):
        given = Task(sources, float(len(PROGRAM + LOOPS)), smaller_is_better=True, seconds=180.0)
        found, report = search(given, length, seed)
        assert set(found) == set(sources) and report.best is not None
        touched |= {path for path in sources if found[path].source != sources[path].source}
    assert touched == set(sources)


def test_more_is_better_where_the_goal_says_so() -> None:
    given = Task({"a.py": Code(PROGRAM, PYTHON)}, float(len(PROGRAM)), smaller_is_better=False, seconds=900.0)
    sources, report = search(given, length)
    assert report.best is not None and len(sources["a.py"].source) > len(PROGRAM)


def test_nothing_left_to_try_ends_it() -> None:
    given = Task({"a.py": Code(b"", PYTHON)}, 1.0, smaller_is_better=True, seconds=1e9)
    _, report = search(given, lambda sources, quick: Trial(1.0))
    assert report.ended == "nothing new was found to try"


@pytest.mark.parametrize("figure", [float("nan"), float("-inf"), float("inf")])
def test_figures_that_are_no_figures_gain_nothing(figure: float) -> None:
    _, report = search(task(seconds=30.0), lambda sources, quick: Trial(figure))
    assert report.best is None and report.kept == []


def test_drift_never_makes_the_text_much_longer_at_once() -> None:
    lengths: list[int] = []

    def flat(sources: Sources, quick: bool) -> Trial:
        lengths.append(len(sources["a.py"].source))
        return Trial(100.0)

    sources, report = search(Task({"a.py": Code(PROGRAM, PYTHON)}, 100.0, True, 100.0), flat)
    assert report.drifted > 0 and report.best is None, "equal figures may drift and are no gain"
    assert len(sources["a.py"].source) < 1.5**report.drifted * len(PROGRAM)


@pytest.mark.parametrize(("factor", "stays"), [(1, True), (10, False)])
def test_what_only_takes_longer_is_not_kept(factor: int, stays: bool) -> None:
    """Every program but the first valid one takes `factor` times as long, for the same figure."""
    now = [0.0]
    tried: set[bytes] = set()

    def slow(sources: Sources, quick: bool) -> Trial:
        tried.add(sources["a.py"].source)
        now[0] += 1.0 if len(tried) == 1 else float(factor)
        return Trial(100.0)

    given = Task({"a.py": Code(PROGRAM, PYTHON)}, 100.0, True, 200.0)
    sources, report = Search(given, slow, Random(1), lambda: now[0]).run()
    assert (report.drifted > 0) == stays and report.tries > 10
    assert stays or sources["a.py"].source == PROGRAM


# ── notes ────────────────────────────────────────────────────────────────────────────────────────


def test_what_it_writes_it_reads_back() -> None:
    report = Report(tallies={"join": Tally(30.0, 4.0, 2.0), "jam": Tally(5.0, 1.0, 0.0)}, tries=35, best=90.0)
    text = notes.write(report, 100.0, "points")
    assert "100 -> 90 points" in text
    assert notes.read(f"| {text}\n| {text}") == {"join": Tally(60.0, 8.0, 4.0), "jam": Tally(10.0, 2.0, 0.0)}


@pytest.mark.parametrize(
    "line",
    [
        '{"join": [1e308, 1e308, 1e308]}',
        '{"join": [' + "9" * 400 + ", 1, 1]}",
        '{"join": [NaN, Infinity, -Infinity]}',
        '{"join": [-5, -5, -5]}',
        '{"join": [true, 1, 1]}',
        '{"join": ["1", 1, 1]}',
        '{"join": [1, 2]}',
        '{"join": {"x": 1}}',
        '{"rm -rf": [1, 1, 1]}',
        "{" * 3000,
        '{"join": [1, 1, 1]' + " " * 5000 + "}",
        '["join"]',
        "{}",
    ],
)
def test_hostile_figures_are_clamped_or_ignored(line: str) -> None:
    for tally in notes.read(f"mutator-figures {line}\n").values():
        assert 0.0 <= tally.better <= tally.tried <= 1_000.0 and 0.0 <= tally.valid <= tally.tried


def test_huge_notes_are_read_in_no_time_and_in_bounds() -> None:
    brief = "x" * 1_000_000 + "\n" + 'mutator-figures {"join":[1000,1000,1000]}\n' * 5_000
    assert notes.read(brief)["join"].tried <= 1_000.0 * 200


def test_a_reason_is_one_plain_line() -> None:
    report = Report(refused={notes.plain("bad\x1b[2J\u202e\n# head `x` {{7*7}} <b>" + "y" * 500): 3})
    row = next(line for line in notes.write(report, 1.0, "points").splitlines() if line.startswith("- 3 times"))
    assert not set(row.removeprefix("- ")) & set("`<>{}|#*\x1b\u202e") and len(row) < 140


# ── what it may not know ─────────────────────────────────────────────────────────────────────────

WORDS = re.compile(
    r"\b(?:v?alu|vliw|cycles?|bundles?|scratch|hash\w*|forest|perf_takehome|kernels?|kernelbuilder|instrs|v?load|v?store|"
    r"multiply_add|vbroadcast|slots?|matmul|lanes?|batch\w*|rounds|flow|simd|(?<!syntax.)trees?)\b",
    re.IGNORECASE,
)


def known_words(text: str) -> list[str]:
    return WORDS.findall(text)


def test_it_knows_no_problem() -> None:
    for path in sorted(ROOM.glob("*.py")):
        assert known_words(path.read_text("utf-8")) == [], path.name
    assert known_words("prefer the valu slots of a bundle") == ["valu", "slots", "bundle"], "the lint is blind"
