"""Is a problem sound: the tiny ones are; each defect put into one is found by the check that is there for it."""

from __future__ import annotations

from typing import Any

import pytest

from kernelfactory.judge.check import check_problem
from kernelfactory.model import Problem

HEAD = "from kernelfactory.model import Measured, Rejected\nimport os, time, random, json\n"


def failing(problem: Problem, jail: Any) -> set[str]:
    checks = check_problem(problem, jail)
    assert all(check.detail and "\n" not in check.detail for check in checks)
    return {check.name for check in checks if not check.ok}


@pytest.mark.parametrize("name", ["tiny_number", "tiny_network"])
def test_the_tiny_problems_are_sound(make_problem: Any, jail: Any, name: str) -> None:
    assert failing(make_problem(name), jail) == set()


DEFECTS = [
    ("def measure(a, rng, n):\n    raise Rejected('malformed', 'no')", "the seed is valid"),
    ("def measure(a, rng, n):\n    return Measured(rng.random())", "its verdict repeats"),
    ("def measure(a, rng, n):\n    return Measured(1 / (n - 4))", "the confirmation accepts it"),
    (
        "IDENTITY = str(time.time())\ndef measure(a, r, n):\n    return Measured(5)",
        "the ruler is the same in another process",
    ),
    ("def measure(a, rng, n):\n    return Measured(5)", "junk in the editable files is rejected"),
    ("def measure(a, rng, n):\n    return Measured(len(a) * 1.5)", "junk artefacts gain nothing"),
    ("def measure(a, rng, n):\n    json.loads(a)\n    return Measured(5)", "junk artefacts gain nothing"),
    ("raise ValueError('x')", "the ruler loads"),
]


@pytest.mark.parametrize(("text", "name"), DEFECTS, ids=[name for _, name in DEFECTS])
def test_a_defect_is_found(make_problem: Any, jail: Any, text: str, name: str) -> None:
    assert name in failing(make_problem(ruler=HEAD + text), jail)


def test_a_produce_that_ignores_the_candidate_is_found(make_problem: Any, jail: Any, tmp_path: Any) -> None:
    problem = make_problem("tiny_network", toml=(("seconds = 5", "seconds = 2"),))
    fixed = b"import os\nos.write(int(os.environ['KF_ARTEFACT_FD']), b'[[0,1],[1,2],[2,3],[0,1],[1,2],[0,1]]')\n"
    from dataclasses import replace

    changed = replace(problem, seed={**problem.seed, "produce.py": fixed})
    assert {"empty files are rejected", "missing files are rejected"} <= failing(changed, jail)
