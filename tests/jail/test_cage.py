"""cage: an agent has its workspace, its tools and its socket, and nothing else."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kernelfactory import process
from kernelfactory.cage import HOME, TEMPORARY, Cage
from kernelfactory.jail import Jail, cage_uid, find, interpreter_binds, own
from kernelfactory.process import Finished, Options


@dataclass
class Place:
    """A scratch root with two workspaces, an experiment and a problem's sources, as a run has them."""

    root: Path
    jail: Jail
    cage: Cage

    @property
    def workspace(self) -> Path:
        return Path(self.cage.workspace)

    def run(self, *argv: str, **more: object) -> Finished:
        spec = self.cage.spec(argv, env={}, seconds=20)
        return self.jail.run(replace(spec, **more))  # type: ignore[arg-type]

    def sh(self, text: str) -> Finished:
        return self.run("sh", "-c", text)

    def python(self, text: str, *arguments: str) -> Finished:
        return self.run("python", "-I", "-c", text, *arguments)


@pytest.fixture(params=["under /tmp", "outside /tmp"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """/tmp is masked in every cage; the other one lies beside the tests (for root often behind a closed folder)."""
    beside = "/tmp" if request.param == "under /tmp" else "/var/tmp"
    with tempfile.TemporaryDirectory(prefix="kf-cage-", dir=beside) as folder:
        root = Path(folder)
        for made in ("scratch/mine", "scratch/other", "experiment", "problem/judge", "shared"):
            (root / made).mkdir(parents=True)
            (root / made).chmod(0o777)
            (root / made / "secret").write_text("secret")
            (root / made / "secret").chmod(0o666)
        (root / "scratch/mine/secret").unlink()
        uid = cage_uid(1)
        own(root / "scratch/mine", uid)
        own(root / "scratch/other", cage_uid(2))
        cage = Cage(
            workspace=str(root / "scratch/mine"),
            masked=(str(root / "scratch"), str(root / "experiment"), str(root / "problem")),
            uid=uid,
        )
        yield Place(root, find(), cage)


def test_the_workspace_is_writable_and_where_it_was(place: Place) -> None:
    done = place.sh("pwd; mkdir -p deep; echo made > deep/file; ls ..")
    assert done.stdout.decode().split() == [str(place.workspace), "mine"], done
    assert (place.workspace / "deep/file").read_text() == "made\n"


@pytest.mark.parametrize("path", ["experiment/secret", "problem/judge/secret", "scratch/other/secret", "problem"])
def test_what_is_masked_cannot_be_seen(place: Place, path: str) -> None:
    assert place.sh(f"ls -A {place.root / path} | grep .").returncode != 0
    assert b"secret" not in place.sh(f"cat {place.root / path}").stdout


def test_masks_are_what_hides(place: Place) -> None:
    """Injected fault: without the masks, and seen as shared, the same files can be read."""
    shown = tuple((str(place.root / name),) * 2 for name in ("experiment", "problem", "scratch/other"))
    open_place = Place(place.root, place.jail, replace(place.cage, masked=(), show=shown))  # type: ignore[arg-type]
    for path in ("experiment/secret", "problem/judge/secret"):
        assert open_place.sh(f"cat {place.root / path}").stdout == b"secret"


def test_homes_and_shared_folders_of_the_machine_are_empty(place: Place) -> None:
    marked = Path(tempfile.mkdtemp(prefix="kf-cage-mark-", dir="/tmp"))
    try:
        text = "import json, os, sys; print(json.dumps({p: os.path.isdir(p) and os.listdir(p) for p in sys.argv[1:]}))"
        seen = json.loads(
            place.python(text, "/tmp", "/run", "/mnt", "/home", "/var/tmp", os.path.expanduser("~")).stdout
        )
    finally:
        marked.rmdir()
    installed = {part for bind in interpreter_binds(True) for part in Path(bind[0]).parts}
    assert marked.name not in seen["/tmp"] and set(seen["/tmp"]) <= {"home", "tmp", place.root.name, *installed}
    assert not seen["/run"] and not seen["/mnt"] and set(seen["/var/tmp"]) <= {place.root.name, *installed}
    secret = [
        name for name in seen[os.path.expanduser("~")] or [] if name in (".ssh", ".bashrc", ".config", ".profile")
    ]
    assert not secret


def test_the_shipped_problems_are_masked_and_the_package_works(place: Place) -> None:
    text = "import kernelfactory.model, os; p = kernelfactory.__path__[0]; print(os.listdir(p + '/problems'))"
    assert place.python(text).stdout == b"[]\n"
    assert b"Usage" in place.sh("kf --help").stdout


def test_only_the_workspace_and_the_own_rooms_can_be_written(place: Place) -> None:
    text = (
        "import os, sys\n"
        "for p in sys.argv[1:]:\n"
        " try: open(os.path.join(p, 'kf-written'), 'w').close(); print(p)\n"
        " except OSError: pass"
    )
    shut = ["/", "/usr", "/etc", "/var/tmp", "/run", "/home", "/root", "/dev", str(place.root / "experiment")]
    shut += [str(place.root / "scratch/other"), str(place.root / "problem"), str(place.root / "shared")]
    shut += [os.path.dirname(os.__file__), os.path.dirname(process.__file__)]
    done = place.python(text, *shut, str(place.workspace), "/tmp", HOME, TEMPORARY, "/dev/shm")
    assert done.stdout.decode().split() == [str(place.workspace), "/tmp", HOME, TEMPORARY, "/dev/shm"]
    assert [path.parent for path in place.root.glob("**/kf-written")] == [place.workspace]


def test_home_is_thrown_away_and_may_be_kept(place: Place) -> None:
    place.sh("echo x > ~/left")
    assert place.sh("ls -A ~").stdout == b""
    own(place.root / "shared", place.cage.uid)
    for number, kept in enumerate(
        ({"home": str(place.root / "shared")}, {"share": ((str(place.root / "shared"), HOME),)})
    ):
        caged = Place(place.root, place.jail, replace(place.cage, **kept))  # type: ignore[arg-type]
        caged.sh(f"echo x > ~/kept{number}")
        assert (place.root / f"shared/kept{number}").exists()
    assert caged.sh("ls ~").stdout == b"kept0\nkept1\nsecret\n", "with what was there"


def test_what_is_thrown_away_lies_in_a_folder_of_its_own(place: Place) -> None:
    """A program may refuse to work in a home that lies in its folder for temporary files."""
    assert place.sh('echo $TMPDIR; echo x > "$TMPDIR/left"').stdout.decode().strip() == TEMPORARY
    assert place.sh("ls -A $TMPDIR").stdout == b"" and not HOME.startswith(TEMPORARY)


def test_the_environment_is_small(place: Place) -> None:
    names = {line.split("=")[0] for line in place.run("env").stdout.decode().splitlines()}
    assert names == {"PATH", "HOME", "TMPDIR", "LANG", "PWD"}
    assert place.sh("cat /proc/1/environ | tr '\\0' '\\n' | grep -v -E '^(PATH|HOME|TMPDIR|LANG)='").stdout == b""


def _serve(server: socket.socket, path: Path, uid: int | None) -> None:
    server.bind(str(path))
    server.listen()
    own(path.parent, uid)

    def answer() -> None:
        with suppress(OSError), server.accept()[0] as made:
            made.sendall(made.recv(100).upper())

    threading.Thread(target=answer, daemon=True).start()


def test_the_desk_can_be_reached_and_the_network_cannot(place: Place) -> None:
    (place.workspace / ".kf").mkdir()
    text = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('.kf/desk.sock'); s.send(b'hi'); print(s.recv(9))"
    )
    with socket.socket(socket.AF_UNIX) as desk:
        _serve(desk, place.workspace / ".kf/desk.sock", place.cage.uid)
        assert place.python(text).stdout == b"b'HI'\n"
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 2); print('in')"
        assert place.python(text).stdout == b""
        assert place.jail.run(replace(place.cage, network=True).spec(["python", "-c", text], env={}, seconds=9)).stdout


