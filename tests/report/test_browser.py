"""The page in a real browser: hostile text does nothing, controls work, nothing is requested or overflows."""

from __future__ import annotations

import itertools
import re
import time

import pytest

from kernelfactory import report
from kernelfactory.model import Metric
from kernelfactory.report import page
from kernelfactory.report.demo import demo

PAYLOADS = (
    "</script><script>window.hacked=1</script>",
    "<img src=x onerror='window.hacked=2'>",
    '"><svg onload=window.hacked=3>',
    "javascript:window.hacked=4",
    "\u2028</textarea><iframe src='https://example.com/'></iframe>{{7*7}}",
)
HOSTILE = " ".join(PAYLOADS)


@pytest.fixture
def hostile_page(make, tmp_path):
    made = make(name=HOSTILE, problem=HOSTILE).seed(1000.0).start()
    for payload in PAYLOADS:
        made.attempt(0, 900.0, note=payload, why=payload, agent=payload)
        made.attempt(0, None, note=payload, reason=payload, agent=payload)
    return report.write([made.end()], tmp_path / "r.html", with_code=False)[0]


def test_hostile_text_is_shown_and_does_nothing(look, hostile_page):
    seen = look(hostile_page)
    tab = seen.page
    for button in tab.query_selector_all("table.attempts tbody button"):
        button.click()
        assert tab.is_visible("dialog")
        tab.keyboard.press("Escape")
    tab.click("button.more")
    for summary in tab.query_selector_all("details summary"):
        summary.click()
    tab.hover("[data-chart=scores] svg", position={"x": 300, "y": 200})
    assert tab.evaluate("window.hacked") is None
    assert tab.query_selector_all("img, iframe, textarea") == [] and len(tab.query_selector_all("script")) == 2
    assert PAYLOADS[0] in tab.inner_text("table.attempts") and PAYLOADS[1] in tab.inner_text("[data-notes]")
    assert seen.quiet(), (seen.requests, seen.console, seen.errors)


def test_the_injected_fault_is_seen(look, hostile_page):
    """The same page with its data put in unescaped: the browser runs it or refuses it, and the checks above notice."""
    broken = hostile_page.read_text("utf-8").replace("\\u003c", "<").replace("\\u003e", ">")
    path = hostile_page.with_name("broken.html")
    path.write_text(broken, "utf-8")
    seen = look(path, patience=1.0)
    assert not seen.quiet()


def test_the_policy_stops_what_is_not_the_pages_own(look):
    html = page.render([demo(5)]).replace(
        "<body>", "<body><script>window.hacked=1</script><img src='https://example.com/x.png'>"
    )
    seen = look(html)
    assert seen.page.evaluate("window.hacked") is None
    assert any("Content Security Policy" in line for line in seen.console)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_and_nothing_is_asked_for(look, width, scheme):
    seen = look(
        page.render([demo(300), demo(100, seed=2, name="another experiment with a rather long name")]), width, scheme
    )
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    paper = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", paper)[0]) > 128) is (scheme == "light")
    assert seen.quiet(), (seen.requests, seen.console, seen.errors)


def test_controls(look):
    seen = look(page.render([demo(300)]))
    tab = seen.page
    drawn = tab.inner_html("[data-chart=scores]")
    for group, value in [("x", "attempts"), ("y", "linear"), ("references", "all"), ("lineage", "all")]:
        tab.click(f".experiment [data-switch={group}] [data-value={value}]")
        assert tab.get_attribute(f".experiment [data-switch={group}] [data-value={value}]", "aria-checked") == "true"
    assert tab.inner_html("[data-chart=scores]") != drawn and "1,103" in tab.inner_text("[data-chart=scores]")
    assert "all 300 attempts" in tab.inner_text("[data-hidden]")
    dots = "document.querySelectorAll('[data-chart=scores] .dots').length"
    before = tab.evaluate(dots)
    tab.click(".legend button")
    assert tab.evaluate(dots) == before - 1
    tab.click(".bar [data-value=dark]")
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    tab.focus(".bar [data-value=dark]")
    tab.keyboard.press("ArrowLeft")
    assert tab.evaluate("document.documentElement.dataset.theme") == "light"
    assert seen.quiet(), seen.errors


