"""Problem folders: what is read, what is refused, and that every refusal names file, line and key."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelfactory import problem
from kernelfactory.model import Axis, BadInput, BadIntake, BadProblem

TINY = Path(__file__).parent / "problems"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A writable copy of the problem that has a [produce] table."""
    shutil.copytree(TINY / "tiny_network", tmp_path / "tiny", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "tiny"


def edit(folder: Path, old: str, new: str) -> None:
    text = (folder / "problem.toml").read_text()
    assert old in text
    (folder / "problem.toml").write_text(text.replace(old, new, 1))


def refusal(folder: Path) -> str:
    with pytest.raises(BadProblem) as caught:
        problem.load(folder)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(f"{folder}/problem.toml:")
    assert caught.value.exit_code == 2
    return message.removeprefix(f"{folder}/problem.toml:")


def test_every_key_arrives() -> None:
    network = problem.load(TINY / "tiny_network")
    assert (network.name, network.kind, network.editable) == ("tiny_network", "artefact", ("network.py",))
    assert network.task.startswith("# A sorting network")
    assert sorted(network.seed) == ["network.py", "produce.py"]
    assert (network.metric.name, network.metric.goal, network.metric.impossible) == ("comparators", "min", 4)
    assert network.metric.reference == (("proved smallest", 5),)
    assert network.produce is not None
    assert (network.produce.command, network.produce.quick) == (("python", "produce.py"), ("--quick",))
    assert (network.produce.seconds, network.produce.memory, network.produce.artefact_bytes) == (
        5.0,
        512 << 20,
        64 << 10,
    )
    assert (network.measure.ruler, network.measure.quick) == ("ruler:measure", "ruler:quick")
    assert (network.measure.screen, network.measure.confirm, network.measure.seconds) == (4, 8, 10.0)
    assert network.axes == (Axis("depth", 0.0, 16.0),)
    assert (network.private, network.web) == (False, True)
    assert Path(network.folder).is_absolute()


def test_without_produce_the_one_file_is_the_artefact() -> None:
    assert problem.load(TINY / "tiny_number").produce is None


def test_private_and_web(folder: Path) -> None:
    edit(folder, 'kind = "artefact"', 'kind = "artefact"\nsolutions = "private"\nweb = false')
    loaded = problem.load(folder)
    assert (loaded.private, loaded.web) == (True, False)


CASES = [
    # (what to replace, by what, line, key, words of the advice)
    ('name = "tiny_network"\n', "", 1, "name", "missing"),
    ('name = "tiny_network"', 'name = "a b"', 1, "name", "letters, digits"),
    ('task = "task.md"', 'task = "nothing.md"', 2, "task", "no file 'nothing.md'"),
    ('task = "task.md"', 'task = "judge/ruler.py"', 2, "task", "agents may read"),
    ('["network.py"]', '["netwerk.py"]', 3, "editable", "'netwerk.py' matches no file under seed/"),
    ('["network.py"]', '["network.py", "lib/**"]', 3, "editable", "'lib/**' matches no file"),
    ('["network.py"]', '["*.py"]', 9 + 5, "produce.command", "produce.py is editable too"),
    ('["network.py"]', "[]", 3, "editable", "name at least one file"),
    ('["network.py"]', "7", 3, "editable", "list of texts"),
    ('"artefact"', '"wish"', 4, "kind", '"artefact" or "function" or "command"'),
    ('goal = "min"', 'goal = "small"', 9, "metric.goal", '"min" or "max"'),
    ("impossible = 4", "impossible = nan", 10, "metric.impossible", "a number"),
    ("impossible = 4", "impossible = true", 10, "metric.impossible", "a number"),
    ('"proved smallest" = 5', '"proved smallest" = "five"', 11, "metric.reference", "'proved smallest' to a number"),
    ('["python", "produce.py"]', '["python", "-c", "print()"]', 14, "produce.command", "run a file of seed/"),
    ('["python", "produce.py"]', "[]", 14, "produce.command", "name the program"),
    ("seconds = 5\n", "seconds = 0\n", 15, "produce.seconds", "above 0"),
    ('memory = "512MiB"', 'memory = "512"', 16, "produce.memory", "a size such as"),
    ('memory = "512MiB"', "memory = 512", 16, "produce.memory", "a size such as"),
    ('"64KiB"', '"0KiB"', 17, "produce.artefact_bytes", "a size such as"),
    ("seconds = 5\n", "seconds = 5\nsecnods = 5\n", 16, "produce.secnods", "unknown key"),
    ('"ruler:measure"', '"ruler"', 21, "measure.ruler", '"file:function"'),
    ('"ruler:measure"', '"other:measure"', 21, "measure.ruler", "no judge/other.py"),
    ('quick = "ruler:quick"', 'quick = "a:b"', 22, "measure.quick", "function of the ruler's file"),
    ("screen = 4", "screen = 0", 23, "measure.screen", "whole number"),
    ("confirm = 8", "confirm = 2.5", 24, "measure.confirm", "whole number"),
    ("[0.0, 16.0]", "[16.0, 0.0]", 29, "measures.depth", "low below high"),
    ("[0.0, 16.0]", "[0.0]", 29, "measures.depth", "[low, high]"),
    ("[metric]", "[metrics]", 1, "metric", "missing"),
    ("[measures]", "[extras]", 28, "extras", "unknown key"),
    ('kind = "artefact"', 'kind = "artefact"\nmetric.extra = 1\n', 5, "TOML syntax", "correct this line"),
]


@pytest.mark.parametrize(("old", "new", "line", "key", "words"), CASES, ids=lambda value: str(value)[:24])
def test_a_fault_names_line_and_key(folder: Path, old: str, new: str, line: int, key: str, words: str) -> None:
    edit(folder, old, new)
    message = refusal(folder)
    if key == "TOML syntax":
        assert re.match(r"\d+: TOML syntax", message) and words in message
    else:
        assert message.startswith(f"{line}: {key}: ")
        assert words in message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b'name = "x"\nkind = \n', 2),
        (b'name = "x"\n\xff\n', 2),
        (b'name = "x', 1),
        (b"x = " + b"[" * 5000, 1),
        (b"x = " + b"9" * 5000, 1),
    ],
)
def test_broken_toml_names_the_line(folder: Path, text: bytes, line: int) -> None:
    (folder / "problem.toml").write_bytes(text)
    assert refusal(folder).startswith(f"{line}: ")


