"""DeskContract: what every desk must keep, wherever its record is. Subclass it and give `make_desk`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kernelfactory.factory import Desk, Worker
from kernelfactory.model import Assignment, Files, Limits, LostClaim, Usage, Work

WORKER = Worker("contract", "contract", None, "none", Limits(seconds=60.0))


class DeskContract:
    """Verbs that are exact under concurrency: no double claim, late tokens refused, states never go back.

    `make_desk(tmp_path)` gives a fresh desk on a small problem; `state(desk, attempt)` what its record says
    ("claimed", "submitted", "judged", "abandoned"); `better(assignment, n)` editable files that the judge accepts, all
    different for different n, and better than the parent; `broken(assignment)` files that it rejects."""

    threads = 8
    claims = 40

    def make_desk(self, tmp_path: Any) -> Desk:
        raise NotImplementedError

    def state(self, desk: Desk, attempt: int) -> str:
        raise NotImplementedError

    def better(self, assignment: Assignment, n: int) -> Files:
        raise NotImplementedError

    def broken(self, assignment: Assignment) -> Files:
        raise NotImplementedError

    def work(self, files: Files | None) -> Work:
        return Work(files, "what was tried", Usage(seconds=0.1), "finished")

    # ── what must hold ───────────────────────────────────────────────────────────────────────────

    def test_no_double_claim(self, tmp_path: Any) -> None:
        desk = self.make_desk(tmp_path)
        with ThreadPoolExecutor(self.threads) as pool:
            claimed = list(pool.map(lambda _: desk.claim(WORKER), range(self.claims)))
        assert sorted(a.attempt for a in claimed) == list(range(1, self.claims + 1)), "an attempt was claimed twice"
        assert len({a.token for a in claimed}) == self.claims, "two attempts share a token"

    def test_a_claim_carries_what_work_needs(self, tmp_path: Any) -> None:
        assignment = self.make_desk(tmp_path).claim(WORKER)
        assert assignment.brief and assignment.files and assignment.reason
        assert assignment.limits.seconds <= WORKER.limits.seconds

    def test_the_best_valid_snapshot_is_the_result(self, tmp_path: Any) -> None:
        desk = self.make_desk(tmp_path)
        assignment = desk.claim(WORKER)
        answer = desk.measure(assignment.token, self.better(assignment, 1))
        assert answer["verdict"] == "accepted"
        handed = desk.submit(assignment.token, self.work(self.broken(assignment)))
        assert (handed.outcome, handed.score) == ("improved", answer["score"]), "a later fault lost a discovery"

    def test_an_answer_to_an_agent_says_no_more_than_it_may(self, tmp_path: Any) -> None:
        desk = self.make_desk(tmp_path)
        assignment = desk.claim(WORKER)
        answer = desk.measure(assignment.token, self.better(assignment, 1))
        assert {"score", "verdict", "trust", "instruments", "best_here", "parent_score"} <= set(answer)
        assert "flags" not in answer

    def test_late_tokens_are_refused(self, tmp_path: Any) -> None:
        desk = self.make_desk(tmp_path)
        assignment = desk.claim(WORKER)
        files = self.better(assignment, 1)
        desk.submit(assignment.token, self.work(files))
        late: Mapping[str, Callable[[], object]] = {
            "measure": lambda: desk.measure(assignment.token, files),
            "submit": lambda: desk.submit(assignment.token, self.work(files)),
            "abandon": lambda: desk.abandon(assignment.token, self.work(None)),
            "renew": lambda: desk.renew(assignment.token),
        }
        for verb, call in late.items():
            assert refused(call), f"{verb} was taken from a token whose claim is over"
        assert refused(lambda: desk.renew("no such token")), "an unknown token was taken"

    def test_states_never_go_back(self, tmp_path: Any) -> None:
        desk = self.make_desk(tmp_path)
        assignment = desk.claim(WORKER)
        assert self.state(desk, assignment.attempt) == "claimed"
        desk.submit(assignment.token, self.work(self.better(assignment, 1)))
        assert self.state(desk, assignment.attempt) == "judged"
        refused(lambda: desk.abandon(assignment.token, self.work(None)))
        assert self.state(desk, assignment.attempt) == "judged", "a judged attempt changed its state"

    def test_abandoning_keeps_what_was_measured(self, tmp_path: Any) -> None:
        desk = self.make_desk(tmp_path)
        empty, measured = desk.claim(WORKER), desk.claim(WORKER)
        desk.measure(measured.token, self.better(measured, 1))
        assert desk.abandon(empty.token, self.work(None)).outcome == "none"
        assert self.state(desk, empty.attempt) == "abandoned"
        assert desk.abandon(measured.token, self.work(None)).outcome == "improved"

    def test_only_one_of_many_submits_counts(self, tmp_path: Any) -> None:
        desk = self.make_desk(tmp_path)
        assignment = desk.claim(WORKER)
        files, start = self.better(assignment, 1), threading.Barrier(self.threads)

        def submit(_: int) -> bool:
            start.wait()
            return not refused(lambda: desk.submit(assignment.token, self.work(files)))

        with ThreadPoolExecutor(self.threads) as pool:
            taken = list(pool.map(submit, range(self.threads)))
        assert sum(taken) == 1, f"{sum(taken)} of {self.threads} submits of one attempt were taken"

    def test_the_same_tree_gets_the_same_verdict(self, tmp_path: Any) -> None:
        desk = self.make_desk(tmp_path)
        assignment = desk.claim(WORKER)
        files = self.better(assignment, 1)
        first, second = (desk.measure(assignment.token, files) for _ in range(2))
        assert (first["tree"], first["score"], first["verdict"]) == (second["tree"], second["score"], second["verdict"])


def refused(call: Callable[[], object]) -> bool:
    """Did the desk say that the claim is lost?"""
    try:
        call()
    except LostClaim:
        return True
    return False
