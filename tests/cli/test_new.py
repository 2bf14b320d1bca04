"""kf new: templates, folders that are there already, and what must not be copied. Through the real command line."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from kernelfactory import problem

SHIM = Path(__file__).parent.parent / "problems" / "tiny_shim"

SHORT = b"""def tour(stops):
    left, order = set(range(1, len(stops))), [0]
    while left:
        x, y = stops[order[-1]]
        order.append(min(left, key=lambda stop: (stops[stop][0] - x) ** 2 + (stops[stop][1] - y) ** 2))
        left.remove(order[-1])
    return order
"""
FULL = b"""def pack(sizes):
    bins, room = [], []
    for item in sorted(range(len(sizes)), key=lambda item: -sizes[item]):
        where = next((number for number, left in enumerate(room) if left >= sizes[item]), None)
        if where is None:
            bins.append([item])
            room.append(100 - sizes[item])
        else:
            bins[where].append(item)
            room[where] -= sizes[item]
    return bins
"""
FIRST = b"""import sys

SHORT = {b"zero": b"z", b"one": b"o", b"eight": b"e", b"nine": b"n"}
sys.stdout.buffer.write(b" ".join(SHORT.get(word, word[:2]) for word in sys.stdin.buffer.read().split()))
"""
EXAMPLES = {
    "artefact": ("tour.py", SHORT, b"def tour(stops):\n    return [0] * len(stops)\n", 1846.0126),
    "function": ("pack.py", FULL, b"def pack(sizes):\n    return [list(range(len(sizes)))]\n", 50),
    "command": ("shrink.py", FIRST, b"print('{}')\n", 1000),
}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_template_is_sound_and_can_be_improved(kf: Any, tmp_path: Path, kind: str) -> None:
    made = kf("new", "My problem", "--kind", kind)
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.startswith(f"My problem: a problem of the kind {kind}, ")
    assert "judge 'My problem'" in made.stdout, "next steps can be typed as printed"
    assert problem.load(tmp_path / "My problem").name == "My_problem"
    name, better, wrong, score = EXAMPLES[kind]
    seed = json.loads(kf("judge", "My problem", "--json").stdout)
    assert seed["verdict"] == "accepted" and seed["score"] == pytest.approx(score, abs=0.01)
    for text, accepted in ((better, True), (wrong, False)):
        (tmp_path / kind).mkdir(exist_ok=True)
        (tmp_path / kind / name).write_bytes(text)
        judged = json.loads(kf("judge", "My problem", kind, "--confirm", "--json").stdout)
        assert (judged["verdict"] == "accepted") is accepted, judged
        assert not accepted or judged["score"] < 0.8 * score


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_template_passes_the_check(kf: Any, kind: str) -> None:
    assert kf("new", "made", "--kind", kind).returncode == 0
    checked = kf("check", "made", "--json")
    assert [item for item in json.loads(checked.stdout)["checks"] if not item["ok"]] == []


def test_as_json(kf: Any, tmp_path: Path) -> None:
    said = json.loads(kf("new", "made", "--json").stdout)
    assert said.keys() == {"folder", "problem", "kind", "solutions", "editable", "files", "todo", "next"}
    assert said["folder"] == str(tmp_path / "made") and said["editable"] == ["tour.py"]
    assert (
        sorted(str(path.relative_to(tmp_path / "made")) for path in (tmp_path / "made").rglob("*.*")) == said["files"]
    )


# ── round a folder ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small repository, as they are."""
    made = tmp_path / "mine"
    (made / "src").mkdir(parents=True)
    (made / "src/fast.py").write_text("def fast():\n    return 1\n")
    (made / "src/slow.py").write_text("def slow():\n    return 2\n")
    (made / "readme [1].md").write_text("mine\n")
    (made / ".git/hooks").mkdir(parents=True)
    (made / ".git/config").write_text("[core]\n\tfsmonitor = /bin/false\n")
    (made / "src/__pycache__").mkdir()
    (made / "src/__pycache__/fast.pyc").write_bytes(b"\0")
    return made


def test_round_a_folder(kf: Any, folder: Path, tmp_path: Path) -> None:
    made = kf("new", "made", "--from", "mine", "--editable", "src/*.py")
    assert made.returncode == 0, made.stderr
    assert "judge/evaluate.py" in made.stdout.partition("to do")[2]
    seed = {
        str(path.relative_to(tmp_path / "made/seed")) for path in (tmp_path / "made/seed").rglob("*") if path.is_file()
    }
    assert seed == {"src/fast.py", "src/slow.py", "readme [1].md"}
    judged = json.loads(kf("judge", "made", "--json").stdout)
    assert (judged["verdict"], judged["trust"], judged["score"]) == ("accepted", "self-reported", 50)
    assert "`src/*.py`" in (tmp_path / "made/task.md").read_text()
    assert kf("check", "made").returncode == 0


