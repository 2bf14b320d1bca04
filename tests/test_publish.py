"""Would a private program leave? Real experiments, real repositories, hostile ones among them."""

from __future__ import annotations

import html
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from kernelfactory import publish
from kernelfactory.files import blob_id, write_tree
from kernelfactory.model import BadInput, Choice, Experiment, Metric, Ruler, Usage, Verdict, Work
from kernelfactory.publish.likeness import Index, Program, Seed, decoded, reading, tokens
from kernelfactory.publish.search import Search
from kernelfactory.publish.store import Store, git_folder, refuse_odd, remotes
from kernelfactory.record import ClaimRow, Record, Start
from kernelfactory.report import page
from kernelfactory.trees import Trees

SEED = "".join(f"def part_{n}(value):\n    total = value * {n} + 1\n    return [total] * {n}\n\n\n" for n in range(20))
BETTER = SEED.replace(
    "def part_7(value):\n", "def part_7(value):\n    found = dict(zip(range(value), range(9, 99, 3)))\n"
)
WHOLE = "".join(
    f"def own_{n}(first, second):\n    while first > {n}:\n        first, second = second // {n + 2}, first ^ {n}\n"
    f"    return first | second << {n}\n\n\n"
    for n in range(12)
)
PROBLEM = """name = "secret"
editable = ["program.py"]
kind = "artefact"
solutions = "private"
[metric]
name = "cycles"
unit = "cycles"
goal = "min"
[measure]
ruler = "ruler:measure"
"""


def made(folder: Path, programs: Mapping[str, float | None], *, private: bool = True) -> Path:
    """An experiment on a problem with private solutions, with one attempt for each program."""
    metric = Metric("cycles", "cycles", "min")
    asked = Experiment("made", "secret", "sha256:00", metric, (), "islands", 1, 7, 1.7e9, ("x",), private)
    trees = Trees.create(folder / "trees.git")
    fixed = {"fixed.py": b"FIXED = 1\n"}
    with Record.create(folder, asked) as record:
        run = record.start_run(Start(60.0, "bubblewrap", "judged", "c", "sha256:11"), 1.7e9)
        seed = trees.commit({"program.py": SEED.encode(), **fixed}, message="seed", ref="refs/candidates/000000/1")
        record.seeded(verdict(seed.tree, 100.0), 1.7e9, seed.commit)
        for number, (text, score) in enumerate(programs.items(), 1):
            files = {"program.py": text.encode(), **fixed}
            stored = trees.commit(files, parents=[seed.commit], message=f"attempt {number}")
            record.claim(
                ClaimRow(number, Choice(0, 0, "x"), f"t{number}", 1.7e9, 4e9, "x", "slot 0", "bubblewrap", run=run)
            )
            judged = verdict(stored.tree, score)
            measurement = record.add_measurement(number, "screen", judged, 1.7e9 + number, commit=stored.commit)
            record.submit(number, Work({}, "", Usage(), "finished"), 1.7e9 + number)
            record.judged(number, "improved" if score else "rejected", measurement, 1.7e9 + number)
    solutions = PROBLEM if private else PROBLEM.replace("private", "public")
    problem = {"problem.toml": solutions.encode(), "task.md": b"x\n", "judge/ruler.py": b"def measure(a, r, n): ...\n"}
    write_tree(folder / "problem", {**problem, "seed/program.py": SEED.encode(), "seed/fixed.py": b"FIXED = 1\n"})
    return folder


def verdict(tree: str, score: float | None) -> Verdict:
    return Verdict(
        verdict="accepted" if score else "rejected", score=score, problem="secret", digest="sha256:00", tree=tree,
        jail="bubblewrap", trust="judged", ruler=Ruler("c", "sha256:11"), confirmed=bool(score),
        reason=None if score else "no", reason_code=None if score else "wrong_answer",
    )  # fmt: skip


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """Attempt 1 improved the seed by one line, 2 is a rewrite, 3 a rejected program."""
    return made(
        tmp_path / "made", {BETTER: 80.0, WHOLE: 50.0, "print('no program, and still a candidate')\n" * 3: None}
    )


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    return tmp_path / "outside"


def git(folder: Path, *words: str) -> str:
    argv = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main", *words]
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=True).stdout.strip()


