"""The take-home's problem, made from a clone: a synthetic one, of the shipped naive kernel and tests of our own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kernelfactory import jail, problem, workers
from kernelfactory.experiment import Settings
from kernelfactory.judge import Judge
from kernelfactory.model import BadInput
from kernelfactory.presets import takehome, write

NAIVE = problem.SHIPPED / "vliw_tree" / "seed"
SUITE = """import os
import random
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

from frozen_problem import Input, Machine, Tree, build_mem_image, reference_kernel2
from perf_takehome import KernelBuilder

SIZE = (6, 32, 6)


class Kernel(unittest.TestCase):
    def test_the_answer(self):
        height, batch, rounds = SIZE
        forest = Tree.generate(height)
        mem = build_mem_image(forest, Input.generate(forest, batch, rounds))
        builder = KernelBuilder()
        builder.build_kernel(height, len(forest.values), batch, rounds)
        machine = Machine(mem, builder.instrs, builder.debug_info())
        machine.enable_pause = machine.enable_debug = False
        machine.run()
        for expected in reference_kernel2(mem):
            pass
        start = expected[6]
        self.assertEqual(machine.mem[start : start + batch], expected[start : start + batch])
        print("cycles:", machine.cycle)


if __name__ == "__main__":
    unittest.main()
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    made = tmp_path / "clone"
    (made / "tests").mkdir(parents=True)
    for name in ("perf_takehome.py", "problem.py"):
        shutil.copy(NAIVE / name, made)
    shutil.copy(NAIVE / "problem.py", made / "tests/frozen_problem.py")
    (made / "tests/submission_tests.py").write_text(SUITE)
    (made / "readme.md").write_text("not copied\n")
    (made / ".git").mkdir()
    (made / ".git/config").write_text("[core]\n\tfsmonitor = /bin/false\n")
    return made


@pytest.fixture
def made(clone: Path, tmp_path: Path) -> Path:
    """The problem's folder."""
    write(tmp_path / "mine", takehome.takehome(clone, "mine"))
    return tmp_path / "mine"


def kernel(text: str = "") -> dict[str, bytes]:
    """The naive kernel, with something before it."""
    return {"perf_takehome.py": text.encode() + (NAIVE / "perf_takehome.py").read_bytes()}


def test_the_clones_files_our_ruler(made: Path, clone: Path, tmp_path: Path) -> None:
    found, shipped = problem.load(made), problem.load(problem.SHIPPED / "vliw_tree")
    assert found.private and not found.web and found.name == "mine"
    assert (found.metric, found.measure, found.produce, found.axes) == (
        shipped.metric, shipped.measure, shipped.produce, shipped.axes,
    )  # fmt: skip
    assert (made / "judge/ruler.py").read_bytes() == (problem.SHIPPED / "vliw_tree/judge/ruler.py").read_bytes()
    names = {str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()}
    assert names == {
        "problem.toml", "task.md", "judge/ruler.py", "judge/clone_tests/submission_tests.py",
        "judge/clone_tests/frozen_problem.py", "seed/perf_takehome.py", "seed/problem.py", "seed/produce.py",
        "seed/tools/try_kernel.py",
    }  # fmt: skip
    with Judge(found, jail.find(), scratch=tmp_path) as judge:
        verdict = judge.screen(kernel())
    assert (verdict.verdict, verdict.score) == ("accepted", 147_734)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("perf_takehome.py", None, "holds no perf_takehome.py"),
        ("tests/submission_tests.py", None, "holds no tests/submission_tests.py"),
        ("perf_takehome.py", "class KernelBuilder:\n    pass\n", "no class KernelBuilder with build_kernel"),
        ("perf_takehome.py", "class KernelBuilder:\n    def build_kernel(self, a): ...\n", "no class KernelBuilder"),
        ("perf_takehome.py", "def (", "no class KernelBuilder"),
        ("problem.py", "Machine = 1\n", "defines no HASH_STAGES, SLOT_LIMITS, Tree"),
    ],
)
def test_what_is_no_clone(clone: Path, name: str, text: str | None, said: str) -> None:
    (clone / name).unlink()
    if text is not None:
        (clone / name).write_text(text)
    with pytest.raises(BadInput, match=said):
        takehome.takehome(clone, "x")


def test_links_in_a_clone_are_not_followed(clone: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such folder"):
        takehome.takehome(tmp_path / "nowhere", "x")
    (clone / "perf_takehome.py").unlink()
    (clone / "perf_takehome.py").symlink_to(NAIVE / "perf_takehome.py")
    with pytest.raises(BadInput, match="symbolic link"):
        takehome.takehome(clone, "x")


# ── the clone's own tests ────────────────────────────────────────────────────────────────────────


def test_the_clones_tests_run_as_they_are(made: Path) -> None:
    assert takehome.has_tests(made) and not takehome.has_tests(problem.SHIPPED / "vliw_tree")
    said = takehome.final(made, kernel(), jail.find())
    assert (said.status, said.cut) == (0, None)
    assert "cycles: 6966" in said.words and "OK" in said.words
    broken = kernel()["perf_takehome.py"].replace(b'"^", value, value, node', b'"|", value, value, node')
    assert takehome.final(made, {"perf_takehome.py": broken}, jail.find()).status == 1
    assert takehome.final(made, {}, jail.find()).status == 1


def test_a_hostile_program_gets_no_further_than_its_own_words(made: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    text = f"""
import os, sys
for path in ({str(canary)!r}, "/clone/x", "/clone/tests/frozen_problem.py"):
    try:
        open(path, "w").write("x")
        print("WROTE", path)
    except OSError:
        pass
print("\\x1b[2J all", len(os.listdir("/clone")), "ok")
sys.stdout.flush()
os._exit(0)
"""
    said = takehome.final(made, kernel(text), jail.find())
    assert (said.status, said.cut) == (0, None), "it can say what it likes: that is why it is called self-reported"
    assert "WROTE" not in said.words and "all 3 ok" in said.words and not canary.exists()
    flood = takehome.final(made, kernel("while True: print('x' * 65536)\n"), jail.find())
    assert flood.status is None and flood.cut == "ended: it printed too much"
    assert takehome.final(made, kernel("import sys; sys.exit(7)\n"), jail.find()).status == 7


def test_kf_best_offers_and_runs_them(made: Path, tmp_path: Path) -> None:
    import json
    import os
    import subprocess
    import sys

    workers.make(tmp_path / "x", problem.load(made), Settings(), unprotected=False)

    def kf(*words: str) -> subprocess.CompletedProcess[str]:
        argv, env = [sys.executable, "-m", "kernelfactory", *words], {**os.environ, "KF_STATE": str(tmp_path / "state")}
        return subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    offered = kf("best", "x")
    assert offered.returncode == 1, "nothing beats the seed"
    assert "147,734 cycles (the seed)" in offered.stdout and "best x --final" in offered.stdout
    ran = kf("best", "x", "--final")
    assert ran.returncode == 1, "what the tests say changes no exit code"
    assert "SELF-REPORTED: the clone's own tests said (exit status 0, " in ran.stdout
    assert ran.stdout.splitlines()[0] == "147,734 cycles (the seed)"
    told = json.loads(kf("best", "x", "--final", "--json").stdout)
    assert (told["score"], told["trust"]) == (147_734, "judged")
    assert (told["final"]["trust"], told["final"]["status"]) == ("self-reported", 0)
    shutil.rmtree(tmp_path / "x/problem/judge/clone_tests")
    refused = kf("best", "x", "--final")
    assert (refused.returncode, refused.stdout) == (2, "") and "keeps no clone's tests" in refused.stderr
