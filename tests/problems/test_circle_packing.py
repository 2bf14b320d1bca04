"""circle_packing: no tolerance, no float in a decision, and honest floats are made exact."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelfactory import jail, problem
from kernelfactory.judge import Judge
from kernelfactory.model import BadInput, Rejected

from .loading import load_file, no_hints

FOLDER = problem.SHIPPED / "circle_packing"
RULER = load_file("circle_ruler", FOLDER / "judge/ruler.py")
CERTIFICATE = load_file("circle_certificate", FOLDER / "seed/certificate.py")
PACKING = load_file("circle_packing_seed", FOLDER / "seed/packing.py")
Rows = list[list[Any]]

GRID: Rows = [[f"0.{x}", f"0.{y}", "0.1"] for x in (1, 3, 5, 7, 9) for y in (1, 3, 5, 7, 9)]
"""25 circles that touch their neighbours and the border exactly."""
GAP = ["0.2", "0.2", "0.0414"]
HONEST: Rows = [*GRID, GAP]


def measured(rows: Any) -> float:
    data = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
    return float(RULER.measure(data, Random(1), 1).score)


def refusal(rows: Any) -> tuple[str, str]:
    with pytest.raises(Rejected) as rejected:
        measured(rows)
    return rejected.value.code, rejected.value.reason


def sloppy(rows: Rows, slack: float = 1e-6) -> bool:
    """What many an evaluator asks: floats, and a little slack."""
    circles = [[float(Fraction(text)) if "/" in str(text) else float(text) for text in row[:3]] for row in rows]
    if len(circles) < 26:
        return False
    for i, (x, y, r) in enumerate(circles):
        if x - r < -slack or x + r > 1 + slack or y - r < -slack or y + r > 1 + slack:
            return False
        if any(math.hypot(x - u, y - v) < r + s - slack for u, v, s in circles[:i]):
            return False
    return True


# ── what is right is accepted ────────────────────────────────────────────────────────────────────


def test_touching_is_allowed() -> None:
    assert measured(HONEST) == pytest.approx(2.5414, abs=1e-12)
    assert not sloppy(HONEST, slack=0.0), "floats without slack refuse this honest packing"


def test_rationals_and_whole_numbers_are_numbers() -> None:
    assert measured([["1/10", "3/10", "1/10"] if row == ["0.1", "0.3", "0.1"] else row for row in HONEST]) > 2.5
    assert measured([*GRID, ["1/5", "2/10", "414/10000"]]) == measured(HONEST)
    assert refusal([*GRID, ["1", "0", "1/9"]])[0] == "wrong_answer"


def test_measures_and_instruments() -> None:
    found = RULER.measure(json.dumps(HONEST).encode(), Random(1), 1)
    assert found.instruments["touching_pairs"] == 40 and found.instruments["at_the_border"] == 16
    assert found.measures == {"border_share": 16 / 26, "radius_spread": pytest.approx(1 - 0.414)}
    assert set(found.measures) == {axis.name for axis in problem.load(FOLDER).axes}
    assert (found.instruments["smallest_radius"], found.instruments["largest_radius"]) == (0.0414, 0.1)


# ── what is wrong by less than a float can tell is refused ───────────────────────────────────────

TINY = "0" * 28 + "1"


@pytest.mark.parametrize(
    ("last", "first", "reason"),
    [
        (["0.2", "0.2", "0.04142136"], None, "circles 0 and 25 overlap"),  # the root of 0.02 less 0.1 is 0.041421356...
        (GAP, ["0.1", "0.1", f"0.1{TINY}"], "circle 0 leaves the square"),
        (GAP, [f"0.0{'9' * 30}", "0.1", "0.1"], "circle 0 leaves the square"),
        (GAP, ["0.1", f"0.1{TINY}", "0.1"], "circles 0 and 1 overlap"),
        (GAP, [f"0.1{TINY}", "0.1", "0.1"], "circles 0 and 5 overlap"),
    ],
)
def test_there_is_no_slack(last: list[str], first: list[str] | None, reason: str) -> None:
    rows = [first or GRID[0], *GRID[1:], last]
    assert sloppy(rows), "a checker with slack accepts it"
    assert refusal(rows) == ("wrong_answer", reason)


def test_the_last_circle_against_the_far_border() -> None:
    rows = [*GRID[:-1], ["0.9", f"0.9{TINY}", "0.1"], GAP]
    assert sloppy(rows) and refusal(rows) == ("wrong_answer", "circle 24 leaves the square")


@pytest.mark.parametrize("radius", ["0", "0.0", "0/7"])
def test_a_circle_has_a_radius(radius: str) -> None:
    assert sloppy([*GRID, ["0.5", "0.5", radius]], slack=0.2)
    assert refusal([*GRID, ["0.2", "0.2", radius]]) == ("wrong_answer", "circle 25 has no radius")


@pytest.mark.parametrize(
    "text",
    ["-0.01", "+0.01", "1e-2", "1E-2", " 0.01", "0.01\n", "0.0_1", "0_0.01", "٠.01", "nan", "NaN", "-0"],  # noqa: RUF001
)
def test_numbers_that_float_takes_and_the_contract_does_not(text: str) -> None:
    assert not math.isnan(float(text)) or text.lower() == "nan"
    assert sloppy([*GRID, ["0.2", "0.2", text]])
    assert refusal([*GRID, ["0.2", "0.2", text]])[0] == "malformed"


@pytest.mark.parametrize(
    "text",
    [".01", "1.", "1/", "/2", "1/2/3", "0.1/2", "1/0.5", "1/-2", "0x1", "1/0", "1" * 41, f"0.{'1' * 41}", "", "one", "inf"],
)
def test_numbers_that_are_none(text: str) -> None:
    assert refusal([*GRID, ["0.2", "0.2", text]])[0] == "malformed"


@pytest.mark.parametrize("value", [0.01, 0, 1, True, None, float("nan"), float("inf"), ["0.01"], {"0": "0.01"}])
def test_json_numbers_are_no_exact_numbers(value: object) -> None:
    assert refusal([*GRID, ["0.2", "0.2", value]])[0] == "malformed"


@pytest.mark.parametrize(
    "rows",
    [
        [*HONEST, ["0.4", "0.4", "0.0414"]],  # a 27th circle is more than was asked for
        HONEST[:-1],
        [],
        {str(i): row for i, row in enumerate(HONEST)},
        [*GRID, [*GAP, "9"]],
        [*GRID, GAP[:2]],
        [*GRID, {"x": "0.2", "y": "0.2", "r": "0.01"}],
        [*GRID, "abc"],
        b"",
        b"null",
        b"[" * 50_000,
        b"\xff\xfe[]",
        json.dumps(HONEST).encode() + b"x",
        json.dumps(HONEST).encode() + json.dumps(HONEST).encode(),
        b"\xef\xbb\xbf" + json.dumps(HONEST).encode(),
        json.dumps(HONEST).encode("utf-16"),
        b'{"0": [], "0": ' + json.dumps(HONEST).encode() + b"}",
        json.dumps(HONEST).encode()[:-1] + b", NaN]",
        json.dumps(HONEST).encode()[:-1] + b", " + b"9" * 50_000 + b"]",
    ],
)
def test_shapes_that_are_no_certificate(rows: Any) -> None:
    assert refusal(rows)[0] == "malformed"


def test_a_long_certificate_is_refused_unread() -> None:
    assert refusal(json.dumps(HONEST).encode() + b" " * (1 << 16))[0] == "over_limit"


def test_as_many_denominators_as_there_can_be_are_quick_enough_to_try() -> None:
    """Coprime denominators of 40 digits: the common one has 3,000 digits."""
    rows = [[f"{10**39 + i}/{10**40 - 1 - 2 * (3 * j + i)}" for i in range(2)] + [f"1/{10**40 - 9 - 2 * j}"] for j in range(26)]
    assert refusal(rows)[0] == "wrong_answer"


# ── the sum is rounded down ──────────────────────────────────────────────────────────────────────

fractions = st.fractions(min_value=Fraction(1, 10**40), max_value=3)


@settings(max_examples=300, deadline=None)
@given(fractions)
def test_the_score_is_never_above_the_sum(total: Fraction) -> None:
    found = RULER.down(total.numerator, total.denominator)
    assert Fraction(found) <= total < Fraction(math.nextafter(found, math.inf))


def test_rounding_to_the_nearest_would_be_above_it() -> None:
    total = Fraction(2.5) - Fraction(1, 10**20)
    assert total.numerator / total.denominator == 2.5 > total, "the fault that is meant"
    assert RULER.down(total.numerator, total.denominator) == math.nextafter(2.5, 0)
    below = [*GRID[:-2], ["0.9", "0.7", "0.0" + "9" * 30], ["0.9", "0.9", "0.06"], ["0.2", "0.2", "0.04"]]
    assert measured(below) == math.nextafter(2.5, 0), "a sum of 2.5 less 1e-31"


# ── floats become certificates ───────────────────────────────────────────────────────────────────


def floats(seed: int, moves: int = 300) -> list[tuple[float, float, float]]:
    """A packing that is right as far as floats can tell: random centres, each radius as large as the others leave it."""
    rng = Random(seed)
    centres = [(rng.uniform(0.01, 0.99), rng.uniform(0.01, 0.99)) for _ in range(26)]
    radii = PACKING.radii(centres)
    for i, (x, y) in enumerate(centres):
        rest = [math.hypot(x - u, y - v) - radii[j] for j, (u, v) in enumerate(centres) if j != i]
        radii[i] = min(x, 1 - x, y, 1 - y, *rest)
    return [(x, y, radius) for (x, y), radius in zip(centres, radii, strict=True)]


def exactly(circles: list[tuple[float, float, float]]) -> Rows:
    """The floats' own values, not one bit changed."""
    return [[f"{Fraction(v).numerator}/{Fraction(v).denominator}" for v in circle] for circle in circles]


