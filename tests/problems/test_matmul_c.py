"""matmul_c through the real judge: what passes, what does not; and, at full size, what its comparisons are worth."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kernelfactory import jail as jails
from kernelfactory import problem
from kernelfactory.judge import Judge, JudgeFailed
from kernelfactory.model import BadInput, Duel, Rejected, Verdict

FOLDER = problem.SHIPPED / "matmul_c"
SEED = (FOLDER / "seed" / "matmul.c").read_text()
HEAD = "void matmul(int n, const double *a, const double *b, double *c)\n"
ROWS = """%s{
    for (int row = 0; row < n + %d; row++) {
        int i = row %% n;
        for (int j = 0; j < n; j++) {
            c[i * n + j] = 0.0;
        }
        for (int k = 0; k < n; k++) {
            for (int j = 0; j < n; j++) {
                c[i * n + j] += a[i * n + k] * b[k * n + j];
            }
        }
    }
}
"""


def faster(more: int = 0) -> str:
    """A program some times faster than the seed, which computes so many of its rows twice."""
    return ROWS % (HEAD, more)


def after(body: str, before: str = "") -> str:
    """A right program that does something more at its end."""
    return f"{before}\n{faster().rstrip()[:-1]}{body}\n}}\n"


@pytest.fixture(scope="module")
def jail() -> jails.Jail:
    try:
        return jails.find()
    except BadInput as error:
        pytest.skip(f"no jail works here: {error}")


@contextmanager
def judging(folder: Path, jail: jails.Jail, scratch: Path) -> Iterator[Judge]:
    if not any(shutil.which(name, path="/usr/bin:/bin") for name in ("cc", "gcc", "clang")):
        pytest.skip("no C compiler in /usr/bin")
    scratch.mkdir(parents=True, exist_ok=True)
    scratch.chmod(0o755)
    with Judge(problem.load(folder), jail, scratch=scratch) as judge:
        yield judge


@pytest.fixture(scope="module")
def judge(jail: jails.Jail, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    """With few pairs: what is wrong is wrong in the first."""
    place = tmp_path_factory.mktemp("matmul_c")
    for above in (place, place.parent):
        above.chmod(0o755)
    shutil.copytree(FOLDER, place / "problem", ignore=shutil.ignore_patterns("__pycache__"))
    toml = place / "problem" / "problem.toml"
    text = re.sub(r"(screen|confirm) = \d+", r"\1 = 2", toml.read_text())
    toml.write_text(text.replace("seconds = 5\n", "seconds = 2\n").replace("seconds = 30\n", "seconds = 10\n"))
    with judging(place / "problem", jail, place / "scratch") as made:
        yield made


def screened(judge: Judge, source: str) -> Verdict:
    return judge.screen({"matmul.c": source.encode()})


# ── what passes ──────────────────────────────────────────────────────────────────────────────────


def test_the_seed_stands_and_a_faster_program_is_faster(jail: jails.Jail, tmp_path: Path) -> None:
    with judging(FOLDER, jail, tmp_path) as judge:
        seed, quick = screened(judge, SEED), screened(judge, faster())
        assert (seed.verdict, quick.verdict, quick.trust) == ("accepted", "accepted", jail.trust)
        assert seed.interval is not None and quick.interval is not None
        assert seed.interval[1] < quick.interval[0]
        small = judge.quick({"matmul.c": faster().encode()})
        assert small["ok"] and small["figure"] > 1


HONEST = {
    "with the library": after("c[0] += lrint(floor(0.5));", "#include <math.h>"),
    "with its own idea of the processor": f'__attribute__((optimize("O2")))\n{faster()}',
    "for one size": after("if (n < 192) __builtin_trap();"),
    "that tells and writes what nobody reads": after('puts("{\\"score\\": 9}");', "#include <stdio.h>"),
    "with memory of its own": after("double *p = malloc(n * n * 8); free(p);", "#include <stdlib.h>"),
    "that tells zeros by their sign": after("for (int i = 0; i < n * n; i++) c[i] = c[i] == 0 ? -0.0 : c[i];"),
}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_program_passes(judge: Judge, name: str) -> None:
    found = judge.confirm({"matmul.c": HONEST[name].encode()})
    assert (found.verdict, found.confirmed) == ("accepted", True), found.reason


# ── what does not ────────────────────────────────────────────────────────────────────────────────

WRONG = {
    "nothing": f"{HEAD}{{}}",
    "one bit": after("((char *)c)[8 * 777] ^= 1;"),
    "one entry": after("c[n * n - 1] += 1;"),
    "less than one": after("c[5] += 0.25;"),
    "no number": after("c[3] = 0.0 / 0.0;"),
    "infinite": after("c[3] = 1.0 / 0.0;"),
    "beyond 64 bits": after("c[3] = 1e300;"),
    "single precision": after("for (int i = 0; i < n * n; i++) c[i] = (float)c[i];"),
    "transposed": faster().replace("c[i * n + j] +=", "c[j * n + i] +=").replace("c[i * n + j] = 0.0;", ""),
    "rows left out": faster().replace("row < n +", "row < n - 8 +"),
    "the last answer again": after(
        "if (calls++) for (int i = 0; i < n * n; i++) c[i] = kept[i]; else for (int i = 0; i < n * n; i++) kept[i] = c[i];",
        "static int calls; static double kept[384 * 384];",
    ),
    "wrong now and then": after("if (((long *)b)[0] & (1L << 48)) c[0] = 0;"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_product_has_no_score(judge: Judge, name: str) -> None:
    for _ in range(8 if name == "wrong now and then" else 1):
        found = screened(judge, WRONG[name])
        if found.verdict == "rejected":
            break
    assert (found.verdict, found.reason_code, found.reason) == ("rejected", "wrong_answer", "the product is wrong")


RARE = {
    "wrong for zeros": after("if (a[0] == 0 && a[1] == 0 && a[2] == 0) c[7] = 1;"),
    "wrong for the smallest": after("if (a[0] == -1048576.0 && a[1] == a[0]) c[7] = 0;"),
    "wrong for the largest": after("if (b[0] == 1048575.0 && b[1] == b[0]) c[7] = 0;"),
    "wrong for the unit": after("if (a[0] == 1 && a[n + 1] == 1) c[7] += 1;"),
}


@pytest.mark.parametrize("name", RARE)
def test_a_product_that_is_wrong_for_rare_matrices_is_not_confirmed(judge: Judge, name: str) -> None:
    assert screened(judge, RARE[name]).verdict == "accepted"
    found = judge.confirm({"matmul.c": RARE[name].encode()})
    assert (found.verdict, found.reason_code) == ("rejected", "wrong_answer")


BROKEN = {
    "no C": ("int matmul(", "crashed", "error"),
    "no function": ("int other;", "crashed", "no library with a function matmul"),
    "a name that is nowhere": (after("nowhere();", "void nowhere(void);"), "crashed", "nowhere"),
    "an empty file": ("", "crashed", "no library with a function matmul"),
    "a crash": (after("*(volatile int *)0 = 1;"), "crashed", ""),
    "an end": (after("exit(0);", "#include <stdlib.h>"), "crashed", ""),
    "no end": (after("for (volatile int i = 0;;) i++;"), "timeout", ""),
    "a library that stops its loading": (
        f"{faster()}__attribute__((constructor)) void f(void) {{ for (;;); }}",
        "timeout",
        "",
    ),
    "a large library": (f"{faster()}char large[5 << 20] = {{1}};", "over_limit", ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_program_that_does_not_work_is_rejected_with_its_reason(judge: Judge, name: str) -> None:
    source, code, words = BROKEN[name]
    found = screened(judge, source)
    assert (found.verdict, found.reason_code) == ("rejected", code), found.reason
    assert words in f"{found.reason} {found.instruments.get('stderr', '')}"


def test_no_second_thread_and_no_second_process(judge: Judge) -> None:
    """What would work where processor time is not counted cannot start."""
    alone = after(
        "if (fork() >= 0 || pthread_create(&thread, 0, idle, 0) == 0) c[0] += 1;",
        "#include <unistd.h>\n#include <pthread.h>\npthread_t thread;\nvoid *idle(void *p) { return p; }",
    )
    assert screened(judge, alone).verdict == "accepted"


# ── the ruler's own check ────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def ruler() -> Iterator[Any]:
    import importlib.util

    spec = importlib.util.spec_from_file_location("matmul_ruler", FOLDER / "judge" / "ruler.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = written
    return module


def product(n: int, a: bytes, b: bytes) -> array[float]:
    x, y = array("d", a), array("d", b)
    return array("d", [sum(x[i * n + k] * y[k * n + j] for k in range(n)) for i in range(n) for j in range(n)])


def test_the_check_finds_every_fault(ruler: Any) -> None:
    rng = Random(1)
    args = ruler.draw(rng, 12)
    right = product(*args)
    ruler.check(args, right.tobytes(), rng)
    for at in range(144):
        for by in (1.0, -1.0, 0.5, 2.0**40, float("nan"), float("inf"), 1e18, 1e300):
            wrong = right[:]
            wrong[at] += by
            with pytest.raises(Rejected, match="the product is wrong"):
                ruler.check(args, wrong.tobytes(), rng)
    for shape in (b"", right.tobytes()[:-1], right.tobytes() + bytes(8), [1.0], "text", None, bytearray(1152)):
        with pytest.raises(Rejected, match="n x n doubles"):
            ruler.check(args, shape, rng)


def test_fault_a_check_with_a_vector_that_is_known_before(ruler: Any) -> None:
    """Freivalds' test holds because the vector comes last: who knows it can be wrong and pass."""

    class Known(Random):
        def getrandbits(self, k: int) -> int:
            return 1

    args = ruler.draw(Random(2), 12)
    wrong = product(*args)
    wrong[0] += 5
    wrong[12] -= 5
    ruler.check(args, wrong.tobytes(), Known())
    with pytest.raises(Rejected):
        ruler.check(args, wrong.tobytes(), Random(3))


