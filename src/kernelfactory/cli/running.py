"""Commands that make experiments go: demo, run, resume, stop. Says what may be spent first, what was reached last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kernelfactory.cli import places
from kernelfactory.cli.options import (
    Agents,
    Attempts,
    Dollars,
    Experiment,
    Hours,
    Json,
    Minutes,
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
    from kernelfactory.budget import Caps
    from kernelfactory.progress import Ending, Plan

DEMO_PROBLEM = "vliw_tree"
EMBEDDED = "mutator"


def demo(
    seconds: Annotated[float, typer.Option("--seconds", metavar="N", help="How long to search.")] = 90.0,
    seed: Seed = 0,
    dir: Annotated[Path | None, typer.Option("--dir", metavar="D", help="A new folder for the experiment.")] = None,
    unprotected: Unprotected = False,
    json: Json = False,
) -> int:
    """A faster kernel in 90 seconds: no key, no network."""
    import os

    from kernelfactory.budget import Caps
    from kernelfactory.progress import Plan

    agents = (f"{EMBEDDED}:{os.cpu_count() or 2}",)
    plan = Plan(agents=agents, caps=Caps(seconds=seconds), unprotected=unprotected)
    asked = _Asked(DEMO_PROBLEM, dir, plan, seed=seed)
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
    scratch: Scratch = None,
    unprotected: Unprotected = False,
    json: Json = False,
) -> int:
    """An experiment, until a cap, the target or Ctrl-C.

    Ctrl-C lets running attempts finish; twice ends them at once. Either way everything measured is kept."""
    caps = _caps(attempts, hours, dollars, tokens)
    plan = _plan(tuple(agent or (EMBEDDED,)), caps, target, attempt_minutes, scratch, unprotected)
    return _start(_Asked(problem, dir, plan, islands, policy, seed), json)


def resume(  # noqa: PLR0913, PLR0917 - one parameter for each option
    experiment: Experiment = None,
    agent: Agents = None,
    attempts: Attempts = None,
    hours: Hours = None,
    dollars: Dollars = None,
    tokens: Tokens = None,
    target: Target = None,
    attempt_minutes: Minutes = 30.0,
    scratch: Scratch = None,
    unprotected: Unprotected = False,
    json: Json = False,
) -> int:
    """Go on, also after kill -9, a reboot or a full disk.

    Caps are totals of the experiment; those given replace the old ones, on the record."""
    folder = places.experiment(experiment)
    caps = _caps(attempts, hours, dollars, tokens)
    specs = tuple(agent or _agents_of(folder))
    plan = _plan(specs, caps, target, attempt_minutes, scratch, unprotected)
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


# ── what was asked ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Asked:
    """A new experiment, as the command line says it."""

    problem: str
    folder: Path | None
    plan: Plan
    islands: int = 3
    policy: str = "islands"
    seed: int = 0


def _caps(attempts: int | None, hours: float | None, dollars: float | None, tokens: int | None) -> Caps:
    from kernelfactory.budget import Caps

    return Caps(attempts, None if hours is None else hours * 3600.0, dollars, tokens)


def _plan(
    agents: Sequence[str], caps: Caps, target: float | None, minutes: float, scratch: Path | None, unprotected: bool
) -> Plan:
    """Check what can be checked before anything is made. Raises BadInput."""
    from kernelfactory.progress import Plan

    if not (math.isfinite(minutes) and minutes > 0):
        raise BadInput(f"--attempt-minutes must be a number above 0, not {minutes:g}")
    if target is not None and not math.isfinite(target):
        raise BadInput("--target must be a number")
    return Plan(tuple(agents), caps, target, minutes * 60.0, unprotected, scratch)


def _agents_of(folder: Path) -> tuple[str, ...]:
    """The agents that the experiment was made with."""
    from kernelfactory.record import Reader

    with Reader.open(folder) as reader:
        return reader.experiment.agents or (EMBEDDED,)


def _costs(plan: Plan) -> list[str]:
    """Refuse agents that may spend money without a cap; say what the caps allow. Raises BadInput."""
    from kernelfactory import agents, budget

    found = [(spec, *agents.find(spec)) for spec in plan.agents]
    for spec, agent, _ in found:
        if said := budget.needs_cap(spec, agent.costs_money, plan.caps, agent.counts_tokens):
            raise BadInput(said)
    if not any(agent.costs_money for _, agent, _ in found):
        return []
    guess = budget.estimate(plan.caps, budget.Spend(), sum(slots for _, _, slots in found))
    return [f"estimate: {guess.line()}", *([f"note: {guess.warning}"] if guess.warning else [])]


# ── running it ───────────────────────────────────────────────────────────────────────────────────


def _start(asked: _Asked, json: bool, report: bool = False) -> int:
    from kernelfactory import problem, workers
    from kernelfactory.experiment import Settings

    found = problem.load(problem.find(asked.problem))
    plan = asked.plan
    _say_first(_costs(plan), json)
    folder = places.new_folder(asked.folder, found.name)
    workers.make(
        folder, found, Settings(plan.agents, asked.policy, asked.islands, asked.seed), unprotected=plan.unprotected
    )
    return _go(folder, plan, json, report)


def _go(folder: Path, plan: Plan, json: bool, report: bool = False) -> int:
    """Run until it ends, showing how it goes; then what was reached."""
    from kernelfactory import workers
    from kernelfactory.cli.live import screen

    places.remember(folder)
    with screen(json) as shown:
        ending = workers.run(folder, plan, on_progress=shown.progress, on_message=shown.message)
    page = _report(folder) if report else None
    _summary(folder, ending, page, json)
    return ending.exit_code


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
    from kernelfactory.cli.reading import best_line
    from kernelfactory.record import Reader

    with Reader.open(folder) as reader:
        now, metric = reader.status(), reader.experiment.metric
    end = {
        "folder": str(folder.resolve()),
        "best_folder": str(folder.resolve() / "best"),
        "exit_code": ending.exit_code,
    }
    if json:
        document({**now, "why": ending.why, **end, "report": str(page.resolve()) if page else None})
        return
    name = places.shown(folder)
    say(
        "",
        f"{ending.state}: {one_line(ending.why)}",
        f"  best      {best_line(now['best'], now['baseline'], metric)}",
        f"  program   {name}/best/",
        f"  tried     {_tried(now)}",
        *([f"  report    {places.shown(page)}"] if page else []),
        "",
        "next",
        *([] if page else [f"  kf report {name}    the whole story on one page"]),
        f"  kf show {name} --diff    what the best attempt changed",
        f"  kf resume {name}    go on from here",
    )


def _tried(now: dict[str, Any]) -> str:
    attempts = sum(now["attempts"].values())
    return f"{attempts:,} attempts, {now['measurements']:,} measurements, {now['rejected']:,} rejected"
