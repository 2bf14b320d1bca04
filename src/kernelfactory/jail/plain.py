"""No jail at all: a plain process of this user. Refuses to be called protected."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
import tempfile
import weakref

from kernelfactory import process
from kernelfactory.jail.spec import Launch, Launcher, Spec, limited, limits, outside
from kernelfactory.model import Trust
from kernelfactory.process import Options


class Unprotected(Launcher):
    """Runs a spec as a plain process of this user: limits where they work, a throw-away HOME and /tmp (gone when a run
    has ended; those of spawned processes when this one has), nothing else.
    Places inside are translated to their sources in the command, the working folder and the variables."""

    name = "none"
    trust: Trust = "unprotected"
    holds = False
    note = "candidates run without a jail: a verdict can be forged"

    def __init__(self) -> None:
        self._prlimit = shutil.which("prlimit", path="/usr/bin:/bin")
        self._room = tempfile.mkdtemp(prefix="kf-unprotected-")
        weakref.finalize(self, shutil.rmtree, self._room, ignore_errors=True)

    def command(self, spec: Spec, options: Options = process.PLAIN) -> Launch:
        room = tempfile.mkdtemp(dir=self._room)
        pairs = [*spec.read, *spec.write], [(room, "/tmp")]
        env = {name: outside(value, *pairs) for name, value in {"HOME": "/tmp", "TMPDIR": "/tmp", **spec.env}.items()}
        os.makedirs(env["HOME"], exist_ok=True)
        void = {"nproc", "as"} if sys.platform != "linux" else {"nproc"}  # counts all that the user runs; not on macOS
        bounds = {name: value for name, value in limits(spec).items() if name not in void}
        argv = limited([outside(word, *pairs) for word in spec.argv], bounds, self._prlimit)
        return Launch(argv, env, dataclasses.replace(options, cwd=outside(spec.cwd, *pairs)), room=room)
