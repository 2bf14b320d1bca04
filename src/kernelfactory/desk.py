"""The desk of an experiment: the verbs over Unix sockets, one for each lent workspace and one for whoever owns the run.
Refuses to judge, choose or remember: the factory does."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kernelfactory.agents import Standing
from kernelfactory.factory import Desk
from kernelfactory.journal import Journal
from kernelfactory.model import Assignment, BadInput, BadIntake, End, Files, Goal, Incident, Refused, Tokens, Usage
from kernelfactory.pipes import Stop, Talk
from kernelfactory.process import Finished, Options
from kernelfactory.quarantine import DONE, Word
from kernelfactory.redact import Mask
from kernelfactory.wire import Listener, ask
from kernelfactory.workspace import Workspace

SOCKET = "desk.sock"
STOP_VERBS = ("stop", "stop-now")
LOG_BYTES = 256 << 10
NO_SECRETS = Mask({})
LAST_SECONDS = 5.0
"""What an agent has, when a cap is reached, to say what it spent."""


Refuse = Callable[[int | None, str, str], None]
"""(attempt, verb, why): the record keeps what was refused."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a workspace is lent: what is `editable`; `late`, its end when its time is over; the `goal` of the
    score; `web`, may its agent look things up; `resumes`, the session that goes on; `mask`, its secrets; `journal`, its
    transcript."""

    editable: tuple[str, ...]
    journal: Journal
    late: End = "timeout"
    goal: Goal = "min"
    web: bool = False
    resumes: str | None = None
    mask: Mask = NO_SECRETS


class Overheard:
    """A talk whose every line on stdout is written down first."""

    def __init__(self, talk: Talk, write: Callable[[str], None]) -> None:
        self.every = talk.every
        self._talk, self._write = talk, write
        self.error, self.tick, self.words = talk.error, talk.tick, talk.words
        self.hung_up, self.over = talk.hung_up, talk.over

    def line(self, text: str) -> None:
        self._write(text)
        self._talk.line(text)


class Place:
    """A lent workspace with its verbs: what an agent sees, in its own process or through `.kf/desk.sock`. Nothing that
    it takes from there holds a secret of `terms.mask`."""

    def __init__(self, desk: Desk, workspace: Workspace, assignment: Assignment, terms: Terms) -> None:
        self.assignment = assignment
        self.folder = str(workspace.folder)
        self.cage = workspace.cage
        self.home = workspace.home_inside
        self.gateway = workspace.reach.address if workspace.reach else ""
        self.web = terms.web
        self.resumes = terms.resumes
        self.end: End | None = None
        self.abandoned = False
        self.told = Usage()
        self.doing = "working"
        self.measurements = 0
        self.best_here: float | None = None
        self.limited: float | None = None
        self.known_session: str | None = None
        self._desk = desk
        self._workspace = workspace
        self._terms = terms
        self._stopped = Stop()
        self._handed: tuple[Files | None, str | None, str] | None = None
        self._until = time.monotonic() + assignment.limits.seconds
        self.output = bytearray()
        self._owes = False
        self._telling = threading.Condition()

    # ── as the agent sees it ─────────────────────────────────────────────────────────────────────

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        seconds: float | None = None,
        on_line: Callable[[str], None] | None = None,
        talk: Talk | None = None,
    ) -> Finished:
        left = max(0.0, self._until - time.monotonic())
        done = self._workspace.run(
            argv,
            stdin=stdin,
            env=env,
            seconds=left if seconds is None else min(seconds, left),
            options=Options(on_line=on_line, talk=None if talk is None else Overheard(talk, self._terms.journal.line)),
            stop=self._stopped,
        )
        for said in (done.stdout, done.stderr):  # masked before it is cut once more
            self.output += self._terms.mask.cut(said)[-LOG_BYTES:]
        if done.timed_out and self._until - time.monotonic() <= 0:
            self.end = self.end or self._terms.late
        return done

    def measure(self, quick: bool = False) -> dict[str, Any]:
        if self._handed is not None:
            raise Refused("this attempt is handed in: nothing more is measured")
        files, fault = self._taken()
        if files is None:
            raise BadIntake(fault or "the files cannot be read")
        before, self.doing = self.doing, "trying" if quick else "measuring"
        try:
            answer = self._desk.measure(self.assignment.token, files, quick)
        finally:
            self.doing = before
        if not quick:
            self.measurements = answer["measurement"]
            self.best_here = answer["best_here"]
        return {**answer, "seconds_left": max(0, round(self._until - time.monotonic()))}

    def put(self, name: str, data: bytes) -> None:
        self._workspace.put(name, data)

    def transcribe(self, line: str) -> None:
        self._terms.journal.line(line)

    def spent(self, usage: Usage) -> bool:
        more, self.told = usage.tokens > self.told.tokens, usage
        try:
            why = self._desk.spent(self.assignment.token, self.billed(usage))
            if why is not None and self.end is None:
                self.end = "budget"
                self._until = min(self._until, time.monotonic() + LAST_SECONDS)
                self.say("budget", why)
        finally:
            with self._telling:
                self._owes = self._owes and not more
                self._telling.notify_all()
        return why is None

    def paid_up(self, seconds: float) -> bool:
        """Was it told what the model's last answer took? Waits so long for that: who goes on to ask at once must not
        be faster than the cap that its last answer reached. Another answer is owed for after this."""
        with self._telling:
            told = self._telling.wait_for(lambda: not self._owes, seconds)
            self._owes = True
        return told

    def say(self, kind: Incident, text: str) -> None:
        self._desk.say(self.assignment.token, kind, self._terms.mask.text(text))

    def standing(self) -> Standing:
        handed = self._handed is not None or self.abandoned
        measuring = self.doing in ("measuring", "trying")
        return Standing(self.measurements, self.best_here, self._terms.goal, handed, measuring)

    def session(self, session: str) -> None:
        self.known_session = self._terms.mask.text(session)
        self._desk.session(self.assignment.token, self.known_session)

    # ── as the one who lent it sees it ───────────────────────────────────────────────────────────

    def stop(self, end: End) -> None:
        """End the agent's processes; the attempt goes on to be collected and judged, with `end` as its end."""
        self.end = self.end or end
        self._stopped.set()

    def collect(self) -> tuple[Files | None, str | None]:
        self.doing = "judging"
        return self._handed[:2] if self._handed is not None else self._taken()

    def notes(self) -> str:
        return self._handed[2] if self._handed is not None else self._noted()

    def _taken(self) -> tuple[Files | None, str | None]:
        """The files, unless one of them holds a secret: a program with a key in it is kept nowhere."""
        files, fault = self._workspace.collect(self._terms.editable)
        for name, data in (files or {}).items():
            if (secret := self._terms.mask.holds(data) or self._terms.mask.holds(name.encode())) is not None:
                self.say("secret", f"{name} holds the secret {secret}: it was not taken")
                return None, f"{self._terms.mask.text(name)} holds the secret {secret}: take it out, then measure again"
        return files, fault

    def _noted(self) -> str:
        return self._terms.mask.cut(self._workspace.notes().encode("utf-8", "replace")).decode()

    def masked(self, text: str | None) -> str | None:
        return None if text is None else self._terms.mask.text(text)

    def billed(self, usage: Usage) -> Usage:
        """What was spent, known secrets taken out of what the agent calls its models."""
        models: dict[str, Tokens] = {}
        for name, tokens in usage.models.items():
            plain = self._terms.mask.text(name)
            models[plain] = models.get(plain, Tokens()).plus(tokens)
        return replace(usage, models=models)

    # ── the verbs that come through the socket ───────────────────────────────────────────────────

    def submit(self) -> dict[str, Any]:
        files, fault = self._taken()
        if files is None:  # it may mend that, and hand in again
            raise BadIntake(fault or "the files cannot be read")
        self._handed = (files, fault, self._noted())
        return {"attempt": self.assignment.attempt, "handed_in": True, "fault": fault}

    def abandon(self) -> dict[str, Any]:
        self.abandoned = True
        self.stop("finished")
        return {"attempt": self.assignment.attempt, "abandoned": True}

    def renew(self) -> dict[str, Any]:
        return {"attempt": self.assignment.attempt, "lease_until": self._desk.renew(self.assignment.token)}


