"""Any shell command as an agent: the brief on its standard input and in BRIEF.md. Understands nothing of its output but
what it says in our own words."""

from __future__ import annotations

import io
import math
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kernelfactory.agents import Readiness, Workplace
from kernelfactory.agents.config import NOTHING, Entry, missing, secrets_of
from kernelfactory.agents.oneturn import OneTurn
from kernelfactory.agents.session import converse
from kernelfactory.agents.upstreams import MODEL_HOSTS
from kernelfactory.gateway import Route
from kernelfactory.model import AgentFailed, BadInput, Limits, Usage
from kernelfactory.transcript import Event
from kernelfactory.transcript.inside import Inside
from kernelfactory.transcript.lines import Lines
from kernelfactory.view import Pair

READS = ("model", "flags", "path", "env", "secrets", "hosts")
BOUND = "all that it spends: it tells nothing, unless it prints usage lines; then one of them"


class Command:
    """`command@CMD`: CMD runs under `/bin/sh -c` in the workspace; exit code 0 means that it is done.

    Its first word is looked up when the run starts, as a shell would here and now; the program's file is shown in the
    cage, wherever it lies, and nothing beside it. In agents.toml `path` and `flags` may be the command; what SPEC then
    says after "@" it finds in KF_MODEL. It reaches known model APIs, `hosts`, and nothing else.

    A line of its output that is a JSON object with a `kind` is read as transcript.Event has it: `usage` with totals
    makes its cost known, `limit` and `end` with a `trouble` say why it stopped. Raises BadInput when there is no such
    program."""

    costs_money = True  # nobody can know: so a cap is asked for
    counts_tokens = False
    in_process = False
    resumes = False
    streams = False
    shares: Sequence[Pair] = ()
    routes: Sequence[Route] = ()

    def __init__(self, model: str | None, entry: Entry = NOTHING) -> None:
        entry.only("command", READS)
        self.name = entry.name or "command"
        self.entry = entry
        self.model = model or entry.model
        command = self.model if entry.path is None else shlex.join((entry.path, *entry.flags))
        if not command:
            raise BadInput(f"agent {self.name}: say which, e.g. --agent 'command@./agent.sh'")
        if entry.path is None and entry.flags:
            command = f"{command} {shlex.join(entry.flags)}"
        self._command, self.needs = _resolved(command)
        self.hosts: Sequence[str] = (*MODEL_HOSTS, *entry.hosts)
        self.secrets: Mapping[str, str] = secrets_of(entry)

    def state(self) -> Readiness:
        lacking = missing(self.entry)
        advice = f"set {', '.join(lacking)}" if lacking else ""
        told = None if lacking else ", ".join(self.secrets) or "needs none that is known"
        return Readiness(not lacking, installed=self._command, login=told, bound=BOUND, advice=advice)

    def work(self, workplace: Workplace, brief: str, limits: Limits) -> Usage:
        if lacking := missing(self.entry):
            raise AgentFailed(f"{self.name}: {', '.join(lacking)} is not set", trouble="auth")
        told = {} if self.entry.path is None or self.model is None else {"KF_MODEL": self.model}
        env = {"KF_BRIEF": "BRIEF.md", **told, **self.entry.env, **self.secrets}
        silence = math.inf if self.entry.silence is None else limits.silence  # a script may work without a word

        def make(prompt: str, session: str | None) -> OneTurn:
            return OneTurn(("/bin/sh", "-c", self._command), env, prompt, Script(), late=True)

        try:
            return _honest(converse(workplace, make, brief, replace(limits, silence=silence, nudges=0)))
        except AgentFailed as failure:
            failure.usage = _honest(failure.usage)
            raise


class Script:
    """Reads what a command prints: its own words are messages, ours are what they say. Its exit code decides how it
    ended, unless it has said why it could not work."""

    session: str | None = None

    def __init__(self) -> None:
        self._ours, self._lines = Inside(), Lines()
        self._failed = False

    def line(self, text: str) -> Sequence[Event]:
        found = self._ours.line(text)
        if not found and not text.startswith('{"kind":'):
            return self._lines.line(text)
        self._failed = self._failed or any(e.kind in ("end", "limit") and e.trouble is not None for e in found)
        return found

    def error(self, text: str) -> Sequence[Event]:
        self._ours.error(text)
        return self._lines.error(text)

    def end(self, returncode: int) -> Sequence[Event]:
        if self._failed:
            return self._ours.end(returncode)
        code = f"the command ended with exit code {returncode}"
        return [
            replace(event, text=f"{code}: {event.text}" if event.trouble is not None else event.text)
            for event in self._lines.end(returncode)
        ]


def _honest(usage: Usage) -> Usage:
    """What it cost is not known as long as it has not said so."""
    return usage if usage.tokens or usage.dollars else replace(usage, dollars=None)


def _resolved(command: str) -> tuple[str, tuple[str, ...]]:
    """The command with its program's path written out, and the files that are needed to run it."""
    word, rest = _first(command)
    path = shutil.which(word) if word else None
    if path is None:
        if "/" in word:
            raise BadInput(f"agent command: {word} is not there, or not executable (chmod +x); give its path")
        return command, ()  # a word of the shell itself, or a program that only the cage has
    path = os.path.abspath(path)
    written = shlex.quote(path if "/" in word else word)
    return f"{written} {rest}".rstrip(), tuple(dict.fromkeys((path, os.path.realpath(path))))


def _first(command: str) -> tuple[str, str]:
    """The first word as the shell would read it, and what follows; no word where there is more to it than that."""
    text = io.StringIO(command)
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        word = lexer.get_token() or ""
    except ValueError:  # an open quote: the shell will say so
        return "", command
    plain = not set(word) & set("$`=;&|<>(){}*?~")
    return (word, command[text.tell() :]) if plain else ("", command)
