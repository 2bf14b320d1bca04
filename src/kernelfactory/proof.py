"""Proves a jail at every start by attacking out of it. Refuses to believe version numbers."""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import select
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelfactory import attacks, process, seccomp
from kernelfactory.interpreter import interpreter_binds, python
from kernelfactory.jail import Jail, JailFailed, Spec
from kernelfactory.model import BadInput
from kernelfactory.process import Options

PATH = "/usr/bin:/bin"
OUTER = ["KF_REPORT", "KF_TREE"]
"""What the launcher's environment may hold: which descriptor is whose, and a mark; nothing that the command has not."""
MEMORY, PROCESSES, TMP = 512 << 20, 16, 2 << 20


@dataclass(frozen=True, slots=True)
class Attack:
    """One thing that was tried from inside: did it work?"""

    name: str
    worked: bool
    detail: str = ""


def _segment() -> int:
    """A page of System V memory that everybody may use, -1 where there is none to be had."""
    return ctypes.CDLL(None).shmget(0, 4096, 0o1666) if os.uname().sysname == "Linux" else -1  # 0o1000: IPC_CREAT


@contextmanager
def _targets() -> Iterator[tuple[dict[str, Any], process.Child]]:
    """Things outside that are easy to hit: a secret file, listening sockets, a living process."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="kf-self-test-", dir="/tmp"))
        os.chmod(folder, 0o777)
        secret = Path(folder, "secret")
        secret.write_bytes(b"secret")
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        abstract = f"kf-self-test-{secrets.token_hex(8)}"
        for address in ("\0" + abstract, f"{folder}/socket"):
            listening = stack.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(address)
            listening.listen()
        os.chmod(f"{folder}/socket", 0o777)
        victim = process.spawn(["sleep", "60"], env={"PATH": PATH}, options=Options(contained=True))
        stack.callback(victim.kill)
        shared = _segment()
        stack.callback(lambda: shared >= 0 and ctypes.CDLL(None).shmctl(shared, 0, None))  # 0: IPC_RMID
        aim: dict[str, Any] = {
            "folder": folder,
            "secret": str(secret),
            "socket": f"{folder}/socket",
            "abstract": abstract,
        }
        aim |= {"shared": shared, "port": tcp.getsockname()[1], "victim": victim.pid, "home": os.path.expanduser("~")}
        yield aim, victim


def _denied_calls() -> dict[str, int]:
    """Those that answer EPERM to arguments without sense only when a filter stops them."""
    names = ("keyctl", "userfaultfd", "io_uring_setup", "process_vm_readv", "setns", "add_key")
    return {name: number for name in names if seccomp.supported() and (number := seccomp.number(name))}


def self_test(jail: Jail, only: Sequence[str] = ()) -> list[Attack]:
    """Try the essential attacks (or those named in `only`) in `jail`; well under a second. Raises BadInput when
    the jail does not even start."""
    with _targets() as (aim, victim):
        reading, leash = os.pipe()
        try:
            aim |= {"env": OUTER, "calls": _denied_calls(), "fds": [leash], "leash": leash, "only": list(only)}
            aim |= {"processes": PROCESSES, "memory": MEMORY, "tmp": TMP}
            report = _attack(jail, aim, leash)
            os.close(leash)
            leash = -1
            if "leave a daemon" in report:
                poller = select.poll()
                poller.register(reading)
                alive = not poller.poll(2000)
                report["leave a daemon"] = (alive, "it lives" if alive else "")
            if "signal an outer process" in report:
                report["signal an outer process"] = (victim.ended(), report["signal an outer process"][1])
        finally:
            for fd in (reading, leash):
                if fd >= 0:
                    os.close(fd)
    return [Attack(name, worked, detail) for name, (worked, detail) in report.items()]


def _attack(jail: Jail, aim: dict[str, Any], leash: int) -> dict[str, tuple[bool, str]]:
    spec = Spec(
        argv=(python(), "-I", "-S", "-"),
        read=interpreter_binds(),
        env={"PATH": PATH, "KF_AIM": json.dumps(aim)},
        seconds=10,
        memory=MEMORY,
        processes=PROCESSES,
        tmp_bytes=TMP,
        proc=True,
    )
    pipes = Options(data_fd_env="KF_REPORT", data_bytes=1 << 20, pass_fds=(leash,))
    try:
        done = jail.run(spec, stdin=Path(attacks.__file__).read_bytes(), options=pipes)
    except JailFailed as failed:
        raise BadInput(f"it does not start: {str(failed).partition(': ')[2]}") from None
    try:
        return {name: (bool(worked), str(detail)) for name, (worked, detail) in json.loads(done.data).items()}
    except ValueError:
        said = ascii(done.stderr.decode(errors="replace").strip().splitlines()[-1:])[1:-1][:300]
        raise BadInput(f"it does not start: {said or f'code {done.returncode}'}") from None
