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


def _instruments(ran: core.Ran) -> dict[str, object]:
    """Of one run: slots used by engine, occupancy (0..1), and the program's own floors and the gap to the largest."""
    used = dict(zip(core.ENGINES, ran.used, strict=False))
    limits, cycles = core.SLOT_LIMITS, max(ran.cycles, 1)
    floors = {engine: -(-slots // limits[engine]) for engine, slots in used.items()}
    return {
        "occupancy": {engine: slots / (cycles * limits[engine]) for engine, slots in used.items()},
        "slots": used,
        "floor": floors,
        "gap": ran.cycles - max(floors.values()),
        "multi_slot_share": ran.used[-1] / cycles,
        "note": NO_BOUND,
    }


def _measure(artefact: bytes, rng: Random, inputs: int, size: core.Size) -> Measured:
    program = _BACKEND.parse(artefact)
    runs = program.measure(size, _seeds(rng, inputs), CYCLES)
    _check(runs)
    worst = max(runs, key=lambda ran: ran.cycles)
    best = min(ran.cycles for ran in runs)
    instruments = _instruments(worst)
    occupancy = {f"{engine}_occupancy": share for engine, share in instruments["occupancy"].items()}  # type: ignore[attr-defined]
    flags = ()
    if best != worst.cycles:
        text = f"cycles differ between inputs: {best} to {worst.cycles}"
        flags = (("unequal_cycles", "artefact", text),)
    measures = {**occupancy, "multi_slot_share": worst.used[-1] / max(worst.cycles, 1)}
    return Measured(worst.cycles, measures, instruments, flags)


def measure(artefact: bytes, rng: Random, inputs: int) -> Measured:
    """The worst cycle count over `inputs` fresh inputs of the official size. Raises Rejected."""
    return _measure(artefact, rng, inputs, OFFICIAL)


def quick(artefact: bytes, rng: Random, inputs: int) -> Measured:
    """The same at a small size; the figure says little about the official one. Raises Rejected."""
    return _measure(artefact, rng, inputs, QUICK)
