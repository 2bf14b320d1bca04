"""Which experiments this machine can know of: what its state folder remembers, what lies beside. Opens no record."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from kernelfactory.files import state_folder

LATEST = "latest"
KNOWN = "experiments"
"""In the state folder: the experiments made here, one a line, the latest last. Also the folder they are made in."""
MOST_KNOWN = 1000


def remembered() -> list[Path]:
    """The experiments made here, as far as they are remembered, the latest last; some may be gone."""
    named: list[bytes] = []
    for name in (LATEST, KNOWN):
        with suppress(OSError):
            named = (state_folder() / name).read_bytes().split(b"\n") + named
    return [Path(os.fsdecode(line)) for line in dict.fromkeys(named) if line][-MOST_KNOWN:]


def every_experiment(*others: Path) -> list[Path]:
    """The experiments that this machine can know of: those made here, and what lies beside them, beside `others` or in
    ./experiments."""
    known = remembered()
    places = [*(folder.parent for folder in (*known, *others)), Path(KNOWN)]
    around = [path.parent for place in dict.fromkeys(places) if place.is_dir() for path in place.glob("*/record.db")]
    found = dict.fromkeys(folder.resolve() for folder in (*known, *sorted(around)))
    return [folder for folder in found if (folder / "record.db").is_file()]


def private(folder: Path) -> list[Path]:
    """What no agent of the experiment in `folder` may see of this and all others: answers, and copies of its judge."""
    found = [folder.resolve(), *every_experiment(folder.resolve())]
    whole = [each.parent for each in found if each.parent.name == KNOWN]
    return list(dict.fromkeys([*whole, *found, state_folder().absolute()]))
