"""The ruler: a program's text to its cycles, on inputs drawn after the text is fixed. Refuses to run candidate code."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from kernelfactory import core
from kernelfactory.model import Measured, Rejected

OFFICIAL = core.Size(height=10, rounds=16, batch=256)
QUICK = core.Size(height=6, rounds=6, batch=32)
CYCLES = 1_000_000
"""Cap for one run; the naive kernel takes 147,734."""
_BACKEND = core.backend()
BACKEND = _BACKEND.name
IDENTITY = core.digest()
NO_BOUND = "floors are this program's own slots over the slots per cycle: not a bound on the problem"


def _seeds(rng: Random, inputs: int) -> list[int]:
    return [rng.getrandbits(64) for _ in range(inputs)]


def _check(runs: Sequence[core.Ran]) -> None:
    """Raises Rejected for the first run that went wrong; says nothing of its input."""
    for ran in runs:
        if ran.error == core.CYCLES:
            raise Rejected("over_limit", f"still running after {CYCLES} cycles, at bundle {ran.bundle}")
        if ran.error:
            raise Rejected("crashed", f"{ran.error} in bundle {ran.bundle}")
    if any(ran.wrong for ran in runs):
        raise Rejected("wrong_answer", "the values in memory are not those of the reference")


def _shares(ran: core.Ran) -> dict[str, float]:
    """Behaviour of one run, each in 0..1: occupancy by engine, and bundles of more than one slot."""
    cycles = max(ran.cycles, 1)
    occupancy = {
        f"{engine}_occupancy": slots / (cycles * core.SLOT_LIMITS[engine])
        for engine, slots in zip(core.ENGINES, ran.used, strict=False)
    }
    return {**occupancy, "multi_slot_share": ran.used[-1] / cycles}


def _instruments(ran: core.Ran) -> dict[str, object]:
    """Of one run, for the agent's eyes: shares, slots used by engine, the program's own floor by engine (cycles) and how
    far its cycles are above the largest."""
    used = dict(zip(core.ENGINES, ran.used, strict=False))
    floors = {engine: -(-slots // core.SLOT_LIMITS[engine]) for engine, slots in used.items()}
    gap = ran.cycles - max(floors.values())
    return {**_shares(ran), "slots": used, "floor": floors, "gap": gap, "note": NO_BOUND}


def _measure(artefact: bytes, rng: Random, inputs: int, size: core.Size) -> Measured:
    program = _BACKEND.parse(artefact)
    runs = program.measure(size, _seeds(rng, inputs), CYCLES)
    _check(runs)
    worst, best = max(runs, key=lambda ran: ran.cycles), min(ran.cycles for ran in runs)
    flags: tuple[tuple[str, str, str], ...] = ()
    if best != worst.cycles:
        flags = (("unequal_cycles", "artefact", f"cycles differ between inputs: {best} to {worst.cycles}"),)
    return Measured(worst.cycles, _shares(worst), _instruments(worst), flags)


def measure(artefact: bytes, rng: Random, inputs: int) -> Measured:
    """The worst cycle count over `inputs` fresh inputs of the official size. Raises Rejected."""
    return _measure(artefact, rng, inputs, OFFICIAL)


def quick(artefact: bytes, rng: Random, inputs: int) -> Measured:
    """The same at a small size; the figure says little about the official one. Raises Rejected."""
    return _measure(artefact, rng, inputs, QUICK)
