"""Commands that make experiments go: demo, run, resume, stop. Says what may be spent first, what was reached last."""

from __future__ import annotations

import math
import os
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kernelfactory.cli import alarms, asking, places
from kernelfactory.cli.asking import EMBEDDED, MOST_HOURS, Asked
from kernelfactory.cli.options import (
    Agents,
    AttemptDollars,
    Attempts,
    AttemptTokens,
    Dollars,
    Experiment,
    Hours,
    Json,
    Minutes,
    NoSwitch,
    Nudges,
    Problem,
    Scratch,
    Seed,
    Target,
    Tokens,
    Unprotected,
)  # fmt: skip
from kernelfactory.cli.terminal import document, one_line, say, warn
from kernelfactory.model import BadInput

if TYPE_CHECKING:
    from kernelfactory.progress import Ending, Plan, Progress
    from kernelfactory.record import Reader

DEMO_PROBLEM = "vliw_tree"


def demo(
    seconds: Annotated[float, typer.Option("--seconds", metavar="N", help="How long to search.")] = 90.0,
    seed: Seed = 0,
    dir: Annotated[Path | None, typer.Option("--dir", metavar="D", help="A new folder for the experiment.")] = None,
    unprotected: Unprotected = False,
    json: Json = False,
) -> int:
    """A faster kernel in 90 seconds: no key, no network."""
    from kernelfactory.budget import Caps
    from kernelfactory.progress import Plan

    asking.above_zero("--seconds", seconds, MOST_HOURS * 3600)
    agents = (f"{EMBEDDED}:{os.cpu_count() or 2}",)
    plan = Plan(agents=agents, caps=Caps(seconds=seconds), unprotected=unprotected)
    asked = Asked(DEMO_PROBLEM, dir, plan, seed=seed)
    return _start(asked, json, report=True)


def run(  # noqa: PLR0913, PLR0917 - one parameter for each option
    problem: Problem,
    dir: Annotated[
        Path | None, typer.Option("--dir", metavar="D", help="A new folder (default: experiments/<problem>-<time>).")
    ] = None,
    agent: Agents = None,
    attempts: Attempts = None,
    hours: Hours = None,
    dollars: Dollars = None,
    tokens: Tokens = None,
    target: Target = None,
    islands: Annotated[
        int, typer.Option("--islands", metavar="K", min=1, max=1000, help="Independent populations.")
    ] = 3,
    policy: Annotated[
        str, typer.Option("--policy", metavar="P", help="Who becomes a parent: islands, greedy, uniform or lone.")
    ] = "islands",
    seed: Seed = 0,
    attempt_minutes: Minutes = 30.0,
    attempt_dollars: AttemptDollars = None,
    attempt_tokens: AttemptTokens = None,
    nudges: Nudges = 2,
    no_switch: NoSwitch = False,
    scratch: Scratch = None,
    unprotected: Unprotected = False,
    json: Json = False,
) -> int:
    """An experiment, until a cap, the target or Ctrl-C.

    Ctrl-C lets running attempts finish; twice ends them at once. Either way everything measured is kept."""
    caps = asking.caps(attempts, hours, dollars, tokens)
    plan = asking.plan(tuple(agent or (EMBEDDED,)), caps, target, attempt_minutes, scratch, unprotected)
    plan = asking.manned(asking.disciplined(plan, attempt_dollars, attempt_tokens, nudges, no_switch), None)
    return _start(Asked(problem, dir, plan, islands, policy, seed), json)


def resume(  # noqa: PLR0913, PLR0917 - one parameter for each option
    experiment: Experiment = None,
    agent: Agents = None,
    attempts: Attempts = None,
    hours: Hours = None,
    dollars: Dollars = None,
    tokens: Tokens = None,
    target: Target = None,
    attempt_minutes: Minutes = 30.0,
    attempt_dollars: AttemptDollars = None,
    attempt_tokens: AttemptTokens = None,
    nudges: Nudges = 2,
    no_switch: NoSwitch = False,
    scratch: Scratch = None,
    unprotected: Unprotected = False,
    json: Json = False,
) -> int:
    """Go on, also after kill -9, a reboot or a full disk.

    Caps are totals of the experiment; those given replace the old ones, on the record."""
    from kernelfactory import record

    folder = places.experiment(experiment)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"{folder} cannot be written: see to its rights, or go on with a copy of it")
    if (copy := record.bring_up_to_date(folder)) is not None:
        warn(f"kf: an older kernelfactory wrote this record; it is up to date now, and as it was in {copy}")
    caps = asking.caps(attempts, hours, dollars, tokens)
    specs = tuple(agent or _agents_of(folder))
    plan = asking.plan(specs, caps, target, attempt_minutes, scratch, unprotected)
    plan = asking.manned(asking.disciplined(plan, attempt_dollars, attempt_tokens, nudges, no_switch), folder)
    _say_first(_costs(folder, plan), json)
    return _go(folder, plan, json)


def stop(
    experiment: Experiment = None,
    now: Annotated[
        bool, typer.Option("--now", help="End running attempts at once; what they measured is kept.")
    ] = False,
    json: Json = False,
) -> int:
    """Ask a running experiment to finish and stop."""
    from kernelfactory import desk

    folder = places.experiment(experiment)
    said = desk.control(folder, "stop-now" if now else "stop")
    if json:
        document({"experiment": str(folder.resolve()), "now": now, "answer": said})
    else:
        say(one_line(said))
    return 0


def _agents_of(folder: Path) -> tuple[str, ...]:
    """The agents that the experiment was made with."""
    from kernelfactory.record import Reader

    with Reader.open(folder) as reader:
        return reader.experiment.agents or (EMBEDDED,)


# ── running it ───────────────────────────────────────────────────────────────────────────────────


