"""Hostile folders: what an agent leaves is collected as plain files or refused in words; nothing in it ever runs."""

from __future__ import annotations

import importlib.util
import json
import os
import py_compile
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kernelfactory import files, problem
from kernelfactory import jail as jails
from kernelfactory.files import read_tree, write_tree
from kernelfactory.judge import Judge
from kernelfactory.judge.produce import graft
from kernelfactory.model import BadInput, BadIntake, Problem
from kernelfactory.testing import intake
from kernelfactory.testing.intake import litter, sparse

TESTS = Path(__file__).parent
MINE = {"kernel.py": b"print(1)\n", "lib/a.c": b"int a;\n", "lib/deep/b.c": b""}
GLOBS = ("kernel.py", "lib/**/*.c")
PATIENCE = 60.0
"""Seconds: a cap against hanging; how long it takes is a figure of benchmarks/intake.py."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "ws"
    write_tree(made, MINE)
    yield made
    for closed in made.rglob("closed"):
        closed.chmod(0o700)


def collected(folder: Path, globs: tuple[str, ...] = GLOBS) -> dict[str, bytes]:
    started = time.monotonic()
    try:
        return read_tree(folder, globs)
    finally:
        assert time.monotonic() - started < PATIENCE


@pytest.mark.parametrize("count", [3000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_the_program_is_found_among_whatever_lies_about(folder: Path, tmp_path: Path, count: int) -> None:
    litter(folder, tmp_path / "mark", files=count)
    assert collected(folder) == MINE
    assert not (tmp_path / "mark").exists()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git, to show that the trap works")
def test_the_injected_fault_a_git_command_would_have_been_seen(folder: Path, tmp_path: Path) -> None:
    litter(folder, tmp_path / "mark", files=1, depth=1)
    plain = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    for where in (".", "src", "module", "library.git"):
        (tmp_path / "mark").unlink(missing_ok=True)
        words = ["add", "kernel.py"] if where in (".",) else ["status"]
        if where != ".":
            write_tree(folder / where, {"x.txt": b"x"})
        tree = [f"--work-tree={folder / where}"] if where in ("module", "library.git") else []
        subprocess.run(
            ["git", "-c", "safe.directory=*", *tree, *words],
            cwd=folder / where,
            env=plain,
            capture_output=True,
            check=False,
        )
        assert (tmp_path / "mark").exists(), where


# ── in the place of the program itself ───────────────────────────────────────────────────────────


def outside(folder: Path) -> Path:
    other = folder.parent / "outside"
    write_tree(other, {"a.c": b"secret", "kernel.py": b"secret"})
    return other


def linked(folder: Path) -> None:
    (folder / "kernel.py").unlink()
    (folder / "kernel.py").symlink_to(outside(folder) / "kernel.py")


def linked_parent(folder: Path) -> None:
    shutil.rmtree(folder / "lib")
    (folder / "lib").symlink_to(outside(folder))


def linked_parent_within(folder: Path) -> None:
    (folder / "lib").rename(folder / "other")
    (folder / "lib").symlink_to("other")


def fifo(folder: Path) -> None:
    (folder / "kernel.py").unlink()
    os.mkfifo(folder / "kernel.py")


def device(folder: Path) -> None:
    (folder / "kernel.py").unlink()
    (folder / "kernel.py").symlink_to("/dev/zero")


def terabyte(folder: Path) -> None:
    sparse(folder / "kernel.py")


def newline(folder: Path) -> None:
    (folder / "lib/x\nSCORE: 1.c").write_bytes(b"x")


def right_to_left(folder: Path) -> None:
    (folder / "lib/\u202ec.x.c").write_bytes(b"x")


def not_utf8(folder: Path) -> None:
    (folder / "lib" / os.fsdecode(b"\xff.c")).write_bytes(b"x")


def too_deep(folder: Path) -> None:
    place = folder / "lib"
    for _ in range(60):
        place = place / "d"
        place.mkdir()


def too_many(folder: Path) -> None:
    for number in range(3000):
        (folder / f"lib/{number}.c").write_bytes(b"")


def too_much(folder: Path) -> None:
    for number in range(10):
        (folder / f"lib/{number}.c").write_bytes(bytes(8 << 20))


POISON = [linked, linked_parent, linked_parent_within, fifo, device, terabyte, newline, right_to_left, not_utf8]
POISON += [too_deep, too_many, too_much]


@pytest.mark.parametrize("poison", POISON, ids=lambda poison: poison.__name__)
def test_what_stands_in_the_programs_place_is_refused_in_words(folder: Path, poison: object) -> None:
    poison(folder)  # type: ignore[operator]
    with pytest.raises(BadIntake) as caught:
        collected(folder)
    said = str(caught.value)
    assert said.isascii() and said.isprintable() and len(said) < 400 and "secret" not in said


def test_a_repository_in_the_programs_place_is_not_collected(folder: Path, tmp_path: Path) -> None:
    """Neither as a folder nor as a file: a `.git` that is a file makes a repository of whatever it names, for the next
    agent and for whoever looks at the best program."""
    write_tree(folder / "lib", {"x/.git": b"gitdir: ../../library.git\n", "y/.GIT": b"gitdir: /tmp\n"})
    write_tree(folder / "lib/z/.git", {"config": b"[core]\n", "c.c": b"int c;\n"})
    found = collected(folder, ("kernel.py", "lib/**"))
    assert found == MINE
    plain = {name for name, _, names in os.walk(folder / "lib") for name in names}  # the injected fault: they are there
    assert {".git", ".GIT"} <= plain


def test_a_folder_that_changes_while_it_is_read(folder: Path) -> None:
    """The parent becomes a link, back and forth, as fast as another process can."""
    other = outside(folder)
    flip = f"""
