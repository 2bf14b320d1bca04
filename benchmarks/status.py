"""`kf status` on 100,000 attempts: the reader's part, and the whole command. Must hold: <= 0.15 s and <= 0.5 s."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _book import Writer

from kernelfactory.record import Reader

ATTEMPTS = 100_000


def reading(folder: Path) -> float:
    """Seconds to open the record and have the status."""
    begin = time.perf_counter()
    with Reader.open(folder) as reader:
        reader.status()
    return time.perf_counter() - begin


def command(folder: Path) -> float:
    """Seconds that `kf status EXPERIMENT --json` takes, start of Python included."""
    begin = time.perf_counter()
    argv = [sys.executable, "-m", "kernelfactory", "status", str(folder), "--json"]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "experiment"
        writer = Writer(folder)
        begin = time.perf_counter()
        writer.fill(ATTEMPTS)
        made = time.perf_counter() - begin
        writer.record.close()
        return {
            "attempts": ATTEMPTS,
            "measurements": 2 * ATTEMPTS,
            "megabytes": (folder / "record.db").stat().st_size / 1e6,
            "made_seconds": made,
            "reader_seconds": min(reading(folder) for _ in range(5)),
            "command_seconds": min(command(folder) for _ in range(5)),
        }


if __name__ == "__main__":
    print(main())
