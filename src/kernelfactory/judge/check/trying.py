"""Tries attacks on a judge and tells what came of each: the verdict, or what else was seen. Decides by the yard."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from kernelfactory.judge import JudgeFailed
from kernelfactory.judge.check import advice
from kernelfactory.judge.check.gallery import Base, Wall
from kernelfactory.judge.check.yard import Check, Yard, seen
from kernelfactory.model import Files, Verdict
from kernelfactory.process import signal_all

Ask = Callable[[Files], Verdict]
"""A way to have a program judged."""
TIMING: Wall = "timing from outside"
HONEST, NO_BETTER, HARMLESS = "honest score", "no better", "harmless"
REJECTED, GAINED, SKIPPED = "rejected", "GAINS", "skipped"


@dataclass(frozen=True, slots=True)
class Try:
    """One program to be judged, and what its acceptance would mean. `wall`: what it meets where it gains nothing."""

    files: Files
    base: Base
    wall: Wall


@dataclass(frozen=True, slots=True)
class Came:
    """What came of a try. `gains`: it changed a verdict for the better; `fault`: the ruler failed on it."""

    outcome: str
    detail: str
    stopped: str
    gains: bool = False
    fault: bool = False


class Range:
    """Where attacks are tried: `timing` for what aims at time, `brief` for all else, `short` with short limits for
    bombs, and the yard. `wrong`: what answers that are off by one score, where they score at all. Thread-safe."""

    def __init__(self, timing: Ask, brief: Ask, short: Ask, yard: Yard) -> None:
        self.timing, self.brief, self.short = timing, brief, short
        self.yard = yard
        self.wrong: float | None = None
        self.token = f"kf-check-{secrets.token_hex(8)}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]

    def close(self) -> None:
        self._listener.close()

    def called(self) -> bool:
        """Did somebody reach the listener?"""
        with suppress(BlockingIOError):
            self._listener.accept()[0].close()
            return True
        return False

    def left(self, seconds: float = 2.0) -> bool:
        """Does something live on that carries the token? The kernel has `seconds` to clear away; then it is ended."""
        until = time.monotonic() + seconds
        while (found := _carrying(self.token)) and time.monotonic() < until:
            time.sleep(0.05)
        signal_all(found, signal.SIGKILL)
        return bool(found)

    def tried(self, one: Try, bomb: bool = False) -> Came:
        """Have it judged. Where it seems to gain, twice: luck is no gain."""
        ask = self.short if bomb else self.timing if one.wall == TIMING else self.brief
        try:
            found = self.ruled(one, ask(one.files))
            return self.ruled(one, ask(one.files)) if found.gains else found
        except JudgeFailed as failed:
            return Came("ruler fails", words(failed), "-", fault=True)

    def ruled(self, one: Try, verdict: Verdict) -> Came:
        """What a verdict on it comes to."""
        if self._gains(one, verdict):
            return Came(GAINED, seen(verdict), "-", gains=True)
        return came(one, verdict)

    def _gains(self, one: Try, verdict: Verdict) -> bool:
        if verdict.verdict == "quarantined":
            return one.base == "known wrong"  # the ruler let it pass
        if verdict.verdict != "accepted" or verdict.score is None:
            return _leaks(verdict) or (one.base == "leak" and verdict.reason_code == "crashed")
        gained = self.yard.gained(verdict.score, verdict.interval)
        if one.base in ("seed", "leak", "stated") or (one.base == "known wrong" and not self.yard.timed):
            return gained
        if self.wrong is None or not self.yard.level(self.wrong):
            return gained or self.yard.level(verdict.score)
        return gained and self.yard.metric.better(verdict.score, self.wrong)


def came(one: Try, verdict: Verdict) -> Came:
    """A verdict as the outcome of a try that gained nothing."""
    if verdict.verdict == "quarantined":
        return Came("held", f"{seen(verdict)}: a person must look", "impossible")
    if verdict.verdict == "accepted":
        return Came(HONEST if one.base in ("seed", "leak") else NO_BETTER, seen(verdict), one.wall)
    code = verdict.reason_code or ""
    stopped = {"timeout": "limits", "over_limit": "limits", "forged": "parser", "malformed": "parser"}.get(code)
    stopped = stopped or (one.wall if one.wall != "limits" or code == "crashed" else "ruler")
    return Came(f"{REJECTED}: {code}", verdict.reason or "", stopped)


def _leaks(verdict: Verdict) -> bool:
    """Does a program say that it could read what it must not?"""
    said = f"{verdict.reason} {verdict.instruments.get('stderr', '')}"
    return verdict.verdict == "rejected" and "BufferError" in said


def words(failed: JudgeFailed) -> str:
    """A ruler's failure with what it said, which is for the author."""
    said = str(failed).removesuffix("; kf check says more")
    return " ".join(f"{said}: {failed.detail}".split()) if failed.detail else said


def _carrying(token: str) -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc/self") else ()):
        with suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:
            found += [int(name)] if token.encode() in file.read() else []
    return found


def row(name: str, group: str, cure: str, tries: Iterable[Callable[[], Came]]) -> Check:
    """The row of an attack: of its tries the first that gains or makes the ruler fail, else the one nearest to a gain.
    `cure`: what to do when it gains."""
    found: list[Came] = []
    for attempt in tries:
        found.append(attempt())
        if found[-1].gains or found[-1].fault:
            break
    if not found:
        return Check(name, True, "nothing to try", group, SKIPPED, "-")
    last = found[-1] if found[-1].gains or found[-1].fault else _plainest(found)
    ok = not (last.gains or last.fault)
    fix = "" if ok else cure if last.gains else advice.FAULT
    several = f" ({len(found)} variants)" if ok and len(found) > 1 else ""
    return Check(name, ok, last.detail + several, group, last.outcome, last.stopped, fix)


def _plainest(found: list[Came]) -> Came:
    """Of several that gained nothing the one nearest to a gain: an honest score before a rejection."""
    return next((came for came in found if came.outcome in (HONEST, NO_BETTER)), found[0])


def skipped(name: str, group: str, why: str) -> Check:
    return Check(name, True, why, group, SKIPPED, "-")
