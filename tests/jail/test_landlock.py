"""Landlock: what it holds without namespaces, what its warden answers, ends and counts, and what is left: nothing."""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from kernelfactory import attacks, process, seccomp
from kernelfactory.cage import Cage
from kernelfactory.jail import JailFailed, Launch, Spec, cage_uid, interpreter_binds, own, python, self_test
from kernelfactory.jail import rooms as rooms_room
from kernelfactory.jail.landlock import Landlock
from kernelfactory.jail.spec import outside
from kernelfactory.model import BadInput
from kernelfactory.process import Ended, Finished, Options

ENV = {"PATH": "/usr/bin:/bin"}
MIB = 1 << 20
ORDINARY = os.geteuid() != 0
ordinary = pytest.mark.skipif(not ORDINARY, reason="root gives jails users of their own")


@pytest.fixture(scope="module")
def jail() -> Landlock:
    try:
        return Landlock()
    except BadInput as error:
        if "landlock" in os.environ.get("KF_REQUIRE", "").split(","):
            pytest.fail(f"KF_REQUIRE names landlock: {error}")
        pytest.skip(str(error))


def code(text: str, *arguments: str, **more: object) -> Spec:
    argv = (python(), "-I", "-S", "-c", text, *arguments)
    wanted: dict[str, object] = {"env": ENV, "seconds": 60.0, **more}
    wanted["read"] = (*interpreter_binds(), *more.get("read", ()))  # type: ignore[misc]
    return Spec(argv, **wanted)  # type: ignore[arg-type]


def worked(jail: Landlock) -> set[str]:
    return {attack.name for attack in self_test(jail) if attack.worked}


# ── what it is made of ───────────────────────────────────────────────────────────────────────────


def test_without_its_rules_it_is_found_out(jail: Landlock) -> None:
    """Injected fault."""
    names = {"read a secret file", "see the host's /tmp", "write the host's files"}
    assert worked(Landlock(ruled=False)) >= names


def test_without_its_filter_it_is_found_out(jail: Landlock) -> None:
    """Injected fault: also what owners may do to files, and to each other's processes."""
    names = {"make a denied system call", "make a user namespace", "use shared memory of the host"}
    names |= {"connect to a socket file", "watch the host's files"}
    if ORDINARY:
        names |= {"slow an outer process", "limit an outer process", "change the mode of the host's files"}
    assert worked(Landlock(filtered=False)) >= names


def test_an_older_one_says_what_it_lacks(jail: Landlock) -> None:
    older = Landlock(abi=5)
    assert older.trust == "judged-weak" and older.holds and "Linux 6.12" in older.note
    assert worked(older) == older.lacks == ({"signal an outer process"} if ORDINARY else set())
    assert (jail.trust == "judged") == (jail.abi >= 6) and jail.lacks <= older.lacks


def test_a_useless_one_is_refused(jail: Landlock) -> None:
    with pytest.raises(BadInput, match=r"of version|missing"):
        Landlock(abi=2)


def test_a_jail_that_does_not_start_is_no_crash(jail: Landlock) -> None:
    with pytest.raises(JailFailed, match="the jail did not start: FileNotFoundError"):
        jail.run(Spec(("true",), env=ENV, cwd="/no/such/folder"))
    child = jail.spawn(Spec(("cat",), env=ENV, cwd="/no/such/folder"))
    try:
        with pytest.raises(JailFailed):
            child.read(1, 60)
    finally:
        child.kill()
    with pytest.raises(FileNotFoundError):
        jail.run(Spec(("true",), env=ENV, read=(("/no/such/folder", "/x"),)))