class Door:
    """Serves `measure`, `submit`, `abandon` and `renew` for one attempt, to whoever shows its token; nothing else."""

    def __init__(self, place: Place, refuse: Refuse) -> None:
        self._place = place
        self._refuse = refuse
        self._verbs: Mapping[str, Callable[[], dict[str, Any]]] = {
            "submit": place.submit,
            "abandon": place.abandon,
            "renew": place.renew,
        }
        self._busy = threading.Lock()

    def __call__(self, request: Mapping[str, Any]) -> dict[str, Any]:
        mine, verb = self._place.assignment, str(request.get("verb"))[:40]
        if not hmac.compare_digest(str(request.get("token")).encode(), mine.token.encode()):
            self._no(verb, "the token is not this attempt's")
        if verb == "measure":
            return self._measure(request.get("quick") is True)
        if verb not in self._verbs:
            self._no(verb, "no such verb here: measure, submit, abandon, renew")
        return self._verbs[verb]()

    def _measure(self, quick: bool) -> dict[str, Any]:
        if not self._busy.acquire(blocking=False):
            self._no("measure", "a measurement of this attempt is still running: wait for its answer")
        try:
            return self._place.measure(quick)
        finally:
            self._busy.release()

    def _no(self, verb: str, why: str) -> None:
        self._refuse(self._place.assignment.attempt, self._place.masked(verb) or "", why)
        raise Refused(why)


