"""Experiments that this machine knows of; and that no agent sees any of them, nor a login that is not its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kernelfactory import cage, known, workers
from kernelfactory.agents.config import Entry
from kernelfactory.view import inside


def made(folder: Path) -> Path:
    """Something that looks like an experiment: its answers, and its copy of the judge."""
    for name in ("record.db", "best/kernel.py", "problem/judge/ruler.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("private")
    return folder


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KF_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


def seen(held: cage.Cage, path: Path) -> bool:
    """Does a cage show what lies at `path`? The mounts decide, wherever the tests' folder is."""
    spec = held.spec(["true"], env={}, seconds=1.0)
    hidden = [mask for mask in spec.hide if inside(str(path), mask)]
    shown = [place for _, place in (*spec.read, *spec.write) if inside(str(path), place)]
    return max(map(len, shown), default=0) >= max(map(len, hidden), default=1)


def test_no_agent_sees_another_experiment_or_the_login_of_another(tmp_path: Path, state: Path) -> None:
    mine, beside = made(tmp_path / "here/one"), made(tmp_path / "here/two")
    remembered, by_default = made(tmp_path / "far/three"), made(tmp_path / "experiments/four")
    (state / "experiments").write_bytes(os.fsencode(remembered) + b"\n")
    others, own = tmp_path / "logins/others", tmp_path / "logins/own"
    for login in (others, own):
        made(login)
    entries = {"a": Entry("a", login=str(others)), "b": Entry("b", login=str(own)), "c": Entry("c")}
    hidden = tuple(workers._hidden(mine, entries))
    workspace = state / "scratch/kf-1/work"
    workspace.mkdir(parents=True)
    outside = ((str(tmp_path), str(tmp_path)),)  # as a machine shows it that keeps its experiments in no home
    held = cage.Cage(str(workspace), masked=hidden, show=outside, share=((str(own), str(own)),))
    private = [folder / "best/kernel.py" for folder in (mine, beside, remembered, by_default, others)]
    private += [folder / "problem/judge/ruler.py" for folder in (beside, remembered)]
    private += [tmp_path / "experiments/one that is made tonight/best/kernel.py", state / "scratch/kf-2/work/kernel.py"]
    assert [path for path in private if seen(held, path)] == []
    assert seen(held, workspace / "kernel.py") and seen(held, own / "record.db")
    fault = cage.Cage(str(workspace), masked=(str(mine),), show=outside, share=((str(own), str(own)),))
    assert len([path for path in private if seen(fault, path)]) == len(private) - 1, "injected: as it was"


def test_which_experiments_are_known(tmp_path: Path, state: Path) -> None:
    one, two = made(tmp_path / "a/one"), made(tmp_path / "a/two")
    (tmp_path / "a/none").mkdir()
    assert known.remembered() == [] and known.every_experiment() == []
    assert set(known.every_experiment(one)) == {one, two}
    (state / "latest").write_bytes(os.fsencode(two) + b"\n")
    (state / "experiments").write_bytes(os.fsencode(tmp_path / "gone") + b"\n" + os.fsencode(two) + b"\n")
    assert known.remembered()[-1] == two and set(known.every_experiment()) == {one, two}
    assert known.private(one)[0] == one and state in known.private(one)