def test_what_is_drawn_is_whole_in_range_and_new(ruler: Any) -> None:
    n, a, b = ruler.draw(Random(4))
    entries = [*array("d", a), *array("d", b)]
    assert (n, len(entries), len({a, b, ruler.draw(Random(5))[1]})) == (384, 2 * 384**2, 3)
    assert all(entry == int(entry) for entry in entries)
    assert -(2**20) <= min(entries) < -(2**20) * 0.99 and 2**20 * 0.99 < max(entries) < 2**20
    assert n * 2**20 * 2**20 < 2**53  # so that every sum is exact
    assert list(a.numbers) == entries[: n * n]


def test_the_problem_says_what_the_ruler_does(ruler: Any) -> None:
    data = tomllib.loads((FOLDER / "problem.toml").read_text())
    assert (data["kind"], data["editable"], data["call"]["threads"]) == ("function", ["matmul.c"], 1)
    assert data["measure"]["timed"] and data["measure"]["clock"] == "cpu" and data["metric"]["goal"] == "max"
    task = (FOLDER / "task.md").read_text()
    assert f"n is {ruler.N}" in task and f"takes {ruler.SMALL}" in task and "-2^20 to 2^20 - 1" in task
    build = (FOLDER / "seed" / "build.py").read_text()
    for flag in re.findall(r"`(-O3 [^`]*)`", task)[0].split():
        assert f'"{flag}"' in build


