"""status, attempts, show, best, notes on a real record, through the real command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

STATUS = {"experiment", "problem", "state", "why", "attempts", "measurements", "rejected", "quarantined", "best",
          "baseline", "spent", "islands", "agents"}  # fmt: skip
ATTEMPT = {"attempt", "parent", "island", "agent", "model", "state", "outcome", "score", "delta", "commit", "tree",
           "end", "started_at", "ended_at", "seconds", "dollars", "tokens", "brief", "policy_reason", "flags",
           "measurements", "continues", "late_of", "cage"}  # fmt: skip


def parsed(done: Any) -> Any:
    """The one JSON document on stdout: nothing before it, nothing after it."""
    assert done.stdout.count("\n") == 1, done.stdout
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_status_for_people(kf: Any, experiment: Path) -> None:
    done = kf("status", "made")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "made: stopped (its process ended without a word: kf resume made goes on)",
        "  folder        made",
        "  problem       demo",
        "  best          80 cycles, 20.0 % lower than the seed's 100 (attempt 1)",
        "  attempts      3: 1 improved, 1 rejected, 1 at work",
        "  measurements  2: 1 rejected, 0 quarantined",
        "  spent         $0.50, 2,000 tokens, 0:25 of agents' time",
        "",
        "island  valid  best  visits  stale",
        "     0      0     -       1      1",
        "     1      1    80       2      0",
        "",
        "agent    model  slots  busy",
        "mutator             2     1",
    ]


def test_status_as_json_has_the_contracts_keys(kf: Any, experiment: Path) -> None:
    now = parsed(kf("status", "made", "--json"))
    assert now.keys() >= STATUS
    assert now["best"]["score"] == 80
    assert now["baseline"] == 100
    assert now["outcomes"] == {"improved": 1, "rejected": 1}
    assert set(now["attempts"]) == {"claimed", "submitted", "judged", "abandoned"}


def test_attempts(kf: Any, experiment: Path) -> None:
    rows = parsed(kf("attempts", "made", "--json"))
    assert [row["attempt"] for row in rows] == [1, 2, 3]
    assert all(row.keys() >= ATTEMPT for row in rows)
    lines = kf("attempts", "made").stdout.splitlines()
    assert lines[0].split()[:4] == ["attempt", "parent", "island", "agent"]
    assert len(lines) == 4
    assert not any("\x1b" in line for line in lines)
    only = parsed(kf("attempts", "made", "--outcome", "improved", "--json"))
    assert [row["attempt"] for row in only] == [1]
    assert [row["attempt"] for row in parsed(kf("attempts", "made", "--last", "2", "--json"))] == [2, 3]
    assert [row["attempt"] for row in parsed(kf("attempts", "made", "--island", "0", "--json"))] == [2]


def test_show_the_best_with_everything(kf: Any, experiment: Path) -> None:
    done = kf("show", "made", "--diff", "--notes", "--brief", "--transcript")
    assert done.returncode == 0, done.stderr
    out = done.stdout
    assert out.startswith("attempt 1: improved, 80 cycles, confirmed\n")
    assert "  parent    attempt 0, 100 cycles (island 1, select)\n" in out
    assert "  lineage   1 ← 0\n" in out
    assert "-a = 1\n+a = 2\n+b = 3\n" in out
    assert "note of 1" in out
    assert "# Brief" in out
    assert "\x1b" not in out and "\u202e" not in out


def test_show_as_json(kf: Any, experiment: Path) -> None:
    shown = parsed(kf("show", "made", "2", "--notes", "--json"))
    assert ATTEMPT | {"verdicts", "notes"} <= shown.keys()
    assert "diff" not in shown
    assert shown["verdicts"][0]["reason_code"] == "wrong_answer"


def test_the_seed_has_no_parent_and_no_diff(kf: Any, experiment: Path) -> None:
    done = kf("show", "made", "0", "--diff")
    assert done.returncode == 0, done.stderr
    assert "none: the seed itself" in done.stdout


def test_best_is_copied_out_once(kf: Any, experiment: Path, tmp_path: Path) -> None:
    found = parsed(kf("best", "made", "--out", "copy", "--json"))
    assert found["score"] == 80
    assert (tmp_path / "copy" / "program.py").read_bytes() == b"a = 2\nb = 3\n"
    again = kf("best", "made", "--out", "copy")
    assert again.returncode == 2
    assert "not an empty folder" in again.stderr


def test_notes_are_shown_clean(kf: Any, experiment: Path) -> None:
    out = kf("notes", "made").stdout
    assert "── attempt 1: improved, 80 cycles (mutator)" in out
    assert "\x1b" not in out and "\u202e" not in out
    found = kf("notes", "made", "--json")
    assert [note["attempt"] for note in parsed(found)] == [1, 2]
    assert '"score": 80,' in found.stdout, "whole scores have no point, here as everywhere"
    assert [note["attempt"] for note in parsed(kf("notes", "made", "--attempt", "1", "--json"))] == [1]


def test_the_latest_experiment_is_the_default(kf: Any, experiment: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "latest").write_text(f"{experiment}\n")
    assert kf("status").returncode == 0
    assert kf("show", "1").stdout.startswith("attempt 1: improved")
    (state / "latest").write_text(f"{tmp_path}/gone\n")
    gone = kf("status")
    assert (gone.returncode, gone.stdout) == (2, "")
    assert "is gone: name another folder" in gone.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("status",), "no experiment was made here yet"),
        (("status", "nowhere"), "nowhere: no such folder"),
        (("status", "."), "is no experiment"),
        (("attempts", "made", "--outcome", "great"), "no outcome 'great': one of improved, equal"),
        (("attempts", "made", "--last", "0"), "--last"),
        (("show", "made", "99"), "has no attempt 99"),
        (("show", "made", "x"), "'N'"),
        (("notes", "made", "--attempt", "99"), "has no attempt 99"),
        (("best", "made", "--wrong"), "No such option"),
        (("frobnicate",), "No such command 'frobnicate'"),
    ],
)
def test_bad_input_is_one_clear_line(kf: Any, experiment: Path, words: tuple[str, ...], said: str) -> None:
    done = kf(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("kf: ") and done.stderr.count("\n") == 1, done.stderr
    assert said in done.stderr


def test_a_damaged_record_is_one_clear_line(kf: Any, experiment: Path) -> None:
    (experiment / "record.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    for name in ("record.db-wal", "record.db-shm"):
        (experiment / name).unlink(missing_ok=True)
    done = kf("status", "made")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "damaged" in done.stderr
    assert "Traceback" not in done.stderr
