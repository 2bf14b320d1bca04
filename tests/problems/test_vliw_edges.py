"""vliw_tree's edge cases: inputs within the ranges that chance never draws, and programs that only they find out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import pytest

from kernelfactory import core, jail, problem
from kernelfactory.core.plain import Plain
from kernelfactory.judge import Judge
from kernelfactory.model import BadInput, Rejected

from .loading import load_file

FOLDER = problem.SHIPPED / "vliw_tree"
RULER = load_file("vliw_ruler", FOLDER / "judge/ruler.py")
HIGH = (1 << 30) - 1
OFFICIAL = core.Size(10, 16, 256)
TREE, VALUES = 7, 7 + 2047 + 256
Bundles = list[dict[str, list[tuple[Any, ...]]]]


def built(size: core.Size) -> Bundles:
    """The seed's own program."""
    sys.path.insert(0, str(FOLDER / "seed"))
    try:
        kernel = load_file("perf_takehome", FOLDER / "seed/perf_takehome.py").KernelBuilder()
    finally:
        sys.path.remove(str(FOLDER / "seed"))
        sys.modules.pop("problem", None)
    kernel.build_kernel(size.height, size.nodes, size.batch, size.rounds)
    return list(kernel.instrs)


@pytest.fixture(scope="module")
def naive() -> Bundles:
    return built(OFFICIAL)


def text(bundles: Bundles) -> bytes:
    return json.dumps(bundles).encode()


def outcome(judged: Callable[[], Any]) -> object:
    try:
        return judged().score
    except Rejected as rejected:
        return rejected.code


# ── the cases themselves ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [OFFICIAL, core.Size(4, 6, 32), core.Size(0, 3, 8)])
def test_cases_are_within_the_ranges(size: core.Size) -> None:
    cases = RULER.edge_cases(SystemRandom(), size)
    assert len(cases) == 24
    for tree, values in cases:
        assert (len(tree), len(values)) == (size.nodes, size.batch)
        assert all(type(x) is int and 0 <= x <= HIGH for x in tree + values)
        image = RULER.image(tree, values, size)
        assert image[:7] == core.Plain().image(size, 1)[:7] and image[7:] == [*tree, *[0] * size.batch, *values]


def test_the_extremes_are_among_them() -> None:
    cases = RULER.edge_cases(Random(1), OFFICIAL)
    seen = {(frozenset(tree) & {0, HIGH}, frozenset(values) & {0, HIGH}) for tree, values in cases}
    ends = [frozenset({0}), frozenset({HIGH})]
    assert {(tree, values) for tree in ends for values in ends} <= seen
    alike = [tree[0] ^ values[0] for tree, values in cases if len(set(tree)) == len(set(values)) == 1]
    assert len(alike) >= 5 and 0 in alike and HIGH in alike


@pytest.mark.parametrize("size", [OFFICIAL, core.Size(4, 6, 32)])
def test_led_batches_take_the_path_they_are_led(size: core.Size) -> None:
    expected = [[0] * size.rounds, [1] * size.rounds, [i % 2 for i in range(size.rounds)]]
    for (tree, values), turns in zip(RULER.edge_cases(Random(3), size)[-3:], expected, strict=True):
        assert len(set(values)) == 1
        value, node, taken = values[0], 0, []
        for _ in range(size.rounds):
            value = Plain().hash_steps(value ^ tree[node])[-1]
            taken.append(value % 2)
            node = 2 * node + 1 + value % 2
            node = node if node < size.nodes else 0
        assert taken == turns


# ── programs ─────────────────────────────────────────────────────────────────────────────────────


def test_an_honest_program_keeps_its_count(naive: Bundles) -> None:
    measured = RULER.edges(text(naive), SystemRandom())
    assert (measured.score, measured.flags) == (147_734, ())
    assert measured.instruments == RULER.measure(text(naive), SystemRandom(), 1).instruments


def spoiled(naive: Bundles, condition: Bundles) -> bytes:
    """Keeps the last value back where `condition` leaves something other than 0 in scratch word 1500."""
    end = len(naive) - 2  # the last store and the pause
    jump: Bundles = [{"flow": [("cond_jump", 1500, end + len(condition) + 2)]}]
    return text([*naive[:end], *condition, *jump, *naive[end:]])


def words(address: int, *rest: Any) -> Bundles:
    """Scratch word 1502 is word `address` of the memory that the program leaves."""
    return [{"load": [("const", 1501, address)]}, {"load": [("load", 1502, 1501)]}, *rest]


def equals(number: int) -> Bundles:
    return [{"load": [("const", 1503, number)]}, {"alu": [("==", 1500, 1502, 1503)]}]


