"""Standard streams that are closed, full or left: one line at most, never a traceback, and a run goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TINY = Path(__file__).parent.parent / "problems" / "tiny_number"
KF = [sys.executable, "-m", "kernelfactory"]
LOST = "kf: the output could not be written (No space left on device): send it elsewhere; the work goes on\n"


@pytest.fixture
def shell(tmp_path: Path, environment: dict[str, str]) -> Any:
    """A line of shell with `kf` in it: exit code, stdout, stderr."""

    def run(line: str) -> tuple[int, str, str]:
        script = f'kf() {{ "{sys.executable}" -m kernelfactory "$@"; }}; {line}'
        argv = ["/bin/bash", "-c", script]
        done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.mark.parametrize(
    "command", ["--help", "status made", "status made --json", "attempts made", "show made --diff"]
)
def test_readers_with_a_full_output_say_one_line(shell: Any, experiment: Path, command: str) -> None:
    assert shell(f"kf {command} >/dev/full") == (2, "", LOST)


@pytest.mark.parametrize(
    "command", ["--help", "status made", "status made --json", "attempts made", "show made --diff"]
)
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_are_quiet(shell: Any, experiment: Path, command: str, closed: str) -> None:
    code, _, err = shell(f"kf {command} {closed}")
    assert (code, err) == (0, "")


def test_an_error_that_cannot_be_told_still_has_its_exit_code(shell: Any) -> None:
    for lost in ("2>/dev/full", "2>&-"):
        assert shell(f"kf status nowhere {lost}") == (2, "", "")


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("> /dev/full", 2, LOST),
        (">&- 2>&-", 0, ""),
        ("--json >/dev/null 2>/dev/full", 0, ""),
        ("| head -n 1 >/dev/null; exit ${PIPESTATUS[0]}", 0, ""),
    ],
)
def test_a_run_that_nobody_hears_goes_on_to_its_end(
    shell: Any, kf: Any, tmp_path: Path, how: str, code: int, said: str
) -> None:
    steps = tmp_path / "steps.json"
    steps.write_text('[{"sleep": 0.1}, {"write": {"number.txt": "7\\n"}}]')
    run = f"kf run '{TINY}' --agent scripted@steps.json --attempts 5 --dir one {how}"
    assert shell(run) == (code, "", said)
    assert kf("status", "one").stdout.startswith("one: finished (all 5 attempts are made)")
