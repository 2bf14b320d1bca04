"""The mutator's process in a workspace: what it reads there, what the desk may answer, what it leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kernelfactory.agents.mutator.cage import read_donors, read_sources, trial_of
from kernelfactory.model import BadIntake, LostClaim, Refused
from kernelfactory.wire import Listener

PROGRAM = b"def run(items):\n    total = 0\n" + b"    total = total + 1\n" * 12 + b"    return total\n"
FACTS: dict[str, Any] = {
    "attempt": 7,
    "seconds": 5.0,
    "parent_score": 1000.0,
    "metric": "bytes",
    "goal": "min",
    "editable": ["src/**/*.py"],
}
Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def place(folder: Path, facts: object = FACTS) -> Path:
    (folder / ".kf").mkdir(parents=True)
    (folder / "src").mkdir()
    (folder / "src/a.py").write_bytes(PROGRAM)
    (folder / "BRIEF.md").write_bytes(b'mutator-figures {"join":[NaN,1e999,-1]}\n\xff' + b"x" * 100_000)
    (folder / ".kf/token").write_text("t\n")
    (folder / ".kf/assignment.json").write_text(json.dumps(facts))
    return folder


@contextmanager
def desk(folder: Path, handler: Handler) -> Iterator[None]:
    listener = Listener(folder / ".kf/desk.sock", handler)
    try:
        yield
    finally:
        listener.close()


def work(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-P", "-m", "kernelfactory.agents.mutator", "--seed", "1", *options]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=30)


def by_length(folder: Path) -> Handler:
    def handler(request: Mapping[str, Any]) -> Mapping[str, Any]:
        size = float(sum(path.stat().st_size for path in (folder / "src").rglob("*.py")))
        return (
            {"quick": True, "ok": True, "figure": size} if request["quick"] else {"verdict": "accepted", "score": size}
        )

    return handler


def test_it_leaves_the_best_program_and_notes_that_name_its_parent(tmp_path: Path) -> None:
    folder = place(tmp_path / "w", {**FACTS, "parent_score": float(len(PROGRAM))})
    with desk(folder, by_length(folder)):
        done = work(folder, "--parent", "3", "--seconds", "4")
    assert done.returncode == 0, done.stderr
    written = (folder / "progress.md").read_text()
    size = (folder / "src/a.py").stat().st_size
    assert size < len(PROGRAM) and f"-> {size} bytes" in written
    assert "Built on attempt 3." in written and "mutator-figures {" in written and written.isascii()
    assert sorted(path.name for path in (folder / "src").iterdir()) == ["a.py"]


@pytest.mark.parametrize("error", [Refused("flooded \x1b[2J <b>"), LostClaim("another has it")])
def test_a_refusing_desk_ends_it_in_good_order(tmp_path: Path, error: Exception) -> None:
    folder = place(tmp_path / "w")

    def refuse(request: Mapping[str, Any]) -> Mapping[str, Any]:
        raise error

    with desk(folder, refuse):
        done = work(folder, "--seconds", "3")
    assert done.returncode == 0, done.stderr
    written = (folder / "progress.md").read_text()
    assert "no more measurements were given" in written and "nothing better" in written
    assert not set(written) & set("\x1b<>")
    assert (folder / "src/a.py").read_bytes() == PROGRAM


def test_no_desk_at_all_ends_it_in_good_order(tmp_path: Path) -> None:
    folder = place(tmp_path / "w")
    assert work(folder).returncode == 0
    assert (folder / "src/a.py").read_bytes() == PROGRAM


@pytest.mark.parametrize(
    "facts",
    [
        [],
        {},
        {**FACTS, "parent_score": None},
        {**FACTS, "parent_score": float("nan")},
        {**FACTS, "parent_score": 10**400},
        {**FACTS, "seconds": "5"},
        {**FACTS, "editable": "*"},
        {**FACTS, "editable": ["nothing/*.py"]},
    ],
)
def test_what_is_no_workspace_gets_one_line(tmp_path: Path, facts: object) -> None:
    done = work(place(tmp_path / "w", facts))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr


def test_files_are_found_by_segments_and_links_are_refused(tmp_path: Path) -> None:
    folder = place(tmp_path / "w")
    (folder / "src/deep").mkdir()
    for name in ("src/deep/b.c", "src/deep/b.py", "other.py", "src/c.txt", ".kf/d.py"):
        (folder / name).write_text("x = 1\n")
    assert sorted(read_sources(folder, ["src/*.py"])) == ["src/a.py"]
    assert sorted(read_sources(folder, ["src/**"])) == ["src/a.py", "src/deep/b.c", "src/deep/b.py"]
    assert sorted(read_sources(folder, ["**/*.py"])) == ["other.py", "src/a.py", "src/deep/b.py"]
    (folder / "src/huge.py").write_bytes(b"#" * (2 << 20))
    assert "src/huge.py" not in read_sources(folder, ["src/*.py"])
    (folder / "src/link.py").symlink_to("/etc/hostname")
    with pytest.raises(BadIntake, match=r"link\.py"):
        read_sources(folder, ["src/*.py"])
    assert work(folder).returncode == 2


def test_other_candidates_are_read_by_path(tmp_path: Path) -> None:
    for number in range(12):
        place(tmp_path / str(number))
    assert [len(codes) for codes in read_donors(tmp_path, ["src/*.py"]).values()] == [8]
    assert read_donors(tmp_path / "none", ["**"]) == {}


@pytest.mark.parametrize(
    ("answer", "quick", "figure"),
    [
        ({"verdict": "accepted", "score": 5}, False, 5.0),
        ({"verdict": "rejected", "score": 5, "reason": "wrong"}, False, None),
        ({"verdict": "accepted", "score": None}, False, None),
        ({"verdict": "accepted", "score": True}, False, None),
        ({"verdict": "accepted", "score": float("nan")}, False, None),
        ({"verdict": "accepted", "score": 10**400}, False, None),
        ({"verdict": "accepted", "score": "5"}, False, None),
        ({"ok": True, "figure": 2.5}, True, 2.5),
        ({"ok": "yes", "figure": 2.5}, True, None),
        ({"verdict": "accepted", "score": 5}, True, None),
        ({}, True, None),
    ],
)
def test_answers_are_taken_strictly(answer: dict[str, Any], quick: bool, figure: float | None) -> None:
    trial = trial_of(answer, quick)
    assert trial.figure == figure and (trial.reason == "") == (figure is not None)
