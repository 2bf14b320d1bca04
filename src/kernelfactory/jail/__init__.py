"""Where foreign code runs: in the best jail that this machine has, or in none (loud). Refuses to judge, and to say
"protected" unproved."""

from __future__ import annotations

from kernelfactory.interpreter import interpreter_binds, python
from kernelfactory.jail.bubblewrap import Bubblewrap
from kernelfactory.jail.finding import Tried, advice, binaries, find, proved, self_test, ways, working
from kernelfactory.jail.landlock import Landlock
from kernelfactory.jail.plain import Unprotected
from kernelfactory.jail.seatbelt import Seatbelt
from kernelfactory.jail.spec import Jail, JailFailed, Launch, Reach, Spec
from kernelfactory.jail.users import LOGIN_UID, cage_uid, drops, of_cages, own

__all__ = [
    "LOGIN_UID", "Bubblewrap", "Jail", "JailFailed", "Landlock", "Launch", "Reach", "Seatbelt", "Spec", "Tried",
    "Unprotected", "advice", "binaries", "cage_uid", "drops", "find", "interpreter_binds", "of_cages", "own", "proved",
    "python", "self_test", "ways", "working",
]  # fmt: skip