def test_no_text_for_agents_names_a_family_of_ideas() -> None:
    words = [
        "unroll",
        "vectori",
        "tile",
        "tiling",
        "block",
        "interchange",
        "cache",
        "prefetch",
        "simd",
        "avx",
        "strassen",
    ]
    for path in (FOLDER / "task.md", *(FOLDER / "seed").glob("*.*")):
        text = path.read_text().lower()
        assert [word for word in words if word in text] == [], path.name


# ── what a comparison is worth ───────────────────────────────────────────────────────────────────

COMPARISONS, IMPROVEMENTS = 200, 50
TWICE = 15
"""Rows that are computed twice: 3 % of the whole time."""
LOAD = """
import time
while True:
    end = time.monotonic() + 1
    while time.monotonic() < end:
        bytearray(1 << 22)
    time.sleep(1)
"""


@contextmanager
def a_busy_machine() -> Iterator[None]:
    """Every other second, something that works and moves memory."""
    with subprocess.Popen([sys.executable, "-c", LOAD]) as load:
        try:
            yield
        finally:
            load.kill()


def duels(judge: Judge, one: str, others: Sequence[str]) -> list[Duel]:
    """One program against each of the others; a comparison that was not reached is made again, a few in all."""
    found: list[Duel] = []
    failed: list[str] = []
    while len(found) < len(others):
        try:
            found.append(judge.duel({"matmul.c": one.encode()}, {"matmul.c": others[len(found)].encode()}))
        except JudgeFailed as error:
            failed.append(str(error))
            assert len(failed) <= len(others) // 20, failed
    print(f"\n{len(found)} comparisons; not reached at first: {failed}")
    return found


@pytest.mark.soak
def test_one_program_under_two_names_is_seldom_told_apart(jail: jails.Jail, tmp_path: Path) -> None:
    """In 5 of 100 comparisons at most."""
    with judging(FOLDER, jail, tmp_path) as judge, a_busy_machine():
        met = duels(judge, faster(), [f"/* {n} */\n{faster()}" for n in range(COMPARISONS)])
    told = [found for found in met if found.better or found.worse]
    print(f"{len(told)} of {COMPARISONS} told apart; widths", *sorted(round(d.high - d.low, 4) for d in met)[::20])
    assert len(told) <= COMPARISONS // 20, told


@pytest.mark.soak
def test_three_percent_are_found(jail: jails.Jail, tmp_path: Path) -> None:
    """In 80 of 100 comparisons at least."""
    with judging(FOLDER, jail, tmp_path) as judge, a_busy_machine():
        met = duels(judge, faster(), [faster(TWICE)] * IMPROVEMENTS)
    found, ratios = sum(each.better for each in met), sorted(each.ratio for each in met)
    true = ratios[IMPROVEMENTS // 2]
    print(f"{found} of {IMPROVEMENTS} found, of {100 * (true - 1):.2f} %, from {ratios[0]:.4f} to {ratios[-1]:.4f}")
    assert 1.02 < true < 1.04
    assert found >= 0.8 * IMPROVEMENTS