import os
while True:
    os.rename({str(folder / "lib")!r}, {str(folder / "kept")!r})
    os.symlink({str(other)!r}, {str(folder / "lib")!r})
    os.unlink({str(folder / "lib")!r})
    os.rename({str(folder / "kept")!r}, {str(folder / "lib")!r})
"""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", flip]) as flipping:
        try:
            for _ in range(500):
                try:
                    found = read_tree(folder, GLOBS)
                except (BadIntake, OSError):
                    continue
                assert b"secret" not in found.values()
        finally:
            flipping.kill()


# ── the whole way, with an agent in its cage ─────────────────────────────────────────────────────

WHOLE_WAY = """
import json, os, sys
from pathlib import Path
from kernelfactory import jail, problem
from kernelfactory.judge import Judge
from kernelfactory.model import Assignment, Limits
from kernelfactory.trees import Trees
from kernelfactory.workspace import Ground, lend
base, seed, litter, mark = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]).read_text(), sys.argv[4]
of = problem.lock(seed, base / "problem")
held = jail.find()
given = Assignment(attempt=1, token="t", island=0, parent=0, parent_score=6.0, best_score=6.0, brief="", files=of.seed,
    limits=Limits(seconds=60.0), move="select", reason="", inspirations={})
scratch = base / "scratch"
scratch.mkdir()
os.chmod(base, 0o755)
script = litter + f"\\nlitter(Path.cwd(), Path.cwd() / {mark!r}, files=500)\\n"
with lend(given, Ground(base / "ground", held, of)) as workspace:
    done = workspace.run([sys.executable, "-I", "-S", "-"], stdin=script.encode(), seconds=60)
    left = sorted(os.listdir(workspace.folder))
    found, fault = workspace.collect(of.editable)
    notes = workspace.notes()
    marked = (workspace.folder / mark).exists()
    with Judge(of, held, scratch=scratch) as judge:
        verdict = judge.screen(found or {})
    commit = Trees.create(base / "trees").commit(found or {}, message="x")
print(json.dumps({"code": done.returncode, "said": done.stderr.decode()[-500:], "left": left, "fault": fault,
    "found": sorted(found or {}), "notes": notes, "marked": marked, "score": verdict.score, "faults": workspace.faults,
    "gone": not workspace.base.exists(), "commit": commit.commit}))