def test_floats_as_they_are_overlap_now_and_then_and_their_certificates_never() -> None:
    refused = 0
    for seed in range(30):
        circles = floats(seed)
        try:
            measured(exactly(circles))
        except Rejected:
            refused += 1
        rows = CERTIFICATE.certificate(circles)
        assert math.fsum(r for _, _, r in circles) - measured(rows) < 1e-14
    assert refused > 10, "the floats were exact: nothing is shown"


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.floats(1e-12, 2.0))
def test_whatever_overlaps_is_made_to_fit(seed: int, most: float) -> None:
    rng = Random(seed)
    circles = [(rng.random(), rng.random(), rng.uniform(1e-13, most)) for _ in range(26)]
    try:
        rows = CERTIFICATE.certificate(circles)
    except ValueError:
        return  # a centre at the very border
    assert measured(rows) <= math.fsum(r for _, _, r in circles) + 1e-12


def test_a_record_that_lives_on_slack_is_refused_and_its_exact_form_accepted() -> None:
    """The radii of a right packing, each 4e-7 larger: as much as a checker with 1e-6 of slack lets through."""
    right = floats(7)
    larger = [(x, y, radius + 4e-7) for x, y, radius in right]
    sums = [math.fsum(radius for _, _, radius in circles) for circles in (right, larger)]
    assert sloppy(exactly(larger)) and sums[1] > sums[0] + 1e-5
    assert refusal(exactly(larger))[0] == "wrong_answer"
    assert sums[0] - 1e-6 < measured(CERTIFICATE.certificate(larger)) < sums[1] - 5e-6


