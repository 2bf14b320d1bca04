"""What happens when a verdict does not stand, a judge fails, a claim is rolled back: with a judge that does as it is
told at the injected boundary; record, trees and policy are real."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kernelfactory import problem, recovery
from kernelfactory.assay import Rooms
from kernelfactory.budget import Caps
from kernelfactory.experiment import Settings, create, load_problem, prompts
from kernelfactory.factory import Factory, NoMore, Worker
from kernelfactory.files import tree_id
from kernelfactory.judge import JudgeFailed
from kernelfactory.model import Files, Limits, Ruler, Trust, Usage, Verdict, Work
from kernelfactory.policy import Greedy
from kernelfactory.record import Crew, Record, Start
from kernelfactory.redact import Mask
from kernelfactory.trees import Trees

TINY = Path(__file__).parent / "problems" / "tiny_number"
WORKER = Worker("w", "agent", None, "none", Limits(seconds=60.0))
START = Start(
    60.0,
    "none",
    "judged",
    "python",
    "x",
    crew=(Crew("agent", None, 1), Crew("paid", None, 4, True), Crew("tells", None, 4, True, True)),
)


class Moody:
    """A judge that rejects what is in `wrong`, times out on what is in `slow` and breaks on what is in `broken`."""

    jail_name = "none"

    def __init__(self, source: Path = TINY, ruler: str = "first", trust: Trust = "judged") -> None:
        self.problem = problem.load(source)
        self.ruler, self.trust = Ruler("python", ruler), trust
        self.wrong: set[int] = set()
        self.slow: set[int] = set()
        self.broken: set[int] = set()
        self.asked: list[tuple[str, int]] = []

    def screen(self, files: Files) -> Verdict:
        return self._verdict(files, "screen")

    def confirm(self, files: Files) -> Verdict:
        return self._verdict(files, "confirm")

    def _verdict(self, files: Files, purpose: str) -> Verdict:
        number = int(files["number.txt"])
        self.asked.append((purpose, number))
        if number in self.broken:
            raise JudgeFailed("the ruler of tiny_number divided by zero")
        good = Verdict(
            verdict="accepted",
            score=float(number),
            problem="tiny_number",
            digest=self.problem.digest,
            tree=tree_id({**self.problem.seed, **files}),
            jail=self.jail_name,
            trust=self.trust,
            ruler=self.ruler,
            confirmed=purpose == "confirm",
        )
        if number in self.wrong or number in self.slow:
            code = "wrong_answer" if number in self.wrong else "timeout"
            return replace(good, verdict="rejected", score=None, confirmed=False, reason=code, reason_code=code)
        return good


class House:
    """One experiment folder; a desk on it at a time."""

    def __init__(self, folder: Path, source: Path = TINY) -> None:
        self.folder = folder
        create(folder, Moody(source), Settings(policy="greedy"))  # type: ignore[arg-type]

    def desk(self, judge: Moody, caps: Caps | None = None) -> Factory:
        record = Record.open(self.folder)
        rooms = Rooms(
            folder=self.folder,
            problem=load_problem(self.folder, record.experiment),
            record=record,
            trees=Trees(self.folder / "trees.git"),
            judge=judge,  # type: ignore[arg-type]
            policy=Greedy(),
            prompts=prompts(),
        )
        return Factory(rooms, record.start_run(START, 1.0), caps or Caps())

    def best_file(self) -> bytes:
        return (self.folder / "best/number.txt").read_bytes()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    yield House(tmp_path / "x")


def hand_in(desk: Factory, number: int, *, measure: bool = True) -> Any:
    assignment = desk.claim(WORKER)
    files = {"number.txt": str(number).encode()}
    if measure:
        desk.measure(assignment.token, files)
    return desk.submit(assignment.token, Work(files, f"wrote {number}", Usage(), "finished"))


def said(steps: recovery.Steps) -> str:
    return "\n".join(filter(None, steps))


def best(desk: Factory) -> tuple[float, float]:
    """The best of the record and of the population."""
    on_record, live = desk.rooms.record.best(), desk.population.best
    assert on_record is not None and live is not None
    return on_record.score, live.score


# ── what does not stand ──────────────────────────────────────────────────────────────────────────


def test_a_best_that_falls_is_followed_by_the_next_and_the_search_goes_on(house: House) -> None:
    judge = Moody()
    desk = house.desk(judge)
    for number in (900, 700, 800):
        hand_in(desk, number)
    assert best(desk) == (700.0, 700.0) and house.best_file() == b"700"
    judge.wrong.add(700)
    assert "did not stand" in said(recovery.stand_by_best(desk))
    assert best(desk) == (800.0, 800.0) and house.best_file() == b"800"
    handed = hand_in(desk, 750)
    assert best(desk) == (750.0, 750.0) and house.best_file() == b"750"
    assert desk.population.find(handed.attempt) is not None


def test_bad_luck_dethrones_nobody(house: House) -> None:
    judge = Moody()
    desk = house.desk(judge)
    hand_in(desk, 700)
    judge.slow.add(700)
    assert "its verdict stays" in said(recovery.stand_by_best(desk))
    assert best(desk) == (700.0, 700.0) and house.best_file() == b"700"


def test_another_ruler_judges_again_and_no_fallen_tree_stays_best(house: House) -> None:
    desk = house.desk(Moody())
    for number in (900, 700, 700, 800):  # two attempts with one tree
        hand_in(desk, number)
    desk.rooms.record.close()
    other = Moody(ruler="second")
    other.wrong.add(700)
    desk = house.desk(other)
    told = said(recovery.under_this_ruler(desk))
    assert "verdicts here were made by the python ruler first" in told
    assert best(desk) == (800.0, 800.0) and house.best_file() == b"800"
    assert ("confirm", 700) in other.asked
    hand_in(desk, 790)
    assert best(desk) == (790.0, 790.0)
    assert said(recovery.under_this_ruler(desk)) == "", "what this ruler judged is not judged again"


def test_a_weaker_trust_changes_no_stronger_best(house: House) -> None:
    desk = house.desk(Moody())
    hand_in(desk, 700)
    desk.rooms.record.close()
    weak = Moody(ruler="second", trust="unprotected")
    weak.wrong.add(700)
    desk = house.desk(weak)
    assert said(recovery.under_this_ruler(desk)) == ""
    hand_in(desk, 500)
    assert said(recovery.stand_by_best(desk)) == ""
    assert best(desk)[0] == 700.0 and house.best_file() == b"700"


def test_a_failed_confirmation_is_the_verdict(house: House) -> None:
    class Fickle(Moody):
        def confirm(self, files: Files) -> Verdict:
            self.wrong.add(int(files["number.txt"]))
            return super().confirm(files)

    desk = house.desk(Fickle())
    handed = hand_in(desk, 600)
    assert (handed.outcome, handed.score) == ("rejected", None)
    assert best(desk) == (1000.0, 1000.0)


# ── a judge that fails ───────────────────────────────────────────────────────────────────────────


def test_a_failing_judge_costs_one_attempt_and_no_resume(house: House) -> None:
    judge = Moody()
    desk = house.desk(judge)
    judge.broken.add(666)
    assignment = desk.claim(WORKER)
    desk.measure(assignment.token, {"number.txt": b"900"})
    handed = desk.submit(assignment.token, Work({"number.txt": b"666"}, "", Usage(), "finished"))
    assert (handed.outcome, handed.score, handed.unjudged) == ("improved", 900.0, True)
    assert "divided by zero" in (desk.rooms.record.attempt(assignment.attempt).fault or "")
    lone = hand_in(desk, 666, measure=False)
    assert (lone.outcome, lone.unjudged) == ("none", True)
    desk.rooms.record.close()
    desk = house.desk(judge)
    assert said(recovery.recover(desk)) == ""


def test_a_name_that_no_repository_holds_costs_one_attempt(tmp_path: Path) -> None:
    wide = tmp_path / "wide"
    shutil.copytree(TINY, wide)
    (wide / "problem.toml").write_text((TINY / "problem.toml").read_text().replace('["number.txt"]', '["*"]'))
    desk = House(tmp_path / "y", wide).desk(Moody(wide))
    assignment = desk.claim(WORKER)
    files = {"number.txt": b"800", ".gitmodules": b""}
    handed = desk.submit(assignment.token, Work(files, "", Usage(), "finished"))
    assert handed.outcome == "none" and ".gitmodules" in (handed.fault or "")


def test_handing_the_parent_back_is_equal_and_doing_nothing_is_none(house: House) -> None:
    desk = house.desk(Moody())
    worse = desk.claim(WORKER)
    desk.measure(worse.token, {"number.txt": b"2000"})
    seed = {"number.txt": (TINY / "seed/number.txt").read_bytes()}
    back = desk.submit(worse.token, Work(seed, "", Usage(), "finished"))
    assert (back.outcome, back.score) == ("equal", 1000.0)
    idle = desk.claim(WORKER)
    assert desk.submit(idle.token, Work(seed, "", Usage(), "finished")).outcome == "none"


# ── going on with what was cut short ─────────────────────────────────────────────────────────────


def test_what_was_cut_short_goes_on_from_its_own_result_or_what_led_there(house: House) -> None:
    judge = Moody()
    desk = house.desk(judge)
    best, _, behind = hand_in(desk, 900), hand_in(desk, 950), hand_in(desk, 950)
    assert desk.population.find(behind.attempt) is None, "found twice: nothing but the record knows that it is a result"
    again = desk.claim(replace(WORKER, continues=behind.attempt))
    assert (again.parent, again.parent_score, again.move) == (behind.attempt, 950.0, "continue")
    assert again.files["number.txt"] == b"950", "the session would not find the program that it has written"
    empty = desk.claim(WORKER)
    assert empty.parent == best.attempt
    desk.submit(empty.token, Work(None, "", Usage(), "limit", "used up"))
    assert desk.claim(replace(WORKER, continues=empty.attempt)).parent == best.attempt
    judge.wrong = {900}
    desk.assay.again(best.attempt, confirm=True)
    assert desk.claim(replace(WORKER, continues=empty.attempt)).parent == 0, "what it began from has fallen"


# ── claims ───────────────────────────────────────────────────────────────────────────────────────


def test_a_refused_claim_leaves_the_fold_where_the_record_is(house: House) -> None:
    desk = house.desk(Moody(), Caps(attempts=2))
    late, other = desk.claim(WORKER), desk.claim(WORKER)
    desk.measure(late.token, {"number.txt": b"900"})
    with pytest.raises(NoMore):
        desk.claim(WORKER)
    desk.reap(desk.rooms.clock() + 10_000.0)
    with pytest.raises(NoMore):
        desk.claim(WORKER)
    assert best(desk) == (900.0, 900.0)
    assert desk.population.seq == max(event.seq for event in desk.rooms.record.events())
    assert desk.rooms.record.attempt(other.attempt).state == "abandoned"


def test_a_cap_with_attempts_running_says_so(house: House) -> None:
    desk = house.desk(Moody(), Caps(dollars=15.0))
    paid = replace(WORKER, agent="paid")
    desk.claim(paid)
    with pytest.raises(NoMore) as full:
        desk.claim(paid)
    assert (full.value.exit_code, full.value.running) == (3, 1)


def test_what_a_killed_paid_agent_cost_is_unknown(house: House) -> None:
    desk = house.desk(Moody())
    attempt = desk.claim(replace(WORKER, agent="paid")).attempt
    free = desk.claim(WORKER).attempt
    desk.rooms.record.close()
    desk = house.desk(Moody())
    assert "2 cut short" in said(recovery.recover(desk))
    assert desk.rooms.record.attempt(attempt).dollars is None
    assert desk.rooms.record.attempt(free).dollars == 0.0


def test_what_a_killed_agent_had_told_of_its_cost_is_kept(house: House) -> None:
    desk = house.desk(Moody())
    told, silent = (desk.claim(replace(WORKER, agent="tells")) for _ in range(2))
    loud = desk.claim(replace(WORKER, agent="paid"))
    for claim in (told, loud):
        desk.spent(claim.token, Usage(5.0, 700, 1.25))
    written = desk.journal(told.attempt, Mask({}))
    written.line("its last words")
    desk.rooms.record.close()
    desk = house.desk(Moody())
    said(recovery.recover(desk))
    transcripts = [desk.rooms.record.attempt(claim.attempt).transcript for claim in (told, silent)]
    assert transcripts == [written.close(), None], "what a killed agent said is hashed all the same"
    rows = {row.attempt: (row.tokens, row.dollars) for row in desk.rooms.record.attempts()}
    assert rows[told.attempt] == (700, 1.25), "it told what it spent to the last request"
    assert rows[silent.attempt] == (0, None), "it may have been in its first request"
    assert rows[loud.attempt] == (700, None), "what it told was not all"
    assert desk.rooms.record.spend(2.0).unpriced == 2


def test_reaping_beside_a_crowning_hangs_nobody(house: House) -> None:
    desk = house.desk(Moody())
    failures: list[BaseException] = []

    def work(numbers: range, abandon: bool) -> None:
        try:
            for number in numbers:
                assignment = desk.claim(WORKER)
                files = {"number.txt": str(number).encode()}
                desk.measure(assignment.token, files)
                end = desk.abandon if abandon else desk.submit
                end(assignment.token, Work(files, "", Usage(), "finished"))
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(range(900 - n, 700, -4), n % 2 == 0), daemon=True) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    assert not any(thread.is_alive() for thread in threads), "two verbs wait for each other"
    assert not failures
    assert best(desk) == (701.0, 701.0) and house.best_file() == b"701"
