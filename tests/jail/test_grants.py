"""grants, rooms: what a Landlock jail may touch as a list, and throw-away folders that are thrown away."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kernelfactory.interpreter import PACKAGE, SHIPPED
from kernelfactory.jail import Spec, grants
from kernelfactory.jail.grants import LOOK, READ, WRITE, carved, granted
from kernelfactory.jail.rooms import PREFIX, Rooms, removed, sweep
from kernelfactory.view import inside


@pytest.fixture
def tree(tmp_path: Path) -> str:
    for folder in ("a/b/hidden/in", "a/b/open", "a/else", "c"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "a/file").touch()
    (tmp_path / "a/link").symlink_to(tmp_path / "a/b/hidden")
    return str(tmp_path)


def test_what_is_hidden_is_carved_out(tree: str) -> None:
    found = [path.removeprefix(tree) for path in carved(f"{tree}/a", [f"{tree}/a/b/hidden", f"{tree}/c"])]
    assert found == ["/a/b/open", "/a/else", "/a/file"], "links lead where they lead"
    assert list(carved(f"{tree}/c", [f"{tree}/a"])) == [f"{tree}/c"]
    assert list(carved(f"{tree}/c", [f"{tree}/c"])) == []


def test_no_grant_is_above_what_is_hidden(tree: str) -> None:
    spec = Spec(("x",), read=((f"{tree}/a", "/t"),), write=((f"{tree}/c", "/w"),), hide=(f"{tree}/a/b/hidden",))
    made = dict(granted(spec, "/room"))
    assert not [path for path in made if inside(f"{tree}/a/b/hidden", path)]
    assert made[f"{tree}/a/else"] == READ and made[f"{tree}/c"] == WRITE == made["/room"]
    assert "/proc" not in made and dict(granted(Spec(("x",), proc=True), "/room"))["/proc"] == LOOK


def test_what_is_bound_by_name_is_meant(tree: str) -> None:
    spec = Spec(("x",), read=((f"{tree}/a/b/hidden", "/t"),), hide=(f"{tree}/a", f"{tree}/a/b/hidden"))
    assert dict(granted(spec, "/room"))[f"{tree}/a/b/hidden"] == READ


def test_a_whole_machine_without_its_private_parts(tree: str) -> None:
    made = [
        path for path, rights in granted(Spec(("x",), whole=True, hide=(tree,)), f"{tree}/base/room") if rights == READ
    ]
    assert "/usr" in made and "/etc" in made
    for path in ("/proc", "/dev", "/tmp", tree, f"{tree}/base"):
        assert not [grant for grant in made if inside(path, grant) or inside(grant, path)], path


def test_the_package_can_be_found_and_its_problems_not_read() -> None:
    made = dict(granted(Spec(("x",), read=((PACKAGE, PACKAGE),), hide=(f"{SHIPPED}/vliw_tree/judge",)), "/room"))
    reading = [path for path, rights in made.items() if rights & 4]
    assert not [path for path in reading if inside(SHIPPED, path)]
    assert made[os.path.dirname(PACKAGE)] == 8, "listed, no more"
    hidden = dict(granted(Spec(("x",), read=((PACKAGE, PACKAGE),), hide=(f"{os.path.dirname(PACKAGE)}/x",)), "/room"))
    assert os.path.dirname(PACKAGE) not in hidden and hidden[PACKAGE] == 8


@pytest.mark.skipif(grants.version() == 0, reason="no Landlock here")
@pytest.mark.parametrize("abi", range(1, 7))
def test_the_kernel_takes_the_rules_of_every_version(tree: str, abi: int) -> None:
    if abi > grants.version():
        pytest.skip("a newer one than this kernel's")
    fd = grants.ruleset([*granted(Spec(("x",)), tree), ("/no/such/file", READ)], abi, network=abi % 2 == 0)
    os.close(fd)


# ── rooms ────────────────────────────────────────────────────────────────────────────────────────


def test_rooms_are_translated_and_owned() -> None:
    rooms = Rooms()
    room = rooms.make(("/tmp/home", "/other"), None)
    (_, first), (home, second), (other, third) = room.pairs
    assert [first, second, third] == ["/tmp", "/tmp/home", "/other"]
    assert home == f"{room.folder}/tmp/home" and inside(other, room.folder) and os.path.isdir(other)
    assert stat.S_IMODE(os.stat(room.folder).st_mode) == 0o700
    removed(room.folder)
    assert not os.path.exists(room.folder)


def test_whatever_its_owner_made_of_it_a_room_is_removed(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    (room / "link").symlink_to(tmp_path)
    (tmp_path / "kept").touch()
    os.mkfifo(room / "fifo")
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(room)
        for _ in range(3000):
            os.mkdir("d")
            os.chdir("d")
            Path("f").touch()
        os.chmod(".", 0)
    finally:
        os.fchdir(here)
        os.close(here)
    (room / "d").chmod(0)
    removed(str(room))
    assert os.listdir(tmp_path) == ["kept"]


def test_only_what_nobody_holds_is_swept(tmp_path: Path) -> None:
    for name in (f"{PREFIX}left/room/d", "other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "other")
    sweep(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == [f"{PREFIX}link", "other"]
    rooms = Rooms()
    sweep(os.path.dirname(rooms._base))
    assert os.path.isdir(rooms._base)