"""


def test_no_git_command_runs_on_the_whole_way(tmp_path: Path) -> None:
    """Lent, littered by an agent in its cage, collected, judged, stored, removed; every `git` that anybody might start
    on the way would leave a mark, and so would every one that looks at the folder."""
    try:
        jails.find()
    except BadInput as error:
        pytest.skip(f"no jail works here: {error}")
    trap = tmp_path / "bin/git"
    trap.parent.mkdir()
    trap.write_text(f"#!/bin/sh\necho > {tmp_path}/git-was-called\n")
    trap.chmod(0o755)
    (tmp_path / "base").mkdir()
    argv = [sys.executable, "-c", WHOLE_WAY, str(tmp_path / "base"), str(TESTS / "problems/tiny_network")]
    done = subprocess.run(
        [*argv, intake.__file__, "mark-of-git"],
        env={**os.environ, "PATH": f"{trap.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["code"] == 0 and {".git", "library.git", "fifo.py", "many", "sparse.bin"} <= {*said["left"]}, said
    assert (said["found"], said["fault"], said["score"]) == (["network.py"], None, 6)
    assert not said["marked"] and not (tmp_path / "git-was-called").exists()
    assert said["gone"] and said["faults"] == []
    subprocess.run(["git", "--version"], env={"PATH": str(trap.parent)}, check=False)  # the injected fault: it marks
    assert (tmp_path / "git-was-called").exists()


# ── what acts by lying about ─────────────────────────────────────────────────────────────────────


def poisoned(name: str, folder: Path) -> bytes:
    """Byte code without a date, for a module `name`, that ends whoever imports it."""
    source = folder / f"{name}.py"
    source.write_text("import os\nos._exit(9)\n")
    made = py_compile.compile(
        str(source), cfile=str(folder / "out.pyc"), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    return Path(made).read_bytes()


def acting(module: str, folder: Path) -> dict[str, bytes]:
    ends = b"import os\nos._exit(9)\n"
    cached = os.path.basename(importlib.util.cache_from_source(f"{module}.py"))
    names = ("sitecustomize.py", "usercustomize.py", "conftest.py", "lib/conftest.py", "lib/sitecustomize.py")
    return {
        **dict.fromkeys(names, ends),
        "evil.pth": b"import os; os._exit(9)\n",
        "lib/evil.pth": b"import os; os._exit(9)\n",
        "pyvenv.cfg": b"home = /tmp\ninclude-system-site-packages = true\n",
        f"__pycache__/{cached}": poisoned(module, folder),
        f"{module}.pyc": poisoned(module, folder),
    }


KINDS = {
    "artefact": ("problems/tiny_network", "network"),
    "function": ("cheats/problems/calls", "swaps"),
    "timed function": ("cheats/problems/timed", "walk"),
    "evaluator": ("cheats/problems/shim", "initial_program"),
    "command": ("cheats/problems/loose", "program"),
}


@pytest.fixture(params=KINDS)
def wide(request: pytest.FixtureRequest) -> tuple[Problem, str]:
    """A problem of each kind, whose globs let as much in as globs can."""
    folder, module = KINDS[request.param]
    made = problem.load(TESTS / folder)
    return replace(
        made, editable=(f"{module}.py", "*.py[c]", "s*.py", "c*.py", "*.pth", "*.cfg", "**/*", "lib/**")
    ), module


def test_what_acts_by_lying_about_is_dropped(wide: tuple[Problem, str], tmp_path: Path) -> None:
    of, module = wide
    try:
        jail = jails.find()
    except BadInput as error:
        pytest.skip(f"no jail works here: {error}")
    loose = {**of.seed, **acting(module, tmp_path)}
    assert graft(of, loose) == dict(of.seed)
    (tmp_path / "scratch").mkdir()
    tmp_path.chmod(0o755)
    with Judge(of, jail, scratch=tmp_path / "scratch") as judge:
        honest, verdict = judge.screen(of.seed), judge.screen(loose)
    assert verdict.verdict == honest.verdict == "accepted" and verdict.tree == files.tree_id(of.seed)
    assert of.measure.timed or verdict.score == honest.score


def test_the_injected_fault_poisoned_byte_code_would_act(tmp_path: Path) -> None:
    """Beside a module, it is what Python loads: its source is not even looked at."""
    write_tree(tmp_path / "tree", {"network.py": b"print('honest')\n"})
    cached = os.path.basename(importlib.util.cache_from_source("network.py"))
    write_tree(tmp_path / "tree/__pycache__", {cached: poisoned("network", tmp_path)})
    argv = [sys.executable, "-S", "-B", "-c", "import sys; sys.path.insert(0, '.'); import network"]
    done = subprocess.run(argv, cwd=tmp_path / "tree", capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (9, b"")
