"""The rows of the gallery for one problem: each attack that fits its interface, with what is tried for it. Tries
nothing by itself."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from kernelfactory.judge import JudgeFailed
from kernelfactory.judge.check import advice, data, gallery
from kernelfactory.judge.check.c_gallery import c_attacks
from kernelfactory.judge.check.gallery import CODE, Attack, candidate, shadows
from kernelfactory.judge.check.interface import Interface
from kernelfactory.judge.check.trying import (
    GAINED,
    HARMLESS,
    HONEST,
    TIMING,
    Came,
    Range,
    Try,
    row,
    skipped,
    words,
)
from kernelfactory.judge.check.yard import Check, seen, shown
from kernelfactory.judge.inside.kfworker import FRAME
from kernelfactory.judge.produce import graft
from kernelfactory.judge.worker import ENV
from kernelfactory.model import Files, Problem

Row = tuple[str, Callable[[], Check]]
SAME = "no process is asked twice for different answers: its first answer is the right one"
BARE = "there is no jail here: not on your machine"
PYTHON, C, DATA, HEARD = "python", "c", "data", "inputs"
_ENV = (
    *ENV,
    "KF_ARTEFACT",
    "KF_ARTEFACT_FD",
    "KF_SCORE_FD",
    "KF_SEED",
    "PWD",
    "LC_CTYPE",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)


@dataclass(frozen=True, slots=True)
class Target:
    """A problem as its attackers see it. `varied`: is a process asked twice for different answers (None: not seen)?
    `holds`: is there a jail?"""

    problem: Problem
    interface: Interface
    seed: Files
    varied: bool | None
    judge: Files
    holds: bool

    def aim(self, range_: Range, attack: Attack | None, forged: float) -> dict[str, Any]:
        folder = os.path.join(self.problem.folder, "judge")
        places = [folder, *(f"{folder}/{name}" for name in list(self.judge)[:3]), "../judge"]
        return {
            "act": attack.act if attack else "forge",
            "wrong": attack.base != "seed" if attack else True,
            "best": forged,
            "names": self.interface.names,
            "port": range_.port,
            "token": range_.token,
            "places": places if self.problem.kind != "command" else [],  # such an evaluator reads judge/ itself
            "env": _ENV,
            "value": 0,
            "where": None,
        }


def python_rows(target: Target, at: Range) -> Iterator[Row]:
    """For a program that is Python. With a text round it that does nothing it must pass, or nothing would be tried."""
    forged = at.yard.forged()
    control = at.brief(_program(target, at, Attack("", "nothing", "seed", "-", ""), {}))
    if control.verdict != "accepted":
        why = f"the seed with a text round it that does nothing is not accepted: {seen(control)}"
        yield "the gallery for Python", partial(skipped, "the gallery for Python", PYTHON, why)
        return
    for attack in gallery.attacks(forged):
        why = _why_not(target, attack)
        if why:
            yield attack.name, partial(skipped, attack.name, PYTHON, why)
        else:
            yield attack.name, partial(_attacked, target, at, attack, forged)
    yield "files that act by themselves", lambda: _shadowed(target, at, forged)


def _why_not(target: Target, attack: Attack) -> str:
    """Why an attack does not fit, or nothing."""
    if not target.holds and (attack.bomb or attack.act == "daemon"):
        return BARE
    if not target.interface.names and attack.act not in gallery.AT_LOAD:
        return "nothing of the program is called: it is run"
    if attack.needs != "varied" or target.varied:
        return ""
    if target.varied is None:
        return "it could not be seen how the program is called"
    return SAME


def _attacked(target: Target, at: Range, attack: Attack, forged: float) -> Check:
    tries = [_trying(target, at, attack, {**variant, **_late(target, variant, forged)}) for variant in attack.variants]
    if attack.act == "nan":
        tries = [_unless_passing(target, at, one, variant) for one, variant in zip(tries, attack.variants, strict=True)]
    found = row(attack.name, PYTHON, attack.cure, tries)
    return _held(attack, at, found)


def _held(attack: Attack, at: Range, found: Check) -> Check:
    """What a verdict cannot show: did it reach the machine's network, does it live on?"""
    broke_out = ""
    if attack.act == "dial" and at.called():
        broke_out = "it reached a port of this machine"
    if attack.act == "daemon" and at.left():
        broke_out = "it lives on"
    return found if not broke_out else Check(attack.name, False, broke_out, PYTHON, GAINED, "-", attack.cure)


