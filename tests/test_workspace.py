"""Lent folders: what an agent gets, what it cannot see, what comes back, and that nothing of it stays."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kernelfactory import jail as jails
from kernelfactory import problem
from kernelfactory.model import Assignment, BadInput, BadIntake, Limits
from kernelfactory.process import Options
from kernelfactory.workspace import NOTES_BYTES, PREFIX, Ground, Workspace, leftovers, lend, remove

TINY = Path(__file__).parent / "problems/tiny_network"
Lend = Callable[..., Workspace]


@pytest.fixture(scope="module")
def jail() -> jails.Jail:
    try:
        return jails.find()
    except BadInput as error:
        pytest.skip(f"no jail works here: {error}")


def assignment(**changes: object) -> Assignment:
    given: dict[str, object] = {
        "attempt": 42,
        "token": "a-secret-token",
        "island": 0,
        "parent": 3,
        "parent_score": 6.0,
        "best_score": 5.0,
        "brief": "# Make it smaller\n",
        "files": dict(problem.load(TINY).seed),
        "limits": Limits(seconds=60.0),
        "move": "select",
        "reason": "because",
        "inspirations": {7: {"network.py": b"# number 7\n"}},
    }
    return Assignment(**{**given, **changes})  # type: ignore[arg-type]


@pytest.fixture
def ground(jail: jails.Jail, tmp_path: Path) -> Ground:
    experiment = tmp_path / "experiment"
    copy = problem.lock(TINY, experiment / "problem")
    (experiment / "record.db").write_text("everything")
    os.chmod(experiment / "record.db", 0o644)
    return Ground(tmp_path / "scratch", jail, copy, (str(experiment),))


@pytest.fixture
def lent(ground: Ground) -> Iterator[Workspace]:
    with lend(assignment(), ground) as workspace:
        yield workspace


@pytest.fixture
def open_ground(ground: Ground) -> Ground:
    return Ground(ground.root, jails.Unprotected(), ground.problem, ground.masked)


def sh(workspace: Workspace, script: str) -> str:
    done = workspace.run(["/bin/sh", "-c", script], seconds=20)
    return (done.stdout + done.stderr).decode(errors="replace")


# ── what an agent gets ───────────────────────────────────────────────────────────────────────────


def test_what_lies_in_it(lent: Workspace) -> None:
    names = sorted(str(path.relative_to(lent.folder)) for path in lent.folder.rglob("*") if path.is_file())
    assert names == [
        ".kf/assignment.json",
        ".kf/inspirations/7/network.py",
        ".kf/token",
        "BRIEF.md",
        "network.py",
        "produce.py",
        "progress.md",
    ]
    assert (lent.folder / "BRIEF.md").read_text() == "# Make it smaller\n"
    assert (lent.folder / ".kf/token").read_text() == "a-secret-token"
    assert (lent.folder / "progress.md").read_text() == ""
    assert json.loads((lent.folder / ".kf/assignment.json").read_text()) == {
        "attempt": 42,
        "seconds": 60.0,
        "parent_score": 6.0,
        "metric": "comparators",
        "goal": "min",
        "editable": ["network.py"],
    }


def test_its_name_cannot_be_guessed_and_its_mode_is_private(ground: Ground) -> None:
    with lend(assignment(), ground) as one, lend(assignment(), ground, slot=1) as two:
        assert one.folder != two.folder and len(one.base.name) >= len(PREFIX) + 24
        assert stat.S_IMODE(one.base.stat().st_mode) == 0o700
    assert list(ground.root.iterdir()) == []


def test_an_agent_works_in_it(lent: Workspace) -> None:
    assert lent.cage == "bubblewrap"
    assert sh(lent, "pwd; echo '# note' > progress.md; echo '# code' > network.py; cat .kf/token") == (
        f"{os.path.realpath(lent.folder)}\na-secret-token"
    )
    assert lent.notes() == "# note\n"
    assert lent.collect(["network.py"]) == ({"network.py": b"# code\n"}, None)


def test_tools_and_home_are_there(lent: Workspace) -> None:
    found = sh(lent, "python3 -c 'import kernelfactory.model, sys; print(sys.version_info[0])'; echo $HOME > $HOME/x")
    assert found == "3\n"
    assert sh(lent, "cat $HOME/x; env | sort | cut -d= -f1 | tr '\\n' ' '").startswith(
        "/tmp/home"
    )  # until it is closed
    lent.close()
    assert not lent.home.exists()


def test_its_environment_is_scrubbed(lent: Workspace, open_ground: Ground) -> None:
    os.environ["KF_TEST_SECRET"] = "hidden"
    try:
        with lend(assignment(), open_ground) as uncaged:
            for workspace in (lent, uncaged):
                done = workspace.run(["/bin/sh", "-c", "env; cat /proc/1/environ"], env={"GIVEN": "yes"}, seconds=20)
                assert b"GIVEN=yes" in done.stdout
                if workspace is lent:
                    assert b"KF_TEST_SECRET" not in done.stdout
            assert b"KF_TEST_SECRET" not in uncaged.run(["/usr/bin/env"], seconds=20).stdout
    finally:
        del os.environ["KF_TEST_SECRET"]


# ── what it cannot see ───────────────────────────────────────────────────────────────────────────


def looks(ground: Ground, workspace: Workspace, sibling: Workspace) -> str:
    """What an agent finds of the experiment, the judge's files and a sibling."""
    experiment = Path(ground.masked[0])
    places = [experiment / "record.db", Path(ground.problem.folder) / "judge/ruler.py", sibling.folder / ".kf/token"]
    return sh(workspace, "; ".join(f"cat '{place}'" for place in places) + "; true")


