"""What must be said loudly before a score is believed or a slow run waited for. Pure but for one look at the disk."""

from __future__ import annotations

from collections.abc import Mapping

from kernelfactory.model import Ruler, Trust

Alarm = tuple[str, str]
"""(word, line)."""

UNPROTECTED: Alarm = ("UNPROTECTED", "candidates run without a jail: a verdict can be forged")
SELF_REPORTED: Alarm = (
    "SELF-REPORTED",
    "the problem's own evaluator runs the candidate: a candidate can forge its score (docs/judge.md)",
)
WEAK: Alarm = ("JUDGED-WEAK", "the jail of this machine is a weak one: kf doctor says what it lacks")
SLOW: Alarm = ("SLOW", "no C core here, the exact Python simulator stands in: kf doctor")
STOPPING: Alarm = ("STOPPING", "running attempts finish first; Ctrl-C again abandons them")


def stands_in(ruler: Ruler) -> bool:
    """Does the pure-Python simulator judge because the compiled one is missing? Rulers of other problems are Python
    anyway; where there is a core they are not meant."""
    from kernelfactory import core

    return ruler.backend == "python" and core.shared_object() is None


OF_TRUST: Mapping[str, Alarm] = {"unprotected": UNPROTECTED, "self-reported": SELF_REPORTED, "judged-weak": WEAK}


def of(trust: Trust, ruler: Ruler) -> list[Alarm]:
    """The alarms of a verdict or a run."""
    weak = [OF_TRUST[trust]] if trust in OF_TRUST else []
    return [*weak, *([SLOW] if stands_in(ruler) else [])]


def private(what: str) -> Alarm:
    """Programs of a problem with private solutions are where they can leave this machine."""
    return "PRIVATE", what


def of_jail(note: str, holds: bool) -> list[Alarm]:
    """What a jail lacks, where it is not the first choice; to run without any is an alarm of its own."""
    return [("JAIL", note)] if note and holds else []


def line(alarm: Alarm) -> str:
    """For stderr and for pipes."""
    return f"kf: {alarm[0]}: {alarm[1]}"
