"""Injected faults: a judge with one thing wrong, run over the case that it gives way to. The gallery must fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import kernelfactory

TESTS = Path(__file__).parent.parent
GALLERY = Path(__file__).with_name("test_cheats_of_every_kind.py")
PACKAGE = Path(kernelfactory.__file__).parent


@dataclass(frozen=True)
class Fault:
    """In a copy of the package, `old` in `file` becomes `new`."""

    says: str
    file: str
    old: str
    new: str
    case: str
    soak: bool = True


FAULTS = [
    Fault("NaN is a number", "inside/kfworker.py", "parse_constant=_refuse, ", "", "near-r02_raw_nan", soak=False),
    Fault("1e999 is a number", "inside/kfworker.py", "parse_float=_number, ", "", "near-r03_infinities"),
    Fault(
        "bytes come as often as one likes",
        "inside/kfworker.py",
        "start != self._given",
        "start < 0",
        "calls-k16_overlapping_slices",
    ),
    Fault(
        "what stays in the worker is an answer",
        "calls.py",
        "if isinstance(answer, Kept):",
        "if not answer:",
        "near-r07_foreign_handle",
    ),
    Fault(
        "the reason is the program's",
        "calls.py",
        'error if error in _ERRORS else "an exception"',
        "error",
        "calls-k26_word_of_its_own",
        soak=False,
    ),
    Fault("a greeting of any length", "worker.py", ", GREETING_BYTES)", ")", "near-r04_long_greeting", soak=True),
    Fault(
        "as many processes as it likes",
        "worker.py",
        "alone=alone,",
        "alone=False,",
        "calls-k45_forks",
        soak=False,
    ),
    Fault("waiting is free", "worker.py", "return 4 * long > 3 * len(mine)", "return False", "timed-t03_waits"),
    Fault(
        "its worker lives on",
        "worker.py",
        "            child.kill()",
        "            pass",
        "calls-c08_better",
        soak=False,
    ),
    Fault("its folder stays", "produce.py", "shutil.rmtree(folder,", "list((folder,))  # (", "calls-c08_better"),
    Fault(
        "every file is taken",
        "produce.py",
        " if is_editable(name, problem.editable)}}",
        "}}",
        "calls-k52_shadow_modules",
    ),
    Fault("one key twice", "evaluating.py", "object_pairs_hook=_once, ", "", "loose-l08_duplicate_keys"),
    Fault(
        "any status is well",
        "evaluating.py",
        "if ended.returncode != 0:",
        "if ended.returncode > 99:",
        "loose-l05_status",
    ),
    Fault(
        "a program's word is a verdict",
        "__init__.py",
        '"self-reported" if problem.kind == "command" else jail.trust',
        "jail.trust",
        "loose-l01_own_score",
        soak=False,
    ),
    Fault(
        "who does not answer has a score",
        "ruling.py",
        "return workers.failed if measure.evaluator else found",
        "return found",
        "shim-s06_never",
    ),
]


def shot(package: Path, case: str) -> subprocess.CompletedProcess[str]:
    """The gallery's answer to one case, judged by this package."""
    node = f"{GALLERY}::test_a_case_has_its_answer_and_leaves_nothing[{case}-bubblewrap]"
    words = ["-p", "no:cacheprovider", "-p", "no:xdist", "-q", "-rs", f"--rootdir={TESTS.parent}", node]
    env = {**os.environ, "PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [sys.executable, "-m", "pytest", *words]
    return subprocess.run(argv, check=False, env=env, cwd=package.parent, capture_output=True, text=True, timeout=300)


def copied(folder: Path) -> Path:
    package = folder / "kernelfactory"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


@pytest.mark.parametrize(
    "fault", [pytest.param(f, id=f.says, marks=[pytest.mark.soak] if f.soak else []) for f in FAULTS]
)
def test_the_gallery_fails_where_the_judge_does(tmp_path: Path, fault: Fault) -> None:
    package = copied(tmp_path)
    file = package / "judge" / fault.file
    text = file.read_text()
    assert text.count(fault.old) == 1, f"{fault.file} no longer holds {fault.old!r}: inject this fault in another way"
    file.write_text(text.replace(fault.old, fault.new))
    done = shot(package, fault.case)
    if "SKIPPED" in done.stdout:
        pytest.skip("no jail works here")
    assert done.returncode == 1, f"the gallery passes: {done.stdout[-2000:]}{done.stderr[-2000:]}"


def test_a_copy_without_a_fault_passes(tmp_path: Path) -> None:
    done = shot(copied(tmp_path), "near-r02_raw_nan")
    assert done.returncode == 0, done.stdout + done.stderr
