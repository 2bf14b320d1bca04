"""What a claim gives: the parent's files, inspirations and the brief, read from record and trees. Decides nothing."""

from __future__ import annotations

import secrets
from dataclasses import replace
from functools import lru_cache

from kernelfactory import brief
from kernelfactory.assay import Assay
from kernelfactory.model import Assignment, Candidate, Choice, Limits
from kernelfactory.population import Population
from kernelfactory.record import Attempt

NOTE_DEPTH = 24
"""Generations whose notes a brief may carry."""

PROGRAMS = 512
"""Programs kept in memory: elites are lent again and again."""


class Briefing:
    """Makes assignments. `prompt` is the digest of the template texts."""

    def __init__(self, assay: Assay) -> None:
        self._rooms = assay.rooms
        self._told = assay.told
        self._editable = lru_cache(maxsize=PROGRAMS)(assay.editable)
        self.prompt = brief.digest(self._rooms.prompts)

    def assign(self, number: int, choice: Choice, limits: Limits, population: Population) -> Assignment:
        """The assignment of attempt `number`, with a fresh token."""
        parent = self._rooms.record.attempt(choice.parent)
        if parent.score is None or parent.commit is None:
            raise AssertionError(f"the policy chose attempt {choice.parent}, which is no candidate")
        return Assignment(
            attempt=number,
            token=secrets.token_urlsafe(24),
            island=choice.island,
            parent=choice.parent,
            parent_score=self._told(choice.parent, parent.score) or 0.0,
            best_score=self._best(parent, population),
            brief=self._brief(choice, parent, limits, population),
            files={**self._rooms.problem.seed, **self._editable(parent.commit)},
            limits=limits,
            move=choice.move,
            reason=choice.reason,
            inspirations={other: self._program(other) for other in choice.inspirations},
        )

    def _brief(self, choice: Choice, parent: Attempt, limits: Limits, population: Population) -> str:
        record, problem = self._rooms.record, self._rooms.problem
        verdict = record.measurement(parent.measurement or 0).verdict
        share = choice.share_notes
        facts = brief.Facts(
            task=problem.task,
            metric=problem.metric,
            editable=problem.editable,
            limits=limits,
            move=choice.move,
            parent=choice.parent,
            parent_score=self._told(choice.parent, parent.score) or 0.0,
            best_score=self._best(parent, population),
            baseline=record.baseline() or 0.0,
            measures=verdict.measures,
            instruments=verdict.instruments,
            lineage=record.notes(record.lineage(choice.parent, NOTE_DEPTH), told=True) if share else (),
            failed=record.failed_notes(choice.parent) if share else (),
            inspirations=[self._shown(c) for n in choice.inspirations if (c := population.find(n)) is not None],
            quick=problem.measure.quick is not None,
            web=problem.web,
        )
        return brief.compose(facts, self._rooms.prompts, secrets.token_hex(6))

    def _best(self, parent: Attempt, population: Population) -> float:
        best = population.best
        named = (best.attempt, best.score) if best else (parent.attempt, parent.score)
        return self._told(*named) or 0.0

    def _shown(self, candidate: Candidate) -> Candidate:
        """With the score that agents may know."""
        return replace(candidate, score=self._told(candidate.attempt, candidate.score) or 0.0)

    def _program(self, attempt: int) -> dict[str, bytes]:
        return self._editable(self._rooms.record.attempt(attempt).commit or "")
