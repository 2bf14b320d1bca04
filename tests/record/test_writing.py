"""What the writing side keeps, and what it refuses."""

from __future__ import annotations

import json
import math
import random
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from kernelfactory.model import BadInput, Choice, Duel, Flag, LostClaim, Metric, Ruler, Usage
from kernelfactory.record import Crew, Reader, Record, RecordRefused

FORBIDDEN = (
    "DELETE FROM attempt",
    "UPDATE measurement SET score = 1",
    "DELETE FROM measurement",
    "UPDATE event SET at = 1",
    "DELETE FROM event",
    "UPDATE attempt SET parent = 1",
)


def raw(book):
    """A second connection that may do what the rooms never do."""
    return sqlite3.connect(book.record.folder / "record.db", isolation_level=None)


def test_the_experiment_comes_back(book, experiment):
    assert book.record.experiment == experiment


def test_life_of_an_attempt(book):
    run = book.start()
    book.seed()
    attempt = book.claim(parent=0, island=2, choice=Choice(0, 2, "a bold one", "explore", (0,), False))
    claimed = book.record.attempt(attempt)
    assert (claimed.state, claimed.parent, claimed.island, claimed.move, claimed.reason) == (
        *("claimed", 0, 2, "explore", "a bold one"),
    )
    assert (claimed.inspirations, claimed.share_notes, claimed.run, claimed.outcome) == ((0,), False, run, None)
    book.record.lent(attempt, workspace="/lent", brief="sha256:brief")
    book.record.renew(attempt, 5000.0)
    book.record.bill(attempt, Usage(1.0, 5, 0.1), book.tick())
    book.record.tried(attempt)
    first = book.measure(attempt, 990.0, "t1")
    second = book.measure(attempt, None, "t2", reason="no", reason_code="wrong_answer")
    assert [m.number for m in book.record.measurements(attempt)] == [1, 2]
    book.record.submit(attempt, book.work("what I tried"), book.tick(), commit="c9", tree="t9")
    handed = book.record.attempt(attempt)
    assert (handed.state, handed.commit, handed.tree, handed.notes) == ("submitted", "c9", "t9", "what I tried")
    book.record.judged(attempt, "improved", first, book.tick())
    row = book.record.attempt(attempt)
    assert (row.state, row.outcome, row.measurement, row.score, row.delta) == (
        "judged",
        "improved",
        first,
        990.0,
        -10.0,
    )
    assert (row.commit, row.tree, row.workspace, row.brief, row.lease_until) == (
        *(f"c{attempt}", "t1", "/lent", "sha256:brief", 5000.0),
    )
    assert (row.measurements, row.quick_tries, row.seconds, row.tokens, row.dollars) == (2, 1, 2.0, 10, 0.25)
    assert book.record.measurement(second).verdict.reason_code == "wrong_answer"
    kinds = [(event.kind, event.attempt) for event in book.record.events()]
    assert kinds == [("seeded", 0), ("claimed", attempt), ("judged", attempt)]


def test_a_verdict_comes_back_whole(book):
    book.seed()
    attempt = book.claim()
    verdict = book.verdict(5.5, "x", verdict="quarantined", trust="judged-weak", ruler=Ruler("python", "sha256:p"),
                           flags=(Flag("clock", "a.py:3", "reads <the> clock\x1b"),), measures={"a": 1e-9})  # fmt: skip
    number = book.record.add_measurement(attempt, "screen", verdict, 5.0, commit="c")
    assert book.record.measurement(number).verdict == verdict
    assert book.record.attempt(attempt).flagged


@pytest.mark.parametrize("late", ["submit", "renew", "tried", "measure", "judged", "abandon"])
def test_a_late_worker_finds_no_row(book, late):
    book.seed()
    attempt = book.whole(990.0)
    before = list(book.record.events()), book.record.attempt(attempt)
    verbs = {
        "submit": lambda: book.record.submit(attempt, book.work(), book.tick()),
        "renew": lambda: book.record.renew(attempt, 9e9),
        "tried": lambda: book.record.tried(attempt),
        "measure": lambda: book.measure(attempt, 1.0),
        "judged": lambda: book.record.judged(attempt, "worse", None, book.tick()),
        "abandon": lambda: book.record.abandon(attempt, book.work(), book.tick()),
    }
    with pytest.raises(LostClaim, match="judged"):
        verbs[late]()
    assert before == (list(book.record.events()), book.record.attempt(attempt))


