"""The take-home's problem, from the user's own clone: its program is the seed, our ruler the judge, and its own tests
are kept for a last look. Holds none of the clone's files and looks for none."""

from __future__ import annotations

import ast
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kernelfactory.files import read_tree, write_tree
from kernelfactory.jail import Jail, Spec, interpreter_binds, python
from kernelfactory.model import BadInput, BadIntake, Files
from kernelfactory.presets import Draft
from kernelfactory.presets.around import parsed
from kernelfactory.problem import SHIPPED
from kernelfactory.process import Options

MODEL = "vliw_tree"
"""The shipped problem on the same machine."""
PROGRAM, MACHINE = "perf_takehome.py", "problem.py"
TESTS = "clone_tests"
"""Where the clone's tests lie under judge/."""
SUITE = "submission_tests.py"
NAMES = ("HASH_STAGES", "SLOT_LIMITS", "Machine", "Tree", "Input", "build_mem_image", "reference_kernel2")
"""What of problem.py is relied on, by the seed's own tools."""
PLACE = "/clone"
"""Where the jail shows them."""
SECONDS = 900.0
OUTPUT_BYTES = 1 << 20


def takehome(clone: Path, name: str) -> Draft:
    """The problem made of a clone. Raises BadInput when it does not look like one."""
    if not clone.is_dir():
        raise BadInput(f"{clone}: no such folder; name your clone of the take-home with --from")
    try:
        found = read_tree(clone, [PROGRAM, MACHINE, "tests/**"])
    except BadIntake as error:
        raise BadInput(f"{clone}: {error}") from None
    _check(found, clone)
    ours = read_tree(SHIPPED / MODEL, ["**"])
    text = ours["problem.toml"].decode()
    head = "# The take-home, from a clone of it; the ruler is ours. Candidate programs stay here: kf publish-check.\n"
    tests = {path.removeprefix("tests/"): data for path, data in found.items() if path.startswith("tests/")}
    return Draft(
        {
            "problem.toml": (head + text.replace(f'name = "{MODEL}"', f"name = {json.dumps(name)}", 1)).encode(),
            "task.md": ours["task.md"],
            **{path: data for path, data in ours.items() if path.startswith(("seed/", "judge/"))},
            f"seed/{PROGRAM}": found[PROGRAM],
            f"seed/{MACHINE}": found[MACHINE],
            **{f"judge/{TESTS}/{path}": data for path, data in tests.items()},
        }
    )


def _check(found: Files, clone: Path) -> None:
    for path in (PROGRAM, MACHINE, f"tests/{SUITE}"):
        if path not in found:
            raise BadInput(f"{clone} holds no {path}: is it a clone of the take-home?")
    machine = parsed(found[MACHINE])
    missing = [name for name in NAMES if name not in _defined(machine)]
    if missing:
        raise BadInput(f"{clone}/{MACHINE} defines no {', '.join(missing)}: another version of the take-home?")
    if not _builds(parsed(found[PROGRAM])):
        raise BadInput(
            f"{clone}/{PROGRAM} has no class KernelBuilder with build_kernel(forest_height, n_nodes, batch_size, "
            "rounds): put it back as it was handed out"
        )


def _defined(tree: ast.Module | None) -> set[str]:
    """The names that a module defines at its top."""
    names: set[str] = set()
    for node in tree.body if tree else ():
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def _builds(tree: ast.Module | None) -> bool:
    """Is there KernelBuilder.build_kernel, to be called with four values?"""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)] if tree else []
    methods = [node for found in classes if found.name == "KernelBuilder" for node in found.body]
    for node in methods:
        if isinstance(node, ast.FunctionDef) and node.name == "build_kernel":
            places = len(node.args.posonlyargs) + len(node.args.args)
            return places - len(node.args.defaults) <= 5 and (places >= 5 or node.args.vararg is not None)
    return False


# ── the clone's own tests ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Said:
    """What the clone's tests said of a program: their exit status, or why they were ended (`cut`), and their last words
    (hostile text: the program runs in the same process and can say anything)."""

    status: int | None
    cut: str | None
    words: str
    seconds: float


def has_tests(problem: Path) -> bool:
    """Does this problem's folder hold the tests of a clone?"""
    return (problem / "judge" / TESTS / SUITE).is_file()


def final(problem: Path, program: Files, jail: Jail) -> Said:
    """Run the clone's own tests, unmodified, on a program, in the jail: `python tests/submission_tests.py` in a clone
    with this perf_takehome.py, all of it read-only. Raises BadInput when the problem's folder is damaged."""
    try:
        tests = read_tree(problem / "judge" / TESTS, ["**"])
        machine = read_tree(problem / "seed", [MACHINE])
    except BadIntake as error:
        raise BadInput(f"{problem}: {error}") from None
    with tempfile.TemporaryDirectory(prefix="kf-final-") as scratch:
        folder = os.path.join(scratch, "clone")
        write_tree(folder, {**machine, **_under("tests", tests), PROGRAM: program.get(PROGRAM, b"")})
        os.chmod(scratch, 0o755)
        spec = Spec(
            argv=(python(), "-s", "-S", "-B", f"tests/{SUITE}"),
            read=(*interpreter_binds(), (folder, PLACE)),
            env={"LANG": "C.UTF-8", "HOME": "/tmp", "PATH": "/usr/bin:/bin"},
            cwd=PLACE,
            seconds=SECONDS,
            processes=16,
        )
        ended = jail.run(spec, options=Options(output_bytes=OUTPUT_BYTES))
    cut = (
        f"ended after {SECONDS:.0f} s" if ended.timed_out else "ended: it printed too much" if ended.overflow else None
    )
    words = "\n".join(text.decode("utf-8", "replace").rstrip() for text in (ended.stdout, ended.stderr) if text.strip())
    return Said(None if cut else ended.returncode, cut, words, ended.seconds)


def _under(folder: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": data for name, data in files.items()}
