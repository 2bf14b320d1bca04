"""Transcripts as they are written: whole lines, no secret, a digest of what is there, and a disk that is full."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kernelfactory.journal import CUT, Journal
from kernelfactory.redact import Mask

NONE = Mask({})


def digest(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_each_line_is_there_before_the_next_and_hashed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "attempts" / "000001" / "transcript.jsonl"
    journal = Journal(path, Mask({"KEY": "sk-a-secret-of-some-length"}))
    assert not path.exists()
    journal.line("one sk-a-secret-of-some-length\nof two\ud800")
    assert path.read_bytes() == b"one [redacted:KEY] of two?\n"
    journal.line("two")
    assert journal.close() == digest(path) and journal.fault is None
    journal.line("late")
    assert path.read_text() == "one [redacted:KEY] of two?\ntwo\n" and journal.close() is None


def test_without_a_line_there_is_no_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "x" / "transcript.jsonl", NONE)
    assert journal.close() is None and list(tmp_path.iterdir()) == []


def test_a_flood_is_cut_and_says_so(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "t", NONE, most=20)
    for _ in range(5):
        journal.line("12345678")
    assert (tmp_path / "t").read_bytes() == b"12345678\n12345678\n" + CUT
    assert journal.close() == digest(tmp_path / "t")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_on_a_full_disk_the_agent_goes_on() -> None:
    journal = Journal(Path("/dev/full"), NONE)
    journal.line("one")
    journal.line("two")
    assert journal.fault == "No space left on device"


LIMITED = """
import resource, signal, sys
from pathlib import Path
from kernelfactory.journal import Journal
from kernelfactory.redact import Mask
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (250, 250))
journal = Journal(Path(sys.argv[1]), Mask({}))
for n in range(9):
    journal.line(f"line {n}: " + "x" * 90)
print(journal.close(), "|", journal.fault)
"""


def test_no_line_is_half_there_when_the_disk_takes_no_more(tmp_path: Path) -> None:
    """The disk is full in the middle of a line: a limit on the size of files ends a write after a part of it."""
    path = tmp_path / "t"

    words = [sys.executable, "-B", "-c", LIMITED, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    told, fault = done.stdout.strip().split(" | ")
    assert fault == "File too large" and told == digest(path)
    assert [line[:6] for line in path.read_text().splitlines()] == ["line 0", "line 1"]
    assert path.read_text().endswith("x\n")


def test_a_secret_that_is_broken_over_lines_is_in_none_of_them(tmp_path: Path) -> None:
    secret = "sk-a-secret-of-some-length-that-base64-breaks-into-lines"
    lines = base64.encodebytes(f"{'x' * 40}{secret}{'y' * 40}".encode()).decode().splitlines()
    journal = Journal(tmp_path / "t", Mask({"KEY": secret}))
    for line in lines:
        journal.line(line)
    assert journal.close() == digest(tmp_path / "t")
    told = (tmp_path / "t").read_text()
    assert told.endswith("\n") and "[redacted:KEY]" in told and secret not in unbroken(told)
    apart = "\n".join(Mask({"KEY": secret}).text(line) for line in lines)  # injected fault: each line by itself
    assert secret in unbroken(apart)


def unbroken(told: str) -> str:
    """What a code that is broken into lines says."""
    return base64.b64decode(told.replace("[redacted:KEY]", "").replace("\n", "") + "===").decode("utf-8", "replace")


def test_what_may_begin_a_secret_is_there_at_the_end(tmp_path: Path) -> None:
    secret = "sk-a-secret-of-some-length"
    code = base64.b64encode(secret.encode()).decode()
    for rest, kept in ((code[:3], code[:3]), (code[:20], "[redacted:KEY]")):
        journal = Journal(tmp_path / "t", Mask({"KEY": secret}))
        journal.line("whole")
        journal.line(f"and {rest}")
        assert (tmp_path / "t").read_text() == "whole\n"
        assert journal.close() == digest(tmp_path / "t")
        assert (tmp_path / "t").read_text() == f"whole\nand {kept}\n"