def _late(target: Target, variant: Mapping[str, Any], forged: float) -> dict[str, Any]:
    """The values that need the forged score."""
    code = CODE.replace("DOCUMENTS", repr(_documents(target, forged)))
    named = {"code": f"__import__('builtins').exec({code!r})", "pickle": code}
    return {"value": named[variant["value"]]} if variant.get("value") in list(named) else {}


def _documents(target: Target, forged: float) -> list[bytes]:
    """What code that runs in the ruler's or the evaluator's process would write."""
    import json

    if target.problem.kind == "command":
        return [json.dumps({"score": forged}).encode()]
    measured = {"score": forged, "measures": {}, "instruments": {}, "flags": [], "interval": [forged, forged]}
    text = json.dumps({"measured": [measured]}).encode()
    return [FRAME.pack(len(text), 0) + text]


def _trying(target: Target, at: Range, attack: Attack, variant: Mapping[str, Any]) -> Callable[[], Came]:
    def attempt() -> Came:
        return at.tried(Try(_program(target, at, attack, variant), attack.base, _wall(target, at, attack)), attack.bomb)

    return attempt


def _wall(target: Target, at: Range, attack: Attack) -> gallery.Wall:
    """What an attack meets in this problem. An evaluator of the author's own may have none of our walls."""
    if target.problem.kind == "command":
        return "-" if attack.wall in (TIMING, "separate process", "fresh inputs", "ruler") else attack.wall
    return "separate process" if attack.wall == TIMING and not at.yard.timed else attack.wall


def off_by_one(target: Target, at: Range) -> float | None:
    """What answers that are off by one score; None where they are refused."""
    plain = Attack("", "off by one", "wrong", "ruler", "")
    verdict = at.brief(_program(target, at, plain, {}))
    return verdict.score if verdict.verdict == "accepted" else None


def _program(target: Target, at: Range, attack: Attack, variant: Mapping[str, Any]) -> dict[str, bytes]:
    aim = {**target.aim(at, attack, at.yard.forged()), **variant}
    text = candidate(target.interface, target.seed[target.interface.file], aim)
    return {**target.seed, target.interface.file: text}


def _unless_passing(
    target: Target, at: Range, attempt: Callable[[], Came], variant: Mapping[str, Any]
) -> Callable[[], Came]:
    """A number that is not finite is only then let through wrongly when another wrong number in its place is not."""

    def control() -> Came:
        came = attempt()
        if not came.gains or variant["where"] is None:
            return came
        plain = Attack("", "one number", "wrong", "ruler", "")
        other = _trying(target, at, plain, {"where": variant["where"], "value": 10**9})()
        return replace(came, gains=False, outcome=HARMLESS, stopped="ruler") if other.gains else came

    return control


def _shadowed(target: Target, at: Range, forged: float) -> Check:
    aim = {**target.aim(at, None, forged), "names": ()}
    planted = {**target.seed, **shadows(target.problem, target.interface, aim)}
    name = "files that act by themselves"
    kept = graft(target.problem, planted).keys() - target.problem.seed.keys()
    wall: gallery.Wall = "separate process" if kept else "intake"
    found = row(name, PYTHON, advice.GLOBS, [lambda: at.tried(Try(planted, "seed", wall))])
    said = f"; {len(kept)} of {len(planted) - len(target.seed)} files were taken" if kept else "; none was taken"
    return replace(found, detail=found.detail + said)


# ── C ────────────────────────────────────────────────────────────────────────────────────────────


def c_rows(target: Target, at: Range) -> Iterator[Row]:
    """For a program that is C, compiled in the jail."""
    file = target.interface.file
    secret = os.path.join(target.problem.folder, "judge", next(iter(target.judge), ""))
    for attack in c_attacks(target.interface, target.seed[file], at.yard.forged(), secret):
        why = BARE if attack.bomb and not target.holds else SAME if attack.varied and not target.varied else ""
        if why:
            yield attack.name, partial(skipped, attack.name, C, why)
            continue
        one = Try({**target.seed, file: attack.text}, attack.base, attack.wall)
        tries = [partial(at.tried, one, attack.bomb)]
        yield attack.name, partial(row, attack.name, C, attack.cure, tries)


# ── data ─────────────────────────────────────────────────────────────────────────────────────────


Weigh = Callable[[bytes], float | None]


