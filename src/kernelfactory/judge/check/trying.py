"""Tries attacks on a judge and tells what came of each: the verdict, or what else was seen. Decides by the yard."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kernelfactory.judge import Judge, JudgeFailed
from kernelfactory.judge.check import advice
from kernelfactory.judge.check.gallery import Base, Wall
from kernelfactory.judge.check.yard import Check, Yard, seen
from kernelfactory.model import Files, Verdict

TIMED_BAR = 1.3
"""A timed try that is clearly slower than this ends early: an attack that gains less is not worth its time."""
HONEST, HARMLESS, REJECTED, GAINED, SKIPPED = "honest score", "harmless", "rejected", "GAINS", "skipped"


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
    """Where attacks are tried: a judge, one with short limits for bombs, and the yard. `unchecked`: wrong answers pass
    as the seed's do, so that only a better score is a gain. Thread-safe."""

    def __init__(self, judge: Judge, short: Judge, yard: Yard, *, unchecked: bool = False) -> None:
        self.judge = judge
        self.short = short
        self.yard = yard
        self.unchecked = unchecked
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
        """Does something live on that carries the token? The kernel has `seconds` to clear away."""
        until = time.monotonic() + seconds
        while (found := _carries(self.token)) and time.monotonic() < until:
            time.sleep(0.05)
        return found

    def tried(self, one: Try, bomb: bool = False) -> Came:
        """Have it judged. Where it seems to gain, twice: luck is no gain."""
        judge = self.short if bomb else self.judge
        try:
            found = self.ruled(one, judge.screen(one.files, bar=TIMED_BAR if self.yard.timed else None))
            return self.ruled(one, judge.screen(one.files)) if found.gains else found
        except JudgeFailed as failed:
            return Came("ruler fails", words(failed), "-", fault=True)

    def ruled(self, one: Try, verdict: Verdict) -> Came:
        """What a verdict on it comes to."""
        if self._gains(one, verdict):
            return Came(GAINED, seen(verdict), "-", gains=True)
        return came(one, verdict)

    def _gains(self, one: Try, verdict: Verdict) -> bool:
        if verdict.verdict != "accepted" or verdict.score is None:
            return _leaks(verdict) or (one.base == "leak" and verdict.reason_code == "crashed")
        level = self.yard.level(verdict.score) and not self.unchecked
        if one.base == "wrong" or (one.base == "known wrong" and self.yard.timed):
            return level or self.yard.gained(verdict.score, verdict.interval)
        return self.yard.gained(verdict.score, verdict.interval)


def came(one: Try, verdict: Verdict) -> Came:
    """A verdict as the outcome of a try that gained nothing."""
    if verdict.verdict == "quarantined":
        return Came("held", f"{seen(verdict)}: a person must look", "impossible")
    if verdict.verdict == "accepted":
        return Came(HONEST, seen(verdict), one.wall)
    code = verdict.reason_code or ""
    stopped = {"timeout": "limits", "over_limit": "limits", "forged": "parser", "malformed": "parser"}.get(code)
    stopped = stopped or (one.wall if one.wall != "limits" or code == "crashed" else "ruler")
    return Came(f"{REJECTED} {code}", seen(verdict), stopped)


def _leaks(verdict: Verdict) -> bool:
    """Does a program say that it could read what it must not?"""
    said = f"{verdict.reason} {verdict.instruments.get('stderr', '')}"
    return verdict.verdict == "rejected" and "BufferError" in said


def words(failed: JudgeFailed) -> str:
    """A ruler's failure with what it said, which is for the author."""
    said = str(failed).removesuffix("; kf check says more")
    return " ".join(f"{said}: {failed.detail}".split()) if failed.detail else said


def _carries(token: str) -> bool:
    for name in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc/self") else ()):
        with suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:
            if token.encode() in file.read():
                return True
    return False


def row(name: str, group: str, cures: tuple[str, str], tries: Iterable[Callable[[], Came]]) -> Check:
    """The row of an attack: of its tries the first that gains or makes the ruler fail, else the first. `cures`: what to
    do when it gains, and about a ruler that fails."""
    found: list[Came] = []
    for attempt in tries:
        found.append(attempt())
        if found[-1].gains or found[-1].fault:
            break
    if not found:
        return Check(name, True, "nothing to try", group, SKIPPED, "-")
    last = found[-1] if found[-1].gains or found[-1].fault else _plainest(found)
    ok = not (last.gains or last.fault)
    fix = "" if ok else cures[0] if last.gains else cures[1]
    several = f" ({len(found)} variants)" if ok and len(found) > 1 else ""
    return Check(name, ok, last.detail + several, group, last.outcome, last.stopped, fix)


def _plainest(found: list[Came]) -> Came:
    """Of several that gained nothing the one nearest to a gain: an honest score before a rejection."""
    return next((came for came in found if came.outcome == HONEST), found[0])


def skipped(name: str, group: str, why: str) -> Check:
    return Check(name, True, why, group, SKIPPED, "-")


def cures(problem: Any, cure: str, by: str) -> tuple[str, str]:
    return advice.fix(problem, cure, by), advice.FAULT


def grafted(seed: Files, changed: Mapping[str, bytes]) -> dict[str, bytes]:
    return {**seed, **changed}
