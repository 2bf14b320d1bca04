"""page_cache, the command among the shipped problems: its figures are counted here, and what its word is worth."""

from __future__ import annotations

import itertools
import random
import runpy
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from kernelfactory import jail, problem
from kernelfactory.judge import Judge
from kernelfactory.model import BadInput

FOLDER = problem.find("page_cache")
TRACES = runpy.run_path(str(FOLDER / "judge/traces.py"))
SLOTS = TRACES["SLOTS"]


def pages() -> list[list[int]]:
    return [TRACES["trace"](random.Random(seed)) for seed in TRACES["SEEDS"]]


def oldest(trace: list[int], *, used: bool) -> int:
    """Misses of who drops the page that came in first, or (`used`) that was used least lately."""
    cached: OrderedDict[int, None] = OrderedDict()
    misses = 0
    for page in trace:
        if page in cached:
            if used:
                cached.move_to_end(page)
            continue
        misses += 1
        if len(cached) == SLOTS:
            cached.popitem(last=False)
        cached[page] = None
    return misses


def fewest(trace: tuple[int, ...], slots: int, cached: frozenset[int] = frozenset()) -> int:
    """The fewest misses there can be, by trying everything."""
    for at, page in enumerate(trace):
        if page not in cached:
            rest = trace[at + 1 :]
            if len(cached) < slots:
                return 1 + fewest(rest, slots, cached | {page})
            return 1 + min(fewest(rest, slots, cached - {victim} | {page}) for victim in cached)
    return 0


def test_the_references_are_what_is_counted() -> None:
    metric = problem.load(FOLDER).metric
    counted = {
        "first in, first out": sum(oldest(trace, used=False) for trace in pages()),
        "least recently used": sum(oldest(trace, used=True) for trace in pages()),
        "knows the future (Belady 1966)": sum(TRACES["optimum"](trace, SLOTS) for trace in pages()),
    }
    assert dict(metric.reference) == counted
    assert metric.impossible == counted["knows the future (Belady 1966)"]


def test_the_optimum_is_the_optimum() -> None:
    rng = random.Random(1)
    for _, slots in itertools.product(range(40), (2, 3)):
        trace = tuple(rng.choices(range(5), k=11))
        assert TRACES["optimum"](list(trace), slots) == fewest(trace, slots)
    assert TRACES["optimum"]([1, 2, 3, 1, 2, 3], 1) == 6  # and it can be wrong: with room there are fewer
    assert TRACES["optimum"]([1, 2, 3, 1, 2, 3], 3) == 3


@pytest.fixture
def judge(tmp_path: Path) -> Any:
    try:
        cell = jail.find()
    except BadInput as error:
        pytest.skip(f"no jail works here: {error}")
    with Judge(problem.load(FOLDER), cell, scratch=tmp_path) as made:
        yield made


LEAST_RECENTLY = b"""
class Policy:
    def __init__(self, slots): self.order = {}
    def asked(self, page):
        self.order.pop(page, None)
        self.order[page] = 1
    def drop(self, page):
        victim = next(iter(self.order))
        del self.order[victim]
        return victim
"""


def test_a_policy_is_worth_what_is_counted(judge: Judge) -> None:
    seed = judge.screen(judge.problem.seed)
    assert (seed.verdict, seed.score, seed.trust) == ("accepted", 3836, "self-reported")
    lately = judge.confirm({"policy.py": LEAST_RECENTLY})
    assert (lately.score, lately.confirmed) == (dict(judge.problem.metric.reference)["least recently used"], True)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (LEAST_RECENTLY.replace(b"return victim", b"return 7"), "wrong_answer"),
        (LEAST_RECENTLY.replace(b"return victim", b"return None"), "wrong_answer"),
        (LEAST_RECENTLY.replace(b"return victim", b"return victim.x"), "crashed"),
        (b"1/0", "crashed"),
        (b"class Policy: pass", "crashed"),
        (LEAST_RECENTLY + b"print('7')\n", None),
    ],
)
def test_a_policy_that_drops_what_is_not_there_has_no_score(judge: Judge, text: bytes, code: str | None) -> None:
    assert judge.screen({"policy.py": text}).reason_code == code


FORESEEING = b"""
import os, random, runpy

def found():
    for top, folders, files in os.walk("/"):
        folders[:] = [name for name in folders if name not in ("usr", "proc", "dev", "sys")]
        if "traces.py" in files:
            return runpy.run_path(os.path.join(top, "traces.py"))

class Policy:
    def __init__(self, slots):
        known = found()
        self.futures = [known["trace"](random.Random(seed)) for seed in known["SEEDS"]]
        self.at, self.cached = 0, set()
    def asked(self, page):
        self.futures = [pages for pages in self.futures if pages[self.at] == page]
        self.at += 1
        self.cached.add(page)
    def drop(self, page):
        rest = self.futures[0][self.at:]
        victim = max(self.cached, key=lambda page: rest.index(page) if page in rest else 1e9)
        self.cached.remove(victim)
        return victim
"""


def test_why_the_word_is_self_reported(judge: Judge) -> None:
    """A policy that reads the evaluator's files plays on with all of the future known. Nothing in a command stops that:
    its level says so, and that score is one of those that wait for a person."""
    verdict = judge.screen({"policy.py": FORESEEING})
    assert (verdict.verdict, verdict.score, verdict.trust) == ("quarantined", 2798, "self-reported")


def test_the_desk_counts_the_same_way(tmp_path: Path) -> None:
    problem_files = problem.load(FOLDER).seed
    for name, data in problem_files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "policy.py").write_bytes(LEAST_RECENTLY)
    said = subprocess.run(
        [sys.executable, "-B", "try_policy.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    sample = [int(word) for word in (tmp_path / "sample.txt").read_text().split()]
    assert said.stdout == f"{oldest(sample, used=True)} misses on the sample\n"
    assert not any(sample[:50] == trace[:50] for trace in pages())
