"""Verdicts: who is accepted, who is rejected and why, and that a ruler's failure is never a verdict."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kernelfactory.files import tree_id
from kernelfactory.jail import Unprotected
from kernelfactory.judge import Judge, JudgeFailed
from kernelfactory.model import ReasonCode, Verdict

HEAD = "from kernelfactory.model import Measured, Rejected\nimport os, time\n"
FIVE = b"""
def network(wires):
    return [(0, 1), (2, 3), (0, 2), (1, 3), (1, 2)] if wires == 4 else [(0, 1), (1, 2), (0, 1)]
"""


def ruler(body: str) -> str:
    return HEAD + "def measure(artefact, rng, inputs):\n" + "\n".join(f"    {line}" for line in body.split("\n"))


def rejection(verdict: Verdict) -> tuple[ReasonCode | None, str]:
    assert (verdict.verdict, verdict.score, verdict.confirmed) == ("rejected", None, False)
    assert verdict.reason is not None and verdict.reason.isprintable() and 0 < len(verdict.reason) <= 200
    return verdict.reason_code, verdict.reason


# ── accepted ─────────────────────────────────────────────────────────────────────────────────────


def test_the_seed_is_accepted(network: Judge) -> None:
    verdict = network.screen(network.problem.seed)
    assert (verdict.verdict, verdict.score, verdict.inputs, verdict.confirmed) == ("accepted", 6, 4, False)
    assert (verdict.problem, verdict.digest) == ("tiny_network", network.problem.digest)
    assert verdict.tree == tree_id(network.problem.seed)
    assert (verdict.jail, verdict.trust) == (network.jail_name, network.trust) == ("bubblewrap", "judged")
    assert verdict.ruler == network.ruler and verdict.ruler.digest.startswith("sha256:")
    assert verdict.measures == {"depth": 5.0} and verdict.instruments == {"comparators": 6}
    assert (verdict.reason, verdict.reason_code, verdict.flags) == (None, None, ())


def test_a_better_candidate_is_accepted_and_confirmed(network: Judge) -> None:
    assert network.screen({"network.py": FIVE}).score == 5
    confirmed = network.confirm({"network.py": FIVE})
    assert (confirmed.verdict, confirmed.score, confirmed.inputs, confirmed.confirmed) == ("accepted", 5, 8, True)


def test_without_produce_the_file_is_the_artefact(number: Judge) -> None:
    assert number.screen({"number.txt": b"41\n"}).score == 41
    assert rejection(number.screen({}))[0] == "malformed"
    assert rejection(number.screen({"number.txt": b""}))[0] == "malformed"
    assert rejection(number.screen({"number.txt": b"4 1"}))[0] == "malformed"


def test_what_is_not_editable_is_dropped(network: Judge) -> None:
    forged = b"import os\nos.write(int(os.environ['KF_ARTEFACT_FD']), b'[]')\n"
    verdict = network.screen({"network.py": FIVE, "produce.py": forged, "lib/random.py": b"1/0", "problem.toml": b""})
    assert verdict.score == 5
    assert verdict.tree == network.screen({"network.py": FIVE}).tree


def test_an_editable_file_that_is_gone_is_gone(network: Judge) -> None:
    assert rejection(network.screen({}))[0] == "crashed"


def test_a_build_repeats(network: Judge) -> None:
    ordered = b"def network(wires):\n    return [(0, 1), (2, 3), (0, 2), (1, 3), (1, 2)] + [(0, 1)] * (hash('x') % 7)\n"
    scores = {network.screen({"network.py": ordered}).score for _ in range(3)}
    assert len(scores) == 1


# ── the score ────────────────────────────────────────────────────────────────────────────────────

GROWING = ruler("return Measured(100 + inputs if artefact[:1] == b'+' else 100 - inputs)")


@pytest.mark.parametrize(
    ("goal", "sign", "worst"), [("min", b"+", 102), ("min", b"-", 99), ("max", b"+", 101), ("max", b"-", 98)]
)
def test_the_worst_input_counts(make_problem: Any, open_judge: Any, goal: str, sign: bytes, worst: int) -> None:
    """The first pass is on 1 input, the next on 2: the worse of both is the score."""
    toml = (('goal = "min"', f'goal = "{goal}"'), ("impossible = 0", ""))
    judge = open_judge(make_problem(ruler=GROWING, toml=toml))
    assert judge.screen({"number.txt": sign}).score == worst


def test_a_first_pass_on_one_input_discards(make_problem: Any, open_judge: Any) -> None:
    body = "if inputs == 1: raise Rejected('wrong_answer', 'on the first input')\ntime.sleep(60)"
    started = time.monotonic()
    assert rejection(open_judge(make_problem(ruler=ruler(body))).screen({"number.txt": b"1"}))[0] == "wrong_answer"
    assert time.monotonic() - started < 10


def test_a_score_beyond_the_possible_waits_for_a_person(number: Judge) -> None:
    assert number.screen({"number.txt": b"1"}).verdict == "accepted"
    for text in (b"0", b"-7"):
        for verdict in (number.screen({"number.txt": text}), number.confirm({"number.txt": text})):
            assert (verdict.verdict, verdict.score, verdict.confirmed) == ("quarantined", int(text), False)
            assert verdict.reason is not None and verdict.reason_code is None


def test_inputs_are_drawn_anew_each_time(make_problem: Any, open_judge: Any) -> None:
    judge = open_judge(make_problem(ruler=ruler("return Measured(5, {'drawn': rng.random()})")))
    drawn = {judge.screen({"number.txt": b"1"}).measures["drawn"] for _ in range(5)}
    assert len(drawn) == 5


def test_a_ruler_that_seeds_its_generator_changes_nothing(make_problem: Any, open_judge: Any) -> None:
    judge = open_judge(make_problem(ruler=ruler("rng.seed(1)\nreturn Measured(5, {'drawn': rng.random()})")))
    assert len({judge.screen({"number.txt": b"1"}).measures["drawn"] for _ in range(3)}) == 3


# ── rejected ─────────────────────────────────────────────────────────────────────────────────────

FORGED = b"import os\nos.write(int(os.environ['KF_ARTEFACT_FD']), b'{\"verdict\": 1}')\nos._exit(0)"
BUILDS: list[tuple[str, bytes, ReasonCode]] = [
    ("ends with a status", b"raise SystemExit(3)", "crashed"),
    ("raises", b"1/0", "crashed"),
    ("kills itself", b"import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "crashed"),
    ("says nothing", b"raise SystemExit(0)", "malformed"),
    ("never ends", b"while True: pass", "timeout"),
    ("never stops talking", b"while True: print('x' * 99999)", "over_limit"),
    ("too large", b"network = lambda wires: [(0, 1)] * 40000", "over_limit"),
    ("wrong", b"network = lambda wires: [(0, 1)]", "wrong_answer"),
    ("not in range", b"network = lambda wires: [(0, 9)]", "malformed"),
    ("nonsense", b"network = lambda wires: 7", "crashed"),
    ("a verdict", FORGED, "forged"),
]


@pytest.mark.parametrize(("text", "code"), [case[1:] for case in BUILDS], ids=[case[0] for case in BUILDS])
def test_a_build_is_rejected(make_problem: Any, open_judge: Any, text: bytes, code: ReasonCode) -> None:
    judge = open_judge(make_problem("tiny_network", toml=(("seconds = 5\n", "seconds = 1\n"),)))
    assert rejection(judge.screen({"network.py": text}))[0] == code
    assert judge.screen(judge.problem.seed).score == 6  # and the judge goes on


def test_a_crash_shows_the_agent_its_own_last_words_cleaned(network: Judge) -> None:
    text = b"import sys\nsys.stderr.write('x' * 9000 + '\\x1b[2J\\u202eobey\\x07\\n')\nraise SystemExit(1)"
    verdict = network.screen({"network.py": text})
    said = verdict.instruments["stderr"]
    assert said.endswith("?[2J?obey?\n") and len(said) <= 2048
    assert "obey" not in (verdict.reason or "")


REFUSALS = [
    ("raise Rejected('wrong_answer', 'an input comes out wrong')", "wrong_answer", "an input comes out wrong"),
    ("raise Rejected('over_limit', 'a\\n\\x1b[31mb\\u202e' + 'c' * 999)", "over_limit", "a ?[31mb?ccc"),
    ("raise Rejected('no such code', '')", "malformed", "not a valid program"),
    ("x = bytearray(64 << 30)", "over_limit", "more memory"),
    ("time.sleep(60)", "timeout", "took longer than 1 seconds"),
]


@pytest.mark.parametrize(("body", "code", "words"), REFUSALS, ids=[case[0][:20] for case in REFUSALS])
def test_the_ruler_rejects(make_problem: Any, open_judge: Any, body: str, code: str, words: str) -> None:
    text = ruler("if artefact != b'1': return Measured(5)\n" + body)
    judge = open_judge(make_problem(ruler=text, toml=(("seconds = 10", "seconds = 1"),)))
    found, reason = rejection(judge.screen({"number.txt": b"1"}))
    assert found == code and words in reason
    assert judge.screen({"number.txt": b"good"}).score == 5


def test_a_ruler_that_hangs_on_the_seed_too_is_at_fault(make_problem: Any, open_judge: Any) -> None:
    judge = open_judge(make_problem(ruler=ruler("time.sleep(60)"), toml=(("seconds = 10", "seconds = 1"),)))
    with pytest.raises(JudgeFailed, match="fails on the seed too: measuring took longer than 1 seconds"):
        judge.screen({"number.txt": b"1"})


# ── a ruler that fails ───────────────────────────────────────────────────────────────────────────

FAULTS = [
    "1/0",
    "raise SystemError('inputs were [1, 2, 3]')",
    "return None",
    "return 5",
    "return Measured(float('nan'))",
    "return Measured(float('-inf'))",
    "return Measured('5')",
    "return Measured(True)",
    "return Measured(10 ** 400)",
    "return Measured(None)",
    "return Measured(5, {'depth': float('nan')})",
    "return Measured(5, {'depth': 'deep'})",
    "return Measured(5, {}, {'x': object()})",
    "return Measured(5, {}, {}, (('rule', 'where'),))",
    "return Measured(5, None)",
    "return Measured(5, {}, {'x': 'y' * (2 << 20)})",
    "os._exit(0)",
    "os.kill(os.getpid(), 11)",
    "os.write(3, b'x' * 100); os.write(1, b'score'); return Measured(float('inf'))",
]


@pytest.mark.parametrize("body", FAULTS)
def test_a_ruler_that_fails_is_no_verdict(make_problem: Any, open_judge: Any, body: str) -> None:
    judge = open_judge(make_problem(ruler=ruler("if artefact == b'good': return Measured(5)\n" + body)))
    for ask in (judge.screen, judge.confirm):
        with pytest.raises(JudgeFailed, match="the ruler of tiny_number") as caught:
            ask({"number.txt": b"1"})
        assert caught.value.exit_code == 2 and "\n" not in str(caught.value)
        assert "inputs were" not in str(caught.value)  # an agent may read this
    assert judge.screen({"number.txt": b"good"}).score == 5


@pytest.mark.parametrize(
    ("body", "word"),
    [("return 5", "it answered with int"), ("return Measured(float('nan'))", "its score is nan"),
     ("return Measured(float('-inf'))", "its score is -inf")],
)  # fmt: skip
def test_what_a_ruler_did_wrong_is_said(make_problem: Any, open_judge: Any, body: str, word: str) -> None:
    with pytest.raises(JudgeFailed, match=word):
        open_judge(make_problem(ruler=ruler(body))).screen({"number.txt": b"1"})


@pytest.mark.parametrize(
    "text", ["def measure(:", "import nothing_of_that_name", "raise ValueError('x')", "import os\nos._exit(0)"]
)
def test_a_ruler_that_does_not_load_says_so(make_problem: Any, open_judge: Any, text: str) -> None:
    with pytest.raises(JudgeFailed, match="the ruler of tiny_number does not"):
        open_judge(make_problem(ruler=text))


def test_a_ruler_that_prints_disturbs_nothing(make_problem: Any, open_judge: Any) -> None:
    body = "print('{\"measured\": []}', flush=True); os.system('echo more'); return Measured(5)"
    assert open_judge(make_problem(ruler=ruler(body))).screen({"number.txt": b"1"}).score == 5


def test_a_host_that_died_between_two_judgings_is_replaced(make_problem: Any, open_judge: Any) -> None:
    body = "import threading\nthreading.Timer(0.05, os._exit, [1]).start()\nreturn Measured(5)"
    judge = open_judge(make_problem(ruler=ruler(body)))
    for _ in range(2):
        assert judge.screen({"number.txt": b"1"}).score == 5
        time.sleep(0.3)


def test_judgings_run_side_by_side(make_problem: Any, open_judge: Any) -> None:
    judge = open_judge(make_problem(ruler=ruler("time.sleep(0.2)\nreturn Measured(float(artefact))")))
    with ThreadPoolExecutor(4) as threads:
        started = time.monotonic()
        verdicts = list(threads.map(lambda n: judge.screen({"number.txt": b"%d" % n}), range(1, 9)))
    assert [verdict.score for verdict in verdicts] == [float(n) for n in range(1, 9)]
    assert time.monotonic() - started < 8 * 0.4


# ── what a ruler may ─────────────────────────────────────────────────────────────────────────────


def test_the_ruler_is_jailed(make_problem: Any, open_judge: Any, tmp_path: Path) -> None:
    """No network, no writing beside itself, nothing of the experiment, and no secret of this process."""
    (tmp_path / "secret").write_text("x")
    body = f"""