def found(folder: Path, experiment: Path) -> list[tuple[str, bool, int | None, str]]:
    """(path, in the history?, attempt, likeness) of each leak."""
    leaks = publish.check(folder, [experiment], []).looked.leaks
    return [(leak.where, leak.commit is not None, leak.match.program.attempt, leak.match.likeness) for leak in leaks]


# ── files ────────────────────────────────────────────────────────────────────────────────────────


def test_what_gives_a_program_away_and_what_does_not(experiment: Path, outside: Path) -> None:
    write_tree(
        outside,
        {
            "a/same.txt": WHOLE.encode(),
            "seed.py": SEED.encode(),
            "seed_with_words.py": b"# ours\n" + SEED.replace("    total", "    # the sum\n    total").encode(),
            "fixed.py": b"FIXED = 1\n",
            "another.py": SEED.replace("* 7 + 1", "* 8 + 1").encode(),
            "rejected.py": b"print('no program, and still a candidate')\n" * 3,
            "empty.py": b"",
        },
    )
    assert found(outside, experiment) == [("a/same.txt", False, 2, "same"), ("rejected.py", False, 3, "same")]
    looked = publish.check(outside, [experiment], []).looked
    assert looked.files == 7 and looked.unread == []


def test_layout_comments_and_quotes_hide_nothing(experiment: Path, outside: Path) -> None:
    moved = WHOLE.replace("\n", "\r\n").replace("    ", "\t").replace("def ", "# a word\r\ndef ")
    bracketed = BETTER.replace("total = value * 3 + 1", "total = ((value * 3) + 1)").replace("def part_3", "def part_3")
    said = BETTER.replace("def part_9(value):\n", 'def part_9(value):\n    """It is a part."""\n')
    write_tree(outside, {"a.py": moved.encode(), "b.py": bracketed.encode(), "c.py": WHOLE.encode("utf-16")})
    write_tree(outside, {"d.py": said.encode()})
    assert [(leak[0], leak[2]) for leak in found(outside, experiment)] == [
        ("a.py", 2),
        ("b.py", 1),
        ("c.py", 2),
        ("d.py", 1),
    ]
    assert [leak[3] for leak in found(outside, experiment)][:3] == ["layout", "layout", "layout"]


