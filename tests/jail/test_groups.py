"""groups: a tree's memory and processes are bounded where groups can be made, and none is left behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from kernelfactory import process
from kernelfactory.jail import Bubblewrap, Spec, find, groups, interpreter_binds, python
from kernelfactory.jail.groups import PREFIX, Place

ENV = {"PATH": "/usr/bin:/bin"}
MIB = 1 << 20


@pytest.fixture
def places() -> Mapping[str, Place]:
    made = groups.available()
    if "memory" not in made:
        pytest.skip("no control group can be made here")
    return made


@pytest.fixture(params=["bubblewrap"])
def binary(request: pytest.FixtureRequest) -> str:
    found = find()
    assert isinstance(found, Bubblewrap)
    return found.binary


def greedy(text: str, **more: object) -> Spec:
    argv = (python(), "-I", "-S", "-c", text)
    wanted: dict[str, object] = {"memory": 512 * MIB, "tree_memory": 96 * MIB, **more}
    return Spec(argv, read=interpreter_binds(), env=ENV, **wanted)  # type: ignore[arg-type]


FAMILY = """
import os, time
for number in range(4):
    if os.fork() == 0:
        held = b"x" * (48 << 20)
        time.sleep(1)
        os._exit(0)
for number in range(4): print(os.wait()[1])
"""
FILLED = (
    "with open('/dev/shm/full', 'wb', buffering=0) as f:\n for n in range(200): f.write(bytes(1 << 20))\nprint('full')"
)
INODES = "n = 0\nwhile n < 400_000: open(f'/tmp/{n}', 'w').close(); n += 1\nprint('made')"


@pytest.mark.parametrize("text", [FAMILY, FILLED, INODES], ids=["many processes", "a room", "empty files"])
def test_the_memory_of_a_tree_is_bounded(places: Mapping[str, Place], binary: str, text: str) -> None:
    spec = greedy(text, tmp_bytes=256 * MIB)
    assert Bubblewrap(binary).run(spec).out_of_memory


def test_no_tree_may_have_all_of_the_machine(places: Mapping[str, Place], binary: str) -> None:
    """An agent is asked for no bound, for its runtime reserves more than it uses; one that leaks is ended all the same,
    before it ends others."""
    before, place = held(places), places["memory"]
    child = Bubblewrap(binary).spawn(greedy("import time; time.sleep(60)", memory=None, tree_memory=None))
    try:
        [group] = [Path(place.folder, name) for name in held(places) - before if Path(place.folder, name).is_dir()]
        bound = int((group / ("memory.max" if place.unified else "memory.limit_in_bytes")).read_text())
    finally:
        child.kill()
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert machine / 2 < bound < machine


@pytest.mark.parametrize("text", [FAMILY, FILLED], ids=["many processes", "a room"])
def test_without_a_group_it_is_not(binary: str, text: str) -> None:
    """Injected fault."""
    done = Bubblewrap(binary, grouped=False).run(greedy(text, tmp_bytes=256 * MIB))
    assert (done.returncode, done.out_of_memory) == (0, False), done


def test_an_ordinary_crash_is_no_lack_of_memory(binary: str) -> None:
    made = Bubblewrap(binary)
    for text in ("import os; os.kill(os.getpid(), 9)", "x = bytearray(1 << 40)", "raise SystemExit(137)"):
        done = made.run(greedy(text))
        assert done.returncode != 0 and not done.out_of_memory


def test_a_group_holds_the_number_of_processes(places: Mapping[str, Place]) -> None:
    """By itself: in the jail the limit of the user is met first."""
    if "pids" not in places:
        pytest.skip("no control group for processes here")
    group = groups.make(None, 0)
    assert group is not None
    text = "import os\nn = 0\ntry:\n while n < 40: n += 1; os.fork() or os.read(0, 1)\nexcept OSError: print(n)"
    reading, writing = os.pipe()
    seen = []

    def work() -> None:
        group.enter()
        argv = [python(), "-I", "-S", "-c", text.replace("os.read(0, 1)", f"os.read({reading}, 1)")]
        seen.append(process.run(argv, env=ENV, seconds=60, options=process.Options(pass_fds=(reading,))).stdout)
        group.leave()

    if places["pids"].unified:
        pytest.skip("version 2 is entered from outside")
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    os.close(reading)
    os.close(writing)
    group.close()
    assert seen and int(seen[0].split()[0]) <= groups.SLACK


def held(places: Mapping[str, Place]) -> set[str]:
    return {entry.name for place in places.values() for entry in os.scandir(place.folder) if entry.is_dir()}


def test_nothing_is_left_of_a_group(places: Mapping[str, Place], binary: str) -> None:
    made = Bubblewrap(binary)
    before = held(places)
    for seconds in (0.3, 20.0):
        made.run(greedy("import os, time\nos.fork()\ntime.sleep(0.5)", seconds=seconds))
    child = made.spawn(greedy("import time; time.sleep(60)"))
    assert held(places) - before
    child.kill()
    with pytest.raises(FileNotFoundError):
        Bubblewrap("/no/such/bwrap").run(greedy("pass"))
    with made.command(greedy("pass")):
        assert held(places) - before
    until = time.monotonic() + 30
    while held(places) - before and time.monotonic() < until:
        empty = groups.make(None, 1)  # those whose members were still dying go when the next one is made
        assert empty is not None
        empty.close()
    assert held(places) <= before


OWNER = """
import os, sys
from kernelfactory import jail
from kernelfactory.jail import groups
child = jail.find().spawn(jail.Spec(("sleep", "60"), env={"PATH": "/usr/bin:/bin"}))
print(*{place.folder for place in groups.available().values()}, flush=True)
sys.stdin.read()
child.kill()
"""


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_what_a_killed_process_left_is_swept(places: Mapping[str, Place], how: str) -> None:
    owner = process.spawn([sys.executable, "-c", OWNER], env=ENV)
    try:
        line = b""
        while not line.endswith(b"\n"):
            line += owner.read(1, 60)
        folders = [Path(word) for word in line.decode().split()]
        for folder in folders:
            groups.sweep(str(folder.parent))
        assert all(folder.is_dir() for folder in folders), "its owner lives"
        if how == "killed":
            os.kill(owner.pid, signal.SIGKILL)
        else:
            os.close(owner.stdin)
            owner.stdin = -1
        assert owner.ended(60)
    finally:
        owner.kill()
    assert any(folder.is_dir() for folder in folders) == (how == "killed")
    until = time.monotonic() + 30
    while any(folder.is_dir() for folder in folders) and time.monotonic() < until:
        for folder in folders:
            groups.sweep(str(folder.parent))
    assert not any(folder.exists() for folder in folders)


# ── version 2 ────────────────────────────────────────────────────────────────────────────────────


def test_what_is_written_is_what_the_kernel_reads() -> None:
    assert list(groups.bounds("memory", True, 5, 9)) == [("memory.max", "5", True), ("memory.swap.max", "0", False)]
    assert [name for name, _, _ in groups.bounds("memory", False, 5, 9)] == [
        "memory.limit_in_bytes",
        "memory.memsw.limit_in_bytes",
    ]
    assert list(groups.bounds("memory", True, None, 9)) == []
    assert list(groups.bounds("pids", True, None, 9)) == [("pids.max", str(9 + groups.SLACK), True)]


def mounted(at: Path, root: str = "/") -> str:
    return (
        f"31 23 0:28 {root} {at} rw - cgroup2 cgroup2 rw\n32 23 0:29 / /m rw shared:1 - cgroup cgroup rw,cpu,memory\n"
    )


def test_hierarchies_are_found_in_what_is_mounted(tmp_path: Path) -> None:
    assert list(groups._mounts(mounted(tmp_path), "memory")) == [(True, (str(tmp_path), "/")), (False, ("/m", "/"))]
    assert list(groups._mounts(mounted(tmp_path), "pids")) == [(True, (str(tmp_path), "/"))]
    for root, group, at in (
        ("/", "/a/b", "/g/a/b"),
        ("/a", "/a/b", "/g/b"),
        ("/a", "/a", "/g"),
        ("/a", "/other", "/g"),
        ("/", "/", "/g"),
    ):
        assert groups._joined(("/g", root), group) == at


def test_a_folder_that_is_no_hierarchy_is_left_as_it_was(tmp_path: Path) -> None:
    """Memory may be bounded beside this process's group, by its words; but nothing comes of a plain folder."""
    for name, may in ((".", "cpu memory pids"), ("app.slice", "memory pids"), ("app.slice/run.scope", "")):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "cgroup.subtree_control").write_text(may)
    assert groups.find("0::/app.slice/run.scope\n", mounted(tmp_path).splitlines()[0]) == {}
    assert not list(tmp_path.glob(f"**/{PREFIX}*"))


def test_a_process_is_put_into_a_group_from_outside() -> None:
    """Of version 2, wherever it is mounted and writable; what the kernel bounds there is another matter."""
    mounts = [at for unified, (at, _) in groups._mounts(Path("/proc/self/mountinfo").read_text(), "") if unified]
    folder = Path(mounts[0], f"{PREFIX}test-{os.getpid()}") if mounts else Path("/proc/none")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("no control groups of version 2 that can be written")
    try:
        group = groups.Group({"": Place(str(folder), mounts[0], True, -1)}, None, 0)
        child = process.spawn(["sleep", "60"], env=ENV)
        group.add(child.pid)
        inner = next(entry for entry in folder.iterdir() if entry.is_dir())
        assert (inner / "cgroup.procs").read_text().split() == [str(child.pid)]
        assert not group.close(), "nobody lacked memory"
        assert child.ended(60), "whoever is left in it is killed"
        child.kill()
    finally:
        groups._clear(str(folder))
    assert not folder.exists()