@pytest.mark.parametrize(
    ("command", "ends"),
    [
        (("sh", "-c", "exit 1"), 1),
        (("no-such-program",), 127),
        (("/etc/passwd",), 126),
        (("sh", "-c", "kill -9 $$"), 137),
        (("sh", "-c", "kill -9 -1; kill -9 $PPID; exit 3"), 3),
        (("sh", "-c", 'for n in 3 4 5 6 7 8 9; do eval "exec $n>&-"; done; exit 1'), 1),
    ],
)
def test_how_a_command_ends(jail: Landlock, command: tuple[str, ...], ends: int) -> None:
    assert jail.run(Spec(command, env=ENV)).returncode == ends
    child = jail.spawn(Spec(command, env=ENV))
    try:
        with pytest.raises(Ended):
            child.read(1, 60)
    finally:
        assert child.kill() == ends


def test_signals_are_as_a_program_expects_them(jail: Landlock) -> None:
    """Python ignores SIGPIPE and SIGXFSZ, and what it starts must not."""
    assert jail.run(Spec(("sh", "-c", "yes | head -n 1"), env=ENV)).stdout == b"y\n"
    done = jail.run(Spec(("sh", "-c", "head -c 2000 /dev/zero > $TMPDIR/f"), env=ENV, files_bytes=1000))
    assert done.returncode == 128 + signal.SIGXFSZ


# ── files ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def task(tmp_path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kf-task-", dir="/var/tmp") as made:
        folder = Path(made)
        folder.chmod(0o755)
        (folder / "data").write_bytes(b"given")
        (folder / "judge").mkdir()
        (folder / "judge/reference").write_bytes(b"secret")
        yield folder


TRY = """
import os, sys
t, room = sys.argv[1], os.environ['TMPDIR']
def link():
    os.symlink(t + '/judge', room + '/link'); return open(room + '/link/reference').read()
for name, act in {
    'link to hidden': link,
    'hard link': lambda: os.link(t + '/data', room + '/hard'),
    'move away': lambda: os.rename(t + '/data', room + '/moved'),
    'truncate': lambda: os.truncate(t + '/data', 0),
    'fifo': lambda: os.mkfifo(t + '/fifo'),
    'own': lambda: os.chown(t + '/data', os.getuid(), os.getgid()),
    'mode': lambda: os.chmod(t + '/data', 0o777),
    'mode by descriptor': lambda: os.fchmod(os.open(t + '/data', os.O_RDONLY), 0o777),
    'mode through a link': lambda: (os.symlink(t + '/data', room + '/data'), os.chmod(room + '/data', 0o777)),
    'times': lambda: os.utime(t + '/data', (1, 1)),
    'times by descriptor': lambda: os.utime(os.open(t + '/data', os.O_RDONLY), (1, 1)),
    'attribute': lambda: os.setxattr(t + '/data', 'user.x', b'x'),
}.items():
    try: act(); print(name)
    except OSError: pass
assert open(t + '/data').read() == 'given'
"""


def test_what_is_bound_to_read_stays_as_it_is(jail: Landlock, task: Path) -> None:
    before = (task / "data").stat()
    done = jail.run(code(TRY, str(task), read=((str(task), str(task)),), hide=(str(task / "judge"),)))
    assert (done.returncode, done.stdout) == (0, b""), done
    after = (task / "data").stat()
    assert (after.st_mode, after.st_mtime, after.st_uid) == (before.st_mode, before.st_mtime, before.st_uid)


@ordinary
def test_without_a_filter_an_owner_may_change_it(task: Path) -> None:
    """Injected fault."""
    spec = code(TRY, str(task), read=((str(task), str(task)),), hide=(str(task / "judge"),))
    said = Landlock(filtered=False).run(spec).stdout.decode().split("\n")
    assert {"mode", "mode by descriptor", "mode through a link", "times"} <= set(said)
    assert not {"link to hidden", "hard link", "truncate"} & set(said), "these are the rules'"


