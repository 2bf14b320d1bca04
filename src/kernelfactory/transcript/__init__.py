"""Agents' event streams, read: pure parsers from what each command line prints to one normal form."""

from kernelfactory.transcript.form import Clock, Event, Kind, Parser, Reset

__all__ = ["Clock", "Event", "Kind", "Parser", "Reset"]