def test_the_cage_hides_the_experiment_and_siblings(ground: Ground, open_ground: Ground) -> None:
    with lend(assignment(), ground) as one, lend(assignment(token="another-token"), ground, slot=1) as two:
        seen = looks(ground, one, two)
        assert seen.count("No such file") + seen.count("Permission denied") == 3
        assert "everything" not in seen and "another-token" not in seen
        assert f"{two.base.name}" not in sh(one, f"ls -a '{ground.root}'")
        with lend(assignment(), open_ground) as uncaged:  # the injected fault: no cage, and everything is seen
            seen = looks(ground, uncaged, two)
            assert uncaged.cage == "none"
            assert "everything" in seen and "another-token" in seen


def test_the_cage_keeps_writing_in(lent: Workspace, tmp_path: Path) -> None:
    targets = [tmp_path / "x", Path.home() / ".kf-test-x", Path("/var/tmp/.kf-test-x"), Path("/tmp/.kf-test-x")]
    sh(lent, "; ".join(f"echo x > '{target}'" for target in targets) + f"; rm -rf '{TINY}' ../* 2>/dev/null; true")
    assert not any(target.exists() for target in targets)
    assert (TINY / "problem.toml").exists()


def test_there_is_no_network_unless_given(lent: Workspace) -> None:
    script = (
        "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(open('/proc/net/dev').read().count(':'))"
    )
    assert lent.run(["python3", "-c", script], seconds=20).stdout in (b"1\n", b"2\n", b"3\n")
    refused = "import socket\ntry: socket.create_connection(('1.1.1.1', 53), 1)\nexcept OSError as e: print(e.errno)"
    assert lent.run(["python3", "-c", refused], seconds=20).stdout.strip() == b"101"  # network is unreachable


# ── how a process ends ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("caged", [True, False])
def test_time_and_stop_end_the_whole_tree(ground: Ground, open_ground: Ground, caged: bool) -> None:
    with lend(assignment(), ground if caged else open_ground) as workspace:
        forks = ["/bin/sh", "-c", "sleep 600 & (sleep 601 &) ; echo on; sleep 602"]
        started = time.monotonic()
        assert workspace.run(forks, seconds=0.5).timed_out
        stop = threading.Event()
        threading.Timer(0.3, stop.set).start()
        lines: list[str] = []
        done = workspace.run(forks, seconds=60, stop=stop, options=Options(on_line=lines.append))
        assert done.stopped and lines == ["on"]
        assert time.monotonic() - started < 15


def test_a_talkative_agent_is_not_ended(lent: Workspace) -> None:
    done = lent.run(["python3", "-c", "print('x' * (12 << 20)); raise SystemExit(7)"], seconds=30)
    assert (done.returncode, done.overflow) == (7, True) and len(done.stdout) == 8 << 20


# ── what comes back ──────────────────────────────────────────────────────────────────────────────