def test_states_only_go_forward_whoever_writes(book):
    book.seed()
    attempt = book.whole(990.0)
    with raw(book) as db:
        back = "UPDATE attempt SET state = 'claimed', ended_at = NULL, outcome = NULL WHERE attempt = ?"
        for change in (back, *(f"{change} WHERE attempt = ?" for change in FORBIDDEN)):
            with pytest.raises(sqlite3.IntegrityError, match=r"only goes forward|never deleted|written once"):
                db.execute(change, (attempt,))
        db.execute("DROP TRIGGER attempt_state_forward")  # the fault: without its guard the same row goes back
        assert db.execute(back, (attempt,)).rowcount == 1
    db.close()


def test_contradictions_are_refused_in_one_line(book):
    book.seed()
    attempt = book.whole(990.0)
    other = book.claim()
    for wrong in (
        lambda: book.claim(attempt=attempt, token="another"),
        lambda: book.claim(parent=77),
        lambda: book.claim(token=f"token {other}"),
        lambda: book.record.judged(other, "improved", book.record.attempt(attempt).measurement, book.tick()),
    ):
        with pytest.raises(RecordRefused):
            wrong()
    with pytest.raises(BadInput, match="no attempt 99"):
        book.record.attempt(99)
    with pytest.raises(BadInput, match="finite"):
        book.measure(other, float("nan"))
    with pytest.raises(BadInput, match="finite"):
        book.measure(other, 3.0, measures={"load": float("inf")})
    assert book.record.measurements(other) == []


def test_a_transaction_is_whole_or_nothing(book):
    book.seed()
    before = list(book.record.events())
    with pytest.raises(RuntimeError), book.record.transaction():
        book.whole(5.0)
        with book.record.transaction():
            book.claim()
        raise RuntimeError
    assert list(book.record.events()) == before
    assert book.record.spent().attempts == 0
    assert book.whole(990.0) == 1


def test_many_threads_claim_without_a_double(book):
    book.seed()
    got: list[int] = []

    def claims() -> None:
        for _ in range(10):
            with book.record.transaction():
                got.append(book.claim())

    threads = [threading.Thread(target=claims) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(1, 81))


def test_tokens_are_known_by_their_hash_only(book):
    book.seed()
    attempt = book.claim(token="a-secret-token")
    assert book.record.by_token("a-secret-token").attempt == attempt
    assert book.record.by_token("a-secret-tokem") is None
    book.record.close()
    assert b"a-secret-token" not in (book.record.folder / "record.db").read_bytes()


def test_leases(book):
    book.seed()
    soon, later = book.claim(lease_until=10.0), book.claim(lease_until=20.0)
    over = book.claim(lease_until=1.0)
    book.record.abandon(over, book.work(end="timeout", dollars=None), book.tick())
    assert [row.attempt for row in book.record.expired(15.0)] == [soon]
    book.record.renew(soon, 30.0)
    assert [row.attempt for row in book.record.expired(25.0)] == [later]
    book.record.submit(later, book.work(), book.tick())
    assert book.record.expired(25.0) == []
    assert [row.attempt for row in book.record.open_attempts()] == [soon, later]


def test_unknown_prices_are_not_zero(book):
    book.start(crew=(Crew("claude", "opus", 2, True), Crew("mutator", None, 1)))
    book.seed()
    first, second = book.claim(agent="claude", model="opus"), book.claim()
    held = book.record.reserved(book.now)
    assert (held.attempts, held.paying) == (2, 1)
    book.record.abandon(first, book.work(dollars=None, tokens=40), book.tick())
    book.record.abandon(second, book.work(dollars=1.5), book.tick())
    spent, spend = book.record.spent(), book.record.spend(book.now)
    assert (spent.attempts, spent.dollars, spent.dollars_unknown, spent.tokens) == (2, 1.5, 1, 50)
    assert spent.usage.dollars is None
    assert (spend.attempts, spend.unpriced, spend.top_dollars, spend.top_tokens, spend.worked) == (2, 1, 1.5, 40, 4.0)
    assert book.record.attempt(first).dollars is None