def test_without_shrinking_the_helper_would_be_of_no_use() -> None:
    """The fault: a helper that only writes the floats' decimals."""

    def faulty(circles: list[tuple[float, float, float]]) -> Rows:
        return [[CERTIFICATE.decimal(round(Fraction(v) * CERTIFICATE.ONE)) for v in circle] for circle in circles]

    refused = 0
    for seed in range(30):
        try:
            measured(faulty(floats(seed)))
        except Rejected:
            refused += 1
    assert refused > 10


@pytest.mark.parametrize(
    "circle", [(0.5, 0.5, 0.0), (1.5, 0.5, 0.1), (0.5, -0.5, 0.1), (0.0, 0.5, 0.1), (0.5, 0.5, float("nan"))]
)
def test_circles_of_which_nothing_is_left_are_named(circle: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError):
        CERTIFICATE.certificate([(0.2, 0.2, 0.1), circle])
    with pytest.raises(ValueError, match="no radius is left"):
        CERTIFICATE.certificate([(0.2, 0.2, 0.1), (0.2, 0.2, 0.1)])


# ── the bound ────────────────────────────────────────────────────────────────────────────────────


def test_the_impossible_score_is_above_the_proved_bound_and_that_above_what_is_known() -> None:
    metric = problem.load(FOLDER).metric
    assert metric.impossible is not None and RULER.bound(26) < metric.impossible < math.sqrt(26 / math.pi)
    assert max(score for _, score in metric.reference) < RULER.bound(26)


