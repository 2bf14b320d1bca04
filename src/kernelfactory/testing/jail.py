"""The contract of a jail: honest programs run, hostile ones stay in. Refuses to know which jail it is.

Subclass `JailContract` in a test module and return the jail from `make_jail`."""

from __future__ import annotations

import json
import os
import select
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernelfactory import attacks
from kernelfactory.jail import Jail, Spec, cage_uid, interpreter_binds, own, python, self_test
from kernelfactory.process import Ended, Finished, Options

PATH = "/usr/local/bin:/usr/bin:/bin"


class JailContract:
    """Run over every implementation. The tests named `test_holds_…` fail for a jail that holds nothing. `mounts`: does
    the jail make a view of its own, with a /dev/shm? Where it does not, the contract asks what it does instead."""

    mounts = True

    def make_jail(self) -> Jail:
        raise NotImplementedError

    @pytest.fixture
    def jail(self) -> Jail:
        return self.make_jail()

    @pytest.fixture
    def task(self, tmp_path: Path) -> Iterator[Path]:
        """A folder with one file, to be bound; readable, as what is bound must be."""
        folder = tmp_path / "task"
        folder.mkdir(mode=0o755)
        (folder / "data").write_bytes(b"given")
        yield folder

    def code(self, text: str, **more: object) -> Spec:
        wanted: dict[str, object] = {"argv": (python(), "-I", "-S", "-c", text), "env": {"PATH": PATH}, "seconds": 20.0}
        wanted |= more
        wanted["read"] = (*interpreter_binds(), *more.get("read", ()))  # type: ignore[misc]
        return Spec(**wanted)  # type: ignore[arg-type]

    def said(self, jail: Jail, text: str, **more: object) -> str:
        done = jail.run(self.code(text, **more))
        assert done.returncode == 0, done
        return done.stdout.decode().strip()

    # ── honest programs ──────────────────────────────────────────────────────────────────────────

    def test_streams_and_code(self, jail: Jail) -> None:
        spec = self.code("import sys; sys.stderr.write('err'); sys.stdout.write(sys.stdin.read()); sys.exit(7)")
        done = jail.run(spec, stdin=b"in" * 50_000)
        assert (done.returncode, done.stdout, done.stderr) == (7, b"in" * 50_000, b"err")

    def test_arguments_reach_the_command_as_they_are(self, jail: Jail) -> None:
        words = ("--help", "$(id)", "", "a b", "--", "ü\n")
        spec = Spec(("printf", "%s|", *words), env={"PATH": PATH})
        assert jail.run(spec).stdout.decode() == "".join(f"{word}|" for word in words)

    def test_the_environment_is_the_given_one(self, jail: Jail) -> None:
        os.environ["KF_CONTRACT_SECRET"] = "s"
        try:
            text = "import json, os; print(json.dumps(dict(os.environ)))"
            seen = json.loads(self.said(jail, text, env={"PATH": PATH, "A": "1", "LD_CONTRACT": "2"}))
        finally:
            del os.environ["KF_CONTRACT_SECRET"]
        assert seen.items() >= {"PATH": PATH, "A": "1", "LD_CONTRACT": "2"}.items()
        assert set(seen) <= {"PATH", "A", "LD_CONTRACT", "PWD", "LC_CTYPE", "HOME", "TMPDIR", "KF_TREE"}

    def test_binds_and_working_folder(self, jail: Jail, task: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        out.mkdir()
        uid = cage_uid(7)
        own(out, uid)
        text = "import sys; data = open('data').read(); open(sys.argv[1] + '/made', 'w').write(data * 2)"
        spec = Spec(
            (python(), "-I", "-S", "-c", text, "/out"),
            read=(*interpreter_binds(), (str(task), "/task")),
            write=((str(out), "/out"),),
            cwd="/task",
            env={"PATH": PATH},
            uid=uid,
        )
        assert jail.run(spec).returncode == 0
        assert (out / "made").read_bytes() == b"givengiven"

    def test_a_missing_bind_is_an_error_not_an_empty_folder(self, jail: Jail, tmp_path: Path) -> None:
        with pytest.raises(OSError):
            jail.run(self.code("pass", read=((str(tmp_path / "absent"), "/task"),), cwd="/task"))

    def test_data_leaves_by_its_own_pipe(self, jail: Jail) -> None:
        text = "import os; os.write(1, b'noise'); os.write(int(os.environ['KF_D']), b'artefact')"
        done = jail.run(self.code(text), options=Options(data_fd_env="KF_D", data_bytes=100))
        assert (done.data, done.stdout) == (b"artefact", b"noise")

    def test_honest_parallel_work(self, jail: Jail) -> None:
        text = (
            "import multiprocessing, subprocess, tempfile, threading\n"
            "t = threading.Thread(target=lambda: None); t.start(); t.join()\n"
            "with tempfile.TemporaryFile() as f: f.write(b'x' * 1000)\n"
            "assert subprocess.run(['echo', 'hi'], capture_output=True).stdout == b'hi\\n'\n"
            "c = multiprocessing.get_context('fork'); here, there = c.Pipe()\n"
            "p = c.Process(target=lambda: there.send(sum([1, 2]))); p.start(); print(here.recv()); p.join()"
        )
        assert self.said(jail, text) == "3"

    def test_locks_between_processes(self, jail: Jail) -> None:
        """They lie in /dev/shm: a jail without one of its own gives none, and says so to the program at once."""
        text = "import multiprocessing\nwith multiprocessing.get_context('fork').Pool(2) as p: print(p.map(abs, [-1]))"
        done = jail.run(self.code(text))
        assert done.stdout == b"[1]\n" if self.mounts else b"PermissionError" in done.stderr, done

    def test_the_package_can_be_imported(self, jail: Jail) -> None:
        spec = Spec(
            (python(True), "-c", "import kernelfactory.model as m; print(m.__name__)"),
            read=interpreter_binds(True),
            env={"PATH": PATH},
        )
        assert jail.run(spec).stdout == b"kernelfactory.model\n"

    def test_a_long_lived_child_answers(self, jail: Jail) -> None:
        child = jail.spawn(self.code("import os\nwhile (b := os.read(0, 99)): os.write(1, b.upper())"))
        try:
            for word in (b"one", b"two"):
                child.write(word, 10)
                assert child.read(3, 10) == word.upper()
        finally:
            child.kill()
        with pytest.raises(Ended):
            child.read(1, 1)

    def test_a_name_and_what_it_is_worth(self, jail: Jail) -> None:
        assert jail.name and jail.trust in ("judged", "judged-weak", "unprotected")
        assert jail.holds == (jail.trust != "unprotected")
        assert "\n" not in jail.note and bool(jail.note) == (jail.name != "bubblewrap")

    # ── limits of any jail ───────────────────────────────────────────────────────────────────────

    def test_deadline_overflow_and_stop(self, jail: Jail) -> None:
        assert jail.run(self.code("while True: pass", seconds=0.3)).timed_out
        done = jail.run(self.code("while True: print('x' * 1000)"), options=Options(output_bytes=10_000))
        assert done.overflow and len(done.stdout) == 10_000
        stop = threading.Event()
        threading.Timer(0.2, stop.set).start()
        assert jail.run(self.code("import time; time.sleep(60)"), stop=stop).stopped

    def test_memory_of_a_process_is_bounded(self, jail: Jail) -> None:
        done = jail.run(self.code("x = bytearray(1 << 30)", memory=256 << 20))
        assert done.returncode != 0 and b"MemoryError" in done.stderr
        assert self.said(jail, "x = bytearray(1 << 26); print(len(x))", memory=256 << 20) == str(1 << 26)

    def test_files_are_bounded(self, jail: Jail) -> None:
        text = "import os\nwith open(os.environ['TMPDIR'] + '/f', 'wb') as file: file.write(b'x' * 2000)"
        done = jail.run(self.code(text, files_bytes=1000, env={"TMPDIR": "/tmp"}))
        assert done.returncode != 0 and b"File too large" in done.stderr

    # ── what it must hold ────────────────────────────────────────────────────────────────────────

    def test_holds_against_the_essential_attacks(self, jail: Jail) -> None:
        tried = self_test(jail)
        assert len(tried) == len(attacks.NAMES)
        assert [attack for attack in tried if attack.worked] == []

    def test_holds_what_is_bound_to_read(self, jail: Jail, task: Path) -> None:
        (task / "data").chmod(0o666)
        task.chmod(0o777)
        for act in ("open('/task/data', 'w')", "os.unlink('/task/data')", "open('/task/new', 'w')"):
            spec = self.code(f"import os; {act}".replace("/task", "'+os.getcwd()+'"), read=((str(task), "/task"),))
            done = jail.run(Spec(**{**_fields(spec), "cwd": "/task"}))  # type: ignore[arg-type]
            assert done.returncode != 0 and (b"Read-only" if self.mounts else b"Permission denied") in done.stderr, act

    def test_holds_hidden_folders(self, jail: Jail, task: Path) -> None:
        """They are empty, or may not be looked into; what lies beside them may."""
        (task / "judge").mkdir()
        (task / "judge" / "reference").write_bytes(b"secret")
        text = (
            "import os\n"
            "def read(name): return open(name).read()\n"
            "for look, at in ((os.listdir, 'judge'), (read, 'judge/reference'), (read, 'data')):\n"
            " try: print(look(at))\n"
            " except OSError as error: print(type(error).__name__)"
        )
        spec = self.code(text, read=((str(task), "/task"),), hide=(str(task / "judge"),), cwd="/task")
        told = ["[]", "FileNotFoundError"] if self.mounts else ["PermissionError"] * 2
        assert jail.run(spec).stdout.decode().split() == [*told, "given"]

    def test_holds_the_number_of_processes(self, jail: Jail) -> None:
        text = (
            "import os, time\nn = 0\ntry:\n for _ in range(40):\n  if os.fork() == 0: time.sleep(5); os._exit(0)\n"
            "  n += 1\nexcept OSError: print(n, flush=True)\nos._exit(0)"
        )
        done = jail.run(self.code(text, processes=10))
        assert done.stdout and int(done.stdout) < 10

    def test_holds_the_network(self, jail: Jail) -> None:
        import socket

        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            text = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2); print('in')"
            shut = jail.run(self.code(text))
            opened = jail.run(self.code(text, network=True))
        assert opened.stdout == b"in\n"
        assert shut.returncode != 0 and (b"refused" if self.mounts else b"not permitted") in shut.stderr

    def test_holds_daemons(self, jail: Jail) -> None:
        """A daemon of its own session, its environment cleared, dies with the run; it holds a pipe as long as it
        lives."""
        text = (
            "import os, sys, time\nif os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n"
            "  os.execve(sys.executable, [sys.executable, '-I', '-S', '-c', 'import time; time.sleep(5)'], {})\n"
            " os._exit(0)\ntime.sleep(0.3)"
        )
        assert self.lets_go(jail, text, 20.0).returncode == 0
        assert self.lets_go(jail, text.replace("0.3", "60"), 0.5).timed_out

    def lets_go(self, jail: Jail, text: str, seconds: float) -> Finished:
        """Run, and see that nobody holds a pipe afterwards that only the jailed were given."""
        reading, leash = os.pipe()
        try:
            done = jail.run(self.code(text, seconds=seconds), options=Options(pass_fds=(leash,)))
            os.close(leash)
            leash = -1
            poller = select.poll()
            poller.register(reading)
            begin = time.monotonic()
            assert poller.poll(2000), f"something lives {time.monotonic() - begin:.1f} s after the end"
        finally:
            for fd in (reading, leash):
                if fd >= 0:
                    os.close(fd)
        return done


def _fields(spec: Spec) -> dict[str, object]:
    return {name: getattr(spec, name) for name in Spec.__slots__}
