"""The record: one SQLite file an experiment; one process writes it, anyone reads it. Refuses to decide anything."""

from kernelfactory.record.owner import owner
from kernelfactory.record.reading import Filter, Reader
from kernelfactory.record.rows import Attempt, Best, ClaimRow, Crew, Improvement, IslandRow, Refusal, Run, Spent, Start
from kernelfactory.record.store import Options, RecordFull, RecordReadOnly, RecordRefused
from kernelfactory.record.writing import Record

__all__ = [
    "Attempt",
    "Best",
    "ClaimRow",
    "Crew",
    "Filter",
    "Improvement",
    "IslandRow",
    "Options",
    "Reader",
    "Record",
    "RecordFull",
    "RecordReadOnly",
    "RecordRefused",
    "Refusal",
    "Run",
    "Spent",
    "Start",
    "owner",
]