def test_inline_tables_are_found_too(folder: Path) -> None:
    text = (folder / "problem.toml").read_text()
    head, tail = text.split("[produce]")[0], text.split("[measure]")[1]
    (folder / "problem.toml").write_text(
        'produce = { command = ["python", "produce.py"], seconds = -1 }\n' + head + "[measure]" + tail
    )
    assert refusal(folder).startswith("1: produce.seconds: ")


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    assert "kf check" in refusal(tmp_path)


def test_without_produce_there_is_exactly_one_editable_file(tmp_path: Path) -> None:
    shutil.copytree(TINY / "tiny_number", tmp_path / "tiny")
    (tmp_path / "tiny/seed/more.txt").write_text("1\n")
    edit(tmp_path / "tiny", '["number.txt"]', '["*.txt"]')
    assert refusal(tmp_path / "tiny").startswith("3: editable: without [produce]")


def test_names_that_workspaces_use_are_refused(folder: Path) -> None:
    (folder / "seed/progress.md").write_text("x")
    assert "seed/progress.md" in refusal(folder)


def make_link(folder: Path) -> None:
    (folder / "seed/link.py").symlink_to("/etc/passwd")


def make_fifo(folder: Path) -> None:
    os.mkfifo(folder / "seed/pipe")


def make_name(folder: Path) -> None:
    (Path(os.fsdecode(os.fsencode(folder) + b"/seed/\xff.py"))).write_text("x")


@pytest.mark.parametrize("make", [make_link, make_fifo, make_name])
def test_what_may_not_be_read_is_refused(folder: Path, make: object) -> None:
    problem.load(folder)  # the same folder without it is fine
    make(folder)  # type: ignore[operator]
    with pytest.raises(BadIntake) as caught:
        problem.load(folder)
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)


def test_the_digest_covers_every_file_and_no_cache(folder: Path) -> None:
    before = problem.load(folder).digest
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", before)
    (folder / "judge/__pycache__").mkdir()
    (folder / "judge/__pycache__/ruler.pyc").write_bytes(b"x")
    assert problem.load(folder).digest == before
    with (folder / "judge/ruler.py").open("a") as ruler:
        ruler.write("# one more line\n")
    assert problem.load(folder).digest != before


def test_lock_copies_by_value(folder: Path, tmp_path: Path) -> None:
    copy = problem.lock(folder, tmp_path / "experiment/problem")
    assert copy.digest == problem.load(folder).digest
    assert copy.folder == str(tmp_path / "experiment/problem")
    original = (folder / "seed/network.py").stat()
    assert (tmp_path / "experiment/problem/seed/network.py").stat().st_ino != original.st_ino
    with pytest.raises(BadInput, match="not empty"):
        problem.lock(folder, tmp_path / "experiment/problem")