class Lender:
    """Opens a door at each lent workspace, and clears both away. Knows every open place."""

    def __init__(self, desk: Desk, refuse: Refuse) -> None:
        self._desk = desk
        self._refuse = refuse
        self.places: dict[int, Place] = {}

    @contextmanager
    def lent(self, assignment: Assignment, workspace: Workspace, terms: Terms) -> Iterator[Place]:
        """The place of `assignment` in `workspace`, which is closed at the end."""
        with workspace:
            place = Place(self._desk, workspace, assignment, terms)
            door = Listener(workspace.folder / ".kf" / SOCKET, Door(place, self._refuse), open_to_all=True)
            self.places[assignment.attempt] = place
            try:
                yield place
            finally:
                del self.places[assignment.attempt]
                door.close()
                place.output += "".join(f"kf: {fault}\n" for fault in workspace.faults).encode("utf-8", "replace")


# ── the owner's door ─────────────────────────────────────────────────────────────────────────────

Decide = Callable[[Word], Sequence[int]]
"""Takes a person's word on a program in quarantine; the attempts it is about."""


def control_door(folder: Path, on_stop: Callable[[bool], None], on_word: Decide) -> Listener:
    """Serves `stop` and `stop-now` (`on_stop(now)`), `release` and `reject` (`on_word(word)`) for a running experiment.
    The folder's owner alone may connect."""

    def handler(request: Mapping[str, Any]) -> dict[str, Any]:
        verb = request.get("verb")
        if verb in STOP_VERBS:
            on_stop(verb == "stop-now")
            return {"stopping": True, "now": verb == "stop-now"}
        if verb in DONE:
            return {"attempts": list(on_word(_word(request)))}
        raise BadInput(f"no such verb here: {', '.join((*STOP_VERBS, *DONE))}")

    path = folder / SOCKET
    path.unlink(missing_ok=True)  # left by a run that was killed: the record's lock says that there is no other
    return Listener(path, handler)


def _word(request: Mapping[str, Any]) -> Word:
    attempt, who, why = (request.get(name) for name in ("attempt", "who", "why"))
    if not isinstance(attempt, int) or not isinstance(who, str) or not (why is None or isinstance(why, str)):
        raise BadInput("a decision names an attempt, who decides, and perhaps why")
    return Word(attempt, "release" if request["verb"] == "release" else "reject", who, why)


def control(folder: Path, verb: str) -> str:
    """Ask the run that owns `folder` to stop. Raises BadInput when none is running there."""
    path = folder / SOCKET
    if not path.exists():
        raise BadInput(f"{folder}: nothing is running here, so there is nothing to stop")
    try:
        answer = ask(path, {"verb": verb}, seconds=10.0)
    except BadInput as error:
        raise BadInput(f"{folder}: nothing is running here any more; kf resume goes on") from error
    return "abandoning what runs" if answer["now"] else "draining: running attempts end, no new one begins"


def tell(folder: Path, word: Word) -> list[int]:
    """Have the run that owns `folder` put a person's word on the record; the attempts it is about. Raises BadInput."""
    request = {"verb": word.said, "attempt": word.attempt, "who": word.who, "why": word.why}
    return [int(attempt) for attempt in ask(folder / SOCKET, request, seconds=60.0)["attempts"]]