def recount(db) -> tuple:
    return db.execute(
        """SELECT (SELECT count(*) FROM attempt WHERE attempt > 0),
        (SELECT count(*) FROM measurement WHERE attempt > 0),
        (SELECT sum(seconds) FROM measurement), (SELECT sum(seconds) FROM attempt), (SELECT sum(tokens) FROM attempt),
        (SELECT sum(ifnull(dollars, 0.0)) FROM attempt), (SELECT count(*) FROM attempt WHERE dollars IS NULL)"""
    ).fetchone()


def totals(book) -> tuple:
    spent = book.record.spent()
    return (*(spent.attempts, spent.measurements, spent.judge_seconds, spent.agent_seconds, spent.tokens),
            *(spent.dollars, spent.dollars_unknown))  # fmt: skip


def test_totals_equal_a_recount(book):
    dice = random.Random(4)
    book.seed()
    for _ in range(40):
        attempt = book.claim()
        for _ in range(dice.randrange(3)):
            book.measure(attempt, dice.choice([None, dice.uniform(1, 1e3)]))
        book.record.bill(attempt, Usage(dice.random(), dice.randrange(9), dice.choice([None, 1.0])), book.tick())
        if dice.random() < 0.7:
            book.record.abandon(attempt, book.work(dollars=dice.choice([None, 2.0])), book.tick())
    with raw(book) as db:
        assert totals(book) == pytest.approx(recount(db))
        db.execute("DROP TRIGGER tally_usage")  # the fault: without it the totals are wrong
    book.record.abandon(book.record.open_attempts()[0].attempt, book.work(seconds=100.0), book.tick())
    with raw(book) as db:
        assert totals(book) != pytest.approx(recount(db))
    db.close()


def test_a_confirmation_speaks_for_its_tree(book):
    book.seed()
    attempt = book.claim()
    book.measure(attempt, 90.0, "lucky")
    plain = book.measure(attempt, 95.0, "plain")
    assert book.record.best_valid(attempt).verdict.tree == "lucky"
    rejection = book.verdict(None, "lucky", reason="no", reason_code="wrong_answer")
    book.record.add_measurement(attempt, "confirm", rejection, book.tick())
    assert book.record.best_valid(attempt).measurement == plain
    again = book.measure(attempt, 95.0, "drift")
    assert book.record.best_valid(attempt).measurement == again, "of equals the later one"
    book.measure(attempt, 1.0, "odd", verdict="quarantined")
    assert book.record.best_valid(attempt).measurement == again
    assert book.record.best_valid(book.claim()) is None


@pytest.mark.parametrize(
    ("code", "reused"),
    [(code, True) for code in ("wrong_answer", "malformed", "forged", "over_limit")]
    + [(code, False) for code in ("timeout", "crashed")],
)
def test_which_rejections_are_reused(book, code, reused):
    book.seed()
    attempt = book.claim()
    book.measure(attempt, None, "same", reason="no", reason_code=code)
    assert (book.record.cached("same", "sha256:ruler", "bubblewrap", "judged") is not None) is reused


def test_what_is_reused(book):
    book.seed()
    attempt = book.claim()
    cached = book.record.cached
    book.measure(attempt, 3.0, "odd", verdict="quarantined")
    assert cached("odd", "sha256:ruler", "bubblewrap", "judged") is None
    first = book.measure(attempt, 90.0, "same")
    assert cached("same", "sha256:ruler", "bubblewrap", "judged").measurement == first
    assert cached("same", "sha256:other", "bubblewrap", "judged") is None
    assert cached("same", "sha256:ruler", "none", "judged") is None
    assert cached("same", "sha256:ruler", "bubblewrap", "judged-weak") is None
    sure = book.measure(attempt, 91.0, "same", confirmed=True)
    copy = book.record.add_measurement(attempt, "screen", book.verdict(91.0, "same"), book.tick(), cached_from=sure)
    assert cached("same", "sha256:ruler", "bubblewrap", "judged").measurement == sure
    assert book.record.measurement(copy).cached
    assert book.record.measurement(copy).verdict.seconds == 0.0


