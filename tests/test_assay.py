"""What a score has to pass before it counts: confirmations, a person, the best in a duel; and what agents hear of it.
With a judge that does as it is told at the injected boundary; record, trees and policy are real."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from kernelfactory import problem, recovery
from kernelfactory.assay import Assay, Rooms
from kernelfactory.contest import Contest
from kernelfactory.experiment import Settings, create, load_problem, prompts
from kernelfactory.factory import Factory, Worker
from kernelfactory.files import tree_id
from kernelfactory.judge import JudgeFailed
from kernelfactory.model import BadInput, Duel, Files, Flag, Limits, Refused, Ruler, Trust, Usage, Verdict, Work
from kernelfactory.policy import Greedy
from kernelfactory.quarantine import REJECTED, Word
from kernelfactory.record import Crew, Record, RecordRefused, Start
from kernelfactory.trees import Trees

WORKER = Worker("w", "agent", None, "none", Limits(seconds=60.0))
START = Start(60.0, "none", "judged", "python", "x", crew=(Crew("agent", None, 1),))
SEED = 1000

HEAD = """name = "stand"
editable = ["number.txt"]
"""
JUDGED = (
    HEAD
    + """kind = "artefact"
[metric]
name = "points"
unit = "points"
goal = "min"
impossible = 0
[measure]
ruler = "ruler:measure"
"""
)
REPORTED = (
    HEAD
    + """kind = "command"
[metric]
name = "points"
unit = "points"
goal = "min"
[evaluate]
command = ["python", "evaluate.py"]
jump = 2.0
"""
)
TIMED = (
    HEAD
    + """kind = "function"
