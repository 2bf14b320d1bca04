"""seccomp: the filter answers as its table says, on both processors, and lets honest calls through."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from kernelfactory import seccomp
from kernelfactory.seccomp import Bare

ALLOW, EPERM, ENOSYS, ENOTSUP, KILL, ASK = 0x7FFF0000, 0x50001, 0x50026, 0x5005F, 0x80000000, 0x7FC00000
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
HONEST = {"x86_64": {"read": 0, "mmap": 9, "execve": 59, "prlimit64": 302, "futex": 202},
          "aarch64": {"read": 63, "mmap": 222, "execve": 221, "prlimit64": 261, "futex": 98}}  # fmt: skip


def answer(program: bytes, arch: int, number: int, arguments: tuple[int, ...] = ()) -> int:
    """A small interpreter of classic BPF, as the kernel runs it over struct seccomp_data."""
    data = struct.pack("<iIQ6Q", number, arch, 0, *(*arguments, *[0] * (6 - len(arguments))))
    lines = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    at = accumulator = 0
    while True:
        code, yes, no, value = lines[at]
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x54:
            accumulator &= value
        elif code == 0x06:
            return value
        else:
            true = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: accumulator & value != 0}[code]
            at += yes if true else no


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_call_gets_its_answer(machine: str) -> None:
    program, arch, column = seccomp.program(machine), ARCH[machine], list(ARCH).index(machine)
    for name, numbers in seccomp.DENIED.items():
        if numbers[column] is not None:
            assert answer(program, arch, numbers[column]) == EPERM, name
    for name, number in HONEST[machine].items():
        assert answer(program, arch, number) == ALLOW, name
    assert answer(program, arch, seccomp.CLONE3[column]) == ENOSYS
    clone, ioctl = seccomp.CLONE[column], seccomp.IOCTL[column]
    assert answer(program, arch, clone, (0x003D0F00,)) == ALLOW, "a thread"
    assert answer(program, arch, clone, (0x10000011,)) == EPERM, "a user namespace"
    assert answer(program, arch, clone, (0x00020011,)) == EPERM, "a mount namespace"
    assert answer(program, arch, ioctl, (0, 0x5401)) == ALLOW
    assert answer(program, arch, ioctl, (0, 0x5412)) == EPERM == answer(program, arch, ioctl, (0, 0x541C))
    assert answer(program, arch, ioctl, (0, 0x5412 | 1 << 32)) == EPERM, "the kernel reads 32 bits of it"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_a_jail_without_namespaces_denies_more(machine: str) -> None:
    arch, column = ARCH[machine], list(ARCH).index(machine)
    plain = seccomp.program(machine)
    shut, mine = seccomp.program(machine, bare=Bare()), seccomp.program(machine, bare=Bare(owned=False))
    for tables, denial in (((seccomp.OUTSIDE,), EPERM), ((seccomp.OWNED,), EPERM), ((seccomp.ATTRIBUTES,), ENOTSUP)):
        for name, numbers in ((name, numbers) for table in tables for name, numbers in table.items()):
            if (number := numbers[column]) is not None:
                assert answer(shut, arch, number) == denial and answer(plain, arch, number) == ALLOW, name
    assert answer(mine, arch, seccomp.OWNED["fchown"][column] or 0) == ALLOW, "it owns nothing that matters"
    for name, numbers in seccomp.BY_PID.items():
        assert answer(shut, arch, numbers[column] or 0) == ALLOW, f"{name} on itself"
        assert answer(shut, arch, numbers[column] or 0, (7,)) == EPERM, name
    priority = seccomp.SETPRIORITY[column]
    assert [answer(shut, arch, priority, which) for which in ((0, 0, 5), (0, 7, 5), (2, 0, 5), (1, 0, 5))] == [
        ALLOW, EPERM, EPERM, EPERM,
    ]  # fmt: skip
    for name, number in HONEST[machine].items():
        assert answer(shut, arch, number) == ALLOW, name
    ioctl = seccomp.IOCTL[column]
    assert answer(shut, arch, ioctl, (0, 0x40086602)) == EPERM and answer(mine, arch, ioctl, (0, 0x40086602)) == ALLOW
    assert answer(shut, arch, ioctl, (0, 0x5412)) == EPERM and answer(shut, arch, ioctl, (0, 0x5401)) == ALLOW


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_sockets_are_those_that_are_allowed(machine: str) -> None:
    arch, column = ARCH[machine], list(ARCH).index(machine)
    stream, nonblocking, datagram, packets = 1, 1 | 0o4000 | 0o2000000, 2, 5
    tried = [(family, kind) for family in (1, 2, 10, 16, 17, 40) for kind in (stream, nonblocking, datagram)]
    for sockets, allowed in (
        ("none", []),
        ("local", [(1, stream), (1, nonblocking)]),
        ("tcp", [(2, stream), (2, nonblocking), (1, stream), (1, nonblocking)]),
        ("all", [each for each in tried if each[0] in (2, 10, 16)] + [(1, stream), (1, nonblocking)]),
    ):
        program = seccomp.program(machine, bare=Bare(sockets=sockets))  # type: ignore[arg-type]
        passed = [each for each in tried if answer(program, arch, seccomp.SOCKET[column], each) == ALLOW]
        assert sorted(passed) == sorted(allowed), sockets
        pair = seccomp.SOCKETPAIR[column]
        assert [answer(program, arch, pair, (1, kind)) for kind in (stream, datagram, packets)] == [ALLOW, EPERM, ALLOW]
        assert answer(program, arch, pair, (2, stream)) == EPERM


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_tcp_is_no_other_protocol_and_sending_does_not_connect(machine: str) -> None:
    arch, column = ARCH[machine], list(ARCH).index(machine)
    tcp, everything = (seccomp.program(machine, bare=Bare(sockets=sockets)) for sockets in ("tcp", "all"))  # type: ignore[arg-type]
    made = [answer(tcp, arch, seccomp.SOCKET[column], (2, 1, protocol)) for protocol in (0, 6, 132, 262)]
    assert made == [ALLOW, ALLOW, EPERM, EPERM], "SCTP and MPTCP connect in ways of their own"
    for call in seccomp.SENDING:
        flags = [0] * 4
        assert answer(tcp, arch, call[column], tuple(flags)) == ALLOW
        flags[call[2]] = 0x4000 | seccomp.FAST_OPEN
        assert answer(tcp, arch, call[column], tuple(flags)) == ENOTSUP
        assert answer(everything, arch, call[column], tuple(flags)) == ALLOW, "a network is a network"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_calls_are_asked_for(machine: str) -> None:
    """What is denied is denied, not asked for."""
    arch, column = ARCH[machine], list(ARCH).index(machine)
    asking = seccomp.program(machine, bare=Bare(asked=tuple(seccomp.ASKED)))
    alone = seccomp.program(machine, alone=True, bare=Bare(asked=tuple(seccomp.ASKED)))
    for name, numbers in seccomp.ASKED.items():
        if (number := numbers[column]) is not None:
            assert answer(asking, arch, number) == ASK, name
            assert answer(seccomp.program(machine, bare=Bare()), arch, number) == ALLOW, name
            assert answer(alone, arch, number) == (EPERM if name in ("clone", "fork", "vfork") else ASK), name
    assert answer(asking, arch, seccomp.CLONE[column], (0x10000011,)) == EPERM, "a user namespace"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("bare", [None, Bare()])
def test_who_is_alone_reaches_nobody_by_locks(machine: str, bare: Bare | None) -> None:
    """A lock of a file that two jails show is a line between them; others may lock."""
    arch, column = ARCH[machine], list(ARCH).index(machine)
    fcntl, flock = seccomp.FCNTL[column], seccomp.ACCOMPLICES["flock"][column]
    assert flock is not None
    alone, plain = (seccomp.program(machine, alone=alone, bare=bare) for alone in (True, False))
    for command in (5, 6, 7, 36, 37, 38, 1024):
        assert answer(alone, arch, fcntl, (3, command)) == EPERM
        assert answer(plain, arch, fcntl, (3, command)) == ALLOW
    assert answer(alone, arch, flock) == EPERM and answer(plain, arch, flock) == ALLOW
    for command in (0, 1, 2, 3, 4, 1030, 1031, 1032):  # F_DUPFD, flags, F_DUPFD_CLOEXEC, sizes of pipes
        assert answer(alone, arch, fcntl, (3, command)) == ALLOW


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_sockets_that_no_namespace_holds_are_denied(machine: str) -> None:
    arch, column = ARCH[machine], list(ARCH).index(machine)
    program = seccomp.program(machine)
    assert answer(program, arch, seccomp.SOCKET[column], (40, 1)) == EPERM
    assert (
        answer(program, arch, seccomp.SOCKET[column], (1, 1))
        == ALLOW
        == answer(program, arch, seccomp.SOCKET[column], (2, 1))
    )


def test_other_tables_are_shut() -> None:
    program = seccomp.program("x86_64")
    assert answer(program, 0x40000003, 1) == KILL, "32-bit calls"
    assert answer(program, ARCH["x86_64"], 0x40000000) == ENOSYS, "x32 calls"
    with pytest.raises(KeyError):
        seccomp.program("vax")
    assert not seccomp.supported("vax")


def test_a_table_with_a_gap_is_noticed() -> None:
    """Injected fault: a filter without its line for ptrace lets it through."""
    program = seccomp.program("x86_64")
    line = struct.pack("<HBBI", 0x15, 0, 1, 101) + struct.pack("<HBBI", 0x06, 0, 0, EPERM)
    assert line in program
    assert answer(program.replace(line, b""), ARCH["x86_64"], 101) == ALLOW


def test_numbers_are_the_headers(request: pytest.FixtureRequest) -> None:
    for column, header in enumerate(("x86_64-linux-gnu/asm/unistd_64.h", "asm-generic/unistd.h")):
        path = Path("/usr/include", header)
        if not path.exists():
            pytest.skip(f"no {path}")
        known = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", path.read_text()))
        tables = (seccomp.DENIED, seccomp.OUTSIDE, seccomp.BY_PID, seccomp.OWNED, seccomp.ATTRIBUTES, seccomp.ASKED)
        for name, numbers in [pair for table in tables for pair in table.items()]:
            if name in known and numbers[column] is not None:
                assert int(known[name]) == numbers[column], name
