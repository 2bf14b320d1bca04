"""The seed of vliw_tree: what agents start from, run as a user would run it, in its own interpreter."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

import kernelfactory

FOLDER = Path(kernelfactory.__file__).parent / "problems" / "vliw_tree"
SEED = FOLDER / "seed"

# Cycles of the naive kernel by size, as counted by the public take-home's machine.
GOLDEN = Path(__file__).parent.parent / "golden/vliw/workload/naive_cycles.json"
SIZES = [((s["height"], s["rounds"], s["batch"]), s["cycles"]) for s in json.loads(GOLDEN.read_text())["sizes"]]

RUN = """
import json, sys
sys.path.insert(0, "tools")
from try_kernel import run
print(json.dumps([run(*size) for size in json.loads(sys.argv[1])]))
"""


def python(folder: Path, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    env = {"PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ.get("PATH", "")}
    return subprocess.run([sys.executable, *argv], cwd=folder, env=env, capture_output=True, text=True, check=check)


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SEED, tmp_path / "seed", ignore=shutil.ignore_patterns("__pycache__")))


def produce(folder: Path, *argv: str) -> list[dict[str, list[list[object]]]]:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as source:
        child = subprocess.Popen(
            [sys.executable, "-B", "produce.py", *argv],
            cwd=folder, env={"KF_ARTEFACT_FD": str(write)}, pass_fds=[write],
        )
        os.close(write)
        text = source.read()
    assert child.wait() == 0
    program = json.loads(text)
    assert isinstance(program, list)
    return program


def test_the_naive_kernel_costs_what_it_costs_elsewhere_and_answers_right(seed: Path) -> None:
    assert dict(SIZES)[10, 16, 256] == 147_734
    found = json.loads(python(seed, "-c", RUN, json.dumps([size for size, _ in SIZES])).stdout)
    assert [(cycles, right) for cycles, right, _ in found] == [(cycles, True) for _, cycles in SIZES]


def test_a_broken_kernel_is_seen_as_wrong(seed: Path) -> None:
    kernel = seed / "perf_takehome.py"
    kernel.write_text(kernel.read_text().replace('"^", value, value, node', '"|", value, value, node'))
    ((_, right, _),) = json.loads(python(seed, "-c", RUN, "[[4, 6, 10]]").stdout)
    assert right is False
    assert python(seed, "tools/try_kernel.py", check=False).returncode == 1


def test_composition_of_the_produced_program(seed: Path) -> None:
    program = produce(seed)
    assert len(program) == 147_734
    assert all(len(bundle) == 1 and len(next(iter(bundle.values()))) == 1 for bundle in program)
    slots = Counter(engine for bundle in program for engine in bundle)
    assert slots == {"alu": 118_784, "load": 12_564, "flow": 8_194, "store": 8_192}
    engines = [next(iter(bundle)) for bundle in program]
    assert engines[:18] == ["load"] * 17 + ["flow"]
    assert engines[18:277] == ["load"] * 259
    assert engines[-1] == "flow"
    assert Counter(engines[277:313]) == {"alu": 29, "load": 3, "flow": 2, "store": 2}


def test_quick_is_the_small_size(seed: Path) -> None:
    assert len(produce(seed, "--quick")) == 6966


def test_the_tool_prints_cycles_and_slots(seed: Path) -> None:
    out = python(seed, "tools/try_kernel.py", "--trace").stdout
    assert "6966 cycles, right answer" in out
    assert "386 slots" in out
    assert len(json.loads((seed / "trace.json").read_text())) == 6966


PUBLIC = """
import json
import problem as p
from problem import (CoreState, DebugInfo, HASH_STAGES, Input, Machine, N_CORES, SCRATCH_SIZE, SLOT_LIMITS, Tree, VLEN,
                     build_mem_image, reference_kernel, reference_kernel2)
forest = Tree.generate(3)
inp = Input.generate(forest, 5, 6)
mem = build_mem_image(forest, inp)
from perf_takehome import KernelBuilder
kb = KernelBuilder()
kb.build_kernel(forest.height, len(forest.values), len(inp.indices), inp.rounds)
trace = {}
machine = Machine(mem, kb.instrs, kb.debug_info(), n_cores=N_CORES, value_trace=trace, trace=False)
steps = []
for expected in reference_kernel2(mem, trace):
    machine.run()
    steps.append((machine.cores[0].state.name, machine.mem == expected))
reference_kernel(forest, inp)
checks = Machine(mem, [{"debug": [("compare", 0, (0, 0, "val")), ("comment", "x")]}], DebugInfo(scratch_map={}), value_trace=trace)
try:
    checks.run()
    noticed = False
