"""Floor 0 decides and touches nothing: what it may not import, and the nouns' own few rules."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import kernelfactory
from kernelfactory.model import AgentFailed, BadInput, Metric, Rejected, Usage, UsageLimit

ROOMS = (
    "model",
    "population",
    "policy",
    "budget",
    "brief",
    "suspicion",
    "timing",
    "transcript",
    "signs",
    "rota",
    "redact",
)
WORLD = re.compile(
    r"(sqlite3|subprocess|socket|threading|asyncio|time|datetime|os|io|tempfile|pathlib|glob|shutil|logging|importlib|random"
    r"|secrets|uuid|ctypes)(\.|$)"
)
HERE = Path(kernelfactory.__file__).parent
FILES = [path for room in ROOMS for path in (HERE / f"{room}.py", *sorted((HERE / room).glob("*.py"))) if path.exists()]
SOURCES = {path.relative_to(HERE).as_posix().removesuffix(".py"): path.read_text(encoding="utf-8") for path in FILES}


def touches(source: str) -> list[str]:
    """What `source` imports from the world or from other floors, and builtins that reach out; `random` may be typed."""
    found: list[str] = []
    queue: list[ast.AST] = [ast.parse(source)]
    while queue:
        node = queue.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            found += [name for child in node.body for name in imports(child) if name != "random"]
            queue += node.orelse
            continue
        found += imports(node)
        if (
            isinstance(node, ast.Name)
            and isinstance(node.ctx, ast.Load)
            and node.id in ("open", "__import__", "eval", "exec", "input", "print")
        ):
            found.append(node.id)
        queue += ast.iter_child_nodes(node)
    return found


def imports(node: ast.AST) -> list[str]:
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = ["." * node.level + (node.module or "")]
    ours = [f"kernelfactory.{room}" for room in ROOMS]
    foreign = [
        name
        for name in names
        if name.startswith((".", "kernelfactory")) and not any(f"{name}.".startswith(f"{room}.") for room in ours)
    ]
    return [name for name in names if WORLD.match(name)] + foreign


def test_every_room_is_there() -> None:
    assert {name.split("/")[0] for name in SOURCES} == set(ROOMS)


@pytest.mark.parametrize("room", SOURCES)
def test_floor_0_touches_nothing(room: str) -> None:
    assert touches(SOURCES[room]) == []


@pytest.mark.parametrize(
    "fault",
    [
        "import time",
        "import os.path",
        "from random import Random",
        "def f():\n    from pathlib import Path",
        "if TYPE_CHECKING:\n    pass\nelse:\n    import random",
        "if TYPE_CHECKING:\n    import os",
        "def f():\n    return open('x')",
        "g = open",
        "from kernelfactory.record import Record",
        "from . import files",
    ],
)
def test_a_fault_put_in_is_seen(fault: str) -> None:
    assert touches(f"{SOURCES['policy']}\n{fault}\n")


def test_better_beyond_and_reached() -> None:
    fewer, more = Metric("c", "c", "min", impossible=10.0), Metric("s", "s", "max", impossible=10.0)
    assert fewer.better(1, 2) and not fewer.better(2, 2) and more.better(2, 1) and not more.better(2, 2)
    assert [fewer.beyond_possible(x) for x in (9.0, 10.0, 11.0)] == [True, True, False]
    assert [more.beyond_possible(x) for x in (9.0, 10.0, 11.0)] == [False, True, True]
    assert not Metric("c", "c", "min").beyond_possible(-1e9)
    assert fewer.reached(5, 5) and fewer.reached(4, 5) and not fewer.reached(6, 5)


def test_errors_carry_what_happened() -> None:
    assert AgentFailed("x").usage == Usage() and AgentFailed("x", Usage(1.0)).usage.seconds == 1.0
    limit = UsageLimit("x", until=5.0, usage=Usage(2.0))
    assert (limit.until, limit.usage.seconds, UsageLimit("x").until) == (5.0, 2.0, None)
    assert (Rejected("timeout", "too slow").code, str(Rejected("timeout", "too slow"))) == ("timeout", "too slow")
    assert BadInput("x").exit_code == 2
