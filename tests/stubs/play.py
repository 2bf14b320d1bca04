"""What the model of a test says and when it fails: values, the same for every API. Refuses to know any of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SHELLS = ("Bash", "bash", "exec_command", "shell_command", "shell", "local_shell", "run_shell_command")
"""What agents call their shell tool, by which a turn's commands are played on whoever asks."""


@dataclass(frozen=True)
class Call:
    """One tool call: `input` is an object, or a text for tools that take one."""

    name: str
    input: Mapping[str, Any] | str


@dataclass(frozen=True)
class Turn:
    """One answer of the model: words, then shell commands (in the tool that the agent has for them) and other calls.
    A turn without any ends the agent's work. `thinking` comes first, where the API has it."""

    text: str = ""
    shell: Sequence[str] = ()
    calls: Sequence[Call] = ()
    thinking: str = ""

    @property
    def last(self) -> bool:
        return not self.shell and not self.calls

    def played(self, offered: Sequence[str]) -> list[Call]:
        """All its calls, for an agent that offers these tools."""
        return [*(shell_call(offered, command) for command in self.shell), *self.calls]


@dataclass(frozen=True)
class Fault:
    """What goes wrong: always, or on turn number `turn` only (from 0), the first `times` times. `reset_at` (epoch) for
    usage limits, None: it is not said; `retry_after` (seconds) for those that ask to wait."""

    kind: str
    turn: int | None = None
    times: int | None = None
    retry_after: float = 3.0
    reset_at: float | None = None

    @staticmethod
    def read(text: str) -> Fault:
        """`kind[@turn][xTimes]`, as in `usage@1` or `overload@0x2`."""
        found = re.fullmatch(r"(?P<kind>[a-z-]+)(?:@(?P<turn>\d+))?(?:x(?P<times>\d+))?", text)
        if found is None:
            raise ValueError(f"{text!r} is no fault: kind[@turn][xTimes]")
        numbers = {name: int(found[name]) for name in ("turn", "times") if found[name] is not None}
        return Fault(found["kind"], **numbers)


@dataclass(frozen=True)
class Spent:
    """Tokens of every answer: `input` without those read from or written to the cache, `output` with reasoning."""

    input: int = 1000
    output: int = 50
    cache_read: int = 5000
    cache_write: int = 200


@dataclass
class Said:
    """What the model has said in one go, as the conversation that was sent holds it."""

    text: str = ""
    inputs: list[str] = field(default_factory=list)


def shell_call(offered: Sequence[str], command: str) -> Call:
    """A shell command as a call of the tool that the agent offers for it."""
    name = next((name for name in SHELLS if name in offered), "bash")
    if name == "exec_command":
        return Call(name, {"cmd": command})
    if name in ("shell", "local_shell"):
        return Call(name, {"command": ["bash", "-lc", command]})
    if name == "shell_command":
        return Call(name, {"command": command})
    return Call(name, {"command": command, "description": "As the script says"})


def turn_number(play: Sequence[Turn], conversation: Sequence[Said]) -> int:
    """Which turn comes next: after those that the conversation holds, in order. What the script has not said (an
    agent's own words about an error, say) counts for nothing, so that retries and resumed sessions play on."""
    number = 0
    for said in conversation:
        if number < len(play) and _is(play[number], said):
            number += 1
    return number


def _is(turn: Turn, said: Said) -> bool:
    if turn.last:
        return not said.inputs and _bare(turn.text) in _bare(said.text)
    wanted = [*turn.shell, *(call.input if isinstance(call.input, str) else _plain(call.input) for call in turn.calls)]
    return any(word in given for word in wanted for given in said.inputs)


def _bare(text: str) -> str:
    return " ".join(text.split())


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def inputs(value: Any) -> list[str]:
    """Every text in a tool call's input, and the whole of it: what `_is` looks for."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return [value]
    found = [_plain(value)]
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, Mapping):
            todo += one.values()
        elif isinstance(one, Sequence):
            todo += one
    return found


def night(
    edit: str, note: str = "what I tried: the script\n", measure: str = "kf measure --json > measured.json"
) -> list[Turn]:
    """The scenario that every agent plays: edit the kernel by a shell command, measure, write notes, finish."""
    return [
        Turn("I will edit the program.", [edit]),
        Turn("Now I measure it.", [measure]),
        Turn("Now my notes.", [f"cat > progress.md <<'END'\n{note}END"]),
        Turn("Done: the program is edited and measured."),
    ]