def test_duels_are_kept_as_they_went(book):
    book.seed()
    one, two = book.whole(990.0), book.whole(980.0)
    book.record.fight((two, "t2"), (one, "t1"), Duel(1.25, 1.0, 1.5625, 24), (5.0, 0.5))
    book.record.fight((two, "t2"), (0, "seed"), Duel(2.0, 0.0, 1e6, 3), (6.0, 0.25))
    assert [(f.attempt, f.against, f.seconds) for f in book.record.duels(two)] == [(two, one, 0.5), (two, 0, 0.25)]
    assert book.record.duels(one) == [] and len(book.record.duels()) == 2
    assert book.record.fought("t2", "t1") == Duel(1.25, 1.0, 1.5625, 24)
    assert book.record.fought("t1", "t2") == Duel(0.8, 0.64, 1.0, 24), "from the other side"
    assert book.record.fought("seed", "t2") == Duel(0.5, 1e-6, math.inf, 3)
    assert book.record.fought("t1", "seed") is None
    assert book.record.judge_seconds(two) == pytest.approx(0.5 + 0.75)
    for wrong in (Duel(float("nan"), 1.0, 1.0, 1), Duel(1.0, 0.5, math.inf, 1), Duel(1.0, 1.5, 2.0, 1)):
        with pytest.raises(BadInput, match="within their ends"):
            book.record.fight((two, "t2"), (one, "t1"), wrong, (7.0, 1.0))
    with pytest.raises(RecordRefused, match="written once"):
        book.record._all("UPDATE duel SET ratio = 9.0")


def test_an_interval_and_what_was_screened_come_back(book):
    book.seed()
    attempt = book.claim()
    number = book.measure(attempt, 5.0, interval=(4.5, 5.5), screened=4.0)
    assert book.record.measurement(number).verdict == book.verdict(
        5.0, f"t{attempt}", interval=(4.5, 5.5), screened=4.0
    )
    with pytest.raises(BadInput, match="finite"):
        book.measure(attempt, 5.0, interval=(4.5, math.inf))


def test_notes_tell_agents_the_screened_score_and_people_the_one_that_counts(book):
    book.seed()
    attempt = book.claim()
    measurement = book.measure(attempt, 995.0, screened=900.0, confirmed=True)
    book.record.submit(attempt, book.work("a note"), book.tick())
    book.record.judged(attempt, "worse", measurement, book.tick())
    assert [note.score for note in book.record.notes()] == [995.0]
    assert [note.score for note in book.record.notes(told=True)] == [900.0]
    assert [note.score for note in book.record.failed_notes(0)] == [900.0]


def test_the_best_and_the_curve(book):
    assert book.record.best() is None
    book.start()
    book.seed(1000.0, confirmed=False)
    assert book.record.best().attempt == 0, "the seed, while nothing is confirmed"
    one = book.whole(990.0)
    book.whole(990.0, "equal")
    unsure = book.claim()
    book.record.judged(unsure, "improved", book.measure(unsure, 1.0), book.tick())
    odd = book.claim()
    book.record.judged(odd, "quarantined", book.measure(odd, 2.0, verdict="quarantined"), book.tick())
    assert book.record.best().attempt == one, "equal, unconfirmed and quarantined ones change nothing"
    two = book.whole(980.0)
    assert [(p.attempt, p.score, p.attempts) for p in book.record.curve()] == [
        (0, 1000, 0),
        (one, 990, 1),
        (two, 980, 5),
    ]
    last = book.record.curve()[-1]
    assert (last.measurements, last.judge_seconds, last.agent_seconds, last.tokens) == (5, 3.0, 6.0, 30)
    assert last.hours == pytest.approx((book.now - 1001.0) / 3600)
    assert book.record.best_measurement().verdict.score == 980.0
    again = book.record.add_measurement(
        two, "rejudge", book.verdict(None, "t", reason="no", reason_code="crashed"), 1.0
    )
    book.record.rejudged(two, again, book.tick())
    assert book.record.best().attempt == one
    assert book.record.curve()[-1].attempt == one
    assert book.record.attempt(two).score is None