def test_near_copies_and_quotations_are_found(experiment: Path, outside: Path) -> None:
    renamed = WHOLE.replace("def own_3(", "def mine(").replace("return first | second << 5", "return 0")
    patch = "".join(f"+{line}\n" for line in WHOLE.splitlines())
    page = "<pre>" + "".join(f'<span class="added">+{html.escape(x)}\n</span>' for x in WHOLE.splitlines()) + "</pre>"
    notebook = '{"source": ' + str(WHOLE.splitlines(keepends=True)).replace("'", '"') + "}"
    part = "An idea.\n\n" + WHOLE[: len(WHOLE) * 9 // 10] + "\nand so on\n"
    files = {"a.py": SEED + renamed, "b.patch": patch, "c.html": page, "d.ipynb": notebook, "e.md": part}
    write_tree(outside, {name: text.encode() for name, text in files.items()})
    assert [(leak[0], leak[2]) for leak in found(outside, experiment)] == [(name, 2) for name in sorted(files)]
    other = "".join(f"def other_{n}(a):\n    return sorted(a)[{n}] or None\n" for n in range(40))
    write_tree(outside, {"a.py": other.encode(), "b.patch": (SEED + other).encode()})
    assert [leak[0] for leak in found(outside, experiment)] == ["c.html", "d.ipynb", "e.md"]


def test_without_the_seed_every_copy_of_it_would_be_a_leak(outside: Path) -> None:
    """The check of the check: what is told apart is what the seed has not."""
    known = Program("x", 1, 80.0, "program.py", blob_id(BETTER.encode()))
    for seed, leaks in ((Seed.of([("program.py", SEED.encode())]), 0), (Seed.of([]), 1)):
        index = Index()
        index.add(known, BETTER.encode(), seed)
        (outside / "seed.py").write_text(SEED)
        assert len(Search(index).look(outside).leaks) == leaks


def test_the_best_of_equal_programs_is_named(tmp_path: Path, outside: Path) -> None:
    experiment = made(tmp_path / "x", {WHOLE: 90.0, WHOLE + "\n# better luck\n": 70.0})
    (outside / "a.py").write_text(WHOLE + "# a third\n")
    leak = publish.check(outside, [experiment], []).looked.leaks[0]
    assert (leak.match.program.attempt, leak.match.program.score) == (2, 70.0)


def test_public_unreadable_and_missing_experiments(experiment: Path, tmp_path: Path, outside: Path) -> None:
    (outside / "a.py").write_text(WHOLE)
    public = made(tmp_path / "public", {WHOLE: 1.0}, private=False)
    report = publish.check(outside, [public], [])
    assert report.clear and report.passed == ((public, "its solutions are public"),)
    (experiment / "record.db").write_bytes(b"junk" * 5000)
    for name in ("record.db-wal", "record.db-shm"):
        (experiment / name).unlink(missing_ok=True)
    report = publish.check(outside, [], [experiment])
    assert [leak.match.program.attempt for leak in report.looked.leaks] == [None], "the programs are there all the same"
    shutil.rmtree(experiment / "problem")
    assert [path for path, _ in publish.check(outside, [], [experiment]).passed] == [experiment]
    with pytest.raises(BadInput, match="cannot be read"):
        publish.check(outside, [experiment], [])
    with pytest.raises(BadInput, match="name a folder"):
        publish.check(outside / "nowhere", [], [])


# ── signs ────────────────────────────────────────────────────────────────────────────────────────


def test_experiments_reports_and_problems_are_told(experiment: Path, tmp_path: Path, outside: Path) -> None:
    shutil.copytree(experiment, outside / "made")
    shutil.copytree(made(tmp_path / "public", {}, private=False), outside / "public")
    shutil.copytree(experiment / "problem", outside / "problem")
    (outside / "r.html").write_text('<html><head><meta name="kf-private-code" content="secret"></head>')
    (outside / "big.html").write_text('<meta name="kf-private-code" content="x">' + " " * (9 << 20))
    shutil.copyfile(Path(page.__file__).with_name("page.html"), outside / "template.html")  # no report, yet
    report = publish.check(outside, [], [])
    assert [(sign.where, sign.what.split()[1]) for sign in report.looked.signs] == [
        ("big.html", "report"), ("made/", "experiment"), ("r.html", "report"),
    ]  # fmt: skip
    assert not report.clear
    assert [note.split(":")[0] for note in report.looked.notes] == ["made/problem/", "problem/"]
    assert report.looked.unread == ["big.html: larger than 8 MiB"]


def test_an_experiment_that_was_committed_once(experiment: Path, outside: Path) -> None:
    shutil.copytree(experiment, outside / "made", ignore=shutil.ignore_patterns("trees.git", "*.lock"))
    (outside / "made/best").mkdir()
    (outside / "made/best/readme").write_text("x")
    git(outside, "init", "-q")
    git(outside, "add", "-A")
    git(outside, "commit", "-qm", "all of it")
    shutil.rmtree(outside / "made")
    signs = publish.check(outside, [], []).looked.signs
    assert [(sign.where, sign.commit) for sign in signs] == [("made/", git(outside, "rev-parse", "HEAD"))]


# ── repositories ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def repository(outside: Path) -> Path:
    git(outside, "init", "-q")
    (outside / "readme").write_text("nothing to see\n")
    git(outside, "add", "-A")
    git(outside, "commit", "-qm", "begin")
    return outside


def test_history_is_looked_through(experiment: Path, repository: Path) -> None:
    (repository / "src").mkdir()
    (repository / "src/k.py").write_text(WHOLE)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "faster")
    guilty = git(repository, "rev-parse", "HEAD")
    git(repository, "rm", "-q", "src/k.py")
    git(repository, "commit", "-qm", "nothing happened")
    with (repository / ".git/config").open("a") as config:
        config.write('[remote "up\x1b[31mstream"]\n\turl = https://user:secret@example.invalid/x.git\n')
    report = publish.check(repository, [experiment], [])
    assert [(leak.where, leak.commit, leak.match.likeness) for leak in report.looked.leaks] == [
        ("src/k.py", guilty, "same")
    ]
    assert report.looked.commits == 3 and report.looked.blobs == 2 and report.looked.repositories == 1
    assert report.looked.remotes == ["up\x1b[31mstream"]
    git(repository, "gc", "-q")
    assert [leak[:2] for leak in found(repository, experiment)] == [("src/k.py", True)], "packed as well"
    shutil.rmtree(repository / ".git")
    assert found(repository, experiment) == [], "and it was the history that told"