def data_rows(target: Target, at: Range, made: bytes, weigh: Weigh) -> Iterator[Row]:
    """For what is measured as data: an artefact, or an editable file that is one. `made` is the seed's."""
    forged = at.yard.forged()
    code = CODE.replace("DOCUMENTS", repr(_documents(target, forged)))
    bad, unchecked, stated = advice.EVALUATES, advice.UNCHECKED, advice.REPORTED
    yield _data_row(at, "code in the artefact", bad, weigh, [*data.runs(code)])
    yield _data_row(at, "half of the artefact, or two", unchecked, weigh, [*data.parts(made)], held=True)
    apart = data.taken_apart(made)
    if apart is None:
        for name in ("every number one more", "a better number in the artefact", "numbers that are not finite"):
            why = "the artefact is no JSON or text of at least two numbers"
            yield name, partial(skipped, name, DATA, why)
        return
    yield _data_row(at, "every number one more", unchecked, weigh, [apart.all(data.plus_one)])
    name = "a better number in the artefact"
    yield name, lambda: _followed(target, at, apart, weigh, stated)
    name_nan = "numbers that are not finite"
    yield name_nan, lambda: _not_finite(target, at, apart, weigh, advice.FINITE)


def _data_row(at: Range, name: str, cure: str, weigh: Weigh, contents: list[bytes], *, held: bool = False) -> Row:
    tries = [partial(_came, at, weigh, content, held) for content in contents]
    return name, lambda: row(name, DATA, cure, tries)


def _came(at: Range, weigh: Weigh, content: bytes, held: bool = False) -> Came:
    return _weighed(at, weigh, content, held)[0]


def _weighed(at: Range, weigh: Weigh, content: bytes, held: bool = False) -> tuple[Came, float | None]:
    """What comes of data, and its score. `held`: what cannot be right gains too when only a person would notice."""
    try:
        score = weigh(content)
    except JudgeFailed as failed:
        return Came("ruler fails", words(failed), "-", fault=True), None
    if score is None:
        return Came("rejected", f"the ruler refuses {_start(content)}", "parser"), None
    gains = at.yard.gained(score) and (held or not at.yard.metric.beyond_possible(score))
    said = f"{_start(content)} gets {shown(score)}"
    return Came(GAINED, said, "-", gains=True) if gains else Came(HONEST, said, "ruler"), score


def _start(content: bytes) -> str:
    return ascii(content[:24].decode("utf-8", "replace")) + ("…" if len(content) > 24 else "")


def _followed(target: Target, at: Range, apart: data.Artefact, weigh: Weigh, cure: str) -> Check:
    """Does the score follow a number that is written in? One better score alone may be an honest change."""
    values = (0, -1, at.yard.forged(), 10**6 + 7, -(10**6) - 7)

    def leaf(where: int) -> Came:
        better = set()
        for value in values:
            came, score = _weighed(at, weigh, apart.one(where, value))
            if came.fault:
                return came
            better |= {score} if came.gains else set()
        if len(better) > 1:
            return Came(GAINED, f"number {where + 1} of {len(apart.numbers)} sets the score", "-", gains=True)
        return Came("rejected or no better", f"{len(values)} values for each of some numbers", "ruler")

    return row("a better number in the artefact", DATA, cure, [partial(leaf, where) for where in apart.chosen])


def _not_finite(target: Target, at: Range, apart: data.Artefact, weigh: Weigh, cure: str) -> Check:
    """NaN in place of all numbers, and of single ones for which another wrong number is refused."""

    def everywhere(value: float) -> Came:
        came, score = _weighed(at, weigh, apart.all(lambda _: value))
        gains = score is not None and at.yard.level(score) and not at.yard.metric.beyond_possible(score)
        return replace(came, gains=True, outcome=GAINED, stopped="-") if gains else came

    def single(where: int, value: float) -> Came:
        came, score = _weighed(at, weigh, apart.one(where, value))
        if came.fault or score is None:
            return came
        refused = weigh(apart.one(where, 10**9 + 7)) is None
        why = f"number {where + 1} may be {value}, where another wrong number is refused"
        return Came(GAINED, why, "-", gains=True) if refused else replace(came, gains=False, outcome=HARMLESS)

    tries = [partial(everywhere, value) for value in data.NOT_FINITE]
    tries += [partial(single, where, math.nan) for where in apart.chosen]
    return row("numbers that are not finite", DATA, cure, tries)
