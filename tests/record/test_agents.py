"""What the record keeps of agents: bills, incidents, sessions, who waits, and the sums that budgets ask for."""

from __future__ import annotations

import math
import sqlite3
from typing import get_args

import pytest

from kernelfactory.budget import Account, AttemptCaps, Caps, Running, barred, passed
from kernelfactory.model import Incident, LostClaim, Tokens, Usage
from kernelfactory.record import Crew, Kept, Reader, RecordRefused
from kernelfactory.record.dealing import INCIDENTS
from kernelfactory.record.spending import MOST_MODELS, MOST_TOKENS, OTHERS

CREW = (
    Crew("claude", "opus", 2, True, True, cap_dollars=30.0, cap_attempt_dollars=8.0),
    Crew("claude", "sonnet", 1, True, True, cap_dollars=30.0, cap_attempt_dollars=8.0),
    Crew("command", "./a", 1, True),
    Crew("mutator", None, 2),
)


@pytest.fixture
def night(book):
    book.start(crew=CREW, cap_dollars=50.0, cap_attempt_dollars=5.0, cap_attempt_tokens=70, nudges=3, switching=False)
    book.seed()
    return book


def claude(book, model="opus", **more):
    return book.claim(agent="claude", model=model, **more)


# ── what is billed ───────────────────────────────────────────────────────────────────────────────


def test_a_bill_by_model_grows_while_the_attempt_works(night):
    record, attempt = night.record, claude(night)
    models = {"opus": Tokens(10, 5, 100, 20), "haiku": Tokens(1, 1)}
    record.bill(attempt, Usage(3.0, 137, 0.5, models), night.tick())
    row = record.attempt(attempt)
    assert (row.seconds, row.tokens, row.dollars) == (3.0, 137, 0.5)
    assert record.billed(attempt) == models
    record.bill(attempt, Usage(4.0, 90, 0.25, {"opus": Tokens(4, 9, 100, 0)}), night.tick())
    row = record.attempt(attempt)
    assert (row.seconds, row.tokens, row.dollars) == (4.0, 137, 0.5), "nothing that was spent comes back"
    assert record.billed(attempt) == {"opus": Tokens(10, 9, 100, 20), "haiku": Tokens(1, 1)}
    record.submit(attempt, night.work(tokens=200, dollars=0.75, models={"haiku": Tokens(7, 7)}), night.tick())
    assert record.billed(attempt)["haiku"] == Tokens(7, 7)
    assert (record.attempt(attempt).tokens, record.attempt(attempt).dollars) == (200, 0.75)
    with pytest.raises(LostClaim):
        record.bill(attempt, Usage(9.0, 900, 9.0, {"late": Tokens(1)}), night.tick())
    assert "late" not in record.billed(attempt)


def test_a_price_can_become_unknown_and_known_again(night):
    record, attempt = night.record, claude(night)
    for said, kept, unknown in ((1.0, 1.0, 0), (None, None, 1), (2.5, 2.5, 0), (math.nan, None, 1), (-1.0, None, 1)):
        record.bill(attempt, Usage(1.0, 1, said), night.tick())
        assert record.attempt(attempt).dollars == kept
        assert record.spent().dollars_unknown == record.spend_of("claude").unpriced == unknown


def test_what_was_spent_never_gets_less_whoever_writes(night):
    attempt = claude(night)
    night.record.bill(attempt, Usage(1.0, 100, 1.0, {"opus": Tokens(100)}), night.tick())
    night.record.close()
    changes = (
        "UPDATE attempt SET tokens = 5",
        "UPDATE attempt SET dollars = 0.5",
        "UPDATE bill SET input = 1",
        "DELETE FROM bill",
        "UPDATE incident SET text = 'x'",
        "DELETE FROM incident",
    )
    with sqlite3.connect(night.record.folder / "record.db") as db:
        db.execute("INSERT INTO incident (at, run, kind, text) VALUES (1.0, 1, 'limit', 'as it was')")
        for change in changes:
            with pytest.raises(sqlite3.IntegrityError, match=r"only grows|never deleted|written once"):
                db.execute(change)
        db.execute("DROP TRIGGER spent_forward")  # the fault: without its guard the same row gives something back
        assert db.execute(f"{changes[0]} WHERE attempt = {attempt}").rowcount == 1
    db.close()


