"""A real record to report on, and a real browser to look at the page with."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kernelfactory.model import Choice, Experiment, Metric, Ruler, Usage, Verdict, Work
from kernelfactory.record import ClaimRow, Record, Start

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
METRIC = Metric("cycles", "cycles", "min", 100.0, (("start", 1000.0), ("first", 800.0), ("far", 10.0)))
START = 1_800_000_000.0
RULER = Ruler("c", "sha256:" + "ab" * 32)


@dataclass
class Made:
    """Writes a small experiment, one attempt after another, by the record's own verbs."""

    folder: Path
    metric: Metric = METRIC
    name: str = "an experiment"
    problem: str = "a_problem"
    private: bool = False
    jail: str = "bubblewrap"
    cage: str = "bubblewrap"
    agent: str = "scripted"
    commits: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        asked = Experiment(
            self.name,
            self.problem,
            "sha256:" + "cd" * 32,
            self.metric,
            (),
            "islands",
            2,
            7,
            START,
            ("scripted:2",),
            self.private,
        )
        self.record = Record.create(self.folder, asked)
        self.at = START
        self.run: int | None = None

    def verdict(self, score: float | None, reason: str | None = None) -> Verdict:
        return Verdict(
            "rejected" if score is None else "accepted", score, self.problem, "sha256:" + "cd" * 32, f"{self.at:.0f}",
            self.jail, "judged" if self.jail != "none" else "unprotected", RULER, 0.5, 8, score is not None,
            reason, "wrong_answer" if reason else None,
        )  # fmt: skip

    def seed(self, score: float) -> Made:
        self.record.seeded(self.verdict(score), START, self.commits.get(0))
        return self

    def start(self, at: float = START, **caps: Any) -> Made:
        self.at = at
        trust = "judged" if self.jail != "none" else "unprotected"
        self.run = self.record.start_run(
            Start(60.0, self.jail, trust, RULER.backend, RULER.digest, self.jail == "none", **caps), at
        )
        return self

    def attempt(self, parent: int, score: float | None, *, note: str = "", why: str = "a reason", **more: Any) -> int:
        """One attempt of 10 s; score None: rejected."""
        record, number = self.record, self.record.next_attempt()
        before = record.attempt(parent).score
        self.at += 10.0
        record.claim(
            ClaimRow(number, Choice(parent, number % 2, why), f"token {number}", self.at, self.at + 60,
                     more.get("agent", self.agent), "w", self.cage, None, self.run, before, before)
        )  # fmt: skip
        reason = more.get("reason", "differs") if score is None else None
        commit = self.commits.get(number)
        measured = record.add_measurement(number, "screen", self.verdict(score, reason), self.at + 5, commit=commit)
        usage = Usage(10.0, 100, more.get("dollars", 0.25))
        record.submit(number, Work({}, note, usage, "finished"), self.at + 8)
        outcome = "rejected" if score is None else self.outcome(score, before)
        record.judged(number, outcome, measured, self.at + 10)
        self.at += 10
        return number

    def outcome(self, score: float, before: float | None) -> Any:
        if before is None or score == before:
            return "equal"
        return "improved" if self.metric.better(score, before) else "worse"

    def end(self, why: str = "attempts are over") -> Path:
        if self.run is not None:
            self.record.end_run(self.run, "finished", why, self.at)
        self.record.close()
        return self.folder


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Made]]:
    made: list[Made] = []

    def one(name: str = "an experiment", **how: Any) -> Made:
        made.append(Made(tmp_path / f"experiment {len(made)}", name=name, **how))
        return made[-1]

    yield one
    for each in made:
        each.record.close()


def _missing(what: str) -> None:
    words = f"browser: {what}; apt-get install chromium, pip install kernelfactory[browser]"
    if "browser" in os.environ.get("KF_REQUIRE", "").replace(",", " ").split():
        pytest.fail(words)
    pytest.skip(words)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A running Chromium; skips (fails when KF_REQUIRE names `browser`) where there is none."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is not installed")
    binary = next((p for p in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(p).exists()), None)
    if binary is None:
        _missing("no chromium at /usr/bin")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Seen:
    """An open page and what it did: requests beyond its own file, console lines, errors, dialogs."""

    page: Any
    requests: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def quiet(self) -> bool:
        return not (self.requests or self.console or self.errors)


@pytest.fixture
def look(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Seen]]:
    """look(html, width, scheme) opens it from a file, as a reader would."""
    contexts = []

    def at(html: str | Path, width: int = 1280, scheme: str = "light", patience: float = 30.0) -> Seen:
        path = html if isinstance(html, Path) else tmp_path / f"{random.getrandbits(40)}.html"
        if isinstance(html, str):
            path.write_text(html, "utf-8")
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        seen = Seen(context.new_page())
        own = path.absolute().as_uri()
        seen.page.on("request", lambda r: None if r.url in (own, "data:,") else seen.requests.append(r.url))
        seen.page.on("console", lambda m: seen.console.append(f"{m.type}: {m.text}"))
        seen.page.on("pageerror", lambda e: seen.errors.append(str(e)))
        seen.page.on("dialog", lambda d: (seen.errors.append(f"dialog {d.message}"), d.dismiss()))
        seen.page.goto(own)
        drawn = seen.page.locator("[data-chart] svg, [data-chart] .empty")
        until = time.monotonic() + patience
        while not drawn.count():
            if time.monotonic() > until:
                seen.errors.append("nothing was drawn")
                break
            seen.page.wait_for_timeout(20)
        return seen

    yield at
    for context in contexts:
        context.close()
