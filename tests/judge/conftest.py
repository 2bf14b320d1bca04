"""Shared for the judge's tests: the jail of this machine, the tiny problems, and problems made on the spot."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from kernelfactory import jail as jails
from kernelfactory import problem
from kernelfactory.judge import Judge
from kernelfactory.model import BadInput, Problem

TINY = Path(__file__).parent.parent / "problems"

Open = Callable[[Problem], Judge]
Make = Callable[..., Problem]


@pytest.fixture(scope="session")
def jail() -> jails.Jail:
    try:
        return jails.find()
    except BadInput as error:
        pytest.skip(f"no jail works here: {error}")


CELLS = ("bubblewrap", "landlock")
"""The jails that verdicts are worth something in."""


@pytest.fixture(scope="session")
def cell_named() -> Callable[[str], jails.Jail]:
    """The jail of that name, where it works here."""

    @cache
    def made(name: str) -> jails.Jail:
        try:
            found = jails.find() if name == "bubblewrap" else import_module(f"kernelfactory.jail.{name}").Landlock()
            leaks = [attack.name for attack in jails.self_test(found) if attack.worked]
        except (BadInput, ImportError) as error:
            pytest.skip(f"{name} does not work here: {error}")
        if found.name != name or leaks:
            pytest.skip(f"{name} does not work here: {', '.join(leaks)}")
        return found

    return made


@pytest.fixture
def open_judge(jail: jails.Jail, tmp_path: Path) -> Iterator[Open]:
    """A judge of a problem, closed at the end of the test."""
    opened: list[Judge] = []
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def make(of: Problem) -> Judge:
        opened.append(Judge(of, jail, scratch=scratch))
        return opened[-1]

    yield make
    for judge in opened:
        judge.close()


@pytest.fixture
def make_problem(tmp_path: Path) -> Make:
    """A copy of a tiny problem, with texts replaced: `ruler` is the new judge/ruler.py, `toml` pairs of (old, new)."""

    def make(name: str = "tiny_number", *, ruler: str | None = None, toml: tuple[tuple[str, str], ...] = ()) -> Problem:
        folder = tmp_path / f"{name}-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(TINY / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
        if ruler is not None:
            (folder / "judge/ruler.py").write_text(ruler)
        text = (folder / "problem.toml").read_text()
        for old, new in toml:
            assert old in text
            text = text.replace(old, new)
        (folder / "problem.toml").write_text(text)
        return problem.load(folder)

    return make


@pytest.fixture
def write_problem(tmp_path: Path) -> Callable[[Mapping[str, str]], Problem]:
    """A problem of these files (paths in its folder, texts). task.md is there."""

    def write(texts: Mapping[str, str]) -> Problem:
        folder = tmp_path / f"problem-{len(list(tmp_path.iterdir()))}"
        for name, text in {"task.md": "Do it.\n", **texts}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return problem.load(folder)

    return write


@pytest.fixture
def number(make_problem: Make, open_judge: Open) -> Judge:
    return open_judge(make_problem("tiny_number"))


@pytest.fixture
def network(make_problem: Make, open_judge: Open) -> Judge:
    return open_judge(make_problem("tiny_network"))