def test_only_editable_regular_files_are_collected(lent: Workspace) -> None:
    sh(
        lent,
        "mkdir -p lib/deep; echo 1 > lib/a.py; echo 2 > lib/deep/b.py; echo 3 > lib/c.txt; ln -s /etc/passwd lib/p.txt",
    )
    assert lent.collect(["network.py", "lib/**/*.py"])[0] is not None
    assert set(lent.collect(["lib/**/*.py"])[0] or {}) == {"lib/a.py", "lib/deep/b.py"}
    everything, fault = lent.collect(["*"])
    assert fault is None and set(everything or {}) == {"network.py", "produce.py"}  # nothing that the workspace keeps


HOSTILE = [
    ("rm network.py; ln -s /etc/passwd network.py", "link"),
    ("rm network.py; mkfifo network.py", "FIFO"),
    ("rm network.py; ln -s .kf/token network.py", "link"),
    ("rm network.py; truncate -s 1T network.py 2>/dev/null || truncate -s 3G network.py", "larger"),
]


@pytest.mark.parametrize(("script", "word"), HOSTILE)
def test_a_hostile_file_is_refused_in_words(lent: Workspace, script: str, word: str) -> None:
    sh(lent, script)
    found, fault = lent.collect(["network.py"])
    assert found is None and fault is not None and word in fault and "network.py" in fault and "\n" not in fault
    assert lent.faults == [fault]


def test_a_linked_parent_folder_is_refused(lent: Workspace) -> None:
    sh(lent, "ln -s /etc lib")
    assert lent.collect(["lib/*"])[0] is None


NOTES = [
    ("rm progress.md", ""),
    ("rm progress.md; ln -s /etc/passwd progress.md", ""),
    ("rm progress.md; ln -s .kf/token progress.md", ""),
    ("rm progress.md; mkfifo progress.md", ""),
    ("rm progress.md; mkdir progress.md", ""),
    ("head -c 1000000 /dev/zero | tr '\\0' n > progress.md", "n" * NOTES_BYTES),
    ("head -c 10000000 /dev/zero > progress.md", "\0" * (64 << 10)),
    ("printf '\\377\\033[2J' > progress.md", "\ufffd\x1b[2J"),
]


@pytest.mark.parametrize(("script", "text"), NOTES)
def test_notes_of_any_kind_never_raise(lent: Workspace, script: str, text: str) -> None:
    sh(lent, script)
    assert lent.notes() == text


# ── nothing stays ────────────────────────────────────────────────────────────────────────────────

MESS = """
import os
os.mkdir('closed'); open('closed/file', 'w').close(); os.mkdir('closed/inner')
os.chmod('closed/inner', 0); os.chmod('closed', 0)
os.symlink(OUTSIDE, 'link'); os.symlink('/nothing', 'dangling'); os.mkfifo('fifo')
open(b'\\xff\\n*', 'w').close()
os.chmod('.kf', 0)
here = os.getcwd()
for _ in range(1100):
    os.mkdir('d'); os.chdir('d')
open('bottom', 'w').close()
os.chdir(here); os.chmod('.', 0o500)
"""


@pytest.mark.parametrize("caged", [True, False])
def test_close_removes_whatever_was_made(ground: Ground, open_ground: Ground, tmp_path: Path, caged: bool) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (outside / "kept").write_text("x")
    workspace = lend(assignment(), ground if caged else open_ground)
    done = workspace.run(["python3", "-c", MESS.replace("OUTSIDE", repr(str(outside)))], seconds=20)
    assert done.returncode == 0, done.stderr
    workspace.close()
    workspace.close()
    assert list(ground.root.iterdir()) == []
    assert (outside / "kept").read_text() == "x" and stat.S_IMODE(outside.stat().st_mode) == 0o755


def test_close_waits_for_one_who_still_writes_and_never_raises(ground: Ground) -> None:
    workspace = lend(assignment(), ground)
    done = threading.Event()

    def write() -> None:
        for number in range(10**6):
            if done.is_set():
                return
            with suppress(OSError):
                (workspace.folder / f"late-{number}").write_text("x")

    writer = threading.Thread(target=write)
    writer.start()
    threading.Timer(0.1, done.set).start()
    workspace.close()
    writer.join()
    assert list(ground.root.iterdir()) == [] and workspace.faults == []


