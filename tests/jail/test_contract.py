"""The jail contract over bubblewrap, Landlock and nothing; what must be held is shown to fail over nothing."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kernelfactory.jail import Jail, Unprotected, binaries, self_test, working
from kernelfactory.jail.landlock import Landlock
from kernelfactory.model import BadInput
from kernelfactory.testing.jail import JailContract


def required(name: str, why: str) -> None:
    if name in os.environ.get("KF_REQUIRE", "").split(","):
        pytest.fail(f"KF_REQUIRE names {name}: {why}")
    pytest.skip(why)


class TestBubblewrap(JailContract):
    def make_jail(self) -> Jail:
        for binary in binaries():
            made, _ = working(binary)
            if made is not None:
                return made
        required("bubblewrap", "no bubblewrap works here")
        raise AssertionError


class TestLandlock(JailContract):
    mounts = False

    def make_jail(self) -> Jail:
        try:
            made = Landlock()
        except BadInput as error:
            required("landlock", str(error))
        assert made.trust == ("judged" if made.abi >= 6 else "judged-weak")
        return made


class TestUnprotected(JailContract):
    def make_jail(self) -> Jail:
        return Unprotected()


def _shown_to_fail(check: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(check)
    def shown(self: JailContract, **fixtures: object) -> None:
        with pytest.raises(AssertionError):
            check(self, **fixtures)

    return shown


for _name in [name for name in dir(JailContract) if name.startswith("test_holds")]:
    setattr(TestUnprotected, _name, _shown_to_fail(getattr(JailContract, _name)))


def test_each_attack_works_where_nothing_is_held() -> None:
    """Injected fault: without a jail the self-test must report these; an attack that never works proves nothing."""
    worked = {attack.name for attack in self_test(Unprotected()) if attack.worked}
    assert worked >= {
        "read a secret file",
        "see the host's /tmp",
        "trace an outer process",
        "signal an outer process",
        "slow an outer process",
        "limit an outer process",
        "use shared memory of the host",
        "connect to loopback",
        "connect to an abstract socket",
        "connect to a socket file",
        "write the host's files",
        "change the mode of the host's files",
        "watch the host's files",
        "make a user namespace",
        "make a denied system call",
        "fill /dev/shm",
        "fill /tmp",
    }
    if os.geteuid() == 0:
        assert worked >= {"be user 0", "hold capabilities", "write /", "write /usr", "open a sysctl for writing"}
    assert not list(Path("/usr").glob(".kf-attack*"))