def test_figures_that_lie_are_cut_to_numbers(night):
    record, attempt = night.record, claude(night)
    models = {f"model {i}" + "x" * 10_000: Tokens(1, -5, 10**30, 0) for i in range(300)}
    record.bill(attempt, Usage(math.inf, 10**40, math.inf, models), night.tick())
    record.bill(attempt, Usage(math.nan, -5, 0.0, {f"other {i}\0\ud800": Tokens(1) for i in range(300)}), night.tick())
    bill, row = record.billed(attempt), record.attempt(attempt)
    assert len(bill) == MOST_MODELS + 1 and OTHERS in bill
    assert all(len(model) <= 200 for model in bill)
    assert next(iter(bill.values())) == Tokens(1, 0, MOST_TOKENS, 0)
    assert (row.tokens, math.isfinite(row.dollars), math.isfinite(row.seconds)) == (MOST_TOKENS, True, True)
    record.abandon(attempt, night.work(), night.tick())
    assert record.spent().tokens == MOST_TOKENS


def test_sums_of_an_agent_equal_a_recount(night):
    record = night.record
    for i in range(12):
        attempt = claude(night, ("opus", "sonnet")[i % 2]) if i % 3 else night.claim()
        record.bill(attempt, Usage(i, 10 * i, None if i % 4 == 1 else i / 2), night.tick())
        if i % 5:
            dollars = None if i % 4 == 1 else float(i)
            record.abandon(attempt, night.work(seconds=20.0, tokens=100 + i, dollars=dollars), night.tick())
    for agent in ("claude", "mutator"):
        rows = [row for row in record.attempts() if row.agent == agent]
        ended = [row for row in rows if row.state == "abandoned"]
        spend = record.spend_of(agent)
        assert spend.attempts == len(ended) < len(rows)
        assert spend.worked == pytest.approx(sum(row.seconds for row in rows))
        assert spend.tokens == sum(row.tokens for row in rows)
        assert spend.dollars == pytest.approx(sum(row.dollars or 0.0 for row in rows))
        assert spend.unpriced == sum(row.dollars is None for row in rows)
        assert spend.top_dollars == max(row.dollars or 0.0 for row in ended)
        assert spend.top_tokens == max(row.tokens for row in ended)
    assert record.spend_of("nobody").attempts == 0
    record._all("DROP TRIGGER account_usage")  # the fault: without it the sums are wrong
    record.bill(record.open_attempts()[0].attempt, Usage(999.0, 999, 999.0), night.tick())
    worked = sum(record.spend_of(agent).worked for agent in ("claude", "mutator"))
    assert worked != pytest.approx(record.spent().agent_seconds)


# ── what budgets are told ────────────────────────────────────────────────────────────────────────


def test_the_ledger_is_what_the_record_knows(night):
    record = night.record
    one, two, three = claude(night), night.claim(agent="command", model="./a"), night.claim()
    record.bill(one, Usage(1.0, 50, 4.0), night.tick())
    record.bill(two, Usage(1.0, 0, None), night.tick())
    ledger = record.ledger(night.now)
    assert ledger.caps == Caps(dollars=50.0)
    assert ledger.running == (
        Running(one, "claude", True, 4.0, 50, True),
        Running(two, "command", True, None, 0, False),
        Running(three, "mutator", False, 0.0, 0, False),
    )
    claudes = ledger.accounts["claude"]
    assert (claudes.caps, claudes.each) == (Caps(dollars=30.0), AttemptCaps(5.0, 70)), "the smaller one of two caps"
    assert (claudes.streams, claudes.costs_money, claudes.spend.dollars) == (True, True, 4.0)
    free = Account(record.spend_of("mutator"), each=AttemptCaps(5.0, 70), costs_money=False)
    assert ledger.accounts["mutator"] == free
    assert record.ledger(night.now, Caps(attempts=3)).caps == Caps(attempts=3)
    assert passed(ledger, one) is None
    record.bill(one, Usage(1.0, 51, 5.0), night.tick())
    stop = passed(record.ledger(night.now), one)
    assert stop == ("the cap of $5.00 for one attempt is reached ($5.00 spent)", 3, "attempt")
    full = barred(record.ledger(night.now, Caps(dollars=16.0)), "claude")
    assert full is not None and "held for running attempts" in full.why
    record.submit(two, night.work(tokens=9, dollars=3.0), night.tick())
    assert record.running()[1] == Running(two, "command", True, 3.0, 9, False, told=True), "handed in, not judged yet"