def test_the_bound_holds_where_the_answer_is_known() -> None:
    """One circle: 1/2. Two: 2 - sqrt(2) in opposite corners. k * k equal ones: k/2 at least."""
    assert RULER.bound(1) == pytest.approx(0.5)
    assert RULER.bound(2) > 2 - math.sqrt(2)
    assert all(RULER.bound(k * k) > k / 2 for k in range(2, 60))


def test_the_steps_of_its_proof() -> None:
    def g(sides: float) -> float:
        return 1 / (sides * math.tan(math.pi / sides))

    steps = [3 + i / 100 for i in range(500)]
    assert all(2 * g(k) > g(k - 0.01) + g(k + 0.01) for k in steps), "concave"
    assert all(g(k + 0.01) > g(k) for k in steps), "growing"
    assert 26 * g(6 - 2 / 26) == pytest.approx(RULER.bound(26) ** 2)


# ── the folder ───────────────────────────────────────────────────────────────────────────────────


def produce(folder: Path) -> bytes:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as source:
        child = subprocess.Popen(
            [sys.executable, "-B", "produce.py"], cwd=folder, env={"KF_ARTEFACT_FD": str(write)}, pass_fds=[write]
        )
        os.close(write)
        data = source.read()
    assert child.wait() == 0
    return data


def test_the_seed_is_built_as_its_judge_builds_it(tmp_path: Path) -> None:
    seed = shutil.copytree(FOLDER / "seed", tmp_path / "seed", ignore=shutil.ignore_patterns("__pycache__"))
    assert 2.0 < measured(produce(seed)) < 2.3, "a naive start"
    said = subprocess.run([sys.executable, "-B", "produce.py"], cwd=seed, capture_output=True, text=True, check=True)
    assert float(said.stdout) == pytest.approx(measured(produce(seed)), abs=1e-15)


def test_verdicts(tmp_path: Path) -> None:
    """Through the judge and its jail: the seed, and a program that writes a certificate of its own."""
    try:
        found = jail.find()
    except BadInput as error:
        pytest.skip(f"no jail works here: {error}")
    judge = Judge(problem.load(FOLDER), found, scratch=tmp_path)
    try:
        assert judge.screen(judge.problem.seed).verdict == "accepted"
        assert judge.confirm(judge.problem.seed).verdict == "accepted"
        rows = [*GRID, ["0.2", "0.2", "0.04142136"]]
        forger = f"import json, os\nos.write(int(os.environ['KF_ARTEFACT_FD']), {json.dumps(rows).encode()!r})\nos._exit(0)\n"
        forged = judge.screen({"packing.py": forger.encode()})
        assert (forged.verdict, forged.reason_code) == ("rejected", "wrong_answer")
        honest = judge.screen({"packing.py": forger.replace("0.04142136", "0.04142135").encode()})
        assert (honest.verdict, honest.score) == ("accepted", pytest.approx(2.54142135))
    finally:
        judge.close()


def test_no_text_for_agents_names_a_family_of_ideas() -> None:
    words = ["anneal", "gradient", "hexagon", "linear program", "newton", "voronoi", "basin", "greedy", "symmetr", "genetic"]
    no_hints(FOLDER, words, "start from a hexagonal grid")