def test_a_folder_that_holds_anything_but_files_is_refused(kf: Any, folder: Path, tmp_path: Path) -> None:
    ways = {
        "link": lambda path: path.symlink_to("/etc/passwd"),
        "fifo": os.mkfifo,
        "huge": lambda path: (path.touch(), os.truncate(path, 1 << 40)),
        "odd\n": lambda path: path.touch(),
    }
    for name, put in ways.items():
        put(folder / name)
        refused = kf("new", "made", "--from", "mine", "--editable", "src/*.py")
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr.startswith("kf: mine: ") and refused.stderr.count("\n") == 1
        (folder / name).unlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"], "nothing half made is left"
    assert kf("new", "made", "--from", "mine", "--editable", "src/*.py").returncode == 0, (
        "and it was these that were refused"
    )


def test_an_evaluator_in_the_style_of_searches_stays_as_it_is(kf: Any, tmp_path: Path) -> None:
    style = tmp_path / "style"
    style.mkdir()
    evaluator = (SHIM / "judge/evaluator.py").read_bytes()
    canary = f"\nopen({str(tmp_path / 'canary')!r}, 'w')\n".encode()
    (style / "evaluator.py").write_bytes(evaluator)
    (style / "initial_program.py").write_bytes((SHIM / "seed/program.py").read_bytes() + b"\nimport helper\n")
    (style / "helper.py").write_bytes(b"try:\n    " + canary.strip() + b"\nexcept OSError:\n    pass\n")
    (style / "config.yaml").write_text("x: 1\n")
    made = json.loads(kf("new", "made", "--from", "style", "--json").stdout)
    assert (made["kind"], made["editable"]) == ("function", ["initial_program.py"])
    assert (tmp_path / "made/judge/evaluator.py").read_bytes() == evaluator
    assert {"judge/config.yaml", "judge/helper.py", "seed/helper.py", "seed/initial_program.py"} <= set(made["files"])
    found = problem.load(tmp_path / "made")
    assert found.answering is not None and found.answering.function == "initial_program"
    assert found.measure.evaluator and not found.answering.packages
    judged = json.loads(kf("judge", "made", "--json").stdout)
    assert (judged["verdict"], judged["trust"]) == ("accepted", "judged")
    assert not (tmp_path / "canary").exists(), "nothing was imported"
    shutil.rmtree(tmp_path / "made")
    forced = kf("new", "made", "--from", "style", "--kind", "command", "--editable", "initial_program.py", "--json")
    assert json.loads(forced.stdout)["kind"] == "command"


@pytest.mark.parametrize(
    "text",
    [
        "def evaluate(a, b): ...",
        "def evaluate(): ...",
        "async def evaluate(p): ...",
        "evaluate = len",
        "def (",
        "(" * 99999,
    ],
)
def test_what_is_no_such_evaluator(kf: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / "style").mkdir()
    (tmp_path / "style/evaluator.py").write_text(text)
    (tmp_path / "style/initial.py").write_text("x = 1\n")
    refused = kf("new", "made", "--from", "style", "--kind", "function")
    assert refused.returncode == 2 and "holds no evaluator.py with def evaluate(program_path)" in refused.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("made", "--kind", "great"), "no kind 'great': one of artefact, function, command"),
        (("made", "--preset", "great"), "no preset 'great': there is takehome"),
        (("made", "--preset", "takehome"), "needs --from CLONE"),
        (("made", "--preset", "takehome", "--from", "mine", "--kind", "command"), "needs --from CLONE"),
        (("made", "--from", "mine"), "--editable 'GLOB'"),
        (("made", "--from", "mine", "--editable", "*.c"), "matches no file of mine"),
        (("made", "--from", "mine", "--editable", "../x"), "matches no file of mine"),
        (("made", "--from", "mine", "--kind", "artefact"), "begin with a template"),
        (("made", "--from", "nowhere", "--editable", "*"), "nowhere: no such folder"),
        (("made", "--editable", "*"), "--editable goes with --from"),
        (("mine",), "not empty"),
        (("mine/src/fast.py",), "not empty"),
        (("mine/src/fast.py/x",), "mine/src/fast.py"),
        (("a\x1b[2Jb",), "printable"),
    ],
)
def test_bad_input_is_one_clear_line(kf: Any, folder: Path, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    done = kf("new", *words)
    assert (done.returncode, done.stdout) == (2, ""), done.stdout
    assert done.stderr.startswith("kf: ") and done.stderr.count("\n") == 1 and "\x1b" not in done.stderr, done.stderr
    assert said in done.stderr
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


def test_an_empty_folder_will_do_and_odd_names_become_names(kf: Any, tmp_path: Path) -> None:
    for name, called in (("été 24!", "t_24"), ("24", "problem_24"), ("…", "problem")):
        (tmp_path / name).mkdir()
        made = kf("new", name, "--json")
        assert json.loads(made.stdout)["problem"] == called, made.stderr
