"""The record: one SQLite file an experiment; one process writes it, anyone reads it. Refuses to decide anything."""

from kernelfactory.record.agents import Happened, Kept, Member
from kernelfactory.record.owner import owner
from kernelfactory.record.reading import Filter, Reader
from kernelfactory.record.rows import (
    Attempt,
    Best,
    ClaimRow,
    Crew,
    Decision,
    Fight,
    Held,
    Improvement,
    IslandRow,
    Refusal,
    Run,
    Saying,
    Spent,
    Start,
)
from kernelfactory.record.store import Options, RecordFull, RecordReadOnly, RecordRefused
from kernelfactory.record.writing import Record, bring_up_to_date

__all__ = [
    "Attempt",
    "Best",
    "ClaimRow",
    "Crew",
    "Decision",
    "Fight",
    "Filter",
    "Happened",
    "Held",
    "Improvement",
    "IslandRow",
    "Kept",
    "Member",
    "Options",
    "Reader",
    "Record",
    "RecordFull",
    "RecordReadOnly",
    "RecordRefused",
    "Refusal",
    "Run",
    "Saying",
    "Spent",
    "Start",
    "bring_up_to_date",
    "owner",
]