def test_weaker_trust_never_replaces_a_better_best(book):
    book.seed()
    one = book.whole(990.0)
    attempt = book.claim()
    weak = book.measure(attempt, 5.0, trust="unprotected", confirmed=True)
    book.record.judged(attempt, "improved", weak, book.tick())
    assert book.record.best().attempt == one


def test_more_can_be_better(tmp_path, experiment, booked):
    with Record.create(tmp_path / "max", replace(experiment, metric=Metric("x", "x", "max"))) as record:
        book = booked(record)
        book.seed(1.0)
        book.whole(3.0)
        assert record.best().score == 3.0
        attempt = book.claim()
        book.measure(attempt, 4.0, "a")
        book.measure(attempt, 2.0, "b")
        assert record.best_valid(attempt).verdict.score == 4.0
        assert record.islands()[0].best == 3.0


def test_events_replay_the_same_after_a_rejudging(book):
    book.seed()
    attempt = book.whole(990.0)
    before = list(book.record.events())
    flagged = book.verdict(None, "t1", reason="no", reason_code="forged", flags=(Flag("r", "w", "t"),))
    book.record.rejudged(attempt, book.record.add_measurement(attempt, "rejudge", flagged, book.tick()), book.tick())
    after = list(book.record.events())
    assert after[:-1] == before
    assert (after[-1].kind, after[-1].score, after[-1].flagged) == ("rejudged", None, True)
    assert list(book.record.events(after[-2].seq)) == after[-1:]


def test_notes_of_the_lineage_and_of_failures(book):
    book.seed()
    one = book.whole(990.0, notes="one")
    two = book.whole(980.0, notes="two", parent=one)
    bad = book.whole(None, "rejected", notes="bad", parent=one)
    lost = book.claim(parent=one)
    book.record.abandon(lost, book.work("lost"), book.tick())
    forged = book.claim(parent=one)
    book.measure(forged, None, reason="no", reason_code="forged")
    book.record.abandon(forged, book.work("trust me"), book.tick())
    record = book.record
    assert record.lineage(two) == (two, one, 0)
    assert record.lineage(two, 2) == (two, one)
    assert [(n.attempt, n.text) for n in record.notes(record.lineage(two))] == [(two, "two"), (one, "one")]
    assert [(n.attempt, n.outcome) for n in record.failed_notes(one)] == [(lost, "none"), (bad, "rejected")]
    assert len(record.failed_notes(one, 1)) == 1
    assert [n.text for n in record.notes()] == ["one", "two", "bad", "lost"], "nothing of the one that forged"


def test_hostile_text_is_kept_as_text(book):
    book.seed()
    attempt = book.claim(choice=Choice(0, 0, "\ud800 '; DROP TABLE attempt; --"))
    notes = "\ud800\0\x1b[31m " + "x" * 100_000
    book.record.abandon(attempt, book.work(notes), book.tick())
    kept = book.record.attempt(attempt)
    assert kept.notes.startswith("?�\x1b[31m xxx")
    assert len(kept.notes) == len(notes)
    assert "DROP TABLE" in kept.reason


def test_refusals_are_seen_and_floods_stay_small(book):
    book.seed()
    attempt = book.claim()
    for _ in range(50):
        book.record.refuse(None, "measure", "no such token", book.tick())
    for number in range(300):
        book.record.refuse(attempt, f"verb {number}" + "\udfff" * 1000, "unknown verb", book.tick())
    seen = book.record.refusals()
    assert (seen[0].verb, seen[0].times, seen[0].attempt) == ("measure", 50, None)
    assert sum(item.times for item in seen) == 350
    assert len(seen) <= 110
    assert all(len(item.verb) <= 40 for item in seen)