def tree_is(number: int) -> Bundles:
    return words(TREE, *equals(number))


def same_nodes(a: int, b: int) -> Bundles:
    load: Bundles = [{"load": [("const", 1503, TREE + b)]}, {"load": [("load", 1504, 1503)]}]
    return words(TREE + a, *load, {"alu": [("==", 1500, 1502, 1504)]})


def same_values(a: int, b: int) -> Bundles:
    """Final values: equal for elements that started equal and went the same way."""
    load: Bundles = [{"load": [("const", 1503, VALUES + b)]}, {"load": [("load", 1504, 1503)]}]
    return words(VALUES + a, *load, {"alu": [("==", 1500, 1502, 1504)]})


@pytest.mark.parametrize(
    "condition",
    [
        tree_is(0),
        tree_is(HIGH),
        same_nodes(0, 1),
        same_nodes(1000, 2046),
        same_values(0, 1),
        same_values(3, 200),
    ],
)
def test_what_only_edge_cases_find_out_is_found_out(naive: Bundles, condition: Bundles) -> None:
    """64 random inputs accept each of these faulty programs; the edge cases do not."""
    artefact = spoiled(naive, condition)
    assert outcome(lambda: RULER.measure(artefact, SystemRandom(), 64)) == 147_734 + len(condition) + 1
    assert outcome(lambda: RULER.edges(artefact, SystemRandom())) == "wrong_answer"


def test_a_program_that_says_nothing_is_wrong_and_one_that_says_more_is_flagged(naive: Bundles) -> None:
    assert outcome(lambda: RULER.edges(b"[]", Random(1))) == "wrong_answer"
    assert outcome(lambda: RULER.edges(b"[", Random(1))) == "malformed"
    assert outcome(lambda: RULER.edges(text([{"alu": [("//", 0, 0, 0)]}]), Random(1))) == "crashed"
    longer = text([*naive, *tree_is(0), {"flow": [("cond_jump", 1500, len(naive) + 6)]}, {"alu": []}])
    measured = RULER.edges(longer, Random(1))
    assert measured.score == 147_734 + 6
    assert [flag[0] for flag in measured.flags] == ["unequal_cycles"]


def test_both_backends_say_the_same_of_the_cases() -> None:
    """Explicit inputs in C and in Python: every figure, word by word, for a right and for a wrong program."""
    compiled = core.load()
    if compiled is None:
        pytest.skip("no C compiler works here")
    size = core.Size(4, 6, 32)
    images = [RULER.image(*case, size) for case in RULER.edge_cases(Random(9), size)]
    plain = Plain()
    assert [compiled.reference(image) for image in images] == [plain.reference(image) for image in images]
    bundles = built(size)
    for program in (bundles, bundles[:-2], bundles[:500]):
        data = text(program)
        assert compiled.parse(data).run(images, 10**6) == plain.parse(data).run(images, 10**6)


SPOILED = """
honest = KernelBuilder.build_kernel
def build_kernel(self, *size):
    honest(self, *size)
    end = len(self.instrs) - 2
    self.instrs[end:end] = [
        {"load": [("const", 1501, 7)]}, {"load": [("load", 1502, 1501)]}, {"load": [("const", 1503, 0)]},
        {"alu": [("==", 1500, 1502, 1503)]}, {"flow": [("cond_jump", 1500, end + 6)]},
    ]
KernelBuilder.build_kernel = build_kernel
"""


def test_a_confirmation_runs_them_and_a_measurement_does_not(tmp_path: Path) -> None:
    """Through the judge and its jail: a program that is wrong where the root's value is 0."""
    try:
        found = jail.find()
    except BadInput as error:
        pytest.skip(f"no jail works here: {error}")
    judge = Judge(problem.load(FOLDER), found, scratch=tmp_path)
    try:
        honest = judge.problem.seed["perf_takehome.py"]
        assert judge.confirm({"perf_takehome.py": honest}).score == 147_734
        spoiled = {"perf_takehome.py": honest + SPOILED.encode()}
        assert judge.screen(spoiled).score == 147_734 + 5
        refused = judge.confirm(spoiled)
        assert (refused.verdict, refused.reason_code) == ("rejected", "wrong_answer")
    finally:
        judge.close()


def test_the_problem_names_them() -> None:
    measure = problem.load(FOLDER).measure
    assert (measure.edges, measure.quick) == ("ruler:edges", "ruler:quick")
    assert core.Size(4, 6, 32) == RULER.QUICK
    assert "height 4, 6 rounds, batch 32" in Path(FOLDER / "task.md").read_text()
