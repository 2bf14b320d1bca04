"""What a command line asks of a run, checked before anything is made: agents, caps, places. Starts nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kernelfactory.model import BadInput

if TYPE_CHECKING:
    from kernelfactory.agents.config import Entry
    from kernelfactory.budget import Account, Caps, Spend
    from kernelfactory.progress import Plan
    from kernelfactory.record import Reader

EMBEDDED = "mutator"
AUTO = "auto"
MOST_HOURS = 10 * 365 * 24
"""Nobody means a run of more than ten years."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A new experiment, as the command line says it."""

    problem: str
    folder: Path | None
    plan: Plan
    islands: int = 3
    policy: str = "islands"
    seed: int = 0


def caps(attempts: int | None, hours: float | None, dollars: float | None, tokens: int | None) -> Caps:
    """Caps from options. Raises BadInput in the words of the option."""
    from kernelfactory.budget import Caps

    above_zero("--hours", hours, MOST_HOURS)
    above_zero("--dollars", dollars, math.inf)
    return Caps(attempts, None if hours is None else hours * 3600.0, dollars, tokens)


def above_zero(option: str, value: float | None, most: float) -> None:
    """Raises BadInput unless `value` is None or a finite number above 0 and at most `most`."""
    if value is not None and not (math.isfinite(value) and 0 < value <= most):
        limit = f" and at most {most:,}" if math.isfinite(most) else ""
        raise BadInput(f"{option} must be a number above 0{limit}, not {value:g}")


def plan(
    specs: Sequence[str], given: Caps, target: float | None, minutes: float, scratch: Path | None, unprotected: bool
) -> Plan:
    """Check what can be checked before anything is made. Raises BadInput."""
    from kernelfactory.progress import Plan

    above_zero("--attempt-minutes", minutes, MOST_HOURS * 60)
    if target is not None and not math.isfinite(target):
        raise BadInput(f"--target must be a number, not {target:g}")
    return Plan(tuple(specs), given, target, minutes * 60.0, unprotected, scratch)


def disciplined(plan: Plan, dollars: float | None, tokens: int | None, nudges: int, no_switch: bool) -> Plan:
    """The plan with what holds for each attempt. Raises BadInput."""
    above_zero("--attempt-dollars", dollars, math.inf)
    return replace(plan, attempt_dollars=dollars, attempt_tokens=tokens, nudges=nudges, switching=not no_switch)


def manned(plan: Plan, folder: Path | None) -> Plan:
    """The plan with its agents found, as agents.toml (the user's, and the one in the experiment's `folder`) has them;
    `auto`: those that are ready here. Raises BadInput."""
    from kernelfactory.agents import config

    return replace(plan, agents=crew(plan.agents, config.load(folder)))


def crew(specs: Sequence[str], entries: Mapping[str, Entry]) -> tuple[str, ...]:
    """The agents asked for, each of them known, with secrets that can be masked."""
    from kernelfactory import agents
    from kernelfactory.redact import Mask

    wanted = [name for spec in specs for name in (ready(entries) if spec == AUTO else [spec])]
    names = [agents.parse(spec)[:2] for spec in wanted]
    for spec, name in zip(wanted, names, strict=True):
        Mask(agents.find(spec, entries)[0].secrets)
        if names.count(name) > 1:
            raise BadInput(f"agent {name[0]} is given twice: say how many at once with {name[0]}:2")
    return tuple(wanted)


def ready(entries: Mapping[str, Entry]) -> list[str]:
    """Agents that can work here now, as `kf doctor` finds; those that cost nothing only where there is no other."""
    from kernelfactory import agents

    found: dict[str, bool] = {}
    for name in dict.fromkeys([*entries, *agents.known()]):
        try:
            agent, _ = agents.find(name, entries)
        except BadInput:
            continue
        if agent.state().ready:
            found[name] = agent.costs_money
    paid = [name for name, costs_money in found.items() if costs_money]
    return paid or [name for name in found if name == EMBEDDED] or [EMBEDDED]


def costs(asked: Plan, folder: Path | None, holding: Caps, reader: Reader | None = None) -> list[str]:
    """Refuse agents that may spend money without a cap among `holding`; say how many attempts the caps leave to each,
    as dear as its own so far (`reader`; None: a new experiment). Raises BadInput."""
    from kernelfactory import agents, budget
    from kernelfactory.agents import config

    entries = config.load(folder)
    found = [(spec, *agents.find(spec, entries)) for spec in asked.agents]
    for spec, agent, _ in found:
        if said := budget.needs_cap(spec, agent.costs_money, holding, agent.counts_tokens):
            raise BadInput(said)
    spent = reader.spend(time.time()) if reader is not None else budget.Spend()
    if budget.exhausted(holding, spent):
        return []  # the run says so, and ends
    lines = []
    for spec, agent, slots in found:
        if agent.costs_money:
            if not (state := agent.state()).ready:
                lines.append(f"note: {spec} is not ready: {state.advice}")
            own = reader.spend_of(agent.name) if reader is not None else budget.Spend()
            guess = budget.estimate(holding, spent, slots, account=_account(asked, agent.entry, own))
            lines += [f"estimate for {spec}: {guess.line()}", *([f"note: {guess.warning}"] if guess.warning else [])]
    return lines


def _account(asked: Plan, entry: Entry, spent: Spend) -> Account:
    """One agent's part of it, with its own caps and those of each of its attempts."""
    from kernelfactory.budget import Account, AttemptCaps, Caps

    each = AttemptCaps(entry.attempt_dollars, entry.attempt_tokens)
    whole = AttemptCaps(asked.attempt_dollars, asked.attempt_tokens)
    return Account(spent, Caps(dollars=entry.dollars, tokens=entry.tokens), each.within(whole))
