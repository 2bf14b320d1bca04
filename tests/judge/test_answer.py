"""Verdicts as JSON: every key of the contract, and nothing for agents that is not theirs."""

from __future__ import annotations

import json

from kernelfactory.judge import Standing, agent_answer, verdict_json
from kernelfactory.model import Flag, Metric, Ruler, Verdict

METRIC = Metric("cycles", "cycles", "min")
VERDICT = Verdict(
    "accepted", 147734, "vliw_tree", "sha256:aa", "bb", "bubblewrap", "judged", Ruler("c", "sha256:cc"),
    seconds=0.41, inputs=8, measures={"load_occupancy": 0.1}, instruments={"slots": 3},
    flags=(Flag("gc", "a.py:1", "gc."),),
)  # fmt: skip
KEYS = {
    "verdict", "score", "metric", "goal", "reason", "measures", "flags", "problem", "digest", "tree", "seconds", "jail",
    "trust", "reason_code", "ruler", "inputs",
}  # fmt: skip


def test_every_key_of_the_contract_is_there() -> None:
    answer = json.loads(json.dumps(verdict_json(VERDICT, METRIC), allow_nan=False))
    assert set(answer) >= KEYS
    assert (answer["score"], answer["goal"], answer["seconds"]) == (147734, "min", 0.41)
    assert answer["ruler"] == {"backend": "c", "digest": "sha256:cc"}
    assert answer["flags"] == [{"rule": "gc", "where": "a.py:1", "text": "gc."}]


def test_an_agent_sees_no_flags_and_where_it_stands() -> None:
    answer = agent_answer(VERDICT, METRIC, Standing(7, 3, 147734, 150000, None))
    assert "flags" not in answer and KEYS - {"flags"} <= set(answer)
    assert (answer["attempt"], answer["measurement"], answer["best_here"]) == (7, 3, 147734)
    assert (answer["parent_score"], answer["best_score"], answer["instruments"]) == (150000, None, {"slots": 3})
