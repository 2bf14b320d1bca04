"""What one attempt costs in the record (claim, two measurements, handed in, judged: five durable transactions), and in
the trees (one commit), early and late. Must hold: the record's part <= 8 ms with 100 and with 20,000 attempts."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _book import Writer, fsync_ms

from kernelfactory.trees import Trees

SIZES = (100, 20_000)


def median_ms(work: Callable[[], object], times: int = 100) -> float:
    took = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        took.append(time.perf_counter() - begin)
    return statistics.median(took) * 1000


def commits(folder: Path) -> dict[str, Any]:
    """Commits of a 30 KB file that changes by a line, before and after packing."""
    trees = Trees.create(folder / "trees.git")
    lines, state = [f"    body.append(('load', {n}))".encode() for n in range(1000)], {"number": 0, "parent": ""}

    def commit() -> None:
        number = int(state["number"]) + 1
        lines[number % 1000] = b"    pass  # %d" % number
        parents = [str(state["parent"])] if state["parent"] else []
        files = {"kernel.py": b"\n".join(lines)}
        made = trees.commit(files, parents=parents, message=f"attempt {number}", ref=f"refs/candidates/{number}/1")
        state.update(number=number, parent=made.commit)

    loose = median_ms(commit, 500)
    before = sum(path.stat().st_blocks * 512 for path in trees.folder.rglob("*"))
    begin = time.perf_counter()
    trees.pack()
    seconds = time.perf_counter() - begin
    after = sum(path.stat().st_blocks * 512 for path in trees.folder.rglob("*"))
    return {
        "commit_ms": loose,
        "commit_ms_after_packing": median_ms(commit, 100),
        "read_ms": median_ms(lambda: trees.read(str(state["parent"]))),
        "pack_500_seconds": seconds,
        "bytes_a_program_loose": before // 500,
        "bytes_a_program_packed": after // 500,
    }


def main() -> dict[str, Any]:
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures["fsync_ms"] = fsync_ms(folder)
        writer = Writer(folder / "experiment")
        for size in SIZES:
            writer.fill(size)
            figures[f"attempt_ms_at_{size}"] = median_ms(writer.attempt)
        figures["late_to_early"] = figures[f"attempt_ms_at_{SIZES[1]}"] / figures[f"attempt_ms_at_{SIZES[0]}"]
        figures["bytes_an_attempt"] = (folder / "experiment" / "record.db").stat().st_size // SIZES[1]
        writer.record.close()
        figures |= commits(folder)
        figures["fsync_ms_after"] = fsync_ms(folder)
    return figures


if __name__ == "__main__":
    print(main())
