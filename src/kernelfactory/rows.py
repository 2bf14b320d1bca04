"""Old address of rows as values: import from `kernelfactory.record.rows`. Goes when nobody asks here any more."""

from kernelfactory.record.rows import Attempt, Improvement, Run, Spent, attempt_json

__all__ = ["Attempt", "Improvement", "Run", "Spent", "attempt_json"]