def test_staged_stashed_and_dangling_contents_and_messages(experiment: Path, repository: Path) -> None:
    (repository / "k.py").write_text(WHOLE)
    git(repository, "add", "k.py")
    git(repository, "rm", "-qf", "--cached", "k.py")
    (repository / "k.py").unlink()
    assert found(repository, experiment) == [("", False, 2, "same")], "no commit, and still in the store"
    git(repository, "commit", "--allow-empty", "-qm", "What worked:\n\n" + WHOLE)
    assert ("(its message)", True, 2, "near") in found(repository, experiment)


def test_bare_nested_and_linked_repositories(experiment: Path, repository: Path, tmp_path: Path) -> None:
    (repository / "k.py").write_text(WHOLE)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "faster")
    git(tmp_path, "clone", "-q", "--bare", str(repository), "bare.git")
    assert found(tmp_path / "bare.git", experiment) == [("k.py", True, 2, "same")]
    outer = tmp_path / "outer"
    shutil.copytree(repository, outer / "inner")
    (outer / "inner/k.py").unlink()
    assert found(outer, experiment) == [("inner/k.py", True, 2, "same")]
    git(repository, "worktree", "add", "-q", str(tmp_path / "tree"), "HEAD~1")
    assert found(tmp_path / "tree", experiment) == [("k.py", True, 2, "same")], "a worktree shares its objects"
    git(tmp_path, "clone", "-q", "--shared", str(repository), "shared")
    (tmp_path / "shared/k.py").unlink()
    assert found(tmp_path / "shared", experiment) == [("k.py", True, 2, "same")], "alternates too"


