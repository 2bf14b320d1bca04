"""Runs the experiment in argv[1] on the small disk argv[2], and fills that disk to its last block the first time that
the window argv[5] is passed; tries again while it is full; frees it and goes on for a while. argv[3]: scratch folder;
argv[4]: SPEC. Each time it says in one line how that ended. What is on the disk then is left in argv[1]."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from kernelfactory import workers
from kernelfactory.budget import Caps
from kernelfactory.cli import explain
from kernelfactory.workers import Plan

experiment, disk, scratch, spec, wanted = sys.argv[1:]
folder, filler = Path(disk, "x"), Path(disk, "filler")


def fill(name: str) -> None:
    if name != wanted or filler.exists():
        return
    with filler.open("ab") as file:
        step = 16 << 20
        while step >= 512:
            try:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), step)
            except OSError:
                step //= 2


def run(attempts: int) -> None:
    plan = Plan((spec,), Caps(attempts=attempts), unprotected=True, scratch=Path(scratch))
    try:
        ending = workers.run(folder, plan, world=workers.World(window=fill))
        print(ending.exit_code, ending.why, flush=True)
    except Exception as error:
        said, code = explain(error)
        print(code, " ".join(said.split()), flush=True)


shutil.copytree(experiment, folder)
run(30)
run(60)
filler.unlink()
wanted = "never"
run(40)
shutil.rmtree(experiment)
shutil.copytree(folder, experiment)
