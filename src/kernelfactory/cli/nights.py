"""How a night with agents looks: who waits until when, which sessions are kept, what was done about whom, what it cost.
Pure: all times are given to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kernelfactory.cli.terminal import money, number, one_line, table

if TYPE_CHECKING:
    from kernelfactory.model import Tokens
    from kernelfactory.record import Happened, Kept

Parked = Mapping[tuple[str, str | None], tuple[float | None, str]]
"""Who (with which model) waits: until when (epoch seconds; None: until a person sees to it), and why."""

LAST = 8
"""Incidents that `kf status` lists."""
ROUTINE = ("nudge", "wind-down")
"""Kinds that are only counted there: a night has many, and `kf show N` has them all."""


def local(at: float) -> str:
    """Epoch seconds as a person here reads them."""
    return f"{datetime.fromtimestamp(at).astimezone():%a %d %b %H:%M}"


def until(at: float, now: float) -> str:
    """A time to come, and how far it is."""
    from kernelfactory.rota import span

    return f"{local(at)} (in {span(at - now)})" if at > now else f"{local(at)} (now)"


def crew(agents: Sequence[Mapping[str, Any]], parked: Parked, now: float) -> None:
    """Who works, and who waits."""
    waiting = {who: said for who, said in parked.items() if said[0] is None or said[0] > now}
    rows = [
        [who[0], who[1] or "", number(a["slots"]), number(a["busy"]), *_waits(waiting.get(who), now)]
        for a in agents
        for who in [(a["agent"], a["model"])]
    ]
    heads, left = ["agent", "model", "slots", "busy", "paused until", "why"], ("agent", "model", "paused until", "why")
    if not waiting:
        heads, rows = heads[:-2], [row[:-2] for row in rows]
    table(heads, rows, left, less=("model", "busy"))


def _waits(said: tuple[float | None, str] | None, now: float) -> list[str]:
    if said is None:
        return ["", ""]
    at, why = said
    return ["a person sees to it" if at is None else until(at, now), one_line(why, 300)]


def kept(sessions: Sequence[Kept], now: float) -> None:
    """Sessions that a later attempt can go on with."""
    rows = [
        [str(k.attempt), k.agent, k.model or "", number(k.score), until(k.until, now), one_line(k.session, 60)]
        for k in sessions
    ]
    heads = ("kept", "agent", "model", "score", "home kept until", "session")
    table(heads, rows, left=("agent", "model", "home kept until", "session"), less=("session", "model", "score"))


def incidents(happened: Sequence[Happened]) -> None:
    """What was done about agents, the newest last."""
    rows = [
        [local(i.at), "" if i.attempt is None else str(i.attempt), i.agent or "", i.kind, one_line(i.text, 300)]
        for i in happened
    ]
    table(("when", "attempt", "agent", "incident", "what"), rows, left=("when", "agent", "incident", "what"))


def rare(happened: Sequence[Happened]) -> list[Happened]:
    """The last ones that a person wants to know of in the morning."""
    return [i for i in happened if i.kind not in ROUTINE][-LAST:]


def counted(kinds: Mapping[str, int]) -> list[str]:
    """How many incidents of which kind, in a line where there are any."""
    said = ", ".join(f"{number(count)} {one_line(kind)}" for kind, count in kinds.items())
    return [f"  incidents     {said}"] if said else []


def bill(models: Mapping[str, Tokens]) -> None:
    """Tokens by model, and what they cost by list prices."""
    from kernelfactory.agents.prices import LIST, dollars

    rows = [
        [
            model,
            *(number(count) for count in (t.input, t.output, t.cache_read, t.cache_write)),
            money(dollars({model: t})),
        ]
        for model, t in models.items()
    ]
    priced = f"list price, {LIST.date}"
    table(("model", "input", "output", "cache read", "cache written", priced), rows, left=("model",))
