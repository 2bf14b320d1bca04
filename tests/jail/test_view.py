"""view: deeper mounts cover shallower ones, hidden folders show empty, stages are found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kernelfactory import view
from kernelfactory.view import Mount, arguments, arranged, build_stage, inside, reachable, stage_place


@pytest.fixture
def tree(tmp_path: Path) -> str:
    for folder in ("home/venv/lib/problems", "home/experiment", "home/scratch/ws", "else"):
        (tmp_path / folder).mkdir(parents=True)
    return str(tmp_path)


def test_inside() -> None:
    assert inside("/a/b", "/a") and inside("/a", "/a") and inside("/a", "/")
    assert not inside("/ab", "/a") and not inside("/", "/a")


def test_the_order_given_does_not_matter(tree: str) -> None:
    mounts = [
        Mount("/", "read", "/"),
        Mount(f"{tree}/home/venv", "read", f"{tree}/home/venv"),
        Mount(f"{tree}/home/scratch/ws", "write", f"{tree}/home/scratch/ws"),
    ]
    hidden = [f"{tree}/home/{name}" for name in ("", "experiment", "scratch", "venv/lib/problems")]
    order = arranged(mounts, hidden)
    assert order == arranged(mounts[::-1], hidden[::-1])
    assert [(mount.place.removeprefix(tree), mount.kind) for mount in order] == [
        ("/", "read"),
        ("/home", "hide"),
        ("/home/venv", "read"),
        ("/home/scratch/ws", "write"),
        ("/home/venv/lib/problems", "hide"),
    ], "a mask below a mask is not made: its name would show"


def test_hidden_folders_are_masked_wherever_a_bind_shows_them(tree: str) -> None:
    order = arranged([Mount("/task", "read", f"{tree}/home")], [f"{tree}/home/experiment", f"{tree}/else"])
    assert [mount.place for mount in order] == ["/task", "/task/experiment"]
    exact = arranged([Mount("/task", "read", f"{tree}/else")], [f"{tree}/else"])
    assert [mount.kind for mount in exact] == ["read"], "what is bound by name is meant"
    os.symlink(f"{tree}/home", f"{tree}/link")
    linked = arranged([Mount("/task", "read", f"{tree}/link")], [f"{tree}/link/experiment"])
    assert [mount.place for mount in linked] == ["/task", "/task/experiment"]


def test_arguments_are_bubblewraps() -> None:
    mounts = [Mount("/dev", "dev"), Mount("/l", "link", "usr"), Mount("/t", "room", size=9), Mount("/a", "write", "/b")]
    assert arguments(mounts, {"/b": "/mnt/0"}) == [
        *("--dev", "/dev", "--symlink", "usr", "/l", "--size", "9", "--tmpfs", "/t", "--bind", "/mnt/0", "/a"),
        *("--remount-ro", "/dev", "--remount-ro", "/"),
    ]


def test_reachable(tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    (shut / "in").mkdir(parents=True)
    shut.chmod(0o700)
    assert not reachable(str(shut / "in"), 60_000) and reachable("/usr/bin", 60_000)
    assert reachable("/tmp", 60_000)


def test_a_stage_is_never_over_what_is_needed() -> None:
    assert stage_place(["/usr"]) in view._PLACES
    with pytest.raises(FileNotFoundError):
        stage_place(list(view._PLACES))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root builds stages")
def test_a_stage_is_seen_by_its_thread_alone(tmp_path: Path) -> None:
    import threading

    (tmp_path / "file").write_bytes(b"x")
    place, seen = stage_place([str(tmp_path)]), []

    def work() -> None:
        build_stage(place, {str(tmp_path): f"{place}/0", str(tmp_path / "file"): f"{place}/1"})
        seen.append((sorted(os.listdir(place)), os.listdir(f"{place}/0")))

    before = os.listdir(place)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(["0", "1"], ["file"])]
    assert os.listdir(place) == before
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can open what is closed")
def test_what_is_closed_is_opened_for_one_thread(tmp_path: Path) -> None:
    """Its own path leads there, nothing else shows beside it, and what lies in it can be written."""
    import threading

    shut = tmp_path / "shut"
    (shut / "deep/in").mkdir(parents=True)
    (shut / "deep/in/file").write_bytes(b"x")
    (shut / "deep/other").write_bytes(b"x")
    shut.chmod(0o700)
    source, seen = str(shut / "deep/in"), []

    def work() -> None:
        view.uncover([source, source, f"{source}/file"], 60_000)
        seen.append((reachable(source, 60_000), os.listdir(source), os.listdir(shut / "deep"), os.listdir(shut)))
        (shut / "deep/in/made").write_bytes(b"y")

    assert not reachable(source, 60_000)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(True, ["file"], ["in"], ["deep"])]
    assert (shut / "deep/in/made").exists() and not reachable(source, 60_000)
    assert sorted(os.listdir(shut / "deep")) == ["in", "other"]