def test_a_hostile_repository_runs_nothing(experiment: Path, repository: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\necho $0 >> {canary}\n")
    trap.chmod(0o755)
    for hook in ("post-checkout", "pre-commit", "post-index-change", "reference-transaction"):
        shutil.copy(trap, repository / ".git/hooks" / hook)
    with (repository / ".git/config").open("a") as config:
        config.write(f"[core]\n\tfsmonitor = {trap}\n\thooksPath = {repository}/.git/hooks\n\tpager = {trap}\n")
        config.write(f'[include]\n\tpath = {tmp_path}/fifo\n[filter "x"]\n\tclean = {trap}\n\tsmudge = {trap}\n')
        config.write(f'[diff "x"]\n\ttextconv = {trap}\n[remote "{"x" * 70}"]\n\turl = ext::{trap}\n')
    (repository / ".gitattributes").write_text("* filter=x diff=x\n")
    (repository / "k.py").write_text(WHOLE)
    os.mkfifo(tmp_path / "fifo")
    assert [leak[0] for leak in found(repository, experiment)] == ["k.py"]
    assert not canary.exists()
    (repository / ".git/config").write_text(
        (repository / ".git/config").read_text().replace(f"path = {tmp_path}/fifo", "path = /dev/null")
    )
    git(repository, "status")
    assert canary.exists(), "the trap does spring where git is run"


def test_links_fifos_and_giants(experiment: Path, repository: Path, tmp_path: Path) -> None:
    (tmp_path / "k.py").write_text(WHOLE)
    (repository / "link.py").symlink_to(tmp_path / "k.py")
    (repository / "loop").symlink_to(".")
    (repository / "up").symlink_to(tmp_path)
    os.mkfifo(repository / "fifo.py")
    with (repository / "huge.py").open("wb") as file:
        file.truncate(1 << 40)
    deep = repository
    for _ in range(120):
        deep = deep / "d"
        deep.mkdir()
    (deep / "k.py").write_text(WHOLE)
    os.makedirs(os.path.join(os.fsencode(repository), b"odd\n\xff\x1b[2J"))
    Path(os.fsdecode(os.path.join(os.fsencode(repository), b"odd\n\xff\x1b[2J/k.py"))).write_text(WHOLE)
    report = publish.check(repository, [experiment], [])
    assert [leak.where for leak in report.looked.leaks] == [os.fsdecode(b"odd\n\xff\x1b[2J/k.py")]
    assert len(report.looked.unread) == 2
    assert any("nested deeper" in line for line in report.looked.unread)
    assert any(line == "huge.py: larger than 8 MiB" for line in report.looked.unread)


@pytest.mark.parametrize("where", ["config", "objects/fifo", "objects/pack/pack-1.idx", "objects/info/alternates"])
def test_a_repository_with_a_fifo_in_it_is_not_opened(experiment: Path, repository: Path, where: str) -> None:
    place = repository / ".git" / where
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    os.mkfifo(place)
    (repository / "k.py").write_text(WHOLE)
    report = publish.check(repository, [experiment], [])
    assert [leak.where for leak in report.looked.leaks] == ["k.py"], "its files are looked at all the same"
    assert len(report.looked.unread) == 1 and report.looked.unread[0].startswith(".git: "), report.looked.unread


def test_odd_git_folders_are_said_or_followed(experiment: Path, repository: Path, tmp_path: Path) -> None:
    shutil.move(repository / ".git", tmp_path / "moved")
    (repository / ".git").symlink_to(tmp_path / "moved")
    assert publish.check(repository, [experiment], []).looked.unread == [".git: .git is a link"]
    (repository / ".git").unlink()
    (repository / ".git").write_text("nonsense\n")
    assert publish.check(repository, [experiment], []).looked.unread == [".git: .git is a file that points nowhere"]
    (repository / ".git").write_text(f"gitdir: {tmp_path}/moved\n")
    assert publish.check(repository, [experiment], []).looked.commits == 1
    objects = tmp_path / "moved/objects"
    (objects / "info").mkdir(exist_ok=True)
    (objects / "info/alternates").write_text(f"{objects}\n")
    with pytest.raises(BadInput, match="further and further"):
        refuse_odd(objects)
    assert git_folder(tmp_path) is None and remotes(tmp_path) == []


def test_damaged_and_boasting_objects_are_survived(experiment: Path, repository: Path) -> None:
    import zlib

    (repository / "k.py").write_text(WHOLE)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "x")
    objects = repository / ".git/objects"
    (objects / "aa").mkdir(exist_ok=True)
    (objects / "aa" / ("b" * 38)).write_bytes(zlib.compress(b"blob %d\0" % (1 << 40) + b"x"))
    (objects / "aa" / ("c" * 38)).write_bytes(b"junk")
    (objects / "aa" / ("d" * 38)).write_bytes(zlib.compress(b"tree 9\0" + b"40000 a\0\xff"))
    report = publish.check(repository, [experiment], [])
    assert ("k.py", True, 2, "same") in found(repository, experiment)
    assert report.looked.unread == [".git: objects larger than 8 MiB: 1", ".git: damaged objects: 2"]


# ── texts ────────────────────────────────────────────────────────────────────────────────────────


def test_texts_that_would_take_forever_do_not(outside: Path) -> None:
    index = Index()
    index.add(Program("x", 1, 1.0, "a.py", "0" * 40), WHOLE.encode(), Seed.of([]))
    bombs = ["/*" * 500_000, '\\"' * 500_000, "(" * 300_000, "-" * 400_000 + "1", "<" * 1_000_000, "#" * 1_000_000]
    for number, bomb in enumerate(bombs):
        for ending in ("py", "c", "md"):
            (outside / f"{number}.{ending}").write_text(bomb)
    assert Search(index).look(outside).leaks == []
    assert reading("(" * 100_000) is None and reading("-" * 100_000 + "1") is None


def test_reading_warns_of_nothing(recwarn: pytest.WarningsRecorder) -> None:
    assert reading("a = '\\d' is 1\n") is not None
    assert not recwarn.list


def test_what_counts_as_text_and_as_a_token() -> None:
    assert decoded(b"a\0b") is None and decoded(b"x" * (3 << 20)) is None
    assert decoded("ä".encode("utf-16")) == "\ufeffä" or decoded("ä".encode("utf-16")) == "ä"
    assert tokens("a = b // 2  # half\n", "#") == ["a", "=", "b", "/", "/", "2"]
    assert tokens("a = b; // half\n/* x */ c", "//") == ["a", "=", "b", ";", "c"]


def test_a_store_reads_what_is_there_and_no_more(repository: Path) -> None:
    store = Store(repository / ".git/objects")
    assert len(list(store)) == 3
    assert store.header("0" * 40) is None and store.read("0" * 40) is None