# ── a home that is lent again ────────────────────────────────────────────────────────────────────

TRAPS = {
    "a pipe": "mkfifo ~/.a/b",
    "a socket": 'python3 -c \'import os, socket; os.chdir(os.environ["HOME"]); socket.socket(1).bind(".a/b")\'',
    "a link to a file": "ln -s OUTSIDE/kept ~/.a/b",
    "a broken link": "ln -s OUTSIDE/new ~/.a/b",
    "a link to a folder": "rmdir ~/.a && ln -s OUTSIDE ~/.a",
    "a file that is a folder": "mkdir -p ~/.a/b/c/d && chmod 0 ~/.a/b",
    "a folder that is a file": "rmdir ~/.a && touch ~/.a",
    "a closed folder": "touch ~/.a/b && chmod 0 ~/.a",
    "a closed home": "chmod 0 ~",
    "a closed file": "touch ~/.a/b && chmod 0 ~/.a/b",
    "nothing": "true",
}


def kept(ground: Ground, script: str) -> Path:
    """The base of a workspace whose home an agent left so."""
    with lend(assignment(), ground) as workspace:
        assert workspace.run(["/bin/sh", "-c", f"mkdir ~/.a && {script}"], seconds=60).returncode == 0
        workspace.keep(time.time() + 60)
    return workspace.base


@pytest.mark.parametrize("trap", TRAPS)
def test_what_an_agent_left_in_its_home_is_in_nobodys_way(ground: Ground, tmp_path: Path, trap: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (outside / "kept").write_text("x")
    before = os.stat(outside / "kept")
    base = kept(ground, TRAPS[trap].replace("OUTSIDE", str(outside)))
    with lend(assignment(), ground, slot=1, again=base) as workspace:
        putting = threading.Thread(target=workspace.put, args=(".a/b", b"as we want it"), daemon=True)
        putting.start()
        putting.join(30)
        assert not putting.is_alive(), "whoever puts a file there waits for ever"
        said = sh(workspace, "cat ~/.a/b && ls -l ~/.a/b && touch ~/.a/b ~/.a/c && rm ~/.a/b")
        assert said.startswith("as we want it-rw-------"), said
    after = os.stat(outside / "kept")
    assert os.listdir(outside) == ["kept"] and (outside / "kept").read_text() == "x"
    assert (after.st_mode, after.st_uid, after.st_nlink) == (before.st_mode, before.st_uid, before.st_nlink)


def test_a_file_is_put_nowhere_else(lent: Workspace) -> None:
    for name in ("/etc/x", "../x", "a/../../x", "", "a//b"):
        with pytest.raises(BadIntake):
            lent.put(name, b"x")


DEEP = "import os\nos.chdir(os.environ['HOME'])\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')"


def test_a_home_of_any_depth_ends_no_run(ground: Ground) -> None:
    """As root its owner changes; who made it too deep for that is not gone on with."""
    base = kept(ground, f'python3 -c "{DEEP}"')
    try:
        with lend(assignment(), ground, slot=1, again=base) as workspace:
            assert "dd" not in sh(workspace, "ls ~")
    except BadInput as error:
        assert "entries" in str(error)
    assert list(ground.root.iterdir()) == []


def test_leftovers_are_those_of_dead_processes(ground: Ground) -> None:
    script = (
        "import sys, os; sys.path.insert(0, os.path.dirname(sys.argv[2]))\n"
        "from pathlib import Path; from kernelfactory import jail, problem, workspace, model\n"
        "ground = workspace.Ground(Path(sys.argv[1]), jail.Unprotected(), problem.load(sys.argv[3]))\n"
        "given = model.Assignment(1, 't', 0, 0, 1.0, 1.0, 'b', {'a': b'x'}, model.Limits(1.0), 'select', 'r')\n"
        "workspace.lend(given, ground); os._exit(9)\n"
    )
    package = Path(jails.__file__).parent
    argv = [sys.executable, "-c", script, str(ground.root), str(package), str(TINY)]
    assert subprocess.run(argv, check=False).returncode == 9
    with lend(assignment(), ground) as living:
        (dead,) = leftovers(ground.root)
        assert dead != living.base and (dead / "work/a").read_bytes() == b"x"
        remove(dead)
        assert [path.name for path in ground.root.iterdir()] == [living.base.name]