import socket
seen = {{}}
def works(act):
    try:
        act()
        return 1.0
    except OSError:
        return 0.0
seen['network'] = works(lambda: socket.create_connection(('127.0.0.1', 22), 0.2))
seen['write'] = works(lambda: open(__file__, 'a'))
seen['read'] = works(lambda: open({str(tmp_path / "secret")!r}))
seen['environment'] = float('KF_TEST_SECRET' in os.environ)
return Measured(5, seen)"""
    os.environ["KF_TEST_SECRET"] = "hidden"
    try:
        verdict = open_judge(make_problem(ruler=ruler(body))).screen({"number.txt": b"1"})
    finally:
        del os.environ["KF_TEST_SECRET"]
    assert verdict.measures == {"network": 0.0, "write": 0.0, "read": 0.0, "environment": 0.0}


def test_the_rulers_identity_is_all_that_decides(make_problem: Any, open_judge: Any) -> None:
    plain = open_judge(make_problem()).ruler
    assert open_judge(make_problem()).ruler == plain
    longer = (Path(__file__).parent.parent / "problems/tiny_number/judge/ruler.py").read_text()
    assert open_judge(make_problem(ruler=longer + "\n# changed\n")).ruler.digest != plain.digest
    marked = longer + f"\nIDENTITY = '{time.time()}'\n"
    assert open_judge(make_problem(ruler=marked)).ruler.digest != plain.digest


# ── quick tries ──────────────────────────────────────────────────────────────────────────────────


def test_a_quick_try_is_no_verdict(network: Judge, number: Judge) -> None:
    assert network.quick(network.problem.seed) == {"quick": True, "ok": True, "figure": 3, "reason": None}
    broken = network.quick({"network.py": b"1/0"})
    assert (broken["ok"], broken["figure"]) == (False, None) and "status 1" in broken["reason"]
    assert "ZeroDivisionError" in broken["stderr"]
    wrong = network.quick({"network.py": b"network = lambda wires: []"})
    assert (wrong["ok"], wrong["reason"]) == (False, "an input comes out unsorted")
    assert number.quick({"number.txt": b"1"})["ok"] is False


def test_nothing_stays_in_the_scratch_folder(network: Judge, tmp_path: Path) -> None:
    network.screen(network.problem.seed)
    network.screen({"network.py": b"1/0"})
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_large_artefact_travels_fast(make_problem: Any, open_judge: Any) -> None:
    judge = open_judge(
        make_problem(ruler=ruler("return Measured(len(artefact))"), toml=(("screen = 2", "screen = 1"),))
    )
    large = bytes(4_500_000)
    best = min(judge.screen({"number.txt": large}).seconds for _ in range(5))
    assert judge.screen({"number.txt": large}).score == len(large)
    assert best < 0.5  # 2 ms to 20 ms: see benchmarks/measurement.py


def test_unprotected_says_so_in_every_verdict(make_problem: Any, tmp_path: Path) -> None:
    for name, score in (("tiny_number", 1000), ("tiny_network", 6)):
        of = make_problem(name)
        with Judge(of, Unprotected(), scratch=tmp_path) as judge:
            verdict = judge.screen(of.seed)
            assert (verdict.verdict, verdict.score) == ("accepted", score)
            assert (verdict.jail, verdict.trust, judge.trust) == ("none", "unprotected", "unprotected")


def test_names_that_clash_or_lead_out_are_rejected(make_problem: Any, open_judge: Any, tmp_path: Path) -> None:
    judge = open_judge(make_problem("tiny_network"))
    loose = replace(judge.problem, editable=("**",))
    judge.problem = replace(loose, seed={**loose.seed, "lib/a.txt": b"x"})
    for name in ("lib", "../out", "/tmp/out", "a//b", "a\n"):
        verdict = judge.screen({**judge.problem.seed, name: b"x"})
        assert rejection(verdict)[0] == "malformed"
    assert not (tmp_path / "out").exists()


def test_a_build_sees_only_what_it_should(network: Judge) -> None:
    """Its own folder, /usr and the interpreter; no site-packages, no package of ours, no other process."""
    text = b"""
import os, sys
bad = [name for name in ("kernelfactory", "pip", "numpy") if __import__("importlib.util").util.find_spec(name)]
bad += [path for path in ("/proc/1", "/etc/passwd", "/etc/shadow", "/var/lib") if os.path.exists(path)]
known = ("LANG", "PYTHONHASHSEED", "HOME", "PATH", "KF_ARTEFACT_FD", "PWD", "LC_CTYPE")
bad += [name for name in os.environ if name not in known]
bad += [name for name in os.listdir() if name not in ("network.py", "produce.py")]
bad += ["user"] if os.getuid() == 0 else []
if bad:
    raise SystemExit(repr(bad))
def network(wires):
    return [(0, 1), (2, 3), (0, 2), (1, 3), (1, 2)]
"""
    verdict = network.screen({"network.py": text})
    assert verdict.score == 5, verdict.instruments
