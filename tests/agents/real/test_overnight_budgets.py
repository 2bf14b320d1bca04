"""Caps on money over a whole run with real agents, and who is found ready to work at all."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from atwork import Office
from kernelfactory.agents.command import Command
from kernelfactory.model import Usage
from overnight import BOTH, KEYS, SECONDS, TINY, VALUES, Evening, keys, stub
from stubs import Spent, Stub, Turn

SPENT = {"claude": Spent(output=130_000), "codex": Spent(output=65_000)}
"""Of each answer, so that it costs about two dollars."""

COSTS = {"claude": 0.00525 + 1.95, "codex": 0.0085 + 1.95}
"""By the list prices of their models, of each answer."""

MEASURES = Turn("I write seven.", ["echo 7 > number.txt; kf measure --json; echo seven > progress.md"])
WAITS = Turn("I wait.", ["touch begun; until [ -e go ]; do sleep 0.1; done"])
AGAIN = [Turn(f"And again, {n}.", [f"echo {n} > number.txt"]) for n in range(100, 140)]


def asked(stub: Stub) -> int:
    """Requests that its model has answered."""
    return len([request for request in stub.log if request.main])


def within(kf: Evening, cap: float, each: Iterable[float]) -> bool:
    """Was a cap passed by one request of each at most?"""
    return float(kf.json("status", "x")["spent"]["dollars"]) <= cap + sum(each)


def test_a_cap_of_all_ends_both_with_what_they_had_measured(there: None, evening: Any) -> None:
    kf: Evening = evening(keys(*BOTH))
    play = [MEASURES, WAITS, *AGAIN]
    with stub("claude", play, spent=SPENT["claude"]) as claude, stub("codex", play, spent=SPENT["codex"]) as codex:
        kf.agents({"claude": claude, "codex": codex})
        words = ("--agent=claude", "--agent=codex", "--attempts=4", "--dollars=21", "--dir=x", "--nudges=0")
        run = kf.start("run", TINY, *words)
        kf.until(lambda: len([base for base in kf.workspaces() if (base / "work/begun").exists()]) == 2)
        for base in kf.workspaces():
            (base / "work/go").touch()
        assert run.wait(SECONDS) == 3, kf.said()
    rows = {row.agent: row for row in kf.attempts()}
    for row in rows.values():
        assert (row.end, row.outcome, row.score, row.notes) == ("budget", "improved", 7.0, "seven\n")
    spent = sum(row.dollars or 0.0 for row in rows.values())
    assert spent >= 21.0 and within(kf, 21.0, COSTS.values())
    asked_for = asked(claude) * COSTS["claude"] + asked(codex) * COSTS["codex"]
    assert asked_for <= spent + sum(COSTS.values()), "one request each may have been on its way when they were ended"
    assert {found.attempt for found in kf.incidents("budget")} == {1, 2}
    assert f"${spent - 21.0:,.2f} over the cap of $21.00" in kf.incidents("overshoot")[0].text
    assert "the cap of $21.00 is reached" in kf.json("status", "x")["why"]


def test_caps_of_an_attempt_and_of_an_agent_leave_the_rest_to_others(there: None, evening: Any) -> None:
    kf: Evening = evening(keys(*BOTH))
    play = [MEASURES, *AGAIN]
    with stub("claude", play, spent=SPENT["claude"]) as claude, stub("codex", play, spent=SPENT["codex"]) as codex:
        kf.agents({"claude": claude, "codex": codex}, {"claude": "attempt_dollars = 3\n", "codex": "dollars = 5\n"})
        words = ("--agent=claude", "--agent=codex", "--attempts=3", "--dir=x", "--nudges=0")
        done = kf.kf("run", TINY, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = kf.attempts()
    assert sorted(row.agent for row in rows) == ["claude", "claude", "codex"]
    for row in rows:
        cap = 3.0 if row.agent == "claude" else 5.0
        assert (row.end, row.score) == ("budget", 7.0)
        assert cap <= (row.dollars or 0.0) <= cap + COSTS[row.agent]
    assert [found.text for found in kf.incidents("switched")], "its slot went to the other one"
    said = {found.text.partition(" (")[0] for found in kf.incidents("budget")}
    assert said == {"codex: the cap of $5.00 is reached", "the cap of $3.00 for one attempt is reached"}


def test_nobody_asks_again_before_the_last_answer_is_on_the_bill(office: Office) -> None:
    place = office.lend(Command("true"))
    assert place.paid_up(0.0), "nothing is owed for at first"
    place.spent(Usage(tokens=0, dollars=None))
    assert not place.paid_up(0.05)
    place.spent(Usage(tokens=6250))
    assert place.paid_up(0.0) and not place.paid_up(0.0)


BLIND = """
echo 7 > number.txt
echo '{"kind": "usage", "models": {"big": {"output": 5000000}}, "dollars": 50}'
"""


def test_one_that_tells_what_it_spent_when_it_is_over_is_seen(evening: Any) -> None:
    """Injected fault: nothing that could be held against a cap while it worked."""
    kf: Evening = evening({})
    kf.agents({}, {"blind": kf.command("blind", BLIND)})
    done = kf.kf("run", TINY, "--agent=blind", "--dollars=21", "--dir=x")
    assert done.returncode == 3 and not within(kf, 21.0, [2.0, 2.0])
    assert "$29.00" in kf.incidents("overshoot")[0].text


# ── who is ready ─────────────────────────────────────────────────────────────────────────────────


def ready(kf: Evening) -> dict[str, tuple[bool, str]]:
    """What `kf doctor` says of each agent, and whom `auto` would take."""
    found = json.loads(kf.kf("doctor", "--json").stdout)["findings"]
    parts = {item["part"]: (item["ok"], item["seen"] + "; " + item["advice"]) for item in found}
    return {part.removeprefix("agent: "): said for part, said in parts.items() if part.startswith("agent")}


def alone(kf: Evening, *names: str) -> None:
    """Only these of the programs that tests drive are installed."""
    programs = Path(kf.env["KF_AGENTS"], "bin")
    kf.env["KF_AGENTS"] = str(kf.base / "programs")
    (kf.base / "programs" / "bin").mkdir(parents=True)
    for name in names:
        (kf.base / "programs" / "bin" / name).symlink_to((programs / name).resolve())


def test_those_with_a_key_are_ready_and_auto_takes_them(there: None, evening: Any) -> None:
    kf: Evening = evening(keys("codex"))
    alone(kf, *BOTH)
    with stub("codex", [MEASURES, Turn("Done.")]) as codex:
        kf.agents({"codex": codex})
        found = ready(kf)
        done = kf.kf("run", TINY, "--agent=auto", "--attempts=1", "--dir=x", "--nudges=0")
    assert found["codex"][0] and "ready; version 0.169.0" in found["codex"][1]
    assert f"login: {KEYS['codex']}" in found["codex"][1] and "cage: bubblewrap" in found["codex"][1]
    assert "can pass a cap by one model request a slot" in found["codex"][1]
    assert not found["claude"][0] and "not ready; version 2.1" in found["claude"][1]
    assert "login: none" in found["claude"][1] and "set ANTHROPIC_API_KEY" in found["claude"][1]
    assert not found["gemini"][0] and "not installed" in found["gemini"][1]
    assert found["agents"][1].startswith("--agent auto: codex;") and VALUES["codex"] not in str(found)
    assert done.returncode == 0 and [row.agent for row in kf.attempts()] == ["codex"]


def test_without_a_key_auto_takes_what_costs_nothing(evening: Any) -> None:
    kf: Evening = evening({})
    alone(kf)
    found = ready(kf)
    assert not any(found[name][0] for name in BOTH) and found["agents"][1].startswith("--agent auto: mutator;")
    done = kf.kf("run", TINY, "--agent=auto", "--attempts=1", "--dir=x")
    assert done.returncode == 0 and [row.agent for row in kf.attempts()] == ["mutator"]
