"""sort_network: every accepted list sorts everything, and says nothing but comparators."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelfactory import jail, problem
from kernelfactory.judge import Judge
from kernelfactory.model import BadInput, Rejected

from .loading import load_file, no_hints

FOLDER = problem.SHIPPED / "sort_network"
RULER = load_file("sort_ruler", FOLDER / "judge/ruler.py")
SEED = load_file("sort_seed", FOLDER / "seed/network.py")
Pairs = list[tuple[int, int]]
INSERTION: Pairs = SEED.neighbours(12)


def measured(pairs: Any) -> float:
    data = pairs if isinstance(pairs, bytes) else json.dumps(pairs).encode()
    return float(RULER.measure(data, Random(1), 1).score)


def refusal(pairs: Any) -> tuple[str, str]:
    with pytest.raises(Rejected) as rejected:
        measured(pairs)
    return rejected.value.code, rejected.value.reason


def runs(pairs: Any, numbers: list[int]) -> list[int]:
    """As a program would that trusts the list: whatever Python takes for an index."""
    numbers = list(numbers)
    for pair in pairs:
        low, high = pair[0], pair[1]
        if numbers[low] > numbers[high]:
            numbers[low], numbers[high] = numbers[high], numbers[low]
    return numbers


def sloppy(pairs: Any, inputs: int = 200) -> bool:
    """What many an evaluator asks: a sample of random inputs."""
    rng = Random(5)
    samples = [[rng.randrange(1 << 30) for _ in range(12)] for _ in range(inputs)]
    return all(runs(pairs, sample) == sorted(sample) for sample in samples)


def wrong(pairs: Pairs) -> int:
    """How many inputs of zeros and ones come out unsorted; counted one by one, not as the ruler does."""
    found = SEED.columns(12)
    for low, high in pairs:
        found[low], found[high] = found[low] & found[high], found[low] | found[high]
    unsorted = 0
    for i in range(11):
        unsorted |= found[i] & ~found[i + 1]
    return unsorted.bit_count()


# ── what sorts is accepted ───────────────────────────────────────────────────────────────────────


def merge_exchange(n: int) -> Pairs:
    """Batcher's method, written from its description in Knuth 5.2.2 M."""
    pairs, t = [], (n - 1).bit_length()
    p = 1 << t - 1
    while p:
        q, r, d = 1 << t - 1, 0, p
        while True:
            pairs += [(i, i + d) for i in range(n - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q // 2, p
        p //= 2
    return pairs


def test_known_networks_have_their_known_sizes() -> None:
    assert measured(INSERTION) == 66
    assert measured(merge_exchange(12)) == 41
    assert dict(problem.load(FOLDER).metric.reference).items() >= {
        ("insertion network", 66),
        ("merge exchange (Batcher 1968)", 41),
    }


def test_the_proved_optimum_is_a_score_and_less_is_not_believed() -> None:
    metric = problem.load(FOLDER).metric
    smallest = min(score for _, score in metric.reference)
    assert (smallest, metric.impossible, metric.goal) == (39, 38, "min")


def test_measures_and_instruments() -> None:
    found = RULER.measure(json.dumps([*INSERTION, (0, 11)]).encode(), Random(1), 1)
    assert found.score == 67
    assert found.instruments == {"comparators": 67, "depth": 22, "idle": 1}
    assert found.measures == {"depth": 22.0, "reach": pytest.approx((66 + 11) / 67)}
    assert set(found.measures) == {axis.name for axis in problem.load(FOLDER).axes}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda p: p[0] < p[1]), max_size=80))
def test_the_verdict_is_that_of_running_every_input(pairs: Pairs) -> None:
    """In front of a network that sorts anything does; alone it is as all 4,096 inputs say, run one by one."""
    assert measured([*pairs, *INSERTION]) == len(pairs) + 66
    every = all(runs(pairs, list(bits)) == sorted(bits) for bits in itertools.product((0, 1), repeat=12))
    try:
        assert measured(pairs) == len(pairs) and every
    except Rejected:
        assert not every


# ── what does not is refused ─────────────────────────────────────────────────────────────────────


def test_one_comparator_less_is_wrong() -> None:
    for i in range(len(INSERTION)):
        assert refusal(INSERTION[:i] + INSERTION[i + 1 :])[0] == "wrong_answer"


