"""Folders and records that may not be read or written: one line that names what the user named, nothing made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TINY = Path(__file__).parent.parent / "problems" / "tiny_number"
RIGHTS = "-dac_override,-dac_read_search"

Plain = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def plain(tmp_path: Path, environment: dict[str, str]) -> Plain:
    """`kf` for whom modes hold: root without the right to pass them over."""
    root = os.geteuid() == 0
    if root and shutil.which("setpriv") is None:
        pytest.skip("root cannot give up its rights here: no setpriv")
    without = ["setpriv", f"--bounding-set={RIGHTS}", f"--inh-caps={RIGHTS}"] if root else []

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [*without, sys.executable, "-m", "kernelfactory", *words]
        return subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize("command", ["status", "attempts", "show", "best", "notes", "report", "clean", "resume"])
def test_a_record_that_cannot_be_read(plain: Plain, experiment: Path, command: str) -> None:
    assert plain("status", "made").returncode == 0
    (experiment / "record.db").chmod(0)
    done = plain(command, "made")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("kf: made/record.db cannot be opened") and done.stderr.count("\n") == 1


def test_places_that_cannot_be_written(plain: Plain, experiment: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    cases = (
        (("run", str(TINY), "--attempts", "1", "--dir", "closed/x"), "closed/x cannot be made (Permission denied)"),
        (("best", "made", "--out", "closed/x"), "closed/x cannot be made (Permission denied)"),
        (("report", "made", "--out", "closed/x.html"), "closed/x.html cannot be written (Permission denied)"),
    )
    for words, said in cases:
        done = plain(*words)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert said in done.stderr and "name another" in done.stderr
    assert os.listdir(closed) == []
    experiment.chmod(0o555)
    again = plain("resume", "made")
    experiment.chmod(0o755)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "made cannot be written" in again.stderr
