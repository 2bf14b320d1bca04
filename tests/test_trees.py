"""The content store, against the real git."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading

import pytest

from kernelfactory import jail
from kernelfactory.files import tree_id, write_tree
from kernelfactory.model import BadInput, BadIntake, KernelFactoryError
from kernelfactory.trees import BEST, Trees

FILES = {
    "a.py": b"x = 1\n",
    "lib/deep/er.c": b"int x;\r\n",
    "lib.py": b"",
    "lib-x/é ü.txt": b"\xff\0\xfe" * 100,
    "a/b": b"sorts after a.py",
}
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def trees(tmp_path) -> Trees:
    return Trees.create(tmp_path / "trees.git")


def git(trees: Trees, *words: str, **more) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": str(trees.folder), **more}
    argv = ["git", "--git-dir", str(trees.folder), *words]
    ended = subprocess.run(argv, env=env, capture_output=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.decode()


def box() -> list[str]:
    """A command before a command: a sandbox in which disks can be made small or read-only, without being root."""
    for binary in jail.binaries():
        argv = [binary, "--bind", "/", "/", "--dev", "/dev"]
        if subprocess.run([*argv, "true"], capture_output=True, check=False).returncode == 0:
            return argv
    pytest.skip("bubblewrap does not work here")


def sound(trees: Trees) -> bool:
    argv = ["git", "--git-dir", str(trees.folder), "fsck", "--strict", "--full", "--no-dangling"]
    ended = subprocess.run(argv, capture_output=True, timeout=60, check=False)
    said = [line for line in (ended.stdout + ended.stderr).splitlines() if b"unborn branch" not in line]
    return ended.returncode == 0 and not said


def test_what_goes_in_comes_out(trees):
    commit = trees.commit(FILES, message="seed", at=5.9)
    assert trees.read(commit.commit) == FILES == trees.read(commit.tree)
    assert commit.tree == tree_id(FILES)
    assert trees.exists(commit.commit)
    assert trees.exists(commit.tree)
    assert Trees(trees.folder).read(commit.commit) == FILES
    empty = trees.commit({}, message="nothing")
    assert trees.read(empty.commit) == {}


@needs_git
def test_ids_are_gits_own(trees, tmp_path):
    first = trees.commit(FILES, message="seed\n\nbody", ref="refs/candidates/0/1", at=1_700_000_000)
    second = trees.commit(
        {**FILES, "a.py": b"x = 2\n"}, parents=[first.commit], message="ä\0b", ref="refs/candidates/1/1", at=1
    )
    trees.point(BEST, second.commit)
    assert sound(trees)
    assert git(trees, "log", "--format=%H %an <%ae> %at %s").splitlines() == [
        f"{second.commit} KernelFactory <kf@localhost> 1 ä�b",
        f"{first.commit} KernelFactory <kf@localhost> 1700000000 seed",
    ]
    assert git(trees, "cat-file", "-p", f"{first.commit}:a.py") == "x = 1\n"
    names = git(trees, "-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", first.tree).splitlines()
    assert sorted(names) == sorted(FILES)
    folder = tmp_path / "work"
    write_tree(folder, FILES)
    where = {"GIT_WORK_TREE": str(folder), "GIT_INDEX_FILE": str(tmp_path / "index")}
    git(trees, "add", "-A", "-f", ".", **where)
    assert git(trees, "write-tree", **where).strip() == first.tree
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in (
        ("NAME", "KernelFactory"), ("EMAIL", "kf@localhost"), ("DATE", "1700000000 +0000"))}  # fmt: skip
    assert git(trees, "commit-tree", first.tree, "-m", "seed", "-m", "body", **who).strip() == first.commit


@needs_git
def test_the_check_sees_a_broken_object(trees):
    commit = trees.commit(FILES, message="seed", ref="refs/candidates/0/1")
    assert sound(trees)
    path = trees.folder / "objects" / commit.tree[:2] / commit.tree[2:]
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-3])
    assert not sound(trees)
    with pytest.raises(BadInput):
        Trees(trees.folder).read(commit.tree)


def test_equal_content_gives_equal_ids_and_no_second_copy(trees, tmp_path):
    first = trees.commit(FILES, message="m", at=7)
    objects = sorted(path.name for path in trees.folder.glob("objects/??/*"))
    assert trees.commit(dict(reversed(FILES.items())), message="m", at=7) == first
    assert sorted(path.name for path in trees.folder.glob("objects/??/*")) == objects
    later = trees.commit(FILES, message="m", at=8)
    assert (later.tree, later.commit != first.commit) == (first.tree, True)
    assert Trees.create(tmp_path / "other.git").commit(FILES, message="m", at=7) == first


def test_ancestry_and_names(trees):
    line = [trees.commit(FILES, message="0").commit]
    for number in range(1, 5):
        line.append(trees.commit(FILES, parents=line[-1:], message=str(number)).commit)
    assert trees.ancestry(line[-1]) == tuple(reversed(line))
    assert trees.ancestry(line[-1], 2) == (line[-1], line[-2])
    assert trees.resolve(BEST) is None
    for commit in line:
        trees.point(BEST, commit)
        assert trees.resolve(BEST) == commit
    for name in ("best", "refs/../x", "refs/x.lock", "refs/a b", "refs/.x", "refs//x", "HEAD", "refs/x\n"):
        with pytest.raises(BadInput):
            trees.point(name, line[0])


@pytest.mark.parametrize("path", [
    "", "/x", "x/", "a//b", "..", "a/../b", "./a", ".git/config", "a/.git/hooks/x", ".GIT/x", "a/.git", ".git /x",
    ".git./x",    "GIT~1/x", ".g\u200cit/x", ".gitmodules", "a\0b", "a\nb", "\udcff", "\x1b[31m",
])  # fmt: skip
def test_paths_that_no_program_may_have(trees, path):
    with pytest.raises(BadIntake) as caught:
        trees.commit({"ok": b"", path: b""}, message="m")
    assert "\n" not in str(caught.value)


def test_a_file_is_no_folder(trees):
    for files in ({"a": b"", "a/b": b""}, {"a/b": b"", "a": b""}):
        with pytest.raises(BadIntake, match="rename"):
            trees.commit(files, message="m")


def test_diff(trees):
    first = trees.commit({"a.py": b"x = 1\ny = 2\n", "b": b"\xff\0"}, message="m").commit
    second = trees.commit({"a.py": b"x = 1\ny = 3\n", "b": b"\xfe\0", "é": b"\xe9\n"}, message="m").commit
    text = trees.diff(first, second)
    assert "--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n x = 1\n-y = 2\n+y = 3\n" in text
    assert trees.diff(first, first) == ""
    cut = trees.diff(first, second, 60)
    assert len(cut) < 110
    assert cut.endswith("characters more]\n")


def test_what_is_not_there(trees, tmp_path):
    commit = trees.commit(FILES, message="m")
    for name in ("0" * 40, "HEAD", "best", commit.commit[:10], "", "--help"):
        assert not trees.exists(name)
        with pytest.raises(BadInput):
            trees.read(name)
        with pytest.raises(BadInput):
            trees.commit(FILES, parents=[name], message="m")
    with pytest.raises(BadInput):
        trees.commit(FILES, parents=[commit.tree], message="m")
    with pytest.raises(BadInput, match="no readable git repository"):
        Trees(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="already"):
        Trees.create(trees.folder)


def candidates(trees: Trees, count: int) -> dict[str, dict[str, bytes]]:
    dice, stored, parents = random.Random(1), {}, []
    lines = [b"line %d" % number for number in range(200)]
    for number in range(1, count + 1):
        lines[dice.randrange(200)] = b"line %d" % dice.randrange(10**6)
        files = {"kernel.py": b"\n".join(lines)}
        commit = trees.commit(files, parents=parents, message=f"attempt {number}", ref=f"refs/candidates/{number}/1")
        stored[commit.commit], parents = files, [commit.commit]
    return stored


def size(trees: Trees) -> int:
    return sum(path.stat().st_blocks * 512 for path in trees.folder.rglob("*") if path.is_file())


@needs_git
def test_packing_keeps_everything_and_saves_room(trees):
    stored = candidates(trees, 60)
    loose = trees.commit({"x": b"kept by nobody"}, message="m").commit
    before = size(trees)
    trees.pack()
    assert size(trees) < before / 5
    more = candidates(trees, 3)
    trees.pack()
    trees.commit({"y": b""}, message="m", ref="refs/candidates/1/2")
    for store in (trees, Trees(trees.folder)):
        assert {commit: store.read(commit) for commit in stored | more} == stored | more
        assert store.exists(loose)
        assert store.resolve("refs/candidates/60/1") in stored
    assert sound(trees)


@needs_git
def test_collecting_garbage_never_drops_a_candidate(trees):
    stored = candidates(trees, 10)
    dropped = trees.commit({"x": b"no name"}, message="m").commit
    git(trees, "gc", "--quiet", "--prune=now")
    assert {commit: Trees(trees.folder).read(commit) for commit in stored} == stored
    assert not Trees(trees.folder).exists(dropped), "the fault: without a name git does drop it"


@needs_git
def test_many_threads_while_it_is_packed(trees):
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            parent = trees.commit({"a": b"%d" % number}, message="m").commit
            for step in range(15):
                files = {"a": b"%d %d" % (number, step), "b": b"same"}
                kept = trees.commit(files, parents=[parent], message="m", ref=f"refs/candidates/{number}/{step}")
                parent = kept.commit
                assert trees.read(parent) == files
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        trees.pack()
    for thread in threads:
        thread.join()
    trees.pack()
    assert failed == []
    assert len(git(trees, "for-each-ref").splitlines()) == 90
    assert sound(trees)


@needs_git
def test_nothing_of_the_users_git_is_read_or_run(tmp_path):
    """A user's configuration with hooks, templates and a file-system monitor must not matter."""
    home, ran = tmp_path / "home", tmp_path / "ran"
    (home / "template" / "hooks").mkdir(parents=True)
    for name in ("reference-transaction", "post-index-change", "pre-auto-gc"):
        hook = home / "template" / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
        hook.chmod(0o755)
    (home / ".gitconfig").write_text(
        f"[init]\ntemplateDir = {home}/template\n[core]\nhooksPath = {home}/template/hooks\nfsmonitor = touch {ran}\n"
    )
    code = f"""
from kernelfactory.trees import Trees
trees = Trees.create({str(tmp_path / "t.git")!r})
commit = trees.commit({{"a": b"b"}}, message="m", ref="refs/candidates/1/1")
trees.pack()
print(commit.commit)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "HOME": str(home)}, capture_output=True, check=True
    )
    assert len(ended.stdout.strip()) == 40
    assert not ran.exists()
    assert not list((tmp_path / "t.git").glob("hooks/*"))
    argv = [
        "git",
        "--git-dir",
        str(tmp_path / "t.git"),
        "-c",
        f"core.hooksPath={home}/template/hooks",
        "pack-refs",
        "--all",
    ]
    argv[-2:] = ["update-ref", "refs/heads/x", ended.stdout.decode().strip()]
    subprocess.run(argv, env={**os.environ, "HOME": str(home)}, check=True)
    assert ran.exists(), "the fault: such a hook does run where it is allowed"


def test_packing_without_git_says_so(trees, tmp_path):
    code = f"""
