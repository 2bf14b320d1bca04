"""Would a program of a problem with private solutions leave this machine with a folder? Looks, says, changes nothing:
sends nothing, runs no git, follows no link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pygit2

from kernelfactory.model import BadInput
from kernelfactory.publish.likeness import Index, Match, Program
from kernelfactory.publish.programs import Known, learn
from kernelfactory.publish.search import Leak, Looked, Search, Sign

__all__ = ["Known", "Leak", "Looked", "Match", "Program", "Report", "Sign", "check"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a folder would give away, what was looked at, and against what: `known` experiments, those `passed` over
    (folder and why), and how many programs were compared `by_content_only`."""

    looked: Looked
    known: tuple[Known, ...]
    passed: tuple[tuple[Path, str], ...]
    by_content_only: int = 0

    @property
    def clear(self) -> bool:
        return not self.looked.leaks and not self.looked.signs


def check(folder: Path, named: Sequence[Path], guessed: Sequence[Path]) -> Report:
    """Look through `folder` for the programs of the experiments `named`, which must be readable, and of those
    `guessed`, which need not be. Raises BadInput."""
    index, known, passed = Index(), list[Known](), list[tuple[Path, str]]()
    for experiment in (*named, *guessed):
        try:
            found = learn(experiment, index)
        except (BadInput, OSError, pygit2.GitError) as error:
            if experiment in named:
                raise BadInput(f"{experiment} cannot be read ({error}): name another experiment") from error
            passed.append((experiment, str(error)))
            continue
        if found is None:
            passed.append((experiment, "its solutions are public"))
        else:
            known.append(found)
    looked = Search(index).look(folder)
    return Report(looked, tuple(known), tuple(passed), index.by_content_only)