def test_runs(book):
    first = book.start(cap_attempts=5, target=900.0)
    book.seed()
    second = book.start(unprotected=True, crew=(Crew("a", "m", 3), Crew("b", None, 1)))
    book.record.pause(second, [("a", "m")], 99.0, "at its usage limit")
    book.claim(agent="a", model="m")
    runs = book.record.runs()
    assert [(r.run, r.state, r.why) for r in runs] == [
        (first, "stopped", "its process ended without a word"), (second, "running", None),
    ]  # fmt: skip
    assert (runs[0].ended_at, runs[0].cap_attempts, runs[0].target) == (1002.0, 5, 900.0)
    assert book.record.hours(1010.0) == pytest.approx((1 + 7) / 3600)
    assert book.record.agents() == [
        {"agent": "a", "model": "m", "slots": 3, "busy": 1, "paused_until": "1970-01-01T00:01:39.000+00:00",
         "paused_why": "at its usage limit"},
        {"agent": "b", "model": None, "slots": 1, "busy": 0, "paused_until": None, "paused_why": None},
    ]  # fmt: skip
    book.record.end_run(second, "finished", "all 5 attempts are made", book.tick())
    assert book.record.state() == ("finished", "all 5 attempts are made")


def test_status_and_attempts_have_the_shapes_of_the_contract(book):
    book.start()
    book.seed()
    one = book.whole(990.5, island=1)
    book.whole(None, "rejected", island=1)
    odd = book.claim(island=1)
    flag = Flag("clock", "a.py:1", "time()")
    quarantined = book.measure(odd, 5.0, verdict="quarantined", flags=(flag,))
    book.record.judged(odd, "quarantined", quarantined, book.tick())
    book.claim(island=2)
    status = json.loads(json.dumps(book.record.status()))
    assert set(status) >= {
        *("experiment", "problem", "state", "why", "attempts", "measurements", "rejected", "quarantined", "best"),
        *("baseline", "spent", "islands", "agents", "kept", "incidents"),
    }
    assert status["state"] == "running"
    assert status["attempts"] == {"claimed": 1, "submitted": 0, "judged": 3, "abandoned": 0}
    assert (status["measurements"], status["rejected"], status["quarantined"]) == (3, 1, 1)
    assert status["best"] == {"attempt": one, "score": 990.5, "commit": "c1", "tree": "t1", "trust": "judged"}
    assert status["islands"][1] == {"island": 1, "candidates": 1, "best": 990.5, "visits": 3, "stale": 2}
    assert status["islands"][0] == {"island": 0, "candidates": 0, "best": None, "visits": 0, "stale": 0}
    assert status["baseline"] == 1000
    assert isinstance(status["baseline"], int)
    rows = json.loads(json.dumps(book.record.attempts_json()))
    assert [row["attempt"] for row in rows] == [1, 2, 3, 4]
    assert set(rows[0]) >= {
        *(
            "attempt",
            "parent",
            "island",
            "agent",
            "model",
            "state",
            "outcome",
            "score",
            "delta",
            "commit",
            "tree",
            "end",
        ),
        *("started_at", "ended_at", "seconds", "dollars", "tokens", "brief", "policy_reason", "flags", "measurements"),
        *("continues", "late_of", "cage"),
    }
    assert (rows[2]["score"], rows[2]["outcome"]) == (5, "quarantined")
    assert rows[2]["flags"] == [{"rule": "clock", "where": "a.py:1", "text": "time()"}]
    with Reader.open(book.record.folder) as reader:
        assert reader.status() == book.record.status()
        assert reader.attempts_json(limit=1, offset=1) == rows[1:2]


def test_every_table_and_column_is_explained(book):
    text = (Path(__file__).parents[2] / "docs" / "record.md").read_text("utf-8")
    with raw(book) as db:
        named = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        tables = [row[0] for row in named]
        assert len(tables) == 15
        for table in tables:
            section = text.partition(f"\n## `{table}`\n")[2].partition("\n## ")[0]
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            assert [name for name in columns if f"`{name}`" not in section] == [], table
    db.close()
