"""Deliberately unsound problems of each kind: the attack that fools each is found to gain, with the right advice. Where
there is a sound twin, the same attacks gain nothing in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kernelfactory.judge.check import Check, check_problem
from kernelfactory.judge.check.gallery import AT_LOAD, attacks
from kernelfactory.judge.check.hostile import texts
from kernelfactory.judge.check.trying import GAINED
from kernelfactory.model import Problem

from .unsound import ALL, COMMANDS, Fault


def rows(problem: Problem, jail: Any, names: Mapping[str, str]) -> dict[str, Check]:
    found = {check.name: check for check in check_problem(problem, jail, only=tuple(names))}
    assert found["the seed is valid"].ok, found["the seed is valid"]
    return {name: found[name] for name in names if name in found}


@pytest.mark.parametrize("fault", ALL, ids=[fault.name.replace(" ", "_") for fault in ALL])
def test_an_unsound_problem_is_found_with_the_right_advice(tmp_path: Path, jail: Any, fault: Fault) -> None:
    found = rows(fault.made(tmp_path / "unsound", fault.files), jail, fault.finds)
    assert {name: (check.ok, check.fix) for name, check in found.items()} == {
        name: (False, fix) for name, fix in fault.finds.items()
    }, found


@pytest.mark.parametrize(
    "fault", [fault for fault in ALL if fault.sound], ids=lambda fault: fault.name.replace(" ", "_")
)
def test_its_sound_twin_is_not(tmp_path: Path, jail: Any, fault: Fault) -> None:
    found = rows(fault.made(tmp_path / "sound", fault.sound), jail, fault.finds)
    assert [check for check in found.values() if not check.ok] == []


def test_a_self_reported_problem_is_called_what_it_is(tmp_path: Path, jail: Any) -> None:
    fault = COMMANDS[0]
    found = rows(fault.made(tmp_path / "unsound", fault.files), jail, fault.finds)
    told = found["the evaluator cannot be fooled"]
    gained = [name for name, check in found.items() if check.outcome == GAINED]
    assert told.detail.startswith("self-reported: the evaluator can be fooled by: ")
    assert len(gained) == 3 and all(name in told.detail for name in gained)
    assert "import shim" in told.fix


def test_the_gallery_and_the_hostile_texts_know_the_same_acts() -> None:
    """As a candidate gets them: in a namespace of their own, with nothing of this package."""
    names: dict[str, Any] = {}
    for text in texts():
        exec(text, names)
    acts = {attack.act for attack in attacks(1.0)}
    extra = {"tell"}  # asked for by another room
    assert acts | extra == set(names["AT_CALL"]) | set(names["AT_LOAD"])
    assert set(names["AT_LOAD"]) - {"dice"} == AT_LOAD  # dice need somebody to call
    assert {"kernelfactory"} & {value.__name__ for value in names.values() if type(value) is type(pytest)} == set()