def _start(asked: Asked, json: bool, report: bool = False) -> int:
    from kernelfactory import problem, workers
    from kernelfactory.experiment import Settings

    found = problem.load(problem.find(asked.problem))
    plan = asked.plan
    _say_first(asking.costs(plan, None, plan.caps), json)
    folder = places.new_folder(asked.folder, found.name)
    places.can_be_made(folder, "--dir")
    settings = Settings(plan.agents, asked.policy, asked.islands, asked.seed, plan.caps)
    workers.make(folder, found, settings, unprotected=plan.unprotected, scratch=plan.scratch)
    try:
        return _go(folder, plan, json, report)
    except BadInput:
        _unmake(folder)
        raise


def _go(folder: Path, plan: Plan, json: bool, report: bool = False) -> int:
    """Run until it ends, showing how it goes; then what was reached."""
    from kernelfactory import workers
    from kernelfactory.cli.live import screen

    with screen(json) as picture:
        begun = False

        def progress(now: Progress) -> None:
            nonlocal begun
            if not begun:
                places.remember(folder)
            begun = True
            picture.progress(now)

        ending = workers.run(folder, plan, on_progress=progress, on_message=picture.message)
    page = _report(folder) if report else None
    _summary(folder, ending, page, json)
    return ending.exit_code


def _unmake(folder: Path) -> None:
    """Remove an experiment that could not begin: nothing was attempted in it."""
    import shutil

    from kernelfactory.record import Reader

    with Reader.open(folder) as reader:
        begun = reader.spent().attempts > 0
    if not begun:
        shutil.rmtree(folder)


def _costs(folder: Path, plan: Plan) -> list[str]:
    """What a resume may cost, under the caps that will hold."""
    from kernelfactory.opening import going_on
    from kernelfactory.record import Reader

    with Reader.open(folder) as reader:
        held = going_on(reader, plan)
        return asking.costs(held, folder, held.caps, reader)


def _say_first(lines: Sequence[str], json: bool) -> None:
    for line in lines:
        if json:
            warn(line)
        else:
            say(line)


def _report(folder: Path) -> Path:
    from kernelfactory import report

    page = folder / "report.html"
    report.write([folder], page, with_code=False)
    return page


def _summary(folder: Path, ending: Ending, page: Path | None, json: bool) -> None:
    from kernelfactory.cli.reading import best_line, tally
    from kernelfactory.record import Reader

    with Reader.open(folder) as reader:
        now, metric, outcomes, more = reader.status(), reader.experiment.metric, reader.outcomes(), _more(reader)
    end = {
        "folder": str(folder.resolve()),
        "best_folder": str(folder.resolve() / "best"),
        "exit_code": ending.exit_code,
    }
    if json:
        document(
            {**now, "outcomes": outcomes, "why": ending.why, **end, "report": str(page.resolve()) if page else None}
        )
        return
    improved = bool(now["best"] and now["best"]["attempt"])
    say(
        "",
        f"{ending.state}: {one_line(ending.why)}",
        *_loud(now["best"]),
        f"  best          {best_line(now['best'], now['baseline'], metric)}",
        f"  program       {places.shown(folder)}/best/",
        *tally(now, outcomes, str(places.shown(folder))),
        *([f"  report        {places.shown(page)}"] if page else []),
        "",
        "next",
        *_next(shlex.quote(places.shown(folder)), page is None, improved, more),
    )


def _loud(best: dict[str, Any] | None) -> list[str]:
    said = alarms.OF_TRUST.get((best or {}).get("trust", "judged"))
    return [] if said is None else [f"  {said[0]}: {said[1]}"]


def _next(name: str, report: bool, improved: bool, more: str) -> list[str]:
    """What can be done now, as it can be typed here."""
    kf = places.kf()
    rows = [(f"{kf} report {name}", "the whole story on one page")] if report else []
    rows += [(f"{kf} show {name} --diff", "what the best attempt changed")] if improved else []
    rows.append((f"{kf} resume {name}{more}", "go on from here" + (", with more room" if "--" in more else "")))
    width = max(len(command) for command, _ in rows)
    return [f"  {command:<{width}}  {what}" for command, what in rows]


def _more(reader: Reader) -> str:
    """What `kf resume` needs besides the folder: larger caps in place of those that are used up (with those that hold
    beside them, because caps that are given replace the old ones), and the leave to go on without a jail."""
    from kernelfactory.budget import Caps, exhausted
    from kernelfactory.opening import old_caps

    caps, spend, runs = old_caps(reader), reader.spend(time.time()), reader.runs()
    each = {
        "--attempts": Caps(attempts=caps.attempts),
        "--hours": Caps(seconds=caps.seconds),
        "--dollars": Caps(dollars=caps.dollars),
        "--tokens": Caps(tokens=caps.tokens),
    }
    used = {option for option, cap in each.items() if exhausted(cap, spend)}
    figures = {
        "--attempts": _doubled(caps.attempts, spend.attempts, "--attempts" in used),
        "--hours": _doubled(caps.seconds and caps.seconds / 3600, spend.seconds / 3600, "--hours" in used),
        "--dollars": _doubled(caps.dollars, spend.charged(), "--dollars" in used),
        "--tokens": _doubled(caps.tokens, spend.tokens, "--tokens" in used),
    }
    given = [f" {option} {figure}" for option, figure in figures.items() if figure] if used else []
    return "".join([*given, " --unprotected" if runs and runs[-1].unprotected else ""])


def _doubled(cap: float | None, spent: float, used: bool) -> str | None:
    """A cap as it can be typed: twice as much where it is used up."""
    if cap is None:
        return None
    return f"{math.ceil(2 * max(cap, spent)):d}" if used else f"{cap:.12g}"
