"""The contracts between rooms hold, cover every room, and break when a room reaches too far."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "kernelfactory"
LINTER = Path(sys.executable).with_name("lint-imports")


def rooms() -> set[str]:
    """Every module and package right under kernelfactory."""
    modules = {path.stem for path in SOURCE.glob("*.py") if path.stem not in ("__init__", "__main__")}
    return modules | {path.parent.name for path in SOURCE.glob("*/__init__.py")}


def sources(contract: str) -> set[str]:
    """The rooms that a forbidden contract speaks of."""
    config = configparser.ConfigParser()
    config.read(ROOT / ".importlinter")
    return {line.rpartition(".")[2] for line in config[f"importlinter:contract:{contract}"]["source_modules"].split()}


@pytest.mark.parametrize(("contract", "may"), [("processes", {"process"}), ("database", {"record"})])
def test_only_one_room_may(contract: str, may: set[str]) -> None:
    assert sources(contract) | may == rooms()


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the sources, to break."""
    shutil.copytree(
        SOURCE, tmp_path / "kernelfactory", ignore=shutil.ignore_patterns("problems", "__pycache__", "*.so")
    )
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def lint(folder: Path) -> tuple[int, str]:
    if not LINTER.exists():
        pytest.skip("import-linter is not installed")
    env = {**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1"}
    done = subprocess.run([str(LINTER), "--no-cache"], cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_the_house_stands(house: Path) -> None:
    code, said = lint(house)
    assert code == 0, said


@pytest.mark.parametrize(
    ("room", "line", "broken"),
    [
        ("policy.py", "import time", "floor 0"),
        ("model.py", "from kernelfactory import files", "floors below"),
        ("trees.py", "import subprocess", "only process.py"),
        ("factory.py", "import sqlite3", "only the record"),
        ("report/page.py", "from kernelfactory import factory", "never the factory"),
        ("brand_new.py", "", "floors below"),
    ],
)
def test_a_room_that_reaches_too_far_is_found(house: Path, room: str, line: str, broken: str) -> None:
    with (house / "kernelfactory" / room).open("a") as file:
        file.write(f"\n{line}\n")
    code, said = lint(house)
    assert code == 1
    assert any(broken in row and "BROKEN" in row for row in said.splitlines()), said
