"""The ruler of vliw_tree: scores, reasons, instruments, and what it never says."""

from __future__ import annotations

import json
from random import Random
from types import ModuleType
from typing import Any

import pytest

from kernelfactory import core
from kernelfactory.core.vliw import REFUSALS
from kernelfactory.model import Rejected


def text(bundles: Any) -> bytes:
    return json.dumps(bundles).encode()


def rejection(ruler: ModuleType, program: Any, inputs: int = 3) -> Rejected:
    with pytest.raises(Rejected) as rejected:
        ruler.measure(program if isinstance(program, bytes) else text(program), Random(1), inputs)
    return rejected.value


@pytest.mark.parametrize("inputs", [1, 8, 64])
def test_naive_kernel(inputs: int, ruler: ModuleType, naive: Any) -> None:
    measured = ruler.measure(text(naive(16, 256)), Random(1), inputs)
    assert (measured.score, measured.flags) == (147734, ())
    assert measured.instruments["slots"] == {"alu": 118784, "valu": 0, "load": 12564, "store": 8192, "flow": 8194}
    assert measured.instruments["floor"] == {"alu": 9899, "valu": 0, "load": 6282, "store": 4096, "flow": 8194}
    assert measured.instruments["gap"] == 147734 - 9899
    assert "not a bound on the problem" in measured.instruments["note"]
    assert measured.measures["alu_occupancy"] == pytest.approx(118784 / (147734 * 12))
    assert all(0 <= share <= 1 for share in measured.measures.values())
    json.dumps(measured.instruments)


def test_axes_of_the_problem_are_measured(ruler: ModuleType, naive: Any) -> None:
    assert {f"{engine}_occupancy" for engine in core.ENGINES} <= set(
        ruler.quick(text(naive(6, 32)), Random(1), 1).measures
    )


def test_quick_is_another_size(ruler: ModuleType, naive: Any) -> None:
    assert ruler.quick(text(naive(6, 32)), Random(1), 4).score < 10_000
    assert rejection(ruler, naive(6, 32)).code == "wrong_answer"


@pytest.mark.parametrize(
    ("program", "code", "reason"),
    [
        (b"nonsense", "malformed", f"bundle 0: {REFUSALS[2][1]}"),
        ([], "wrong_answer", "the values in memory are not those of the reference"),
        ([{}, {"flow": [["jump", 0]]}], "over_limit", "still running after 1000000 cycles, at bundle 1"),
        ([{"alu": [["//", 0, 0, 0]]}], "crashed", "ZeroDivisionError in bundle 0"),
        ([{"load": [["const", 0, 2566]]}, {"load": [["load", 1, 0]]}], "crashed", "IndexError in bundle 1"),
        (b" " * (32 << 20) + b"[]", "over_limit", "bundle 0: the text is longer than 33554432 bytes"),
    ],
)  # fmt: skip
def test_rejections(program: Any, code: str, reason: str, ruler: ModuleType) -> None:
    rejected = rejection(ruler, program)
    assert (rejected.code, rejected.reason) == (code, reason)


def test_a_wrong_value_in_one_input_is_enough(ruler: ModuleType, naive: Any) -> None:
    """The first store of the last round is kept back when the tree's root is even."""
    program = naive(16, 256)
    root = [{"load": [["const", 1500, 7], ["const", 1501, 1]]}, {"load": [["load", 1502, 1500]]}]
    root += [{"alu": [["&", 1502, 1502, 1501]]}, {"flow": [["cond_jump", 1502, len(program) + 4 - 1]]}]
    artefact = text(program[:-3] + root + program[-3:])
    codes = set()
    for seed in range(12):
        try:
            codes.add(ruler.measure(artefact, Random(seed), 1).score > 0)
        except Rejected as rejected:
            codes.add(rejected.code)
    assert codes == {True, "wrong_answer"}
    assert rejection(ruler, artefact, 64).code == "wrong_answer"


def test_unequal_counts_are_flagged_and_the_worst_counts(ruler: ModuleType, naive: Any) -> None:
    program = naive(16, 256)
    n = len(program)
    tail = [{"load": [["const", 1500, 7], ["const", 1501, 1]]}, {"load": [["load", 1502, 1500]]}]
    tail += [{"alu": [["&", 1502, 1502, 1501]]}, {"flow": [["cond_jump", 1502, n + 5]]}, {"alu": []}]
    measured = ruler.measure(text(program + tail), Random(1), 8)
    assert measured.score == 147734 + 5
    assert measured.flags == (("unequal_cycles", "artefact", "cycles differ between inputs: 147738 to 147739"),)


def test_inputs_are_drawn_after_the_artefact_is_parsed(ruler: ModuleType) -> None:
    class Watched(Random):
        drawn = 0

        def getrandbits(self, k: int) -> int:
            self.drawn += 1
            return super().getrandbits(k)

    dice = Watched(1)
    with pytest.raises(Rejected):
        ruler.measure(b"[", dice, 8)
    assert dice.drawn == 0
    with pytest.raises(Rejected):
        ruler.measure(b"[]", dice, 8)
    assert dice.drawn == 8


def test_identity(ruler: ModuleType, c_core: core.Core) -> None:
    assert core.digest() == ruler.IDENTITY
    assert ruler.IDENTITY.startswith("sha256:")
    assert ruler.BACKEND in ("c", "python")


def test_the_benchmarks_short_program_is_what_it_says(judge_benchmark: ModuleType, c_core: core.Core) -> None:
    ran = c_core.parse(judge_benchmark.short()).measure(core.Size(10, 16, 256), [1, 2], 10**6)
    assert {(one.error, one.cycles, sum(one.used[:5])) for one in ran} == {(None, 1500, 13000)}
    assert all(one.wrong for one in ran)
