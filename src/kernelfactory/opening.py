"""How a run is put on record as it begins: who works in it, under which caps. Begins nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kernelfactory import budget
from kernelfactory.agents import Agent
from kernelfactory.assay import Rooms
from kernelfactory.progress import Plan
from kernelfactory.record import Crew, Reader, Start


def old_caps(record: Reader) -> budget.Caps:
    """The caps of the last run, none before the first."""
    runs = record.runs()
    if not runs:
        return budget.Caps()
    last = runs[-1]
    return budget.Caps(last.cap_attempts, last.cap_seconds, last.cap_dollars, last.cap_tokens)


def going_on(record: Reader, plan: Plan) -> Plan:
    """The plan with all caps that hold: those of the last run too, as long as no others of their kind are given."""
    runs, caps = record.runs(), budget.renewed(old_caps(record), plan.caps)
    if not runs:
        return replace(plan, caps=caps)
    dollars, tokens = runs[-1].cap_attempt_dollars, runs[-1].cap_attempt_tokens
    return replace(
        plan,
        caps=caps,
        attempt_dollars=dollars if plan.attempt_dollars is None else plan.attempt_dollars,
        attempt_tokens=tokens if plan.attempt_tokens is None else plan.attempt_tokens,
    )


def opened(rooms: Rooms, plan: Plan, crew: Sequence[tuple[Agent, int]]) -> Start:
    """What `kf run` or `kf resume` was started with."""
    return Start(
        attempt_seconds=plan.attempt_seconds,
        jail=rooms.judge.jail_name,
        trust=rooms.judge.trust,
        ruler_backend=rooms.judge.ruler.backend,
        ruler_digest=rooms.judge.ruler.digest,
        unprotected=plan.unprotected,
        cap_attempts=plan.caps.attempts,
        cap_seconds=plan.caps.seconds,
        cap_dollars=plan.caps.dollars,
        cap_tokens=plan.caps.tokens,
        target=plan.target,
        crew=tuple(_member(agent, slots) for agent, slots in crew),
        cap_attempt_dollars=plan.attempt_dollars,
        cap_attempt_tokens=plan.attempt_tokens,
        nudges=plan.nudges,
        switching=plan.switching,
    )


def _member(agent: Agent, slots: int) -> Crew:
    entry = agent.entry
    return Crew(
        agent=agent.name,
        model=agent.model,
        slots=slots,
        costs_money=agent.costs_money,
        streams=agent.streams,
        cap_dollars=entry.dollars,
        cap_tokens=entry.tokens,
        cap_attempt_dollars=entry.attempt_dollars,
        cap_attempt_tokens=entry.attempt_tokens,
    )
