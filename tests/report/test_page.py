"""The page as text: nothing loads, nothing hostile gets out of its quotes, a large record stays small."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from kernelfactory.model import Metric, Ruler
from kernelfactory.report import page
from kernelfactory.report.charts import beyond, picture, span, ticks
from kernelfactory.report.data import Diff, ReportData, Row, Spend, Step
from kernelfactory.report.demo import METRIC, demo
from kernelfactory.report.facts import ancestors, clean, duration, improvement, money, number, ratio, standing, tally

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028\u202e{{7*7}}\"'<!--"


def hostile():
    bad = dict.fromkeys(("agent", "model", "move", "reason", "fault", "end", "cage", "commit"), HOSTILE)
    rows = (Row(1, 0, 0, "improved", 900.0, -100.0, at=5.0, **bad), Row(2, 1, 0, HOSTILE, agent="b", at=6.0))
    text = dict.fromkeys(("name", "problem", "digest", "state", "why", "policy", "jail"), HOSTILE)
    return ReportData(
        metric=Metric(HOSTILE, HOSTILE, "min", None, ((HOSTILE, 950.0), (HOSTILE, 1.0))),
        created_at=0.0,
        agents=(HOSTILE,),
        caps=((HOSTILE, HOSTILE),),
        rulers=(Ruler(HOSTILE, HOSTILE),),
        elapsed=6.0,
        baseline=1000.0,
        steps=(Step(0.0, 0, 1000.0), Step(5.0, 1, 900.0)),
        rows=rows,
        notes={1: HOSTILE * 3, 2: "x" * 50_000},
        diff=Diff("+" + HOSTILE),
        **text,
    )


def data_of(html):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S).group(1))


def test_hostile_text_stays_text():
    html = page.render([hostile(), replace(hostile(), name="two")], HOSTILE, HOSTILE)
    own_scripts = re.findall(r"<script\b[^>]*>", html)
    assert own_scripts == ['<script type="application/json" id="data">', "<script>"]
    assert "<img" not in html and "alert(1)</script>" not in html and "49" not in re.findall(r"\{\{.*?\}\}", html)
    assert "\u2028" not in data_of_text(html) and "<" not in data_of_text(html)
    assert data_of(html)["experiments"][0]["notes"]["1"] == clean(HOSTILE * 3)


def data_of_text(html):
    return re.search(r'id="data">(.*?)</script>', html, re.S).group(1)


def test_json_without_the_escapes_would_break_out():
    """The injected fault: plain json.dumps ends the element early, which the check above sees."""
    assert "</script>" in json.dumps(HOSTILE) and "</script>" not in page.as_json(HOSTILE)
    assert json.loads(page.as_json(HOSTILE)) == HOSTILE


def test_the_policy_allows_this_style_and_script_only():
    html = page.render([demo(5)])
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', html).group(1).replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; ")
    for kind, text in [
        ("style", re.search(r"<style>(.*?)</style>", html, re.S).group(1)),
        ("script", re.search(r"<script>(.*?)</script>", html, re.S).group(1)),
    ]:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy and not re.search(
        r"\b(https?:)?//[a-z]", re.sub(r"http://www\.w3\.org/2000/svg", "", html)
    )


def test_text_enters_the_document_as_text_only():
    script = page._script()
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "fetch(",
        "XMLHttp",
    ):
        assert way not in script


def test_five_thousand_attempts_stay_below_three_megabytes():
    base = demo(5000, islands=5)
    notes = {row.attempt: "a long note " * 150 for row in base.rows}
    rows = tuple(replace(row, reason=f"{row.attempt} {row.reason}") for row in base.rows)
    html = page.render([replace(base, rows=rows, notes=notes)])
    assert len(html.encode()) < 3_000_000
    shown = data_of(html)["experiments"][0]
    assert shown["notes_hidden"] == 5000 - len(shown["notes"]) > 0
    assert str(base.steps[-1].attempt) in shown["notes"]


def test_a_private_problem_says_why_there_is_no_diff():
    assert "private, so their text is left out" in page.render([demo(50)])


@pytest.mark.parametrize(
    ("change", "said", "loud"),
    [
        ({"trust": "unprotected"}, "Unprotected", True),
        ({"jail": "bubblewrap, none"}, "Unprotected", True),
        ({"trust": "judged-weak"}, "Weakly judged", True),
        ({"trust": "self-reported"}, "Self-reported", True),
        ({"rows": (Row(1, 0, 0, "worse", 2.0, cage="none", at=1.0),)}, "Agents without a cage", False),
        ({"waiting": 2}, "Quarantined", False),
        ({"released": ((7, "a <b>person</b>"),)}, "Released", False),
    ],
)
def test_what_weakens_a_score_is_said_aloud(change, said, loud):
    assert not page.warnings(demo(20))
    html = page.render([replace(demo(20), **change)])
    assert f'<p class="banner{" loud" if loud else ""}" role="note"><strong>{said}.' in html


def test_numbers_that_are_none_do_not_break_the_page():
    rows = (
        Row(1, 7, 0, "worse", float("nan"), float("inf"), at=1.0, dollars=None),
        Row(2, 2, 1, "none", state="claimed"),
    )
    html = page.render([replace(demo(1), rows=rows, spend=Spend(2, 0.0, 1))])
    assert data_of(html)["experiments"][0]["columns"]["score"] == [None, None]
    assert "unknown" in html


UNJUDGED = replace(demo(0), steps=(), baseline=None)
NEGATIVE = replace(
    demo(2), metric=Metric("s", "s", "max", None, (("x", -3.0),)), baseline=-1.0, steps=(Step(0.0, 0, -1.0),)
)


@pytest.mark.parametrize("data", [demo(300), hostile(), UNJUDGED, NEGATIVE])
def test_the_picture_is_sound_xml_with_nothing_to_run(data):
    root = ET.fromstring(picture(data))
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names <= {"svg", "title", "style", "rect", "text", "line", "path"}
    assert not any(key.startswith("on") or "href" in key for element in root.iter() for key in element.attrib)


def test_far_references_do_not_squeeze_the_axis():
    data = demo(400)
    low, high, log = span(data)
    assert log and 60_000 < low < data.steps[-1].score and 147_734 < high < 300_000
    inside, outside = beyond(data)
    assert [name for name, _ in inside] == ["naive kernel"] and len(outside) == len(METRIC.reference) - 1


def test_the_made_up_record_holds_no_low_count():
    assert min(row.score for row in demo(5000, islands=5).rows if row.score is not None) >= 90_000


def test_words():
    assert [number(v) for v in (1234567.0, 0.000123456, 12.3456, 12345.6, None, float("nan"))] == [
        "1,234,567", "0.0001235", "12.35", "12,346", "none", "none"]  # fmt: skip
    assert [duration(s) for s in (0, 2.5, 59.6, 60, 3725, 90061)] == [
        "0 s",
        "2.5 s",
        "60 s",
        "1 min",
        "1 h 2 min",
        "1 d 1 h",
    ]
    assert money(Spend(2, 1.5)) == "$1.50" and money(Spend(2, 0.0, 2)) == "unknown"
    assert money(Spend(2, 1.5, 1)) == "$1.50 + 1 unpriced"
    assert (
        improvement(METRIC, 200.0, 150.0) == "25 % fewer cycles than the seed" and improvement(METRIC, 0.0, 1.0) == ""
    )
    assert ratio(METRIC, 200.0, 100.0) == "2.00×" and ratio(METRIC, None, 1.0) == ""
    assert clean("\x1b[31mred\x1b[0m \x1b]0;title\x07a\x00\u202eb\r\nc") == "red ab\nc"
    assert clean("x" * 50, 10) == "x" * 10 + " … (cut)"
    assert ticks(0, 10, 5) == [0, 2, 4, 6, 8, 10] and ticks(3, 3) == [3]


def test_lineages_with_holes_and_rings_end():
    parents = {1: 0, 2: 3, 3: 2, 4: 1, 5: None}
    assert [ancestors(parents, n) for n in (4, 3, 5, 9)] == [[4, 1], [3, 2], [5], []]


def test_running_attempts_are_counted_as_running():
    assert tally([Row(1, 0, 0, "worse"), Row(2, 0, 0, "none", state="claimed")]) == {"worse": 1, "running": 1}


def test_a_huge_record_keeps_the_bests_lineages_and_the_newest():
    base = demo(300)
    rows = [replace(base.rows[0], attempt=n, parent=0) for n in range(1, 25_001)]
    steps = (*base.steps[:1], Step(9.0, 7, 100_000.0))
    shown = page.rows_shown(replace(base, rows=tuple(rows), steps=steps))
    assert len(shown) == page.ROWS and shown[0].attempt == 7 and shown[-1].attempt == 25_000


def test_equal_scores_are_one_step():
    steps = [Step(0, 0, 10.0), Step(1, 1, 9.0), Step(2, 2, 9.0)]
    assert standing(steps, METRIC) == tuple(steps[:2])
