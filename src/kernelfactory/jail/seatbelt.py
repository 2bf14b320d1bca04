"""macOS: sandbox-exec with a profile that denies by default. WRITTEN, NEVER RUN there; refuses to be more than weak.

Nothing bounds memory or the number of processes, other processes can be seen, and what leaves its process group and
session lives on. A Linux machine (a virtual one will do) has a better jail."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable

from kernelfactory import process
from kernelfactory.interpreter import SHIPPED
from kernelfactory.jail.rooms import Room, Rooms
from kernelfactory.jail.spec import Launch, Launcher, Spec, limited, limits, outside
from kernelfactory.model import BadInput, Trust
from kernelfactory.process import Options

BINARY = "/usr/bin/sandbox-exec"
_SYSTEM = ("/usr", "/bin", "/sbin", "/System", "/Library/Apple", "/opt/homebrew", "/private/var/db/dyld", "/dev")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_VOID = ("nproc", "as")
"""Limits that the system does not keep, or counts for all that the user runs."""


class Seatbelt(Launcher):
    """A profile, resource limits where there are any, and the end of the process group. Places of binds are translated
    to their sources, as Landlock does it."""

    name = "seatbelt"
    trust: Trust = "judged-weak"
    holds = True
    lacks = frozenset({"pass the process limit", "pass the memory limit", "leave a daemon", "fill /tmp"})

    def __init__(self, binary: str = BINARY) -> None:
        """Raises BadInput where it cannot work."""
        if not os.access(binary, os.X_OK):
            raise BadInput(f"{binary} is missing")
        if os.geteuid() == 0:
            raise BadInput("as root sandbox-exec holds too little: run as an ordinary user")
        self._binary = binary
        self._rooms = Rooms()
        self.note = "sandbox-exec, not tested: memory, processes and what they leave behind are not bounded"

    def command(self, spec: Spec, options: Options = process.PLAIN) -> Launch:
        """Raises OSError for a bind whose source is not there."""
        for source, _ in (*spec.read, *spec.write):
            os.stat(source)
        room = self._rooms.make(spec.rooms, None)
        pairs = [*spec.read, *spec.write], room.pairs
        given = {"HOME": "/tmp", "TMPDIR": "/tmp", **spec.env}
        env = {name: outside(value, *pairs) for name, value in given.items()}
        bounds = {name: value for name, value in limits(spec).items() if name not in _VOID}
        inner = limited([outside(word, *pairs) for word in spec.argv], bounds, None)
        argv = (self._binary, "-p", profile(spec, room), *inner)
        return Launch(argv, env, dataclasses.replace(options, cwd=outside(spec.cwd, *pairs)), room=room.folder)


def profile(spec: Spec, room: Room) -> str:
    """The rules, as sandbox-exec reads them: the last one that fits decides."""
    hidden = sorted({os.path.realpath(path) for path in (SHIPPED, *spec.hide)})
    reads = [os.path.realpath(source) for source, _ in spec.read]
    writes = [room.folder, *(os.path.realpath(source) for source, _ in spec.write)]
    lines = [
        "(version 1)",
        "(deny default)",
        "(allow process-fork)" if not spec.alone else "(deny process-fork)",
        "(allow signal (target same-sandbox))",
        "(allow sysctl-read)",
        "(allow file-read-metadata)",
        _rule("allow", "file-read* process-exec", ["/"] if spec.whole else _SYSTEM),
        _rule("deny", "file-read* process-exec", ["/private/tmp", "/private/var/folders", *hidden]),
    ]
    for root, operations in [
        *((path, "file-read* process-exec") for path in reads),
        *((path, _ALL) for path in writes),
    ]:
        lines.append(_rule("allow", operations, [root]))
        inner = [path for path in hidden if path != root and (path + "/").startswith(root.rstrip("/") + "/")]
        lines += [_rule("deny", _ALL, inner)] if inner else []
    lines.append(_rule("allow", "file-write-data file-ioctl", _DEVICES))
    lines.append("(allow network*)" if spec.network else _door(spec, writes))
    return "\n".join(line for line in lines if line) + "\n"


_ALL = "file-read* file-write* process-exec"


def _door(spec: Spec, writes: Iterable[str]) -> str:
    """An agent's own socket, the ports that it may reach, and no other."""
    doors = [f"(subpath {_quoted(path)})" for path in writes] if spec.whole else []
    doors += [f'(remote ip "localhost:{reach.port:d}")' for reach in spec.reach]
    return "(deny network*)" + (f"\n(allow network-outbound {' '.join(doors)})" if doors else "")


def _rule(what: str, operations: str, folders: Iterable[str]) -> str:
    return f"({what} {operations} {' '.join(f'(subpath {_quoted(path)})' for path in folders)})"


def _quoted(path: str) -> str:
    if any(ord(char) < 32 for char in path):
        raise BadInput(f"a path that cannot stand in a profile: {path!a}")
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
