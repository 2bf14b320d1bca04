"""The cheat gallery: each case stands before the seed's own file. Every answer is a rejection or the honest score."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kernelfactory import problem
from kernelfactory.jail import Jail
from kernelfactory.judge import Judge

TESTS = Path(__file__).parent.parent
CASES = sorted((TESTS / "cheats").glob("*.py"))
CORPUS = TESTS.parent.parent / "shared" / "cheats"
SECONDS = 1.5
ANSWER = re.compile(r"^# JUDGE MUST ANSWER: (.*)$", re.MULTILINE)


def limited(folder: Path, seconds: float = SECONDS, memory: int = 512 << 20) -> problem.Problem:
    """A problem whose builds end soon."""
    loaded = problem.load(folder)
    assert loaded.produce is not None
    return replace(loaded, produce=replace(loaded.produce, seconds=seconds, memory=memory))


CELLS = [pytest.param("bubblewrap"), pytest.param("landlock", marks=pytest.mark.soak)]


@pytest.fixture(scope="module", params=CELLS)
def cell(request: pytest.FixtureRequest, cell_named: Callable[[str], Jail]) -> Jail:
    return cell_named(request.param)


@pytest.fixture(scope="module")
def network(cell: Jail, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    os.environ["KF_TEST_SECRET"] = "hidden"
    with Judge(limited(TESTS / "problems/tiny_network"), cell, scratch=tmp_path_factory.mktemp("cheats")) as judge:
        yield judge
    del os.environ["KF_TEST_SECRET"]


def left_over(judge: Judge, seconds: float = 2.0) -> set[str]:
    """Command lines that still speak of this judge's scratch folder, after `seconds` for the kernel to clear away."""
    until = time.monotonic() + seconds
    while (found := processes(judge)) and time.monotonic() < until:
        time.sleep(0.02)
    return found


def processes(judge: Judge) -> set[str]:
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                line = Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(judge.scratch) in line:
                found.add(line.decode(errors="replace"))
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_cheat_gains_nothing(network: Judge, case: Path) -> None:
    text = case.read_text()
    (expected,) = ANSWER.findall(text)
    seed = network.problem.seed["network.py"]
    for _ in range(3):
        started = time.monotonic()
        verdict = network.screen({"network.py": text.encode() + b"\n" + seed})
        assert time.monotonic() - started < SECONDS + 5
        if verdict.reason_code != "timeout" or "HONEST" not in expected:
            break  # a busy machine can make an honest build late; it is judged again, as the judge itself does
    if verdict.verdict == "accepted":
        assert "HONEST" in expected and verdict.score == 6, expected
    else:
        assert verdict.verdict == "rejected" and "REJECT" in expected, (verdict.reason_code, verdict.instruments)
        assert expected.split()[-1] in ("REJECT", verdict.reason_code)
    assert left_over(network) == set()


def test_what_a_cheat_leaves_is_gone_in_the_next_run(network: Judge) -> None:
    text = (TESTS / "cheats/n19_persistence.py").read_bytes() + b"\n" + network.problem.seed["network.py"]
    assert [network.screen({"network.py": text}).score for _ in range(2)] == [6, 6]


def test_hidden_source_is_flagged_and_still_accepted(network: Judge) -> None:
    text = (TESTS / "cheats/n25_hidden_source.py").read_bytes() + b"\n" + network.problem.seed["network.py"]
    verdict = network.screen({"network.py": text})
    assert verdict.verdict == "accepted"
    assert {"hidden code", "look-alike letters"} <= {flag.rule for flag in verdict.flags}


def test_the_gallery_can_fail(jail: Jail, tmp_path: Path) -> None:
    """The injected fault: a ruler that believes a forged verdict is caught by the same case."""
    import shutil

    shutil.copytree(TESTS / "problems/tiny_network", tmp_path / "naive")
    (tmp_path / "naive/judge/ruler.py").write_text(
        "import json\nfrom kernelfactory.model import Measured\n"
        "def measure(artefact, rng, inputs):\n"
        "    said = json.loads(artefact)\n"
        "    return Measured(said['score'] + 4 if isinstance(said, dict) else len(said))\n"
    )
    with Judge(limited(tmp_path / "naive"), jail, scratch=tmp_path) as judge, pytest.raises(AssertionError):
        test_a_cheat_gains_nothing(judge, TESTS / "cheats/n04_forged_verdict.py")


# ── the shared corpus: drop-in files for vliw_tree ───────────────────────────────────────────────


def corpus() -> list[Path]:
    return sorted([*CORPUS.glob("*.py"), *CORPUS.glob("adaptive/*.py")]) if CORPUS.is_dir() else []


@pytest.fixture(scope="module")
def vliw(cell: Jail, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    of = limited(problem.find("vliw_tree"), 2 * SECONDS, 2 << 30)
    with Judge(of, cell, scratch=tmp_path_factory.mktemp("corpus")) as judge:
        yield judge


@pytest.mark.skipif(not corpus(), reason="no ../shared/cheats beside this checkout")
@pytest.mark.parametrize("case", corpus(), ids=lambda case: case.stem)
def test_the_corpus_gains_nothing(vliw: Judge, case: Path) -> None:
    text = case.read_text()
    (expected,) = re.findall(r"^# JUDGE MUST ANSWER: (.*(?:\n#  .*)*)$", text, re.MULTILINE)
    verdict = vliw.screen({"perf_takehome.py": text.encode()})
    if verdict.verdict == "accepted":
        assert str(int(verdict.score or 0)) in re.findall(r"\d+", expected.replace(",", "")), (verdict.score, expected)
    else:
        assert verdict.verdict == "rejected" and "REJECT" in expected, (verdict, expected)
    assert left_over(vliw) == set()