def test_no_outer_process_can_be_seen_or_signalled(place: Place) -> None:
    victim = process.spawn(["sleep", "60"], env={"PATH": "/usr/bin:/bin"}, options=Options(contained=True))
    try:
        done = place.sh(f"kill -9 {victim.pid}; ls /proc | grep -c '^[0-9]*$'; kill -9 -1")
        assert int(done.stdout) < 8
        assert not victim.ended(0.2)
    finally:
        victim.kill()


def test_nobody_is_user_0_and_nothing_of_the_kernel_can_be_set(place: Place) -> None:
    text = (
        "import os; print(os.getuid() != 0)\n"
        "for p in ('/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger', '/sys/kernel/uevent_helper'):\n"
        " try: open(p, 'r+'); print('opened', p)\n"
        " except OSError: pass"
    )
    assert place.python(text).stdout == b"True\n"


def test_daemons_of_an_agent_die_with_it(place: Place) -> None:
    reading, leash = os.pipe()
    spec = place.cage.spec(["sh", "-c", "setsid sleep 30 & setsid sleep 30 & sleep 0.2"], env={}, seconds=20)
    try:
        place.jail.run(spec, options=Options(pass_fds=(leash,)))
        os.close(leash)
        with os.fdopen(reading, "rb") as file:
            assert file.read() == b""  # returns when nobody holds the other end
    except BaseException:
        os.close(reading)
        raise


def test_lines_stop_and_input(place: Place) -> None:
    lines: list[str] = []
    stop = threading.Event()

    def hear(line: str) -> None:
        lines.append(line)
        stop.set()

    spec = place.cage.spec(["sh", "-c", "cat; sleep 60"], env={}, seconds=30)
    done = place.jail.run(spec, stdin=b"brief\n", options=Options(on_line=hear), stop=stop)
    assert lines == ["brief"] and done.stopped


def test_a_workspace_that_belongs_to_another_user_cannot_be_written(place: Place) -> None:
    """Injected fault for `own`: under root a folder not given to the cage's user stays shut."""
    if place.cage.uid is None:
        pytest.skip("only root lends to other users")
    os.chown(place.workspace, 0, 0)
    os.chmod(place.workspace, 0o755)
    assert place.sh("echo x > file").returncode != 0


def test_own_follows_no_links(tmp_path: Path) -> None:
    own(tmp_path, None)
    if os.geteuid() != 0:
        return
    (tmp_path / "in").mkdir()
    (tmp_path / "outside").write_bytes(b"")
    (tmp_path / "in/link").symlink_to(tmp_path / "outside")
    own(tmp_path / "in", 60123)
    assert (tmp_path / "outside").stat().st_uid == 0
    assert (tmp_path / "in/link").lstat().st_uid == 60123