HONEST = """
import os, shutil, stat, subprocess, tempfile
room = os.environ['TMPDIR']
os.chdir(room)
with open('tool', 'w') as file: file.write('#!/bin/sh\\necho made\\n')
os.chmod('tool', 0o755)
assert subprocess.run(['./tool'], capture_output=True).stdout == b'made\\n'
fd = os.open('tool', os.O_RDONLY); os.fchmod(fd, 0o700); os.utime(fd, (5, 6)); os.close(fd)
assert stat.S_IMODE(os.stat('tool').st_mode) == 0o700 and os.stat('tool').st_mtime == 6
os.mkdir('deep'); shutil.copy2('tool', 'deep/tool'); os.utime('deep/tool'); os.chmod(room + '/deep', 0o711)
where = os.open('deep', os.O_RDONLY); os.chmod('tool', 0o500, dir_fd=where)
assert stat.S_IMODE(os.stat('deep/tool').st_mode) == 0o500 and os.stat('deep/tool').st_mtime > 6
os.chmod('tool', 0o4755); assert not os.stat('tool').st_mode & stat.S_ISUID or os.geteuid() != os.getuid() or {drops}
with tempfile.TemporaryDirectory() as made: assert made.startswith(room)
for act in (lambda: os.chmod('absent', 0o700), lambda: os.utime('absent')):
    try: act()
    except FileNotFoundError: print('absent')
"""


def test_honest_work_in_the_own_room(jail: Landlock) -> None:
    done = jail.run(code(HONEST.replace("{drops}", str(not ORDINARY))))
    assert (done.returncode, done.stdout) == (0, b"absent\nabsent\n"), done


def test_places_are_translated_where_they_are_named(jail: Landlock, task: Path) -> None:
    text = "import os, sys; print(open(sys.argv[1]).read(), open(os.environ['FILE']).read(), open('data').read())"
    spec = code(text, "/task/data", read=((str(task), "/task"),), cwd="/task", env={**ENV, "FILE": "/task/data"})
    assert jail.run(spec).stdout == b"given given given\n"


def test_a_command_in_words_is_no_path() -> None:
    """A text for a shell may begin with a path in /tmp that is bound as it is."""
    binds = [("/tmp/tool", "/tmp/tool"), ("/a/b", "/task"), ("/a/b", "/my task"), ("/tmp/real", "/tmp/home")]
    rooms = [("/room", "/tmp")]
    for path, at in (
        ("/tmp/home/x", "/tmp/real/x"),
        ("/tmp/real/x", "/tmp/real/x"),
        ("/tmp/x", "/room/x"),
        ("/tmp", "/room"),
        ("/tmp/tool", "/tmp/tool"),
        ("/tmp/tool --fast", "/tmp/tool --fast"),
        ("/task/data", "/a/b/data"),
        ("/my task/data", "/a/b/data"),
        ("/tasks", "/tasks"),
        ("relative", "relative"),
    ):
        assert outside(path, binds, rooms) == at


def test_a_covered_folder_is_hidden(jail: Landlock, task: Path) -> None:
    """What a deeper bind covers in a view of its own is not granted here."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as empty:
        os.chmod(empty, 0o755)
        spec = code("open('judge/reference')", read=((str(task), "/t"), (empty, "/t/judge")), cwd="/t")
        assert b"PermissionError" in jail.run(spec).stderr


# ── processes ────────────────────────────────────────────────────────────────────────────────────


OUTER = """
import os, resource, signal, sys
outer = [int(word) for word in sys.argv[1:]] + [os.getppid()]
for pid in outer:
    for name, act in {
        'kill': lambda: os.kill(pid, signal.SIGKILL),
        'stop': lambda: os.kill(pid, signal.SIGSTOP),
        'pidfd': lambda: signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGKILL),
        'limit': lambda: resource.prlimit(pid, resource.RLIMIT_CPU, (0, 0)),
        'slow': lambda: os.setpriority(os.PRIO_PROCESS, pid, 19),
        'pin': lambda: os.sched_setaffinity(pid, {0}),
        'environ': lambda: open(f'/proc/{pid}/environ').read(),
        'memory': lambda: open(f'/proc/{pid}/mem', 'rb').read(1),
        'descriptors': lambda: os.readlink(f'/proc/{pid}/fd/0'),
        'folder': lambda: os.listdir(f'/proc/{pid}/cwd/'),
    }.items():
        try: act(); print(name, pid)
        except OSError: pass