def test_before_a_run_nothing_is_capped(book):
    ledger = book.record.ledger(5.0)
    assert (ledger.caps, dict(ledger.accounts), ledger.running) == (Caps(), {}, ())


# ── who waits ────────────────────────────────────────────────────────────────────────────────────


def test_who_waits_until_when_and_why(night):
    record = night.record
    assert record.parked() == {}
    claudes, said = [("claude", "opus"), ("claude", "sonnet")], (5000.0, "usage limit, resets 3am")
    record.pause(night.run, claudes, *said)
    record.pause(night.run, [("command", "./a")], math.inf, "not logged in")
    assert record.parked() == {**dict.fromkeys(claudes, said), ("command", "./a"): (None, "not logged in")}
    shown = {(item["agent"], item["model"]): item for item in record.status()["agents"]}
    for model in ("opus", "sonnet"):
        assert shown["claude", model]["paused_until"] == "1970-01-01T01:23:20.000+00:00"
        assert shown["claude", model]["paused_why"] == "usage limit, resets 3am"
    assert shown["command", "./a"]["paused_until"] is None and shown["command", "./a"]["paused_why"] == "not logged in"
    assert shown["mutator", None]["paused_why"] is None
    later = {(item["agent"], item["model"]): item for item in record.status(5000.0)["agents"]}
    assert later["claude", "opus"]["paused_until"] is None and later["claude", "opus"]["paused_why"] is None
    assert later["command", "./a"]["paused_why"] == "not logged in", "that is not over by itself"
    record.pause(night.run, claudes[:1], None)
    assert record.parked().keys() == {("claude", "sonnet"), ("command", "./a")}
    record.pause(night.run, [("mutator", None)], 9000.0, "x\0" * 5000)
    assert len(record.parked()["mutator", None][1]) == 300
    night.start(crew=CREW)
    assert record.parked() == {}, "who goes on waiting is for the new run to say"


def test_a_run_remembers_how_it_was_started(night):
    run = night.record.runs()[-1]
    assert (run.cap_attempt_dollars, run.cap_attempt_tokens, run.nudges, run.switching) == (5.0, 70, 3, False)
    night.start()
    run = night.record.runs()[-1]
    assert (run.cap_attempt_dollars, run.cap_attempt_tokens, run.nudges, run.switching) == (None, None, None, True)


def test_a_run_that_was_killed_ended_at_its_last_sign_of_life(night):
    record, attempt = night.record, claude(night)
    record.bill(attempt, Usage(1.0, 1, 1.0, {"opus": Tokens(1)}), 2000.0)
    night.start()
    assert record.runs()[0].ended_at == 2000.0
    record.incident("opened", "works again", 3000.0, run=night.run, agent="claude")
    night.now = 4000.0
    night.start()
    assert [run.ended_at for run in record.runs()] == [2000.0, 3000.0, None]


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────


def cut_short(book, end="limit", **more):
    attempt = claude(book, **more)
    book.record.lent(attempt, workspace=f"/lent/{attempt}")
    book.record.session(attempt, f"session {attempt}")
    book.record.abandon(attempt, book.work(end=end), book.tick())
    book.record.keep(attempt, 9000.0)
    return attempt