def test_find_knows_folders_and_shipped_names(folder: Path) -> None:
    assert problem.find(str(folder)) == folder
    for name in problem.shipped():
        assert problem.load(problem.find(name)).name == name
    for wrong in ("nothing_of_that_name", "a\0b", ""):
        with pytest.raises(BadInput):
            problem.find(wrong)
    with pytest.raises(BadInput, match=re.escape("problem.toml")):
        problem.find(str(folder / "seed"))


@pytest.mark.parametrize(
    ("name", "globs", "said"),
    [
        ("a.py", ["a.py"], True),
        ("b/a.py", ["*.py"], False),
        ("b/a.py", ["**/*.py"], True),
        ("a.py", ["**/*.py"], True),
        ("b/c/a.py", ["b/**"], True),
        ("bb/a.py", ["b/**"], False),
    ],
)
def test_editable_globs(name: str, globs: list[str], said: bool) -> None:
    assert problem.is_editable(name, globs) is said


GOOD = {
    "problem.toml": (TINY / "tiny_network/problem.toml").read_bytes(),
    "task.md": b"task",
    "seed/network.py": b"x",
    "seed/produce.py": b"x",
    "judge/ruler.py": b"x",
}
PIECES = (
    *(
        "[",
        "]",
        "[[",
        '"',
        "=",
        "\n",
        "inf",
        "nan",
        "-1",
        "1e999",
        "true",
        "{}",
        "[]",
        "name",
        "x.y",
        "seconds",
        "\x00",
    ),
    *("\u202e", "9" * 30, "1979-05-27", '"""', "#", ",", "editable", "[metric]", "goal = 1", "..", "/"),
)
WORDS = st.sampled_from(PIECES)


@settings(max_examples=150, deadline=None, database=None)
@given(st.integers(0, len(GOOD["problem.toml"])), st.integers(0, 40), st.lists(WORDS, max_size=4))
def test_any_damage_gives_one_clear_line_or_a_problem(at: int, cut: int, words: list[str]) -> None:
    text = GOOD["problem.toml"]
    damaged = text[:at] + "".join(words).encode() + text[at + cut :]
    try:
        problem.parse({**GOOD, "problem.toml": damaged}, "somewhere")
    except BadProblem as error:
        assert re.match(r"somewhere/problem\.toml:\d+: ", str(error)), error
        assert str(error).isprintable(), error


def test_the_documented_example_is_the_tested_problem() -> None:
    page = (Path(__file__).parent.parent / "docs/problems.md").read_text()
    (example,) = (text for text in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if not text.startswith("# tests/"))
    documented = problem.parse({**GOOD, "problem.toml": example.encode()}, "docs")
    tested = problem.load(TINY / "tiny_network")
    for name in ("name", "editable", "kind", "metric", "produce", "measure", "axes", "private", "web"):
        assert getattr(documented, name) == getattr(tested, name)


def stale(page: str) -> list[str]:
    """Whole files shown on a page, under their path in the tests, that are another text there."""
    shown = re.findall(r"```\w+\n# tests/problems/(\S+)\n(.*?)```", page, re.DOTALL)
    return [name for name, text in shown if text != (TINY / name).read_text().rstrip("\n") + "\n"]


def test_the_problems_shown_whole_are_the_tested_ones() -> None:
    page = (Path(__file__).parent.parent / "docs/problems.md").read_text()
    for name in ("tiny_sum", "tiny_shim", "tiny_word"):
        assert f"# tests/problems/{name}/problem.toml\n" in page
    assert stale(page) == []
    assert stale(page.replace('answer_bytes = "64KiB"\n\n', "")) == ["tiny_sum/problem.toml"]


def test_every_key_is_documented() -> None:
    page = (Path(__file__).parent.parent / "docs/problems.md").read_text()
    page = page.partition("## Every key")[2].partition("\n## ")[0]
    keys = re.findall(r"\| `([\w.]+)`(?:, `([\w.]+)`)? \|", page)
    documented = {key for pair in keys for key in pair if key}
    source = Path(problem.__file__).read_text()
    asked = set(
        re.findall(
            r"(?:(?:top|table)\.(?:text|texts|number|count|size|flag|take)\(|_another\(table,)\s*\"(\w+)\"", source
        )
    )
    assert asked == {key.rpartition(".")[2] for key in documented} - {"NAME"}


def test_a_link_to_a_problem_leads_to_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert problem.load(tmp_path / "link") == problem.load(folder)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "\udcff", "/proc/1/root", ""])
def test_any_name_gives_one_line(name: str) -> None:
    with pytest.raises(BadInput) as caught:
        problem.find(name)
    assert "\n" not in str(caught.value)
