"""From a real record to files: figures agree with the record, odd experiments make sensible pages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kernelfactory import report
from kernelfactory.model import BadInput, Metric, Usage, Work
from kernelfactory.record import Reader
from kernelfactory.report.facts import best, crossings, orders
from kernelfactory.report.load import load
from kernelfactory.trees import Trees


def payload(page: Path):
    text = page.read_text("utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text).group(1))


def search(made):
    made.seed(1000.0).start(cap_attempts=5, target=500.0)
    made.attempt(0, 900.0, note="first note")
    made.attempt(0, None, reason="differs at 3")
    made.attempt(1, 790.0)
    made.attempt(3, 950.0)
    return made


def test_figures_are_the_records(make, tmp_path):
    folder = search(make()).end()
    data = load(folder, with_code=False)
    with Reader.open(folder) as reader:
        assert best(data).attempt == reader.best().attempt == 3
        assert data.spend.tokens == reader.spent().tokens == 400
        assert data.spend.judge_seconds == reader.spent().judge_seconds
    assert [step.score for step in data.steps] == [1000.0, 900.0, 790.0]
    assert [row.outcome for row in data.rows] == ["improved", "rejected", "improved", "worse"]
    assert data.rows[1].fault == "wrong answer: differs at 3"
    assert [step.at for step in data.steps] == [0.0, 20.0, 60.0]
    assert orders(data) == [0, 1, 3]
    assert dict(data.caps)["Attempts at most"] == "5" and dict(data.caps)["Target"] == "500"
    assert data.elapsed == 80.0 and data.state == "finished" and data.trust == "judged"


def test_a_reference_is_crossed_by_the_first_result_that_reaches_it(make):
    start, first, far = crossings(load(search(make()).end(), with_code=False))
    assert (start.step.attempt, first.step.attempt, far.step) == (0, 3, None)
    assert first.step.at == 60.0
    assert (first.step.spend.tokens, first.step.spend.dollars) == (300, 0.75)
    assert first.step.spend.judge_seconds == pytest.approx(2.0)  # the seed's measurement counts too


def test_a_night_between_two_runs_takes_no_room(make):
    made = search(make())
    made.record.end_run(made.run, "stopped", "kf stop", made.at)
    made.start(made.at + 40_000)
    made.attempt(3, 700.0)
    data = load(made.end(), with_code=False)
    assert data.elapsed == 100.0 and data.rows[-1].at == 100.0


def test_a_best_that_fell_is_no_step(make):
    made = search(make())
    again = made.record.add_measurement(3, "rejudge", made.verdict(None, "differs"), made.at)
    made.record.rejudged(3, again, made.at)
    data = load(made.end(), with_code=False)
    assert [step.score for step in data.steps] == [1000.0, 900.0]


def test_goal_max_and_more_than_one_experiment(make, tmp_path):
    most = Metric("speed", "ops", "max", None, (("peer", 20.0),))
    made = make("faster", metric=most).seed(10.0).start()
    made.attempt(0, 25.0)
    made.attempt(0, 5.0)
    files = report.write([made.end(), search(make("other")).end()], tmp_path / "out" / "r.html", with_code=False)
    assert [path.name for path in files] == ["r.html", "r.svg", "r.2.svg"]
    shown = payload(files[0])
    assert shown["comparable"] is False
    assert [e["best"]["score"] for e in shown["experiments"]] == [25, 790]
    assert "150 % more ops than the seed" in files[0].read_text()


@pytest.mark.parametrize("how", ["nothing", "seed", "running", "rejected", "abandoned", "unpriced"])
def test_odd_experiments_make_sensible_pages(make, tmp_path, how):
    made = make()
    if how != "nothing":
        made.seed(1000.0).start()
    if how == "running":
        from kernelfactory.model import Choice
        from kernelfactory.record import ClaimRow

        made.record.claim(ClaimRow(1, Choice(0, 0, "x"), "t", made.at, made.at + 9, "a", "w", "none"))
    if how in ("rejected", "unpriced"):
        for _ in range(3):
            made.attempt(0, None, dollars=None)
    if how == "abandoned":
        from kernelfactory.model import Choice
        from kernelfactory.record import ClaimRow

        made.record.claim(ClaimRow(1, Choice(0, 0, "x"), "t", made.at, made.at + 9, "a", "w", "none"))
        made.record.abandon(1, Work(None, "", Usage(), "failed", "the agent fell over"), made.at)
    folder = made.folder if how == "running" else made.end()
    page, picture = report.write([folder], tmp_path / "r.html", with_code=False)
    text = page.read_text()
    assert {"nothing": "No score yet", "unpriced": "unknown", "abandoned": "the agent fell over"}.get(
        how, "nothing better yet"
    ) in text
    assert picture.read_text().startswith("<svg") and picture.read_text().rstrip().endswith("</svg>")


def test_private_programs_stay_hidden_unless_asked_for(make, tmp_path):
    for private, with_code, shown in [(True, False, False), (True, True, True), (False, False, True)]:
        made = make(private=private)
        store = Trees.create(made.folder / "trees.git")
        for attempt, text in [(0, b"a = 1 + 1\n"), (1, b"secret_word = 2\n")]:
            made.commits[attempt] = store.commit(
                {"kernel.py": text}, parents=(), message="m", ref=f"refs/candidates/{attempt}/1"
            ).commit
        made.seed(1000.0).start()
        made.attempt(0, 900.0)
        page = report.write([made.end()], tmp_path / "r.html", with_code=with_code)[0].read_text()
        assert ("secret_word" in page) is shown
        assert ("Solutions of this problem are private" in page) is not shown


NOTE = """# What I did
Moved the load before the loop, 900 -> 800 cycles.
```python
canary one
```
    canary two
x = canary3
for canary4 in y:
emit(canary5)
canary_6
Then `canary seven` helped.
~~~
canary eight, the fence never ends
"""


def test_code_in_notes_of_private_problems_stays_hidden_too(make, tmp_path):
    for private, with_code, shown in [(True, False, 0), (True, True, 9), (False, False, 9)]:
        made = make(private=private).seed(1000.0).start()
        made.attempt(0, 900.0, note=NOTE)
        made.attempt(0, None, reason="SyntaxError in canary = 9")
        page = report.write([made.end()], tmp_path / "r.html", with_code=with_code)[0]
        assert page.read_text().count("canary") == shown
        assert "Moved the load before the loop, 900 -> 800 cycles." in payload(page)["experiments"][0]["notes"]["1"]


def test_bad_input_is_one_line(make, tmp_path):
    with pytest.raises(BadInput, match="needs the folder"):
        report.write([], tmp_path / "r.html", with_code=False)
    with pytest.raises(BadInput, match=r"no record\.db"):
        report.write([tmp_path], tmp_path / "r.html", with_code=False)
    folder = search(make()).end()
    with pytest.raises(BadInput, match="where the picture would go"):
        report.write([folder], tmp_path / "r.svg", with_code=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        report.write([folder], tmp_path / "file" / "r.html", with_code=False)