def test_sessions_that_can_be_gone_on_with(night):
    record = night.record
    limit, cut, done = (cut_short(night, end) for end in ("limit", "interrupted", "finished"))
    gone = cut_short(night)
    record.keep(gone, None)
    unnamed = claude(night)
    record.lent(unnamed, workspace="/lent/x")
    record.abandon(unnamed, night.work(end="limit"), night.tick())
    record.keep(unnamed, 9000.0)
    scored = claude(night)
    record.lent(scored, workspace="/lent/s")
    record.session(scored, "s" * 1000)
    measurement = night.measure(scored, 900.0)
    record.submit(scored, night.work(end="limit"), night.tick())
    record.keep(scored, 500.0)
    assert [kept.attempt for kept in record.kept(0.0)] == [limit, cut], "one that is not judged yet is not over"
    record.judged(scored, "improved", measurement, night.tick())
    assert record.kept(0.0)[0] == Kept(limit, "claude", "opus", f"session {limit}", f"/lent/{limit}", 9000.0, None)
    assert record.kept(0.0)[2] == Kept(scored, "claude", "opus", "s" * 200, "/lent/s", 500.0, 900.0)
    assert [kept.attempt for kept in record.kept(600.0)] == [limit, cut], "its time is over"
    assert record.homes() == dict.fromkeys((limit, cut, done, unnamed), 9000.0) | {scored: 500.0}
    again = claude(night, continues=limit)
    assert [kept.attempt for kept in record.kept(600.0)] == [cut], "gone on with"
    assert record.attempts_json()[again - 1]["continues"] == limit
    assert record.status(600.0)["kept"] == [
        {"attempt": cut, "agent": "claude", "model": "opus", "session": f"session {cut}", "workspace": f"/lent/{cut}",
         "until": "1970-01-01T02:30:00.000+00:00", "score": None}
    ]  # fmt: skip
    with pytest.raises(RecordRefused):
        claude(night, continues=999)


def test_the_digest_of_a_transcript_is_kept(night):
    attempt = claude(night)
    night.record.transcript(attempt, "sha256:" + "0" * 64)
    assert night.record.attempt(attempt).transcript == "sha256:" + "0" * 64
    row = night.record.attempts_json()[0]
    assert (row["transcript_digest"], row["session"]) == ("sha256:" + "0" * 64, None)


# ── incidents ────────────────────────────────────────────────────────────────────────────────────


def test_incidents_are_kept_in_order_and_never_change(night):
    record, attempt, other = night.record, claude(night), night.claim()
    record.incident("nudge", "stopped after 2 of 30 minutes\0\ud800", 5.0, run=night.run, attempt=attempt)
    record.incident("parked", "until 03:00", 6.0, run=night.run, agent="claude")
    record.incident("stall", "x" * 9000, 7.0, run=night.run, attempt=other, agent="somebody")
    first, second, third = record.incidents()
    assert (first.attempt, first.agent, first.kind, first.text, first.at) == (
        *(attempt, "claude", "nudge", "stopped after 2 of 30 minutes�?", 5.0),
    )
    assert (second.attempt, second.agent, second.run) == (None, "claude", night.run)
    assert (third.agent, len(third.text)) == ("somebody", 500)
    assert record.incidents(attempt=attempt) == [first]
    assert record.incidents(last=2) == [second, third]
    later = night.start()
    assert record.incidents(run=later) == [] and len(record.incidents(run=later - 1)) == 3
    assert record.status()["incidents"] == {"nudge": 1, "parked": 1, "stall": 1}
    with Reader.open(record.folder) as reader:
        assert reader.incidents() == [first, second, third]


def test_a_flood_of_incidents_stays_small(night):
    record, one, two = night.record, claude(night), claude(night)
    for i in range(2 * INCIDENTS):
        record.incident("loop", f"again {i}", float(i), run=night.run, attempt=one)
    record.incident("loop", "another's", 1.0, run=night.run, attempt=two)
    record.incident("stall", "another kind", 1.0, run=night.run, attempt=one)
    kept = record.incidents(attempt=one)
    assert len(kept) == INCIDENTS + 1 and len(record.incidents()) == INCIDENTS + 2
    assert kept[INCIDENTS - 2].text == f"again {INCIDENTS - 2}"
    assert kept[INCIDENTS - 1].text == "this and all further ones of this kind are left out"


def test_the_kinds_are_those_of_the_model(night):
    for kind in get_args(Incident):
        night.record.incident(kind, "", 1.0, run=night.run)
    with pytest.raises(RecordRefused):
        night.record.incident("party", "", 1.0, run=night.run)
    with pytest.raises(RecordRefused):
        night.record.incident("stall", "", 1.0, run=99)
