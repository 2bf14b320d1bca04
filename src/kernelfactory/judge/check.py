"""Is a problem sound? Tries it the way careless and hostile candidates would. Changes nothing in the problem."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kernelfactory.jail import Jail
from kernelfactory.judge import Judge, JudgeFailed
from kernelfactory.model import Files, KernelFactoryError, Problem, Produce, Verdict
from kernelfactory.problem import is_editable

PROBE_SECONDS = 2.0
PROBE_MEMORY = 512 << 20

ENDLESS = "while True: pass"
MEMORY = "import os\ndata = bytearray(8 << 30)\nos.write(int(os.environ['KF_ARTEFACT_FD']), b'1')"
CHATTER = "import sys\nwhile True: sys.stdout.write('x' * 65536)"
ARTEFACT = "import os\nwhile True: os.write(int(os.environ['KF_ARTEFACT_FD']), b'[' * 65536)"
SILENCE = "pass"
FAILURE = "import os\nos.write(int(os.environ['KF_ARTEFACT_FD']), b'1')\nraise SystemExit(3)"

_RULER = "the ruler of "

PROBES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "an endless build is stopped": (ENDLESS, ("timeout",)),
    "a build that wants 8 GiB is stopped": (MEMORY, ("crashed", "over_limit")),
    "endless output is stopped": (CHATTER, ("over_limit",)),
    "an endless artefact is stopped": (ARTEFACT, ("over_limit",)),
    "a build without artefact is rejected": (SILENCE, ("malformed",)),
    "a build that fails is rejected": (FAILURE, ("crashed",)),
}
"""What a build may try (Python text in place of the command), and the reason codes that are right for it."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question about a problem, answered: `ok`, and in `detail` what was seen, in plain words."""

    name: str
    ok: bool
    detail: str


def check_problem(problem: Problem, jail: Jail) -> list[Check]:
    """Every check, in order; a ruler that fails ends a check with ok False, never with an exception."""
    with tempfile.TemporaryDirectory(prefix="kf-check-") as scratch:
        try:
            judge = Judge(problem, jail, scratch=Path(scratch))
        except JudgeFailed as failed:
            return [Check("the ruler loads", False, _words(failed))]
        with judge:
            found = [Check("the ruler loads", True, f"{judge.ruler.backend}, {judge.ruler.digest[:19]}…")]
            faults: set[str] = set()
            for name, check in _checks(judge, jail, Path(scratch)):
                tried = _tried(name, check)
                if tried.detail not in faults:  # a fault of the ruler is told once
                    found.append(tried)
                faults |= {tried.detail} if tried.detail.startswith(_RULER) else set()
    return found


def _tried(name: str, check: Callable[[], tuple[bool, str]]) -> Check:
    try:
        return Check(name, *check())
    except KernelFactoryError as error:
        return Check(name, False, _words(error))


def _words(error: KernelFactoryError) -> str:
    if not isinstance(error, JudgeFailed):
        return str(error)
    said = str(error).removesuffix("; kf check says more")
    return f"{said}: {error.detail}" if error.detail else said


def _checks(judge: Judge, jail: Jail, scratch: Path) -> Iterator[tuple[str, Callable[[], tuple[bool, str]]]]:
    problem = judge.problem
    seed = {name: data for name, data in problem.seed.items() if is_editable(name, problem.editable)}
    yield "the seed is valid", lambda: _accepted(judge.screen(seed))
    yield "its verdict repeats", lambda: _repeats(judge, seed)
    yield "the confirmation accepts it", lambda: _accepted(judge.confirm(seed))
    yield "the ruler is the same in another process", lambda: _same_ruler(judge, jail, scratch)
    yield "empty files are rejected", lambda: _rejected(judge.screen(dict.fromkeys(seed, b"")))
    yield "missing files are rejected", lambda: _rejected(judge.screen({}))
    junk = dict.fromkeys(seed, b"\0\xff(" * 99)
    yield "junk in the editable files is rejected", lambda: _rejected(judge.screen(junk))
    yield "other files change nothing", lambda: _strays(judge, seed)
    yield "junk artefacts gain nothing", lambda: _junk(judge, seed)
    if problem.produce is not None:
        for name, (text, codes) in PROBES.items():
            yield name, lambda text=text, codes=codes: _probe(judge, text, codes)  # type: ignore[misc]


def _accepted(verdict: Verdict) -> tuple[bool, str]:
    if verdict.verdict == "accepted":
        return True, f"score {_shown(verdict.score)} on {verdict.inputs} inputs, {verdict.seconds:.2f} s"
    return False, f"{verdict.verdict}: {verdict.reason}"


def _shown(score: float | None) -> str:
    return "none" if score is None else f"{score:,.10g}"


def _rejected(verdict: Verdict) -> tuple[bool, str]:
    if verdict.verdict == "rejected":
        return True, f"{verdict.reason_code}: {verdict.reason}"
    return False, f"{verdict.verdict} with score {_shown(verdict.score)}"


def _repeats(judge: Judge, seed: Files) -> tuple[bool, str]:
    first, second = judge.screen(seed), judge.screen(seed)
    seen = [(verdict.verdict, verdict.score, verdict.tree, verdict.reason_code) for verdict in (first, second)]
    return seen[0] == seen[1], f"{_shown(first.score)} and {_shown(second.score)}"


def _same_ruler(judge: Judge, jail: Jail, scratch: Path) -> tuple[bool, str]:
    with Judge(judge.problem, jail, scratch=scratch) as other:
        return other.ruler == judge.ruler, f"{judge.ruler.digest[:19]}… and {other.ruler.digest[:19]}…"


def _strays(judge: Judge, seed: Files) -> tuple[bool, str]:
    """Files that no glob names, beside the seed's and in place of its own."""
    fixed = {name: b"raise SystemExit(1)\n" for name in judge.problem.seed if name not in seed}
    verdict = judge.screen({**seed, **fixed, ".kf-stray": b"x", "kf_stray/problem.toml": b"x"})
    expected = judge.screen(seed)
    same = (verdict.tree, verdict.score) == (expected.tree, expected.score)
    return same, f"{len(fixed) + 2} files outside `editable` were dropped" if same else "the verdict changed"


def _junk(judge: Judge, seed: Files) -> tuple[bool, str]:
    honest = judge.screen(seed).score
    junk = (b"\0", b"[" * 100_000, b"9" * 1_000_000, b"NaN", b'{"verdict":"accepted","score":1}', b"\xff\xfe" * 500)
    for data in junk:
        score = judge.weigh(data)
        if score is not None and (honest is None or judge.problem.metric.better(score, honest)):
            return False, f"the ruler gave {data[:20]!r}… the score {_shown(score)}"
    return True, f"{len(junk)} of them, none better than the seed"


def _probe(judge: Judge, text: str, codes: tuple[str, ...]) -> tuple[bool, str]:
    produce = judge.problem.produce or Produce(())
    artefact_bytes = min(produce.artefact_bytes, 1 << 20)
    changed = replace(produce, command=("python", "-c", text), seconds=PROBE_SECONDS, memory=PROBE_MEMORY)
    refusal = judge.probe(replace(changed, artefact_bytes=artefact_bytes))
    if refusal is None:
        return False, "an artefact came out of it"
    return refusal.code in codes, f"{refusal.code}: {refusal.reason}"
