"""What it takes to collect a hostile folder: hooks, repositories, links, FIFOs, a sparse terabyte, 100,000 files."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from kernelfactory.files import read_tree, write_tree
from kernelfactory.model import BadIntake
from kernelfactory.testing.intake import litter, sparse
from kernelfactory.workspace import remove

ROUNDS = 5
FILES = 100_000
PROGRAM = {f"lib/{number}.c": b"int a;\n" * 1000 for number in range(50)} | {"kernel.py": b"x = 1\n" * 10_000}


def milliseconds(folder: Path, globs: list[str], rounds: int) -> tuple[list[float], str]:
    """Of each collection, and how the last one ended."""
    taken, ended = [], ""
    for _ in range(rounds):
        begin = time.perf_counter()
        try:
            found = read_tree(folder, globs)
            ended = "as it was" if found == PROGRAM else f"{len(found)} files"
        except BadIntake as error:
            ended = str(error)[:60]
        taken.append((time.perf_counter() - begin) * 1e3)
    return taken, ended


def main(rounds: int = ROUNDS, count: int = FILES) -> dict[str, object]:
    figures: dict[str, object] = {"files": count, "rounds": rounds}
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        folder, mark = Path(place) / "ws", Path(place) / "mark"
        write_tree(folder, PROGRAM)
        litter(folder, mark, files=count)
        for name, globs in (
            ("the program alone", ["kernel.py", "lib/*.c"]),
            ("among all names", ["kernel.py", "lib/*.c", "many/*.c"]),
            ("wherever it lies", ["kernel.py", "lib/*.c", "**/*.c"]),
            ("everything", ["**"]),
        ):
            taken, ended = milliseconds(folder, globs, rounds)
            figures[name] = {"milliseconds_worst": max(taken), "milliseconds_best": min(taken), "collected": ended}
        sparse(folder / "kernel.py")
        taken, ended = milliseconds(folder, ["kernel.py"], rounds)
        figures["a terabyte for a program"] = {"milliseconds_worst": max(taken), "collected": ended}
        figures["a git command ran"] = mark.exists()
        begin = time.perf_counter()
        remove(folder)
        figures["removed_in_milliseconds"] = (time.perf_counter() - begin) * 1e3
    return figures


if __name__ == "__main__":
    print(main())