except AssertionError:
    noticed = True
print(json.dumps([steps, inp.values == mem[-5:], inp.indices == mem[-10:-5], len(trace), noticed, len(HASH_STAGES), [VLEN, N_CORES, SCRATCH_SIZE],
                  p.myhash(0), p.myhash(1)]))
"""


def test_public_names_and_call_conventions(seed: Path) -> None:
    found = json.loads(python(seed, "-c", PUBLIC).stdout)
    steps, values, indices, traced, noticed, stages, sizes, zero, one = found
    assert steps == [["PAUSED", True], ["PAUSED", True]]
    assert (values, indices, noticed) == (True, True, True)
    assert traced == 5 * 6 * 12
    assert (stages, sizes) == (6, [8, 1, 1536])
    assert (zero, one) == (0x6B4ED927, 0xB48681B6)


MACHINE = """
import json, sys
from problem import DebugInfo, Machine
out = []
for program, memory in json.loads(sys.argv[1]):
    machine = Machine(memory, program, DebugInfo())
    machine.enable_pause = machine.enable_debug = False
    try:
        machine.run()
        out.append([machine.cycle, machine.mem])
    except Exception as error:
        out.append(type(error).__name__)
print(json.dumps(out))
"""


def test_the_convenience_machine_keeps_to_the_rules(seed: Path) -> None:
    def words(*values: int) -> list[dict[str, list[list[object]]]]:
        return [{"load": [["const", address, value]]} for address, value in enumerate(values)]

    cases: list[tuple[list[dict[str, list[list[object]]]], object]] = [
        ([{}, {"debug": [["anything"]]}, {"alu": []}], [1, [0, 0]]),
        # a load beside a store of its address gets the old word; the last write wins
        ([*words(0, 7, 9), {"store": [["store", 0, 1], ["store", 0, 2]]}, {"store": [["store", 0, 0]], "load": [["load", 0, 0]]}], [5, [0, 0]]),
        # two slots swap two cells
        ([*words(0, 1), {"alu": [["+", 0, 1, 2], ["+", 1, 0, 2]]}, {"store": [["store", 0, 0], ["store", 1, 1]]}], [4, [0, 1]]),
        ([*words(5, 32, 0), {"alu": [["<<", 3, 0, 1], [">>", 4, 0, 1], ["-", 5, 2, 0], ["cdiv", 6, 0, 0]]},
          {"store": [["store", 2, 5], ["store", 6, 3]]}], [5, [2**32 - 5, 0]]),
        ([{"alu": [["+", 0, 1, 2]] * 13}], "AssertionError"),
        ([{"alu": [["//", 0, 1, 2]]}], "ZeroDivisionError"),
        ([{"fpu": []}], "KeyError"),
        ([{"flow": [["nop"]]}], "NotImplementedError"),
        ([{"alu": [["+", 0, 1]]}], "TypeError"),
        ([{"load": [["const", 1536, 1]]}], "IndexError"),
        ([*words(3), {"flow": [["cond_jump_rel", 0, 1]]}, {"flow": [["halt"]]}, {"flow": [["add_imm", 0, 0, -3]]}, {"store": [["store", 0, 0]]},
          {"flow": [["jump", 9]]}], [5, [0, 0]]),
    ]
    sent = json.dumps([(program, [0, 0]) for program, _ in cases])
    assert json.loads(python(seed, "-c", MACHINE, sent).stdout) == [expected for _, expected in cases]


def test_problem_toml_says_what_the_contract_says() -> None:
    data = tomllib.loads((FOLDER / "problem.toml").read_text())
    assert (data["name"], data["kind"], data["solutions"], data["web"]) == ("vliw_tree", "artefact", "private", False)
    assert data["editable"] == ["perf_takehome.py"]
    assert min(data["metric"]["reference"].values()) == 1363
    assert max(data["metric"]["reference"].values()) == 147_734
    assert data["produce"]["command"] == ["python", "produce.py"]
    assert (data["measure"]["screen"], data["measure"]["confirm"]) == (8, 64)


def test_no_text_for_agents_names_a_family_of_ideas() -> None:
    """Neither to do nor to avoid: an example biases whoever reads it."""
    words = ["unroll", "vectori", "pipelin", "interleav", "schedul", "hoist", "prefetch", "gather", "fuse", "packing", "in parallel", "reuse"]
    for path in [FOLDER / "task.md", *SEED.rglob("*.py")]:
        text = path.read_text().lower()
        assert [word for word in words if word in text] == [], path.name
    assert [word for word in words if word in "you could unroll the loop"] == ["unroll"]