from kernelfactory.trees import Trees
Trees({str(trees.folder)!r}).pack()
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert f"{KernelFactoryError.__name__}: git is not installed" in ended.stderr


def test_a_full_disk(tmp_path):
    """A real one: a small tmpfs that fills; what was acknowledged stays."""
    small, after = tmp_path / "small", tmp_path / "after"
    small.mkdir()
    code = f"""
import os, shutil
from kernelfactory.model import KernelFactoryError
from kernelfactory.trees import Trees
trees = Trees.create({str(small / "t.git")!r})
try:
    while True:
        print("stored", trees.commit({{"a": os.urandom(100_000)}}, message="m", ref="refs/candidates/1/1").commit)
except KernelFactoryError as error:
    print(type(error).__name__, error.exit_code, error)
shutil.copytree({str(small)!r}, {str(after)!r})
"""
    argv = [*box(), "--size", str(3 << 20), "--tmpfs", str(small), sys.executable, "-c", code]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    *stored, last = ended.stdout.splitlines()
    assert last.startswith("TreesFull 3 no room left"), (last, ended.stderr[-500:])
    assert len(stored) > 5
    trees = Trees(after / "t.git")
    assert all(len(trees.read(line.split()[1])["a"]) == 100_000 for line in stored)


def test_a_read_only_folder_is_still_read(trees):
    commit = trees.commit(FILES, message="m").commit
    code = f"""
from kernelfactory.model import BadInput
from kernelfactory.trees import Trees
trees = Trees({str(trees.folder)!r})
print(len(trees.read({commit!r})))
try:
    trees.commit({{"z": b"1"}}, message="m")
except BadInput as error:
    print(error)
"""
    argv = [*box(), "--ro-bind", str(trees.folder), str(trees.folder), sys.executable, "-c", code]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    count, said = ended.stdout.splitlines()
    assert count == str(len(FILES))
    assert "cannot be used" in said
