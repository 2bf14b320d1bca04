"""files: hostile folders in, honest values out."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelfactory import files
from kernelfactory.files import Caps, read_tree, write_tree
from kernelfactory.model import BadInput, BadIntake

TREE = {"kernel.py": b"print(1)\n", "src/a.c": b"int a;\n", "src/deep/b.c": b"", "notes.txt": b"x"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "ws"
    write_tree(made, TREE)
    return made


@pytest.mark.parametrize(
    ("globs", "names"),
    [
        (["kernel.py"], {"kernel.py"}),
        (["*"], {"kernel.py", "notes.txt"}),
        (["src/*.c"], {"src/a.c"}),
        (["src/**/*.c"], {"src/a.c", "src/deep/b.c"}),
        (["**"], set(TREE)),
        (["**/*.c", "notes.*"], {"src/a.c", "src/deep/b.c", "notes.txt"}),
        (["KERNEL.PY"], set()),
        ([], set()),
    ],
)
def test_globs(folder: Path, globs: list[str], names: set[str]) -> None:
    assert set(read_tree(folder, globs)) == names


def test_reads_what_was_written_by_path_and_by_descriptor(folder: Path) -> None:
    assert read_tree(folder, ["**"]) == TREE
    opened = os.open(folder, os.O_RDONLY)
    assert read_tree(opened, ["**"]) == TREE == read_tree(str(folder), ["**"])
    os.close(opened)


@pytest.mark.parametrize("glob", ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a"])
def test_a_glob_that_leads_out_is_refused(folder: Path, glob: str) -> None:
    with pytest.raises(BadInput, match="relative path"):
        read_tree(folder, [glob])


def test_own_folders_are_not_looked_into(folder: Path) -> None:
    write_tree(folder, {".kf/token": b"t", ".git/config": b"c", "src/__pycache__/a.pyc": b"p"})
    assert set(read_tree(folder, ["**"])) == set(TREE)


def refuses(folder: Path, globs: list[str], says: str, caps: Caps | None = None) -> None:
    with pytest.raises(BadIntake, match=says) as raised:
        read_tree(folder, globs, caps)
    assert "\n" not in str(raised.value)
    assert str(raised.value).isascii()


def test_a_linked_file_is_refused_and_a_hard_link_is_a_file(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"s")
    os.link(secret, folder / "hard.py")
    assert read_tree(folder, ["*.py"])["hard.py"] == b"s"
    (folder / "kernel.py").unlink()
    (folder / "kernel.py").symlink_to(secret)
    refuses(folder, ["*.py"], r"kernel\.py: is a symbolic link")


def test_a_linked_parent_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "src").rename(tmp_path / "elsewhere")
    (folder / "src").symlink_to(tmp_path / "elsewhere")
    refuses(folder, ["src/*.c"], "src: is a symbolic link")
    assert set(read_tree(folder, ["**/*.c"])) == set(), "a sweep does not look through links"
    (folder.parent / "link").symlink_to(folder)
    refuses(folder.parent / "link", ["*"], "link")


@pytest.mark.parametrize("kind", ["fifo", "socket", "folder-link-loop"])
def test_what_is_no_file_is_refused_without_blocking(folder: Path, kind: str) -> None:
    path = folder / "odd.py"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
    else:
        path.symlink_to("odd.py")
    refuses(folder, ["*.py"], r"odd\.py: is a (FIFO|socket|symbolic link)")


def test_a_device_is_refused() -> None:
    refuses(Path("/dev"), ["null"], "null: is a device")


def test_others_are_ignored_when_no_glob_names_them(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("/etc/passwd")
    assert set(read_tree(folder, ["*.py"])) == {"kernel.py"}


def test_caps(folder: Path) -> None:
    with (folder / "huge.py").open("wb") as file:
        file.truncate(1 << 40)
    refuses(folder, ["*.py"], r"huge\.py: larger than 8388608 bytes")
    (folder / "huge.py").unlink()
    assert read_tree(folder, ["*.py"], Caps(file_bytes=9)) == {"kernel.py": TREE["kernel.py"]}
    refuses(folder, ["*.py"], "larger than 8 bytes", Caps(file_bytes=8))
    refuses(folder, ["**"], "pass 10 bytes together", Caps(total_bytes=10))
    refuses(folder, ["**"], "more than 3 files", Caps(count=3))


def test_a_growing_file_is_read_up_to_the_cap(folder: Path) -> None:
    """/proc files say size 0 and give bytes: the cap counts what is read, not what was said."""
    assert read_tree(Path(f"/proc/{os.getpid()}"), ["status"])["status"]
    refuses(Path(f"/proc/{os.getpid()}"), ["status"], "larger than 20 bytes", Caps(file_bytes=20))
    stop = threading.Event()

    def grow() -> None:
        with (folder / "grow.py").open("ab", buffering=0) as file:
            while not stop.is_set() and file.tell() < 64 << 20:
                file.write(b"#" * 4096)

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        for _ in range(20):
            try:
                assert len(read_tree(folder, ["grow.py"], Caps(file_bytes=1 << 20)).get("grow.py", b"")) <= 1 << 20
            except BadIntake as error:
                assert "larger than" in str(error)
    finally:
        stop.set()
        thread.join()


LIES = [b"new\nline.py", b"tab\t.py", b"\xff\xfe.py", "bidi\u202e.py".encode(), b"\x1b[0m.py"]


@pytest.mark.parametrize("name", LIES)
def test_names_that_lie_are_refused(folder: Path, name: bytes) -> None:
    with open(os.fsencode(folder) + b"/" + name, "wb"):
        pass
    refuses(folder, ["*.py"], "not plain UTF-8")
    assert set(read_tree(folder, ["*.txt"])) == {"notes.txt"}


def test_honest_unicode_names_pass(folder: Path) -> None:
    write_tree(folder, {"größe/κ.py": b"1"})
    assert read_tree(folder, ["**/κ.py"]) == {"größe/κ.py": b"1"}


def test_depth_and_crowds_are_bounded(folder: Path) -> None:
    deep = folder / "/".join(["d"] * (files.DEPTH + 2))
    deep.mkdir(parents=True)
    refuses(folder, ["**"], "nested deeper")
    assert read_tree(folder, ["kernel.py"]), "what no glob leads to is not walked"


def test_a_file_that_may_not_be_read_is_named(folder: Path) -> None:
    (folder / "kernel.py").chmod(0)
    if os.geteuid() == 0:
        assert read_tree(folder, ["kernel.py"])
    else:
        refuses(folder, ["kernel.py"], r"kernel\.py: Permission denied")
    with pytest.raises(BadIntake, match="No such file"):
        read_tree(folder / "absent", ["*"])


@pytest.mark.parametrize("name", ["", "/abs", "../up", "a/../b", "a//b", ".", "a/", "nul\0", "line\n"])
def test_write_tree_refuses_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadIntake):
        write_tree(tmp_path / "out", {name: b"x"})


def test_write_tree_never_writes_through_a_link(tmp_path: Path) -> None:
    write_tree(tmp_path / "victim", {"file": b"old"})
    out = tmp_path / "out"
    out.mkdir()
    (out / "file").symlink_to(tmp_path / "victim/file")
    (out / "folder").symlink_to(tmp_path / "victim")
    for name in ("file", "folder/file"):
        with pytest.raises(BadIntake):
            write_tree(out, {name: b"new"})
    assert (tmp_path / "victim/file").read_bytes() == b"old"
    with pytest.raises(BadIntake):
        write_tree(out, {"a": b"", "a/b": b""})


def test_write_tree_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_tree(tmp_path / "out", {"a/b": b"x"})
    finally:
        os.umask(before)
    assert (tmp_path / "out/a").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out/a/b").stat().st_mode & 0o777 == 0o644


def test_write_atomic(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_atomic(path, b"one")
    files.write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    with pytest.raises(OSError):
        files.write_atomic(tmp_path, b"onto a folder")
    assert [p.name for p in tmp_path.iterdir()] == ["file"], "no leftovers"


def test_replace_folder_swaps_whole_folders(tmp_path: Path) -> None:
    best = tmp_path / "best"
    files.replace_folder(best, {"a.py": b"1", "old/b": b"2"})
    held = os.open(best, os.O_RDONLY)
    (tmp_path / ".best.0123456789ab").mkdir()
    files.replace_folder(best, {"a.py": b"3"})
    assert read_tree(best, ["**"]) == {"a.py": b"3"}
    assert [p.name for p in tmp_path.iterdir()] == ["best"], "the old folder and a crash's leftovers are gone"
    os.close(held)


def test_readers_of_a_replaced_folder_never_find_it_absent(tmp_path: Path) -> None:
    best, stop, absent = tmp_path / "best", threading.Event(), []
    files.replace_folder(best, {"a": b"0"})

    def look() -> None:
        while not stop.is_set():
            if not best.is_dir():
                absent.append(1)

    thread = threading.Thread(target=look)
    thread.start()
    for number in range(30):
        files.replace_folder(best, {"a": b"%d" % number})
    stop.set()
    thread.join()
    assert not absent


names = st.text(st.sampled_from("ab.é-"), min_size=1, max_size=3).filter(lambda n: n not in {".", ".."})
trees = st.dictionaries(st.lists(names, min_size=1, max_size=3).map("/".join), st.binary(max_size=20), max_size=6)


def nests(tree: dict[str, bytes]) -> bool:
    return any(a != b and b.startswith(a + "/") for a in tree for b in tree)


@settings(max_examples=15, deadline=None)
@given(trees.filter(lambda tree: not nests(tree)))
def test_tree_id_is_gits(tmp_path_factory: pytest.TempPathFactory, tree: dict[str, bytes]) -> None:
    tree.setdefault("z", b"")
    folder = tmp_path_factory.mktemp("git")
    write_tree(folder / "w", tree)
    git = ["git", "--git-dir", str(folder / "g"), "--work-tree", str(folder / "w")]
    subprocess.run(["git", "init", "-q", "--bare", str(folder / "g")], check=True)
    subprocess.run([*git, "-c", "core.autocrlf=false", "add", "-Af", "."], check=True, cwd=folder / "w")
    assert subprocess.check_output([*git, "write-tree"], text=True).strip() == files.tree_id(tree)
    assert read_tree(folder / "w", ["**"]) == tree


def test_content_names() -> None:
    assert files.blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert files.tree_id({}) == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    assert files.digest({"a": b"bc"}) != files.digest({"ab": b"c"}), "lengths are part of it"
    assert files.digest({"a": b"1", "b": b"2"}) == files.digest({"b": b"2", "a": b"1"})


def test_free_bytes(tmp_path: Path) -> None:
    assert files.free_bytes(tmp_path) > 0
