"""The one door: exit codes, one line for every error, quiet pipes, colours."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kernelfactory import __version__
from kernelfactory.cli import explain
from kernelfactory.model import BadInput, LostClaim


class Full(LostClaim):
    exit_code = 3


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (BadInput("name a folder"), 2, "name a folder"),
        (Full("no room"), 3, "no room"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/x/record.db"),
            3,
            "No space left on device: /x/record.db: free",
        ),
        (OSError(errno.EROFS, "Read-only file system", "/x"), 2, "Read-only file system: /x"),
        (PermissionError(errno.EACCES, "Permission denied", b"/\xff"), 2, "Permission denied"),
        (RuntimeError("never meant"), 1, "internal fault: RuntimeError: never meant (KF_DEBUG=1 shows the traceback)"),
    ],
)
def test_every_error_has_a_line_and_a_code(error: BaseException, code: int, said: str) -> None:
    line, exit_code = explain(error)
    assert exit_code == code
    assert said in line


def test_help_is_grouped_and_the_default(kf: Any) -> None:
    done = kf()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == kf("--help").stdout == kf("-h").stdout
    for group in ("Run", "Read", "Judge", "Inside a workspace"):
        assert f" {group} " in done.stdout
    assert "\x1b" not in done.stdout


def test_version(kf: Any) -> None:
    assert kf("--version").stdout == f"kf {__version__}\n"


def test_a_wrong_option_names_the_command_that_explains(kf: Any) -> None:
    done = kf("status", "--jsn")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "--jsn" in done.stderr and "(kf status --help)" in done.stderr


def test_debug_shows_the_traceback(kf: Any) -> None:
    done = kf("status", "nowhere", env={"KF_DEBUG": "1"})
    assert done.returncode == 2
    assert "Traceback" in done.stderr and done.stderr.endswith("\n")
    assert "Traceback" not in kf("status", "nowhere", env={"KF_DEBUG": "0"}).stderr


def test_a_reader_that_goes_away_is_no_error(experiment: Path, environment: dict[str, str]) -> None:
    read, write = os.pipe()
    os.close(read)
    argv = [sys.executable, "-m", "kernelfactory", "attempts", str(experiment), "--json"]
    done = subprocess.run(argv, stdout=write, stderr=subprocess.PIPE, env=environment, check=False)
    os.close(write)
    assert done.stderr == b""
    assert done.returncode == 0


def terminal(argv: list[str], env: dict[str, str]) -> str:
    """What a command writes to a real pseudo-terminal."""
    import pty

    main, side = pty.openpty()
    child = subprocess.Popen(argv, stdin=side, stdout=side, stderr=side, env=env, close_fds=True)
    os.close(side)
    out = b""
    try:
        while data := os.read(main, 65536):
            out += data
    except OSError:  # Linux says EIO when the other end is closed
        pass
    finally:
        os.close(main)
    child.wait(30)
    return out.decode()


def test_a_terminal_gets_colours_and_no_color_is_honoured(experiment: Path, environment: dict[str, str]) -> None:
    argv = [sys.executable, "-m", "kernelfactory", "show", str(experiment), "--diff"]
    env = {**environment, "TERM": "xterm-256color"}
    assert "\x1b[32m+a = 2" in terminal(argv, env)
    assert "\x1b[3" not in terminal(argv, {**env, "NO_COLOR": "1"})
    assert "+a = 2" in terminal(argv, {**env, "NO_COLOR": "1"})