try: os.setpriority(os.PRIO_USER, 0, 19); print('everybody')
except OSError: pass
os.setpriority(os.PRIO_PROCESS, 0, 1)
os.sched_setaffinity(0, os.sched_getaffinity(0))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
"""


def test_the_warden_and_the_judge_are_out_of_reach(jail: Landlock) -> None:
    done = jail.run(code(OUTER, str(os.getpid()), str(os.getppid()), proc=True))
    assert (done.returncode, done.stdout) == (0, b""), done


BOMB = """
import os, time
for n in range(8):
    if os.fork() == 0:
        os.setsid()
        while True:
            try: os.fork() and os._exit(0)
            except OSError: pass
time.sleep({0})
"""


@pytest.mark.parametrize("seconds", [0.3, 30.0])
@pytest.mark.parametrize("abi", [5, None])
def test_those_who_run_from_process_to_process_die(jail: Landlock, seconds: float, abi: int | None) -> None:
    """Each lives a moment and leaves a child: whoever kills them one by one must be faster."""
    made = jail if abi is None else Landlock(abi=abi)
    reading, leash = os.pipe()
    with suppress(OSError):
        made.run(code(BOMB.replace("{0}", "1"), seconds=seconds, processes=20), options=Options(pass_fds=(leash,)))
    os.close(leash)
    with os.fdopen(reading, "rb") as held:
        assert held.read() == b""  # returns when nobody holds the other end


def test_processes_and_threads_are_counted(jail: Landlock) -> None:
    text = (
        "import threading, time\nn = 0\ntry:\n"
        " for _ in range(40): threading.Thread(target=time.sleep, args=(1,)).start(); n += 1\n"
        "except RuntimeError: print(n)"
    )
    assert int(jail.run(code(text, processes=12)).stdout) == 11
    text = "import os\nfor n in range(200):\n if (p := os.fork()) == 0: os._exit(0)\n os.waitpid(p, 0)\nprint('all')"
    assert jail.run(code(text, processes=3)).stdout == b"all\n", "those that ended do not count"


def test_one_process_of_one_thread(jail: Landlock) -> None:
    text = "import os, threading\ntry: os.fork()\nexcept OSError: print('no')\nthreading.Thread(target=print).start()"
    done = jail.run(code(text, alone=True))
    assert done.stdout == b"no\n" and b"can't start new thread" in done.stderr


def test_a_tree_that_is_held_ends(jail: Landlock) -> None:
    child = jail.spawn(code("import time\nprint('up', flush=True)\ntime.sleep(60)"))
    child.read(3, 60)
    for pid in child.tree():
        os.kill(pid, signal.SIGSTOP)
    child.kill()
    assert child.ended()


def test_what_a_killed_warden_leaves_is_ended(jail: Landlock) -> None:
    """Nobody inside can do that."""
    reading, leash = os.pipe()
    child = jail.spawn(code("import time\nprint('up', flush=True)\ntime.sleep(60)"), options=Options(pass_fds=(leash,)))
    os.close(leash)
    child.read(3, 60)
    os.kill(child.pid, signal.SIGKILL)
    child.kill()
    with os.fdopen(reading, "rb") as held:
        assert held.read() == b""


# ── memory and rooms ─────────────────────────────────────────────────────────────────────────────

FAMILY = """
import os, time
for n in range(4):
    if os.fork() == 0: held = b'x' * (48 << 20); time.sleep(30)
time.sleep(30)
"""
SHARED = """
import os, time
held = b'x' * (48 << 20)
for n in range(4):
    if os.fork() == 0: time.sleep(1.5); os._exit(0)
