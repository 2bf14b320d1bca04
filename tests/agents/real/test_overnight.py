"""`kf run` with Claude Code and Codex themselves, on models that play a script: what is on record in the morning."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from hunting import hunt
from kernelfactory import jail
from kernelfactory.agents import finding
from overnight import BOTH, KEYS, OTHERS, SECONDS, TINY, VALUES, Evening, asked, end, gone, keys, living, stub
from stubs import Fault, Stub, Turn, night

HERE = Path(__file__).parents[2]
MODELS = {"claude": "claude-sonnet-4-5", "codex": "gpt-5.5"}
TOKENS = ("input", "output", "cache_read", "cache_write")
ENOUGH = "--nudges=0"
EDIT = """\
python3 - <<'END'
from pathlib import Path
path = Path("perf_takehome.py")
old = path.read_text()
new = old.replace('left, one, two)]})\\n                body.append({"alu"', 'left, one, two)], "alu"')
assert new != old
path.write_text(new)
END"""
"""Two operations of the naive kernel that do not hang on each other, in one cycle: a little faster, and no more."""
SEVEN = Turn("I write seven.", ["echo 7 > number.txt; echo 'seven so far' > progress.md"])
MEASURES = Turn("I measure.", ["kf measure --json"])
DONE = Turn("Done: it is measured.")
STALLED = ["stall", "nudge"]
LEFT = Turn(
    "I leave things behind.",
    [
        "echo 7 > number.txt; kf measure > measured.txt; readlink /proc/self/ns/pid > space;"
        " setsid sleep 871 >/dev/null 2>&1 & (setsid nohup sleep 872 >/dev/null 2>&1 &); touch begun; sleep 873"
    ],
)


def digest(evening: Evening, attempt: int) -> str:
    data = (evening.folder / f"attempts/{attempt:06}/transcript.jsonl").read_bytes()
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


# ── the whole of it ──────────────────────────────────────────────────────────────────────────────


def test_both_edit_measure_note_and_finish_and_all_of_it_is_told(there: None, evening: Any) -> None:
    kf: Evening = evening(keys(*BOTH))
    with stub("claude", night(EDIT)) as claude, stub("codex", night(EDIT)) as codex:
        kf.agents({"claude": claude, "codex": codex})
        words = ("vliw_tree", "--agent", "claude", "--agent", "codex", "--attempts", "2", "--dir", "x", ENOUGH)
        done = kf.kf("run", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row.agent: row for row in kf.attempts()}
    assert set(rows) == set(BOTH)
    prices = {"claude": 0.024, "codex": 0.04}
    for name, row in rows.items():
        assert (row.model, row.cage, row.end, row.fault) == (MODELS[name], "bubblewrap", "finished", None)
        assert (row.outcome, row.score, row.parent_score) == ("improved", 143_638.0, 147_734.0)
        assert (row.tokens, row.dollars) == (25_000, pytest.approx(prices[name]))
        assert row.notes == "what I tried: the script\n" and row.measurements >= 1
        assert row.session and row.transcript == digest(kf, row.attempt)
        seen = kf.json("show", "x", str(row.attempt), "--transcript")
        assert seen["bill"].keys() == {MODELS[name]}
        assert sum(seen["bill"][MODELS[name]][kind] for kind in TOKENS) == 25_000
        assert seen["session"] == row.session and seen["transcript_digest"] == row.transcript
        kinds = [event["kind"] for event in seen["transcript"]]
        assert kinds.count("call") == kinds.count("result") == 3 and kinds[-1] == "end"
    told = kf.kf("show", "x", "2", "--transcript").stdout
    assert "Done: the program is edited and measured." in told and "kf measure --json" in told
    listed = kf.json("attempts", "x")
    assert {(row["agent"], row["model"], row["tokens"]) for row in listed if row["attempt"]} == {
        (name, MODELS[name], 25_000) for name in BOTH
    }
    now = kf.json("status", "x")
    assert now["state"] == "finished" and now["best"]["score"] == 143_638 and now["kept"] == []
    assert now["spent"]["tokens"] == 50_000 and now["spent"]["dollars"] == pytest.approx(0.064)
    assert {agent["agent"]: agent["paused_until"] for agent in now["agents"]} == dict.fromkeys(BOTH)
    assert kf.kf("report", "x").returncode == 0 and "claude" in (kf.folder / "report.html").read_text()
    assert kf.workspaces() == []
    broken = kf.folder / "attempts/000001/transcript.jsonl"  # injected fault: a stream that was touched
    broken.write_bytes(broken.read_bytes().replace(b"I will edit", b"I will edjt"))
    assert kf.attempts()[0].transcript != digest(kf, 1)
    assert "not the one that was recorded" in kf.kf("show", "x", "1", "--transcript").stdout


@pytest.mark.soak
@pytest.mark.parametrize("name", OTHERS)
def test_the_others_do_so_too(name: str, program: Callable[[str], finding.Program], evening: Any) -> None:
    program(name)
    kf: Evening = evening(keys(name))
    with stub(name, night("echo 7 > number.txt")) as model:
        kf.agents({name: model})
        words = (TINY, f"--agent={name}", "--attempts=1", "--dir=x", ENOUGH)
        done = kf.kf("run", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    row = kf.attempts()[0]
    assert (row.agent, row.end, row.outcome, row.score) == (name, "finished", "improved", 7.0)
    assert row.notes == "what I tried: the script\n" and row.session and row.transcript == digest(kf, 1)
    assert row.tokens == 25_000 and row.dollars
    assert "Done: the program is edited and measured." in kf.kf("show", "x", "1", "--transcript").stdout
    assert {request.key for request in model.log} == {VALUES[name]} and hunt(kf.base, VALUES[name]) == []


# ── usage limits ─────────────────────────────────────────────────────────────────────────────────

LOGINS = {"claude": "CLAUDE_CODE_OAUTH_TOKEN", "codex": "CODEX_API_KEY"}
WORKS = "echo 500 > number.txt; until [ -e go ]; do sleep 0.2; done"
"""What another agent does meanwhile, until it is told to go on."""

AHEAD = 10.0
"""Seconds to the reset when a run begins."""


def spent_up(name: str, ahead: float = AHEAD) -> tuple[Stub, float]:
    """A model whose account is used up in the middle, once, and until when."""
    opens = float(int(time.time() + ahead))
    return stub(name, [SEVEN, MEASURES, DONE], Fault("usage", turn=1, times=1, reset_at=opens)), opens


def parked(kf: Evening, name: str) -> float | None:
    """Until when an agent waits, as the record has it (epoch seconds)."""
    with kf.record() as reader:
        return next((until for (agent, _), (until, _) in reader.parked().items() if agent == name), None)


def in_time(kf: Evening, opens: float) -> bool:
    """Did the work that goes on with attempt 1 begin once the account was open, and not before?"""
    return all(row.started_at >= opens for row in kf.attempts() if row.continues == 1)


def went_on(limited: Stub) -> bool:
    """Was its last conversation one with what it said before its limit?"""
    return "I write seven." in json.dumps(limited.log[-1].body)


def go(kf: Evening) -> None:
    """Let all that wait for it go on."""
    for base in kf.workspaces():
        with suppress(FileNotFoundError):  # it is over already
            (base / "work" / "go").touch()


@pytest.mark.parametrize("name", BOTH)
def test_a_limit_gives_the_slot_away_until_the_session_can_go_on(name: str, there: None, evening: Any) -> None:
    kf: Evening = evening({LOGINS[name]: VALUES[name]})
    limited, opens = spent_up(name)
    with limited:
        kf.agents({name: limited}, {"steady": kf.command("steady", WORKS)})
        words = ("--agent", name, "--agent=steady", "--attempts=4", "--dir=x", ENOUGH)
        run = kf.start("run", TINY, *words)
        kf.until(lambda: kf.incidents("switched"))
        first = next(row for row in kf.attempts() if row.agent == name)
        assert (first.end, first.outcome, first.score, first.notes) == ("limit", "improved", 7.0, "seven so far\n")
        switched = kf.incidents("switched")[0].attempt
        taken = kf.until(lambda: [row for row in kf.attempts() if row.attempt == switched and row.workspace])[0]
        assert taken.agent == "steady" and taken.attempt != first.attempt
        until = parked(kf, name)
        assert until is not None and until >= opens
        now = kf.json("status", "x")
        assert {a["agent"]: bool(a["paused_until"]) for a in now["agents"]} == {name: True, "steady": False}
        assert [(kept["attempt"], kept["session"]) for kept in now["kept"]] == [(first.attempt, first.session)]
        home = Path(str(first.workspace)).parent
        assert home in kf.workspaces()
        kf.until(lambda: time.time() > until)
        Path(str(taken.workspace), "go").touch()  # its slot is its own agent's again
        again = kf.until(lambda: [row for row in kf.attempts() if row.continues and row.state == "judged"])[0]
        go(kf)
        assert run.wait(SECONDS) == 0, kf.said()
    assert (again.continues, again.parent, again.parent_score) == (first.attempt, first.attempt, 7.0)
    assert (again.agent, again.session, again.end, again.move) == (name, first.session, "finished", "continue")
    assert again.started_at >= until and went_on(limited)
    assert again.workspace == first.workspace and not home.exists() and kf.workspaces() == []
    assert first.tokens == 6250 and again.tokens == 12_500 and "score" in asked(limited)
    kinds = [found.kind for found in kf.incidents() if found.agent == name or found.attempt == again.attempt]
    assert {"limit", "parked", "opened", "resumed"} <= set(kinds) and kf.json("status", "x")["kept"] == []


def killed_while_parked(kf: Evening, limited: Stub, *words: str) -> float:
    """A run that is killed when its agent waits; until when it does."""
    run = kf.start("run", TINY, *words, "--dir", "x", ENOUGH)
    kf.until(lambda: kf.incidents("parked"))
    until = parked(kf, "claude")
    run.send_signal(signal.SIGKILL)
    run.wait(SECONDS)
    assert until is not None and len([request for request in limited.log if request.main]) == 2
    return until


def test_a_kill_while_it_waits_changes_nothing_and_nobody_takes_its_slot(there: None, evening: Any) -> None:
    kf: Evening = evening({LOGINS["claude"]: VALUES["claude"]})
    limited, opens = spent_up("claude", AHEAD + 4)
    with limited:
        kf.agents({"claude": limited}, {"steady": kf.command("steady", WORKS)})
        until = killed_while_parked(kf, limited, "--agent=claude", "--agent=steady", "--attempts=4", "--no-switch")
        run = kf.start("resume", "x", "--no-switch", ENOUGH)
        kf.until(lambda: [row for row in kf.attempts() if row.run == 2])
        assert parked(kf, "claude") == until and len(kf.json("status", "x")["kept"]) == 1
        again = kf.until(lambda: [row for row in kf.attempts() if row.continues and row.state == "judged"])[0]
        go(kf)
        assert run.wait(SECONDS) == 0, kf.said()
    first = kf.attempts()[0] if kf.attempts()[0].agent == "claude" else kf.attempts()[1]
    assert again.session == first.session and again.started_at >= until >= opens and went_on(limited)
    assert again.run == 2 and again.end == "finished" and kf.workspaces() == []
    assert kf.incidents("switched") == [] and {row.agent for row in kf.attempts()} == {"claude", "steady"}


def test_without_its_home_and_its_wait_it_is_seen_that_it_did_not_go_on(there: None, evening: Any) -> None:
    """Injected fault: what is kept is lost meanwhile. The work goes on all the same, in a new session."""
    kf: Evening = evening({LOGINS["claude"]: VALUES["claude"]})
    limited, opens = spent_up("claude", 600.0)
    with limited:
        kf.agents({"claude": limited})
        killed_while_parked(kf, limited, "--agent=claude", "--attempts=2")
        shutil.rmtree(next(iter(kf.workspaces())))
        with closing(sqlite3.connect(kf.folder / "record.db")) as record:
            record.execute("UPDATE agent SET paused_until = NULL, paused_why = NULL")
            record.commit()
        assert kf.kf("resume", "x", ENOUGH).returncode == 0
    assert not in_time(kf, opens)
    again = kf.attempts()[-1]
    assert again.session != kf.attempts()[0].session and again.parent == 1 and again.end == "finished"


# ── what else comes in between ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", BOTH)
def test_a_key_that_is_refused_is_a_clear_line_and_no_program(name: str, there: None, evening: Any) -> None:
    kf: Evening = evening({KEYS[name]: "sk-not-the-one-that-is-let-in"})
    with stub(name, [SEVEN, DONE]) as model:
        kf.agents({name: model})
        done = kf.kf("run", TINY, "--agent", name, "--attempts", "4", "--dir", "x")
    assert done.returncode == 3 and "Traceback" not in done.stderr
    assert f"{name} is paused: not logged in, or its key is refused" in done.stdout
    assert [(row.outcome, row.end, row.measurements) for row in kf.attempts()] == [("none", "failed", 0)]
    assert "no agent is left" in done.stdout and kf.json("status", "x")["best"]["attempt"] == 0


def test_an_overload_waits_and_a_stalled_one_is_sent_on(there: None, evening: Any) -> None:
    kf: Evening = evening(keys(*BOTH))
    overload, stall = Fault("overload", turn=1), Fault("stall", turn=1, times=1)
    with stub("claude", [SEVEN, DONE], overload) as claude, stub("codex", [SEVEN, MEASURES, DONE], stall) as codex:
        kf.agents({"claude": claude, "codex": codex}, {"codex": "silence_minutes = 0.1\n"})
        done = kf.kf("run", TINY, "--agent=auto", "--attempts=2", "--dir=x", "--nudges=2")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row.agent: row for row in kf.attempts()}
    assert (rows["claude"].end, rows["claude"].outcome, rows["claude"].score) == ("failed", "improved", 7.0)
    assert "overloaded" in str(rows["claude"].fault).lower()
    assert "its service is overloaded" in kf.incidents("backoff")[0].text
    assert (rows["codex"].end, rows["codex"].outcome) == ("finished", "improved")
    assert [i.kind for i in kf.incidents("stall", "nudge") if i.attempt == rows["codex"].attempt][:2] == STALLED


# ── killing ──────────────────────────────────────────────────────────────────────────────────────


def patience() -> float:
    """Within 5 seconds all of an attempt is to be gone; longer only as this machine is too busy for that."""
    return 5.0 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def spaces(kf: Evening) -> list[str]:
    """The PID namespaces of both attempts, once they have begun what they leave behind."""
    kf.until(lambda: len([base for base in kf.workspaces() if (base / "work/begun").exists()]) == 2)
    found = [(base / "work/space").read_text().strip() for base in kf.workspaces()]
    assert len(set(found)) == 2 and all(len(living(space)) >= 4 for space in found), "there is something to kill"
    return found


@pytest.fixture
def bubblewrap() -> None:
    if jail.find(unprotected=True).name != "bubblewrap":
        pytest.skip("without bubblewrap there is no PID namespace to look into")


def test_stopped_or_killed_in_the_middle_nothing_of_them_lives(there: None, bubblewrap: None, evening: Any) -> None:
    kf: Evening = evening(keys(*BOTH))
    with stub("claude", [LEFT, DONE]) as claude, stub("codex", [LEFT, DONE]) as codex:
        kf.agents({"claude": claude, "codex": codex})
        run = kf.start("run", TINY, "--agent=claude", "--agent=codex", "--attempts=4", "--dir=x", ENOUGH)
        begun = spaces(kf)
        assert kf.kf("stop", "x", "--now").returncode == 0
        assert run.wait(SECONDS) == 0 and all(gone(space, patience()) for space in begun)
        assert [(row.end, row.outcome, row.score) for row in kf.attempts()] == [("interrupted", "improved", 7.0)] * 2
        run = kf.start("resume", "x", ENOUGH)
        begun = spaces(kf)
        run.kill()
        assert all(gone(space, patience()) for space in begun)
        run.wait(SECONDS)
        assert kf.kf("resume", "x", "--agent=mutator", "--attempts=1").returncode in (0, 3)
        assert [row.end for row in kf.attempts()] == ["interrupted"] * 4 and kf.workspaces() == []


LOOSE = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from kernelfactory import jail, workers
from kernelfactory.budget import Caps
from test_killing import Loose
plan = workers.Plan((f"command@{sys.argv[3]}:2",), Caps(attempts=4))
workers.run(Path(sys.argv[2]), plan, world=workers.World(jail=Loose(jail.find().binary, grouped=False)))
"""


def test_a_jail_that_outlives_the_controller_is_seen(bubblewrap: None, evening: Any) -> None:
    """Injected fault; by a command, since Claude Code and Codex go by themselves when nobody is there any more. In no
    control group: whoever starts a jail next, another test say, ends those that dead controllers left."""
    kf: Evening = evening({})
    (kf.base / "steps.json").write_text("[]")
    assert kf.kf("run", TINY, "--agent=scripted@steps.json", "--attempts=1", "--dir=x").returncode == 0
    kf.command("leaves", LEFT.shell[0])
    run = kf.start(str(HERE), str(kf.folder), str(kf.base / "leaves.sh"), argv=("-c", LOOSE))
    begun = spaces(kf)
    run.kill()
    run.wait(SECONDS)
    left = [space for space in begun if not gone(space, 0.5)]
    for space in begun:
        end(space)
    assert left == begun