def test_a_network_that_fails_on_one_input_is_refused() -> None:
    """Of the 4,096 inputs of zeros and ones one comes out unsorted: a sample of 200 random ones does not see it."""
    shorter = [INSERTION[:i] + INSERTION[i + 1 :] for i in range(len(INSERTION))]
    rare = [pairs for pairs in shorter if wrong(pairs) == 1 and sloppy(pairs)]
    assert rare, "a checker with a sample accepts none: nothing is shown"
    for pairs in rare:
        assert refusal(pairs) == ("wrong_answer", "an input of zeros and ones comes out unsorted")


def test_nothing_is_no_network() -> None:
    assert refusal([])[0] == "wrong_answer"


@pytest.mark.parametrize(
    "swapped",
    [
        [-12, -11],  # Python's last but eleven, wires 0 and 1
        [0, -11],
        [False, True],
        [0, 1, 7],
    ],
)
def test_pairs_that_python_takes_and_the_contract_does_not(swapped: list[Any]) -> None:
    pairs = [swapped if pair == (0, 1) else list(pair) for pair in INSERTION]
    assert sloppy(pairs), "a checker that trusts the list accepts it"
    assert refusal(pairs)[0] == "malformed"


@pytest.mark.parametrize("pair", [[1, 0], [3, 3], [0, 12], [0, 10**30], [-1, 0], [11, 12]])
def test_wires_are_in_order_and_in_range(pair: list[int]) -> None:
    assert refusal([*INSERTION, pair]) == ("malformed", "a comparator needs 0 <= low < high < 12")


@pytest.mark.parametrize("pair", [[0.0, 1.0], [0, 1.0], ["0", "1"], [None, 1], [[0], 1], [0], [], {}, "01", 5, None, float("nan")])
def test_what_is_no_pair_of_whole_numbers(pair: Any) -> None:
    assert refusal([*INSERTION, pair]) == ("malformed", "a comparator is a pair of whole numbers [low, high]")


TEXT = json.dumps(INSERTION).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"{}",
        b'{"network": [], "network": ' + TEXT + b"}",
        b"[" * 50_000,
        TEXT + b"]",
        TEXT + TEXT,
        b"\xef\xbb\xbf" + TEXT,
        TEXT.decode().encode("utf-16"),
        b"[" + b"9" * 50_000 + b"]",
        json.dumps(INSERTION * 16).encode(),
        b"\xff",
    ],
)
def test_texts_that_are_no_network(data: bytes) -> None:
    assert refusal(data)[0] == "malformed"


def test_a_long_text_is_refused_unread() -> None:
    assert refusal(TEXT + b" " * (1 << 16))[0] == "over_limit"


# ── the folder ───────────────────────────────────────────────────────────────────────────────────


def test_the_seed_sorts_and_is_far_from_the_optimum(tmp_path: Path) -> None:
    seed = shutil.copytree(FOLDER / "seed", tmp_path / "seed", ignore=shutil.ignore_patterns("__pycache__"))
    said = subprocess.run([sys.executable, "-B", "produce.py"], cwd=seed, capture_output=True, text=True, check=True)
    assert said.stdout == "66\n" and measured(SEED.network(12)) == 66


def test_verdicts(tmp_path: Path) -> None:
    """Through the judge and its jail: the seed, a shorter network, and one that fails on one input."""
    try:
        found = jail.find()
    except BadInput as error:
        pytest.skip(f"no jail works here: {error}")
    judge = Judge(problem.load(FOLDER), found, scratch=tmp_path)
    try:
        assert judge.screen(judge.problem.seed).score == 66
        assert judge.confirm(judge.problem.seed).score == 66
        honest = judge.screen({"network.py": f"def network(wires):\n    return {merge_exchange(12)}\n".encode()})
        assert (honest.verdict, honest.score) == ("accepted", 41)
        broken = judge.screen({"network.py": f"def network(wires):\n    return {INSERTION[1:]}\n".encode()})
        assert (broken.verdict, broken.reason_code) == ("rejected", "wrong_answer")
    finally:
        judge.close()


def test_no_text_for_agents_names_a_family_of_ideas() -> None:
    words = ["batcher", "bitonic", "merge", "symmetr", "reflect", "greedy", "anneal", "genetic", "prefix", "green", "layer by"]
    no_hints(FOLDER, words, "start from batcher's merge exchange")