time.sleep(1.5)
"""
FILES = """
import os, time
for n in range(200): open(f'{os.environ["TMPDIR"]}/{n}', 'wb').write(bytes(1 << 20))
time.sleep(30)
"""
CLOSED = """
import os, time
os.chdir(os.environ['TMPDIR'])
for n in range(200):
    os.mkdir(f'{n}'); open(f'{n}/f', 'wb').write(bytes(1 << 20)); os.chmod(f'{n}', 0)
time.sleep(30)
"""
NAMELESS = """
import os, time
held = [os.open(os.environ['TMPDIR'], os.O_TMPFILE | os.O_RDWR) for n in range(40)]
held += [os.memfd_create('x') for n in range(80)]
for fd in held: os.write(fd, bytes(1 << 20))
time.sleep(30)
"""
DEEP = """
import os, time
os.chdir(os.environ['TMPDIR'])
for n in range(3000): os.mkdir('d' * 200); os.chdir('d' * 200)
time.sleep(30)
"""


@pytest.mark.parametrize("text", [FAMILY, FILES, CLOSED, NAMELESS, DEEP])
def test_a_tree_and_its_rooms_are_bounded(jail: Landlock, text: str) -> None:
    """Without a control group, by the warden's own eyes."""
    made = Landlock(grouped=False)
    spec = code(text, memory=512 * MIB, tree_memory=96 * MIB, tmp_bytes=32 * MIB, seconds=25.0)
    done = made.run(spec)
    assert done.out_of_memory and not done.timed_out, done


def test_what_is_shared_counts_once(jail: Landlock) -> None:
    done = Landlock(grouped=False).run(code(SHARED, memory=512 * MIB, tree_memory=96 * MIB))
    assert (done.returncode, done.out_of_memory) == (0, False), done


