"""kf publish-check and the words before private programs can leave, on an experiment that was really run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

TINY = Path(__file__).parent.parent / "problems" / "tiny_network"
PROGRAM = """# found by chance
def network(wires):
    pairs = []
    for end in range(wires - 1, 0, -1):
        pairs.extend((low, low + 1) for low in range(end))
    best = {4: [(0, 1), (2, 3), (0, 2), (1, 3), (1, 2)], 3: [(0, 1), (1, 2), (0, 1)]}
    return best.get(wires, pairs)
"""


@pytest.fixture
def run(kf: Any, tmp_path: Path) -> Path:
    """An experiment whose one attempt found the best network, on a problem with private solutions."""
    shutil.copytree(TINY, tmp_path / "problem")
    toml = tmp_path / "problem/problem.toml"
    toml.write_text(toml.read_text().replace('kind = "artefact"', 'kind = "artefact"\nsolutions = "private"'))
    steps = tmp_path / "steps.json"
    steps.write_text(json.dumps([{"write": {"network.py": PROGRAM}}, {"note": "five will do"}]))
    done = kf("run", "problem", "--agent", f"scripted@{steps}", "--attempts", "1", "--dir", "run")
    assert done.returncode == 0, done.stderr
    return tmp_path / "run"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    made = tmp_path / "public"
    made.mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "init", "-q", "."], cwd=made, env=env, check=True)
    with (made / ".git/config").open("a") as config:
        config.write('[remote "ori\x1b[31mgin"]\n\turl = https://user:secret@example.invalid/x.git\n')
    return made


def test_a_clean_folder_and_one_that_is_not(kf: Any, run: Path, repository: Path) -> None:
    clean = kf("publish-check", "public")
    assert (clean.returncode, clean.stderr) == (0, "")
    assert clean.stdout.splitlines() == [
        "nothing found: no known private program is in public",
        "  looked at 0 files; in the history at 0 commits and 0 versions of files",
        "  for 1 program of 1 experiment with private solutions",
    ]
    (repository / "x\x1b[2J\n.py").write_text(PROGRAM.replace("found by chance", "my own"))
    (repository / "seed.py").write_bytes((TINY / "seed/network.py").read_bytes())
    found = kf("publish-check", "public", "--experiment", "run")
    assert found.returncode == 1
    assert "\x1b" not in found.stdout and "secret" not in found.stdout
    lines = found.stdout.splitlines()
    assert lines[0] == "1 place in public would give private programs away"
    assert lines[1:3] == ["  all of run", ""]
    assert lines[4].endswith("  x[2J .py") and "same but for layout" in lines[4] and "5 comparators" in lines[4]
    assert "a push would take what is committed to ori[31mgin (not contacted)" in lines
    told = kf("publish-check", "public", "--json")
    assert (told.returncode, told.stderr, told.stdout.count("\n")) == (1, "", 1)
    document = json.loads(told.stdout)
    assert document["clear"] is False and document["experiments"][0]["folder"] == str(run)
    assert [(leak["attempt"], leak["score"], leak["likeness"]) for leak in document["leaks"]] == [(1, 5, "layout")]


def test_copies_and_pages_in_a_repository_are_warned_of(kf: Any, run: Path, repository: Path) -> None:
    out = kf("best", "run", "--out", "public/best")
    assert out.returncode == 0
    assert "kf: PRIVATE: public/best lies in a git repository; before a push: " in out.stderr
    assert out.stderr.count("\n") == 1
    assert kf("best", "run", "--out", "elsewhere").stderr == ""
    page = kf("report", "run", "--out", "public/r.html", "--with-code")
    assert page.stderr == "kf: PRIVATE: public/r.html shows programs of tiny_network: keep it on this machine\n"
    assert "best.get(wires" in (repository / "r.html").read_text()
    assert kf("report", "run", "--out", "public/plain.html").stderr == ""
    assert "best.get(wires" not in (repository / "plain.html").read_text()
    found = json.loads(kf("publish-check", "public", "--json").stdout)
    assert {leak["where"] for leak in found["leaks"]} == {"best/network.py", "r.html"}
    assert [sign["where"] for sign in found["signs"]] == ["r.html"]
    for path in ("best/network.py", "r.html", "r.svg"):
        (repository / path).unlink()
    assert kf("publish-check", "public").returncode == 0, "the page without code gives nothing away"


def test_what_weakens_the_answer_is_said(kf: Any, run: Path, repository: Path, tmp_path: Path) -> None:
    (repository / "big.bin").touch()
    os.truncate(repository / "big.bin", 1 << 40)
    alone = kf("publish-check", "public", "--experiment", "run")
    assert (alone.returncode, alone.stderr) == (0, "kf: not looked into: big.bin: larger than 8 MiB\n")
    unknown = kf(
        "publish-check", "public", env={"KF_STATE": str(tmp_path / "another")}, cwd=repository.parent / "state"
    )
    assert unknown.returncode == 2 and "no such folder" in unknown.stderr
    (tmp_path / "alone").mkdir()
    unknown = kf("publish-check", str(repository), env={"KF_STATE": str(tmp_path / "another")}, cwd=tmp_path / "alone")
    assert unknown.returncode == 0
    assert "kf: no experiment with private solutions is known here: name one with --experiment" in unknown.stderr
    (run / "record.db").unlink()
    shutil.copytree(run, tmp_path / "elsewhere")
    gone = kf("publish-check", "public", "--experiment", "run")
    assert gone.returncode == 2 and "is no experiment" in gone.stderr


def test_every_experiment_made_here_is_remembered(kf: Any, run: Path, tmp_path: Path) -> None:
    again = kf("run", "problem", "--agent", f"scripted@{tmp_path}/steps.json", "--attempts", "1", "--dir", "far/second")
    assert again.returncode == 0
    (tmp_path / "out").mkdir()
    document = json.loads(kf("publish-check", "out", "--json", cwd=tmp_path).stdout)
    assert [Path(known["folder"]).name for known in document["experiments"]] == ["run", "second"]
    (tmp_path / "state/experiments").unlink()
    document = json.loads(kf("publish-check", "out", "--json", cwd=tmp_path).stdout)
    assert [Path(known["folder"]).name for known in document["experiments"]] == ["second"], "it was the list that knew"
