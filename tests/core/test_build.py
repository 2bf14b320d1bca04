"""The core is compiled at set-up, found by what it was made from, and never compiled when it is loaded."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from kernelfactory import core, process
from kernelfactory.core import build, place


def in_copy(folder: Path, code: str, *flags: str, **more: str) -> str:
    """Runs Python code on a copy of the package in `folder`; what it prints."""
    package = folder / "kernelfactory"
    if not package.exists():
        package.mkdir()
        for room in place.FOLDER.parent.glob("*.py"):
            shutil.copy(room, package / room.name)
        shutil.copytree(place.FOLDER, package / "core", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "PYTHONPATH": str(folder), **more}
    done = process.run([sys.executable, *flags, "-c", code], env=environment, seconds=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


BUILD = "from kernelfactory.core import build; print(build.build())"
LOAD = "from kernelfactory import core; print(core.backend().name, core.shared_object())"


def test_it_builds_beside_its_sources_once(tmp_path: Path) -> None:
    if not build.compilers():
        pytest.skip("no C compiler here")
    assert in_copy(tmp_path, LOAD) == "python None"  # loading compiles nothing
    assert in_copy(tmp_path, BUILD).startswith("C core: compiled with ")
    made = list((tmp_path / "kernelfactory" / "core").glob("*.so"))
    assert len(made) == 1
    assert in_copy(tmp_path, LOAD) == f"c {made[0]}"
    assert in_copy(tmp_path, BUILD).startswith("C core: there already")
    source = tmp_path / "kernelfactory" / "core" / "workload.c"
    source.write_text(source.read_text() + "/* changed */\n")
    assert in_copy(tmp_path, LOAD) == "python None"  # a stale one is never loaded


def test_without_a_compiler_it_says_so_and_ends_well(tmp_path: Path) -> None:
    said = in_copy(tmp_path, BUILD, "-S", PATH=str(tmp_path))  # no cc on the path, no packages
    assert said == f"no C compiler that works: pure-Python ruler, about {build.SLOWER} times slower"
    assert in_copy(tmp_path, LOAD) == "python None"


def test_a_compiler_that_fails_leaves_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    assert build.compile_into(tmp_path, [str(broken)]) is None
    assert [path.name for path in tmp_path.iterdir()] == ["cc"]


def test_ziglang_compiles_it(tmp_path: Path) -> None:
    zig = [command for name, command in build.compilers() if name == "ziglang"]
    if not zig:
        if "ziglang" in os.environ.get("KF_REQUIRE", "").split(","):
            pytest.fail("KF_REQUIRE names ziglang, but it is not installed")
        pytest.skip("ziglang is not installed")
    made = build.compile_into(tmp_path, zig[0])
    assert made is not None
    assert core.Core(made).image(core.Size(2, 1, 4), 3) == core.Plain().image(core.Size(2, 1, 4), 3)


def test_what_others_may_write_is_not_loaded(tmp_path: Path, c_core: core.Core) -> None:
    there = tmp_path / c_core.path.name
    shutil.copy(c_core.path, there)
    found = []
    for mode in (0o644, 0o664, 0o646):
        there.chmod(mode)
        found.append(in_copy(tmp_path, LOAD, **{place.PLACE: str(there)}))
    assert found == [f"c {there}", "python None", "python None"]
    link = tmp_path / "link" / there.name
    link.parent.mkdir()
    link.symlink_to(there)
    there.chmod(0o644)
    assert in_copy(tmp_path, LOAD, **{place.PLACE: str(link)}) == "python None"


def test_a_file_that_is_no_core_falls_back(tmp_path: Path) -> None:
    there = tmp_path / place.file_name()
    there.write_bytes(b"no library")
    there.chmod(0o644)
    assert in_copy(tmp_path, LOAD, **{place.PLACE: str(there)}) == f"python {there}"
    assert not build.works(there)


def test_the_digest_covers_everything_that_decides() -> None:
    assert {"parse.c", "machine.c", "workload.c", "lockstep.h", "vliw.h"} <= set(place.sources(".c", ".h"))
    assert {"plain.py", "text.py", "workload.py", "compiled.py"} <= set(place.sources(".py"))


RULER = """
import sys
sys.path.insert(0, {judge!r})
import ruler
from random import Random
from kernelfactory.model import Rejected

print(ruler.BACKEND)
for text in {texts!r}:
    try:
        ruler.quick(text, Random(3), 2)
    except Rejected as rejected:
        print(rejected.code, rejected.reason)
"""


def test_without_the_core_the_ruler_says_python_and_gives_the_same_reasons(tmp_path: Path, ruler: ModuleType) -> None:
    texts = [b"[]", b'[{"flow":[["jump",-1]]}]', b'[{"alu":[["%",0,0,0]]}]', b'[{},{"flow":[["jump",1]]}]']
    code = RULER.format(judge=str(Path(ruler.__file__ or "").parent), texts=texts)
    assert in_copy(tmp_path, code).splitlines() == [
        "python",
        "wrong_answer the values in memory are not those of the reference",
        "malformed bundle 0: a jump to a negative bundle number",
        "crashed ZeroDivisionError in bundle 0",
        "over_limit still running after 1000000 cycles, at bundle 1",
    ]
