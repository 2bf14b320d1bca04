"""The jail contract over bubblewrap and over nothing; what must be held is shown to fail over nothing."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kernelfactory.jail import Jail, Unprotected, find, self_test
from kernelfactory.testing.jail import JailContract


class TestBubblewrap(JailContract):
    def make_jail(self) -> Jail:
        return find()


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
        "connect to loopback",
        "connect to an abstract socket",
        "connect to a socket file",
        "write the host's files",
        "make a user namespace",
        "make a denied system call",
        "fill /dev/shm",
        "fill /tmp",
    }
    if os.geteuid() == 0:
        assert worked >= {"be user 0", "hold capabilities", "write /", "write /usr", "open a sysctl for writing"}
    assert not list(Path("/usr").glob(".kf-attack*"))
