"""Which inputs an evaluator of the author's own uses: a program tells, by the only way out that it has, the last words
of a run that fails."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kernelfactory.judge import Judge
from kernelfactory.judge.check.gallery import candidate
from kernelfactory.judge.check.inputs import MANY
from kernelfactory.judge.check.interface import Interface
from kernelfactory.model import Files

_TOLD = re.compile(r"KF-TOLD ([0-9a-fds ]*)")


@dataclass(frozen=True, slots=True)
class Told:
    """What two evaluations told: of each call with arguments a digest, and whether it was data. None: nothing came."""

    first: tuple[str, ...] | None
    second: tuple[str, ...] | None

    @property
    def varied(self) -> bool | None:
        return None if self.first is None else len(set(self.first)) > 1

    def repeated(self) -> str | None:
        """Why the inputs are known in advance; None where they are not, or could not be seen."""
        if not self.first or not self.second:
            return None
        told = set(self.first)
        again = told & set(self.second)
        if (any(call.endswith("d") for call in told) or len(told) >= MANY) and 2 * len(again) > len(told):
            return f"{len(again)} of {len(told)} inputs came again in another evaluation"
        return None

    def words(self) -> str:
        return "not seen: the evaluator went on" if self.first is None else f"{len(set(self.first))} different calls"


def told(judge: Judge, interface: Interface, seed: Files) -> Told:
    """Have the seed evaluated twice, telling."""
    aim = {"act": "tell", "wrong": False, "names": interface.names}
    program = {**seed, interface.file: candidate(interface, seed[interface.file], aim)}
    first, second = (_words(judge.screen(program).instruments.get("stderr")) for _ in range(2))
    return Told(first, second)


def _words(said: object) -> tuple[str, ...] | None:
    found = _TOLD.search(str(said or ""))
    return tuple(found[1].split()) if found else None
