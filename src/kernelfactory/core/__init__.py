"""The trusted VLIW machine and its workload, in C and the same in Python. Refuses to judge and to compile at load."""

from __future__ import annotations

from kernelfactory.core.compiled import Core
from kernelfactory.core.place import digest, shared_object
from kernelfactory.core.plain import Plain
from kernelfactory.core.vliw import CYCLES, ENGINES, SLOT_LIMITS, Backend, Program, Ran, Size

__all__ = [
    "CYCLES",
    "ENGINES",
    "SLOT_LIMITS",
    "Backend",
    "Core",
    "Plain",
    "Program",
    "Ran",
    "Size",
    "backend",
    "digest",
    "load",
    "shared_object",
]


def load() -> Core | None:
    """The compiled core, or None when it was not built (python -m kernelfactory.core.build) or does not load here."""
    path = shared_object()
    if path is None:
        return None
    try:
        return Core(path)
    except OSError:
        return None


def backend() -> Backend:
    """The compiled core where there is one, else the same in Python."""
    return load() or Plain()