def test_table_sorts_filters_and_turns_pages(look):
    data = demo(300)
    tab = look(page.render([data])).page
    cell = "table.attempts tbody tr:first-child td:nth-child({})"
    assert tab.inner_text(cell.format(1)) == "300"
    tab.click("table.attempts thead >> text=Score")
    assert tab.inner_text(cell.format(5)) == f"{data.steps[-1].score:,.0f}"
    assert tab.get_attribute("table.attempts th:nth-child(5)", "aria-sort") == "ascending"
    tab.click("text=Next")
    assert tab.inner_text(".pager span") == "26 to 50 of 300"
    tab.select_option("[data-filter=outcome]", "rejected")
    assert set(tab.locator("table.attempts tbody td:nth-child(2)").all_inner_texts()) == {"rejected"}
    tab.fill("input[type=search]", "timeout")
    assert all("timeout" in text for text in tab.locator("table.attempts td.words").all_inner_texts())
    tab.fill("input[type=search]", "no such words")
    assert "No attempt matches" in tab.inner_text("table.attempts")


def test_an_attempt_opens_from_everywhere_and_by_keyboard(look):
    data = demo(300)
    tab = look(page.render([data])).page
    best = data.steps[-1].attempt
    tab.click(".hero [data-attempt]")
    assert tab.inner_text("dialog h2") == f"Attempt {best}" and tab.is_visible("dialog")
    assert tab.evaluate("document.querySelector('.line.chosen').getAttribute('d')").startswith("M")
    tab.click("dialog .chain button >> nth=0")
    assert tab.inner_text("dialog h2") != f"Attempt {best}"
    tab.keyboard.press("Escape")
    assert not tab.is_visible("dialog")
    for chart in ("scores", "lineage"):
        tab.focus(f"[data-chart={chart}] svg")
        tab.keyboard.press("ArrowLeft")
        assert tab.is_visible(f"[data-chart={chart}] .tip")
        tab.keyboard.press("Enter")
        assert tab.is_visible("dialog")
        tab.keyboard.press("Escape")
    crown = tab.locator("[data-chart=lineage] .crown >> nth=1")
    crown.scroll_into_view_if_needed()
    box = crown.bounding_box()
    tab.mouse.click(box["x"] + 4, box["y"] + 4)
    assert tab.inner_text("dialog h2") == f"Attempt {best}"


@pytest.mark.parametrize("number", [0, 1])
def test_nearly_nothing(look, number):
    seen = look(page.render([demo(number)]), 390)
    words = seen.page.inner_text("main")
    assert ("No attempt has been made yet." in words) is (number == 0) and "No notes were left." in words
    assert seen.quiet(), seen.errors


def test_five_thousand_attempts_are_quick(look):
    start = time.monotonic()
    seen = look(page.render([demo(5000, islands=5)]))
    loaded = time.monotonic() - start
    seen.page.click("[data-switch=lineage] [data-value=all]")
    click = "document.querySelector('table.attempts th button').click()"
    drawn = seen.page.evaluate(f"() => {{ const t = performance.now(); {click}; return performance.now() - t }}")
    assert loaded < 10 and drawn < 500
    assert seen.quiet(), seen.errors


def test_labels_of_the_time_axis_stay_apart(look, make, tmp_path):
    for elapsed in (47.0, 92.0, 95.0, 130.0, 600.0, 7200.0):
        made = make().seed(1000.0).start()
        made.attempt(0, 900.0)
        made.at += elapsed - 20.0
        html = report.write([made.end()], tmp_path / "r.html", with_code=False)[0]
        for width in (500, 1000, 1280):
            boxes = look(html, width).page.eval_on_selector_all(
                "[data-chart=scores] text.when", "all => all.map(t => [t.getBBox().x, t.getBBox().width])"
            )
            gaps = [after[0] - before[0] - before[1] for before, after in itertools.pairwise(boxes)]
            assert len(boxes) >= 2 and min(gaps) >= 12, (elapsed, width, boxes)


def test_the_references_are_whole_on_a_narrow_screen(look, make, tmp_path):
    names = (("the naive program that everybody starts with", 950.0), ("a far one", 10.0))
    made = make(metric=Metric("cycles", "cycles", "min", None, names)).seed(1000.0).start()
    made.attempt(0, 900.0)
    html = report.write([made.end()], tmp_path / "r.html", with_code=False)[0]
    for width in (360, 500, 640):
        tab = look(html, width).page
        fits = tab.locator("table.crossings").evaluate(
            "t => t.parentElement.scrollWidth <= t.parentElement.clientWidth"
        )
        heads = tab.eval_on_selector_all("[data-head]", "all => all.map(t => getComputedStyle(t, '::before').content)")
        assert fits and '"Judge time "' in heads, (width, heads)
