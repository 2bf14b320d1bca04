"""Any shell command as an agent: the brief on its standard input and in BRIEF.md. Understands nothing of its output."""

from __future__ import annotations

import io
import os
import shlex
import shutil

from kernelfactory.agents import Workplace
from kernelfactory.model import AgentFailed, BadInput, Limits, Usage

LAST_WORDS = 200
"""Characters of its errors that are told when it fails."""


class Command:
    """`command@CMD`: CMD runs under `/bin/sh -c` in the workspace; exit code 0 means that it is done.

    Its first word is looked up when the run starts, as a shell would here and now; the program's file is shown in the
    cage, wherever it lies, and nothing beside it. Raises BadInput when there is no such program."""

    name = "command"
    costs_money = True  # nobody can know: so a cap is asked for
    counts_tokens = False
    network = True
    in_process = False

    def __init__(self, model: str | None) -> None:
        if not model:
            raise BadInput("agent command: say which, e.g. --agent 'command@./agent.sh'")
        self.model: str | None = model
        self._command, self.needs = _resolved(model)

    def work(self, workplace: Workplace, brief: str, limits: Limits) -> Usage:
        argv = ("/bin/sh", "-c", self._command)
        done = workplace.run(argv, stdin=brief.encode(), env={"KF_BRIEF": "BRIEF.md"}, seconds=limits.seconds)
        usage = Usage(seconds=done.seconds, tokens=0, dollars=None)
        if done.returncode != 0 and not done.timed_out and not done.stopped:
            said = " ".join(done.stderr.decode("utf-8", "replace").split())[-LAST_WORDS:]
            raise AgentFailed(f"the command ended with exit code {done.returncode}{': ' + said if said else ''}", usage)
        return usage


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