[call]
function = "program:solve"
[metric]
name = "speedup"
unit = "x"
goal = "max"
[measure]
ruler = "ruler:measure"
timed = true
"""
)


def folder_of(base: Path, toml: str, *more: str) -> Path:
    """A problem whose one editable file holds a number."""
    folder = base / "problem"
    texts = {"problem.toml": toml, "task.md": "Make it better.\n", "seed/number.txt": str(SEED), "seed/program.py": ""}
    for name in (*texts, "judge/ruler.py", "judge/evaluate.py", *more):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(texts.get(name, "x"))
    return folder


class Stand:
    """A judge: a program's score is its number, unless `screened` or `confirmed` says otherwise; `speeds` are what
    duels show; `codes` are rejections by purpose."""

    jail_name = "none"

    def __init__(self, folder: Path, trust: Trust = "judged", ruler: str = "first") -> None:
        self.problem = problem.load(folder)
        self.ruler, self.trust = Ruler("python", ruler), trust
        self.screened: dict[int, float] = {}
        self.confirmed: dict[int, float] = {}
        self.codes: dict[tuple[str, int], str] = {}
        self.speeds: dict[int, float] = {}
        self.margin = 0.01
        self.width = 0.02
        self.broken: set[int] = set()
        self.flags: tuple[Flag, ...] = ()
        self.asked: list[tuple[Any, ...]] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def screen(self, files: Files, bar: float | None = None) -> Verdict:
        number = int(files["number.txt"])
        self.asked.append(("screen", number, bar))
        return self._verdict(files, "screen", self.screened.get(number, float(number)))

    def confirm(self, files: Files, times: int = 1) -> Verdict:
        number = int(files["number.txt"])
        self.asked.append(("confirm", number, times))
        score = self.confirmed.get(number, self.screened.get(number, float(number)))
        return self._verdict(files, "confirm", score)

    def duel(self, files: Files, against: Files) -> Duel:
        first, second = (int(side["number.txt"]) for side in (files, against))
        self.asked.append(("duel", first, second))
        self.meanwhile()
        if first in self.broken:
            raise JudgeFailed("two programs could not be compared")
        ratio = self.speeds[first] / self.speeds[second]
        return Duel(ratio, ratio - self.margin, ratio + self.margin, 64)

    def quick(self, files: Files) -> dict[str, Any]:
        return {"quick": True, "ok": True, "figure": 1.0, "reason": None}

    def _verdict(self, files: Files, purpose: str, score: float) -> Verdict:
        number = int(files["number.txt"])
        good = Verdict(
            verdict="accepted",
            score=score,
            problem="stand",
            digest=self.problem.digest,
            tree=tree_id({**self.problem.seed, **files}),
            jail=self.jail_name,
            trust=self.trust,
            ruler=self.ruler,
            seconds=1.0,
            inputs=4,
            confirmed=purpose == "confirm",
            measures={purpose: 1.0},
            instruments={"data": f"{purpose} of {number}"},
            flags=self.flags,
            interval=(score - self.width, score + self.width) if self.problem.measure.timed else None,
        )
        if code := self.codes.get((purpose, number)):
            refused = replace(good, verdict="rejected", score=None, confirmed=False, interval=None)
            return replace(refused, reason=f"{purpose}: {code}", reason_code=code)  # type: ignore[arg-type]
        if self.problem.metric.beyond_possible(score):
            return replace(good, verdict="quarantined", confirmed=False, reason="a person must look at it")
        return good

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [asked for asked in self.asked if asked[0] == kind]


class House:
    """One experiment with a stand-in for its judge; a desk on it at a time."""

    def __init__(self, base: Path, toml: str, *more: str, trust: Trust = "judged") -> None:
        self.source = folder_of(base, toml, *more)
        self.judge = Stand(self.source, trust)
        if self.judge.problem.measure.timed:
            self.judge.screened[SEED] = self.judge.speeds[SEED] = 1.0
        self.folder = base / "x"
        create(self.folder, self.judge, Settings(policy="greedy"))  # type: ignore[arg-type]
        self.kind: type[Factory] = Factory
        self.desk = self.open()
        self.judge.asked.clear()

    def open(self, judge: Stand | None = None) -> Factory:
        if hasattr(self, "desk"):
            self.desk.rooms.record.close()
        self.judge = judge or self.judge
        record = Record.open(self.folder)
        rooms = Rooms(
            folder=self.folder,
            problem=load_problem(self.folder, record.experiment),
            record=record,
            trees=Trees(self.folder / "trees.git"),
            judge=self.judge,  # type: ignore[arg-type]
            policy=Greedy(),
            prompts=prompts(),
        )
        self.desk = self.kind(rooms, record.start_run(START, 1.0))
        return self.desk

    def another(self, ruler: str = "second", trust: Trust = "judged") -> Stand:
        """Another judge, and a desk with it."""
        judge = Stand(self.source, trust, ruler)
        judge.screened, judge.speeds = self.judge.screened, self.judge.speeds
        self.open(judge)
        return judge

    @property
    def record(self) -> Record:
        return self.desk.rooms.record

    def hand_in(self, number: int, notes: str = "", *, measure: bool = True) -> Any:
        assignment = self.desk.claim(WORKER)
        files = {"number.txt": str(number).encode()}
        if measure:
            self.answer = self.desk.measure(assignment.token, files)
        return self.desk.submit(assignment.token, Work(files, notes, Usage(), "finished"))

    def time(self, number: int, score: float, speed: float | None = None, confirmed: float | None = None) -> Any:
        """Hand in a program with this score, and this speed in duels."""
        self.judge.screened[number] = score
        self.judge.speeds[number] = score if speed is None else speed
        if confirmed is not None:
            self.judge.confirmed[number] = confirmed
        return self.hand_in(number)

    def best(self) -> tuple[int, float]:
        """The best, on which record, population and best/ agree."""
        on_record, live = self.record.best(), self.desk.population.best
        assert on_record is not None and live is not None
        assert (on_record.attempt, on_record.score) == (live.attempt, live.score)
        tree = tree_id({**self.judge.problem.seed, "number.txt": (self.folder / "best/number.txt").read_bytes()})
        assert tree == on_record.tree
        return on_record.attempt, on_record.score

    def row(self, attempt: int) -> tuple[Any, ...]:
        row = self.record.attempt(attempt)
        return row.outcome, row.score, row.confirmed, row.flagged

    def last(self) -> Verdict:
        return self.record.measurements(self.record.next_attempt() - 1)[-1].verdict


def said(steps: recovery.Steps) -> str:
    return "\n".join(filter(None, steps))


def release(house: House, attempt: int) -> list[int]:
    return house.desk.decide(Word(attempt, "release", "ada", "looked at it"))


def reject(house: House, attempt: int) -> list[int]:
    return house.desk.decide(Word(attempt, "reject", "ada"))


# ── an unusual score of a judged problem ─────────────────────────────────────────────────────────


def test_an_unusual_jump_of_a_judged_problem_costs_a_larger_confirmation_and_no_person(tmp_path: Path) -> None:
    house = House(tmp_path, JUDGED)
    house.hand_in(900)
    house.hand_in(300)
    assert house.judge.of("confirm") == [("confirm", 900, 1), ("confirm", 300, 4)]
    assert house.best() == (2, 300.0) and house.record.held() == []


def test_what_does_not_pass_the_larger_confirmation_is_rejected(tmp_path: Path) -> None:
    house = House(tmp_path, JUDGED)
    house.judge.codes["confirm", 300] = "wrong_answer"
    assert house.hand_in(300).outcome == "rejected" and house.best() == (0, 1000.0)


# ── self-reported scores ─────────────────────────────────────────────────────────────────────────


def reported(tmp_path: Path) -> House:
    return House(tmp_path, REPORTED, trust="self-reported")


def test_a_jump_of_a_self_reported_score_waits_for_a_person(tmp_path: Path) -> None:
    house = reported(tmp_path)
    assert house.hand_in(600).outcome == "improved"
    handed = house.hand_in(100, "trust me")
    assert (handed.outcome, handed.score) == ("quarantined", None)
    assert (house.answer["verdict"], house.answer["score"]) == ("quarantined", 100)
    assert house.judge.of("confirm") == [("confirm", 600, 1), ("confirm", 100, 1)]
    assert house.best() == (1, 600.0)
    (held,) = house.record.held()
    assert (held.attempt, held.score, held.parent_score) == (2, 100.0, 600.0)
    assert "more than a factor of 2" in (held.reason or "")
    assert "trust me" not in house.desk.claim(WORKER).brief
    assert house.hand_in(400).outcome == "improved", "what is no jump goes on"


def test_a_jump_that_does_not_repeat_wakes_nobody(tmp_path: Path) -> None:
    house = reported(tmp_path)
    house.judge.confirmed[100] = 900.0
    assert (house.hand_in(100).outcome, house.best()) == ("improved", (1, 900.0))
    house.judge.codes["confirm", 50] = "crashed"
    assert house.hand_in(50).outcome == "rejected" and house.record.held() == []


def test_a_released_program_is_a_candidate_the_best_and_a_parent(tmp_path: Path) -> None:
    house = reported(tmp_path)
    house.hand_in(100, "halve it")
    assert house.row(1) == ("quarantined", None, False, True)
    assert release(house, 1) == [1]
    assert house.row(1) == ("improved", 100.0, True, False)
    assert house.best() == (1, 100.0) and house.record.held() == []
    assignment = house.desk.claim(WORKER)
    assert (assignment.parent, assignment.parent_score) == (1, 100.0) and "halve it" in assignment.brief
    (decision,) = house.record.decisions()
    assert (decision.decision, decision.who, decision.why, decision.attempt) == ("release", "ada", "looked at it", 1)
    assert house.record.measurements(1)[-1].verdict.confirmed
    house.open()  # folded anew, it is the same
    assert house.best() == (1, 100.0)
    assert [c.attempt for island in house.desk.population.islands for c in island.live() if c.attempt == 1]


def test_a_released_program_is_not_held_again(tmp_path: Path) -> None:
    house = reported(tmp_path)
    house.hand_in(100)
    release(house, 1)
    judged = len(house.judge.asked)
    again = house.hand_in(100)  # the same tree: known
    assert again.score == 100.0 and len(house.judge.asked) == judged
    recovery.stand_by_best(house.desk)
    assert said(recovery.stand_by_best(house.desk)).endswith("it stands")
    house.another("second", "self-reported")
    said(recovery.under_this_ruler(house.desk))
    assert house.best()[1] == 100.0 and house.record.held() == []


def test_a_rejected_program_stays_out_whoever_hands_it_in(tmp_path: Path) -> None:
    house = reported(tmp_path)
    house.hand_in(100, "the trick is to lie")
    assert reject(house, 1) == [1]
    assert house.row(1) == ("rejected", None, False, True) and house.record.held() == []
    judged = len(house.judge.asked)
    again = house.hand_in(100, "the trick again")
    assert again.outcome == "rejected" and len(house.judge.asked) == judged
    assert (house.answer["reason"], house.answer["reason_code"]) == (REJECTED, "forged")
    judge = house.another("second", "self-reported")
    judge.confirmed[100] = judge.screened[100] = 990.0  # nothing unusual any more, under another ruler
    assert house.hand_in(100).outcome == "rejected" and judge.asked == []
    assert "trick" not in house.desk.claim(WORKER).brief and house.best() == (0, 1000.0)


def test_a_program_that_waits_is_held_once_and_decided_once(tmp_path: Path) -> None:
    house = reported(tmp_path)
    house.hand_in(100)
    judged = len(house.judge.asked)
    assert house.hand_in(100).outcome == "quarantined"
    assert len(house.judge.asked) == judged, "it is judged again each time"
    assert [held.attempt for held in house.record.held()] == [1], "the same program asks twice"
    assert release(house, 1) == [1, 2]
    assert house.row(1)[0] == house.row(2)[0] == "improved"


def test_a_person_may_think_again(tmp_path: Path) -> None:
    house = reported(tmp_path)
    house.hand_in(100)
    release(house, 1)
    with pytest.raises(BadInput, match="released already, by ada"):
        release(house, 1)
    reject(house, 1)
    assert house.row(1) == ("rejected", None, False, True) and house.best() == (0, 1000.0)
    release(house, 1)
    assert house.best() == (1, 100.0)
    assert [d.decision for d in house.record.decisions(1)] == ["release", "reject", "release"]


def test_there_must_be_something_to_decide(tmp_path: Path) -> None:
    house = reported(tmp_path)
    house.hand_in(900)
    with pytest.raises(BadInput, match="nothing in quarantine"):
        release(house, 1)
    with pytest.raises(BadInput, match="no attempt 77"):
        release(house, 77)
    running = house.desk.claim(WORKER)
    house.desk.measure(running.token, {"number.txt": b"5"})
    with pytest.raises(BadInput, match="still at work"):
        release(house, 2)
    assert house.record.held() == [] and house.record.decisions() == []


def test_a_valid_result_beside_one_in_quarantine(tmp_path: Path) -> None:
    house = reported(tmp_path)
    assignment = house.desk.claim(WORKER)
    for number in (100, 90, 800):
        house.desk.measure(assignment.token, {"number.txt": str(number).encode()})
    work = Work({"number.txt": b"800"}, "", Usage(), "finished")
    assert house.desk.submit(assignment.token, work).score == 800.0
    (held,) = house.record.held()
    assert (held.score, held.programs) == (90.0, 2)
    reject(house, 1)
    assert house.row(1)[:2] == ("improved", 800.0) and house.best() == (1, 800.0)
    assert {d.tree for d in house.record.decisions()} == {m.verdict.tree for m in house.record.in_quarantine(1)}
    release(house, 1)
    assert house.best() == (1, 90.0), "only the best of them is released"
    assert len(house.record.decisions()) == 3


def test_impossible_scores_wait_and_may_be_released(tmp_path: Path) -> None:
    house = House(tmp_path, JUDGED)
    assert house.hand_in(-5).outcome == "quarantined"
    assert house.judge.of("confirm") == [("confirm", -5, 4)], "a person is asked about what did not repeat"
    release(house, 1)
    assert house.best() == (1, -5.0)
    assert said(recovery.stand_by_best(house.desk)).endswith("it stands"), "it is held again when judged again"
    house.judge.confirmed[-7] = 3.0
    assert (house.hand_in(-7).outcome, house.record.held()) == ("worse", [])


def test_decisions_are_written_once(tmp_path: Path) -> None:
    house = reported(tmp_path)
    house.hand_in(100)
    release(house, 1)
    for change in ("UPDATE decision SET who = 'eve'", "DELETE FROM decision"):
        with pytest.raises(RecordRefused, match=r"written once|never deleted"):
            house.record._all(change)


def test_without_the_rule_a_jump_is_simply_taken(tmp_path: Path) -> None:
    """The injected fault: an assay that suspects nothing."""

    class Trusting(Assay):
        def _suspected(self, verdict: Verdict) -> Verdict:
            return verdict

    class Gullible(Factory):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.assay = Trusting(self.rooms, self.population)

    house = reported(tmp_path)
    house.kind = Gullible
    house.open()
    house.hand_in(100)
    assert house.best() == (1, 100.0)


# ── trust ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("weak", ["self-reported", "unprotected", "judged-weak"])
def test_a_lower_trust_never_replaces_a_higher_best_and_is_judged_again_by_a_stronger(
    weak: Trust, tmp_path: Path
) -> None:
    house = House(tmp_path, JUDGED)
    house.hand_in(900)
    house.another("first", weak)
    assert house.hand_in(500).outcome == "improved"
    assert house.best() == (1, 900.0)
    strong = house.another("first", "judged")
    assert house.best() == (1, 900.0)
    assert house.hand_in(500).score == 500.0, "the same program, judged where it counts"
    assert ("screen", 500, None) in strong.asked and house.best() == (3, 500.0)


@pytest.mark.parametrize("weak", ["self-reported", "unprotected", "judged-weak"])
def test_a_weak_best_is_judged_again_when_the_stronger_level_is_there(weak: Trust, tmp_path: Path) -> None:
    house = House(tmp_path, JUDGED, trust=weak)
    house.hand_in(800)
    house.hand_in(700)
    strong = house.another("first", "judged")
    strong.codes["confirm", 700] = "wrong_answer"
    told = said(recovery.under_this_ruler(house.desk))
    assert "did not stand" in told and house.best() == (1, 800.0)
    best = house.record.best()
    assert best is not None and best.trust == "judged"


# ── timed scores ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def timed(tmp_path: Path) -> House:
    return House(tmp_path, TIMED)


def test_a_faster_program_is_the_best_after_a_duel(timed: House) -> None:
    assert timed.time(1, 1.5).outcome == "improved"
    assert timed.judge.of("screen")[0] == ("screen", 1, 1.0), "the parent's score is no bar"
    assert timed.judge.of("duel") == [("duel", 1, SEED)]
    assert timed.best() == (1, 1.5)
    assert timed.last().interval == (1.48, 1.52)
    (fight,) = timed.record.duels()
    assert (fight.attempt, fight.against, fight.ratio, fight.pairs) == (1, 0, 1.5, 64)
    assert timed.time(2, 2.0).outcome == "improved" and timed.best() == (2, 2.0)
    assert timed.judge.of("duel")[1:] == [("duel", 2, 1)]


def test_luck_does_not_win(timed: House) -> None:
    """Lucky twice, in screening and confirmation, and no faster than the best when both are timed together."""
    timed.time(1, 1.5)
    handed = timed.time(2, 1.7, speed=1.5)
    assert timed.best() == (1, 1.5)
    assert (handed.score, timed.last().confirmed) == (1.5, False)
    assert timed.time(3, 1.8, speed=1.5, confirmed=1.4).score == 1.4, "the worst of what was seen"
    assert timed.time(4, 1.6).outcome == "improved" and timed.best() == (4, 1.6)


def test_without_the_duel_luck_wins(timed: House) -> None:
    """The injected fault: a contest that everybody wins."""

    class Easy(Contest):
        def won(self, side: Any, files: Files, verdict: Verdict) -> Verdict:
            return verdict

    timed.time(1, 1.5)
    rooms = timed.desk.rooms
    timed.desk.assay.contest = Easy(rooms.record, rooms.judge, timed.desk.assay.editable, rooms.clock)
    timed.time(2, 1.7, speed=1.5)
    assert timed.best() == (2, 1.7)


def test_an_unlucky_confirmation_costs_no_faster_program_the_lead(timed: House) -> None:
    timed.time(1, 1.5)
    timed.time(2, 1.6, speed=1.65, confirmed=1.45)
    attempt, score = timed.best()
    assert attempt == 2 and score == pytest.approx(1.5 * (1.1 - 0.01)), "as much better as the duel shows at least"


def test_asking_often_wins_nothing(timed: House) -> None:
    timed.time(1, 1.5)
    for _ in range(3):
        timed.time(2, 1.7, speed=1.5)
    assert timed.judge.of("duel")[1:] == [("duel", 2, 1)], "one duel for two programs"
    assert len(timed.judge.of("screen")) == 4, "timed verdicts come from no cache"
    assert not any(m.cached for n in range(1, 5) for m in timed.record.measurements(n))
    timed.judge.screened[1] = 1.9  # the best itself, handed in again on a lucky day
    timed.hand_in(1)
    assert timed.best() == (1, 1.5)


@pytest.mark.parametrize(("speed", "outcome"), [(1.45, "worse"), (1.5, "equal"), (1.56, "improved")])
def test_scores_that_overlap_are_decided_by_a_duel_with_the_parent(timed: House, speed: float, outcome: str) -> None:
    timed.time(1, 1.5)
    handed = timed.time(2, 1.49, speed=speed)
    assert handed.outcome == outcome
    assert timed.judge.of("duel")[1:] == [("duel", 2, 1)]
    assert timed.best() == (1, 1.5)


def test_scores_far_apart_need_no_duel(timed: House) -> None:
    timed.time(1, 1.5)
    assert timed.time(2, 1.2).outcome == "worse" and timed.judge.of("duel")[1:] == []
    timed.judge.screened[1] = 1.1
    assert timed.hand_in(1).outcome == "equal", "the parent itself is equal, whatever the clock said"


def test_a_duel_that_cannot_be_had_shows_nothing(timed: House) -> None:
    timed.time(1, 1.5)
    timed.judge.broken |= {2, 3}
    assert timed.time(2, 1.9).outcome == "equal"
    assert timed.best() == (1, 1.5)
    assert timed.time(3, 1.5).outcome == "equal"


def two_at_once(timed: House) -> None:
    """Two programs as fast as each other, both measured while the seed is the best, then handed in."""
    first, second = timed.desk.claim(WORKER), timed.desk.claim(WORKER)
    timed.judge.screened |= {1: 1.5, 2: 1.6}
    timed.judge.speeds |= {1: 1.5, 2: 1.5}
    for assignment, number in ((first, 1), (second, 2)):
        answer = timed.desk.measure(assignment.token, {"number.txt": str(number).encode()})
        assert answer["confirmed"], "both are faster than the seed"
    for assignment, number in ((first, 1), (second, 2)):
        files = {"number.txt": str(number).encode()}
        timed.desk.submit(assignment.token, Work(files, "", Usage(), "finished"))


def test_a_best_that_comes_up_meanwhile_must_be_met_too(timed: House) -> None:
    two_at_once(timed)
    assert timed.judge.of("duel")[2:] == [("duel", 2, 1)]
    assert timed.best() == (1, 1.5) and timed.row(2)[1:3] == (1.5, False)


def test_without_a_last_look_the_luckier_of_two_wins(timed: House) -> None:
    """The injected fault: results are written without a look at who leads by then."""

    class Hasty(Assay):
        def compare(self, attempt: int) -> None:
            pass

    timed.desk.assay = Hasty(timed.desk.rooms, timed.desk.population)
    two_at_once(timed)
    assert timed.best() == (2, 1.6)


def test_every_best_has_beaten_the_one_before_whoever_else_is_at_work(timed: House) -> None:
    dice, failures = random.Random(5), []
    for number in range(1, 41):
        timed.judge.speeds[number] = 1.0 + number / 40
        timed.judge.screened[number] = timed.judge.speeds[number] + dice.uniform(-0.2, 0.2)

    def work(numbers: range) -> None:
        try:
            for number in numbers:
                assignment = timed.desk.claim(WORKER)
                files = {"number.txt": str(number).encode()}
                timed.desk.measure(assignment.token, files)
                timed.desk.submit(assignment.token, Work(files, "", Usage(), "finished"))
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(range(n, 41, 4),), daemon=True) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300.0)
    assert not failures and not any(thread.is_alive() for thread in threads)
    bests = [timed.record.attempt(point.attempt) for point in timed.record.curve()]
    assert len(bests) > 3
    for old, new in pairwise(bests):
        met = timed.record.fought(new.tree or "", old.tree or "")
        assert met is not None and met.better, f"attempt {new.attempt} leads without having beaten {old.attempt}"
    assert timed.best()[0] == bests[-1].attempt


def test_no_duel_is_fought_inside_a_transaction(timed: House) -> None:
    seen: list[bool] = []

    def look() -> None:
        seen.append(timed.record._inside())

    timed.judge.meanwhile = look
    timed.time(1, 1.5)
    timed.time(2, 1.51, speed=1.5)
    left = timed.desk.claim(WORKER)
    timed.judge.screened[3] = timed.judge.speeds[3] = 1.5
    timed.desk.measure(left.token, {"number.txt": b"3"})
    timed.desk.reap(timed.desk.rooms.clock() + 10_000.0)
    assert len(seen) >= 3 and not any(seen)
    with timed.record.transaction():
        look()
    assert seen[-1], "the look is blind"


def test_at_the_end_the_best_meets_the_next_best(timed: House) -> None:
    timed.time(1, 1.5)
    timed.time(2, 1.6)
    timed.judge.asked.clear()
    assert "it stands" in said(recovery.stand_by_best(timed.desk))
    assert timed.judge.of("duel") == [("duel", 2, 1)]
    timed.judge.confirmed[2] = 1.3  # an unlucky measurement, and no slower in the duel
    assert "it stands" in said(recovery.stand_by_best(timed.desk))
    attempt, score = timed.best()
    assert attempt == 2 and score == pytest.approx(1.5)
    timed.judge.speeds[2] = 1.2  # luck had it best
    told = said(recovery.stand_by_best(timed.desk))
    assert "attempt 2 is slower than attempt 1 on fresh pairs" in told and "it stands" in told
    assert timed.best() == (1, 1.5)


def test_the_only_best_meets_the_seed(timed: House) -> None:
    timed.time(1, 1.5)
    timed.judge.speeds[1] = 0.9
    said(recovery.stand_by_best(timed.desk))
    assert timed.best() == (0, 1.0)


def test_timeouts_are_kept_apart_from_wrong_answers(timed: House) -> None:
    timed.judge.codes |= {("screen", 5): "timeout", ("screen", 6): "wrong_answer", ("screen", 7): "timeout"}
    for number in (5, 6, 7):
        timed.time(number, 1.2)
    assert timed.record.status()["reasons"] == {"timeout": 2, "wrong_answer": 1}


def test_duels_count_as_judge_time(timed: House) -> None:
    before = timed.record.spent().judge_seconds
    timed.time(1, 1.5)
    fought = sum(fight.seconds for fight in timed.record.duels())
    assert fought > 0 and timed.record.spent().judge_seconds == pytest.approx(before + 2.0 + fought)
    assert timed.record.judge_seconds(1) == pytest.approx(2.0 + fought)


# ── data of its own for confirmations ────────────────────────────────────────────────────────────

SECRET = 7777


@pytest.fixture
def separate(tmp_path: Path) -> House:
    return House(tmp_path, JUDGED, "judge/screen/a", "judge/confirm/b")


def told_to_agents(house: House) -> str:
    """All that the next agent is given to read, and the answers so far."""
    assignment = house.desk.claim(WORKER)
    shown = replace(assignment, brief="", token="")
    return f"{assignment.brief}\n{shown}\n{json.dumps(house.answer)}"


def test_agents_only_ever_hear_of_the_screening(separate: House) -> None:
    house = separate
    house.judge.confirmed[700] = float(SECRET) / 10
    handed = house.hand_in(700, "shorter")
    assert handed.score == 777.7 and house.best() == (1, 777.7)
    assert house.last().screened == 700.0
    assert (house.answer["score"], house.answer["best_here"], house.answer["confirmed"]) == (700, 700, True)
    assert house.answer["instruments"] == {"data": "screen of 700"} and house.answer["measures"] == {"screen": 1.0}
    read = told_to_agents(house)
    assert "777" not in read and "700" in read and "confirm of" not in read
    house.hand_in(750, "an answer with the best of others")
    assert (house.answer["best_score"], house.answer["parent_score"]) == (700, 700)
    assert "777" not in told_to_agents(house)
    row = house.record.attempt(2)
    assert row.parent_score == 777.7, "the record knows"


def test_of_a_confirmation_that_fails_an_agent_hears_no_more_than_no(separate: House) -> None:
    house = separate
    house.judge.codes["confirm", 700] = "wrong_answer"
    assert house.hand_in(700).outcome == "rejected"
    assert house.last().reason == "confirm: wrong_answer", "a person may know why"
    assert house.answer["verdict"] == "rejected" and house.answer["score"] is None
    assert "confirm: wrong" not in json.dumps(house.answer) and house.answer["reason_code"] is None
    assert house.answer["instruments"] == {"data": "screen of 700"}


def test_judged_again_it_is_still_the_screening_that_agents_hear_of(separate: House) -> None:
    house = separate
    house.judge.confirmed[700] = 777.7
    house.hand_in(700)
    assert "it stands" in said(recovery.stand_by_best(house.desk))
    assert house.best() == (1, 777.7)
    assert "777" not in told_to_agents(house)


def test_without_the_care_the_secret_is_told(tmp_path: Path) -> None:
    """The injected fault: a problem whose sets are not declared apart."""
    house = House(tmp_path, JUDGED)
    house.judge.confirmed[700] = 777.7
    house.hand_in(700)
    assert "777" in told_to_agents(house)


# ── flags ────────────────────────────────────────────────────────────────────────────────────────


def test_agents_never_see_flags(tmp_path: Path) -> None:
    house = House(tmp_path, JUDGED)
    house.judge.flags = (Flag("gc", "number.txt:1", "gc.get_objects"),)
    assert house.hand_in(700, "what I did").outcome == "improved", "honest code that looks guilty is accepted"
    house.judge.flags = ()
    house.hand_in(600, "clean")
    assert house.record.flags(1) and house.row(1)[3]
    read = told_to_agents(house)
    assert "get_objects" not in read and "flag" not in read.lower()
    assert "what I did" not in read and "clean" in read, "notes of flagged attempts do not travel"


# ── measuring is no oracle ───────────────────────────────────────────────────────────────────────


def test_judge_time_is_capped(tmp_path: Path) -> None:
    house = House(tmp_path, JUDGED)
    assignment = house.desk.claim(replace(WORKER, limits=Limits(seconds=60.0, judge_seconds=3.0)))
    for number in (2000, 2001, 2002):
        house.desk.measure(assignment.token, {"number.txt": str(number).encode()})
    with pytest.raises(Refused, match="has had all its measurements"):
        house.desk.measure(assignment.token, {"number.txt": b"2003"})
    assert [(r.verb, r.times) for r in house.record.refusals()] == [("measure", 1)]
    free = house.desk.claim(WORKER)
    house.desk.measure(free.token, {"number.txt": b"2003"})


def test_one_measurement_of_an_attempt_at_a_time(tmp_path: Path) -> None:
    house = House(tmp_path, JUDGED)
    inside, go, refused = threading.Event(), threading.Event(), []
    screen = house.judge.screen

    class Slow(Stand):
        def screen(self, files: Files, bar: float | None = None) -> Verdict:
            inside.set()
            go.wait(60.0)
            return screen(files, bar)

    house.judge.__class__ = Slow
    assignment = house.desk.claim(WORKER)
    thread = threading.Thread(target=house.desk.measure, args=(assignment.token, {"number.txt": b"900"}))
    thread.start()
    assert inside.wait(60.0)
    try:
        house.desk.measure(assignment.token, {"number.txt": b"901"})
    except Refused as error:
        refused.append(str(error))
    go.set()
    thread.join(60.0)
    assert len(refused) == 1 and "still running" in refused[0]