def test_nothing_is_left_of_a_run(jail: Landlock) -> None:
    base = Path(jail._rooms._base)
    jail.run(Spec(("true",), env=ENV))  # what a process keeps for all of its runs is there by then
    before = len(os.listdir("/proc/self/fd"))
    mess = "import os\nos.chdir(os.environ['TMPDIR'])\nfor n in range(1500): os.mkdir('d'); os.chdir('d')\n"
    mess += "os.chmod('.', 0); os.chmod(os.environ['TMPDIR'] + '/d/d', 0)"
    for _ in range(3):
        assert jail.run(code(mess)).returncode == 0
    jail.spawn(code("import time; time.sleep(60)")).kill()
    with jail.command(code("pass")) as made:
        assert isinstance(made, Launch) and len(list(base.iterdir())) == 1
    assert list(base.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before


OWNER = """
import os, sys
from kernelfactory.jail import Spec
from kernelfactory.jail.landlock import Landlock
from kernelfactory.process import Options
made = Landlock()
spec = Spec(("sh", "-c", "setsid sleep 60 & echo up; sleep 60"), env={"PATH": "/usr/bin:/bin"})
child = made.spawn(spec, options=Options(pass_fds=(int(sys.argv[1]),)))
child.read(3, 60)
print(made._rooms._base, flush=True)
sys.stdin.read()
"""


def test_nothing_outlives_a_factory_that_is_killed(jail: Landlock, tmp_path: Path) -> None:
    reading, leash = os.pipe()
    argv = [sys.executable, "-c", OWNER, str(leash)]
    factory = process.spawn(argv, env=ENV, options=Options(pass_fds=(leash,), contained=True))
    os.close(leash)
    line = b""
    while not line.endswith(b"\n"):
        line += factory.read(1, 60)
    base = Path(line.decode().strip())
    rooms_room.sweep(str(base.parent))
    assert base.is_dir(), "its owner lives"
    factory.kill()
    with os.fdopen(reading, "rb") as held:
        assert held.read() == b""
    until = time.monotonic() + 60
    while base.exists() and time.monotonic() < until:
        rooms_room.sweep(str(base.parent))
    assert not base.exists()


# ── a cage ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def cage(jail: Landlock) -> Iterator[Cage]:
    with tempfile.TemporaryDirectory(prefix="kf-cage-", dir="/var/tmp") as folder:
        root = Path(folder)
        root.chmod(0o755)
        for name in ("mine", "other", "experiment"):
            (root / name).mkdir()
            (root / name / "secret").write_text("secret")
        (root / "mine/.kf").mkdir()
        uid = cage_uid(1)
        own(root / "mine", uid)
        yield Cage(workspace=str(root / "mine"), masked=(str(root), str(root / "experiment")), uid=uid)


def caged(jail: Landlock, cage: Cage, text: str, *arguments: str) -> Finished:
    return jail.run(cage.spec(["python", "-I", "-c", text, *arguments], env={}, seconds=60))


def test_a_cage_shows_its_workspace_and_its_tools(jail: Landlock, cage: Cage) -> None:
    text = (
        "import os; open('made', 'w').write('x'); os.chmod('made', 0o755); print(sorted(os.listdir('.')), os.getcwd())"
    )
    done = caged(jail, cage, text)
    assert done.stdout.decode() == f"['.kf', 'made', 'secret'] {cage.workspace}\n", done
    assert jail.run(cage.spec(["sh", "-c", "echo x > ~/file; cat ~/file /etc/hostname >&2"], env={}, seconds=60)).stderr
    text = "import kernelfactory.model as m; print(m.__name__)"
    assert caged(jail, cage, text).stdout == b"kernelfactory.model\n"


def test_a_cage_hides_what_is_masked(jail: Landlock, cage: Cage) -> None:
    root = str(Path(cage.workspace).parent)
    look = [root, f"{root}/other", f"{root}/experiment", "/root", "/home", "/var/tmp", "/run", "/dev/shm", "/"]
    text = "import os, sys\nfor p in sys.argv[1:]:\n try: print(p, os.listdir(p))\n except OSError: pass"
    assert caged(jail, cage, text, *look).stdout == b""
    text = "import sys\nfor p in sys.argv[1:]:\n try: print(open(p + '/secret').read())\n except OSError: pass"
    assert caged(jail, cage, text, f"{root}/other", f"{root}/experiment").stdout == b""


CONNECT = """
import os, socket, sys
near = '/proc/self/fd/%d' % os.open('.kf', os.O_PATH)  # how a path that is too long for a socket is told
for path in sys.argv[1:]:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            s = socket.socket(socket.AF_UNIX, kind); s.connect(path.replace('@', chr(0)).replace('NEAR', near))
            s.send(b'hi'); print(path, s.recv(9))
        except OSError: pass
for pair in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
    try: socket.socketpair(socket.AF_UNIX, pair); print(pair.name)
    except OSError: pass
try: socket.socket(socket.AF_INET); print('inet')
except OSError: pass
"""


def test_a_cage_has_its_own_door_and_no_other(jail: Landlock, cage: Cage) -> None:
    """Also not through a link in the workspace, by an abstract name, or without a connection."""
    mine = Path(cage.workspace)
    doors = {
        "inside": str(mine / ".kf/desk.sock"),
        "outside": str(mine.parent / "other/door.sock"),
        "name": "\0kf-a-door",
    }
    with (
        socket.socket(socket.AF_UNIX) as inside,
        socket.socket(socket.AF_UNIX) as out,
        socket.socket(socket.AF_UNIX) as no,
    ):
        for server, path in zip((inside, out, no), doors.values(), strict=True):
            server.bind(path)
            server.listen()
            if path[0] != "\0":
                os.chmod(path, 0o777)
        (mine / "link").symlink_to(doors["outside"])

        def answer() -> None:
            with suppress(OSError):
                while True:
                    with inside.accept()[0] as made:
                        made.sendall(made.recv(100).upper())

        threading.Thread(target=answer, daemon=True).start()
        tried = (
            ".kf/desk.sock",
            doors["inside"],
            "NEAR/desk.sock",
            "NEAR/../link",
            doors["outside"],
            "link",
            "../other/door.sock",
            "@kf-a-door",
            "",
            "@",
        )
        done = caged(jail, cage, CONNECT, *tried)
        inside.shutdown(socket.SHUT_RDWR)
    said = [".kf/desk.sock b'HI'", f"{doors['inside']} b'HI'", "NEAR/desk.sock b'HI'", "SOCK_STREAM"]
    assert done.stdout.decode().splitlines() == said, done


def test_a_judged_program_has_no_sockets(jail: Landlock) -> None:
    text = (
        "import socket\nfor family, kind in ((1, 1), (1, 2), (2, 1), (10, 1), (16, 3), (17, 3), (40, 1)):\n"
        " try: socket.socket(family, kind); print(family)\n except OSError: pass"
    )
    assert jail.run(code(text)).stdout == b""
    assert jail.run(code(text, network=True)).stdout.split() == [b"1", b"2", b"10", b"16"]


DIAL = """
import os, socket, sys
port, shut, door = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
with socket.create_connection(('127.0.0.1', port)) as s: s.sendall(b'hi'); print(s.recv(9))
with socket.socket() as s: s.connect(('localhost', port)); assert s.getblocking(); s.sendall(b'ho'); print(s.recv(9))
with socket.create_connection(('127.0.0.1', port), 9) as s: s.sendall(b'he'); print(s.recv(9))
try: socket.create_connection(('127.0.0.1', shut)); print('connected')
except ConnectionRefusedError: print('refused')
for address in (door, chr(0) + 'kf-another-door', '/run/dbus/system_bus_socket'):
    try: socket.socket(socket.AF_UNIX).connect(address); print(address)
    except OSError: pass
"""


def test_with_a_network_no_other_door_opens(jail: Landlock, cage: Cage) -> None:
    """An agent that may use the network reaches its own socket file and those of nobody else."""
    door = str(Path(cage.workspace).parent / "other/door.sock")
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_server(("127.0.0.1", 0)) as closed,
        socket.socket(socket.AF_UNIX) as out,
        socket.socket(socket.AF_UNIX) as named,
    ):
        for each, address in ((out, door), (named, "\0kf-another-door")):
            each.bind(address)
            each.listen()
        os.chmod(door, 0o777)
        os.chmod(os.path.dirname(door), 0o777)
        shut = closed.getsockname()[1]
        closed.close()

        def answer() -> None:
            with suppress(OSError):
                while True:
                    with server.accept()[0] as made:
                        made.sendall(made.recv(100).upper())

        threading.Thread(target=answer, daemon=True).start()
        argv = ["python", "-I", "-c", DIAL, str(server.getsockname()[1]), str(shut), door]
        wide = replace(cage, network=True).spec(argv, env={}, seconds=60)
        done = jail.run(wide)
        told = Landlock(filtered=False).run(wide).stdout.decode().split()
        server.shutdown(socket.SHUT_RDWR)
    assert done.stdout.split() == [b"b'HI'", b"b'HO'", b"b'HE'", b"refused"], done
    assert door in told, "injected fault: without the filter it does"


def test_many_at_once(jail: Landlock) -> None:
    said: list[bytes] = []

    def work(number: int) -> None:
        for _ in range(3):
            spec = Spec(("sh", "-c", f"cat; echo {number} > $TMPDIR/f; cat $TMPDIR/*"), env=ENV)
            said.append(jail.run(spec, stdin=b"in").stdout)

    threads = [threading.Thread(target=work, args=(10 + number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == sorted(b"in%d\n" % (10 + number) for number in range(5) for _ in range(3))


def test_every_attack_is_tried() -> None:
    assert seccomp.supported() and len(attacks.NAMES) > 25
