"""This machine's workers: experiments made and run here, from a plan to an ending. Refuses to decide and to judge."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kernelfactory import agents, jail, known, process, workspace
from kernelfactory.agents import config
from kernelfactory.agents.config import Entry
from kernelfactory.assay import Rooms, Waiting, wait_for
from kernelfactory.experiment import Settings, create, find_policy, load_problem, prompts, refuse_full, source
from kernelfactory.files import state_folder
from kernelfactory.floor import Floor
from kernelfactory.gateway.doors import Gateway
from kernelfactory.judge import Judge
from kernelfactory.model import BadInput, Problem
from kernelfactory.progress import Ending, IslandView, Plan, Progress, SlotView
from kernelfactory.record import Record
from kernelfactory.trees import Trees

__all__ = [
    "Ending",
    "IslandView",
    "Plan",
    "Progress",
    "SlotView",
    "World",
    "make",
    "run",
    "scratch_folder",
    "state_folder",
]


def make(
    folder: Path, problem: Problem, settings: Settings, *, unprotected: bool = False, scratch: Path | None = None
) -> None:
    """A new experiment in `folder`; its seed is judged first, in `scratch` (None: the state folder). Raises BadInput,
    BadProblem."""
    refuse_full(folder)
    with scratch_folder(scratch) as root, Judge(problem, jail.find(unprotected), scratch=root) as judge:
        create(folder, judge, settings)


@contextmanager
def scratch_folder(asked: Path | None) -> Iterator[Path]:
    """A folder for judgings and, in a folder for each experiment, for workspaces; cleared of builds that killed judges
    left. Workspaces of a dead run stay until its experiment is resumed, which keeps their notes."""
    root = (asked or state_folder() / "scratch").absolute()
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o711)
    except OSError as error:
        raise BadInput(
            f"{root}: no scratch folder can be made there ({error.strerror}); give another --scratch, or set KF_STATE"
        ) from error
    for base in workspace.leftovers(root):
        workspace.remove(base)
    yield root


@dataclass(frozen=True, slots=True)
class World:
    """What a run takes from outside: the `clock` (epoch seconds) and how to `wait` by it, `window` (see Rooms), a
    `jail` (None: the one that is found), and `agents` by name, beside those that are installed."""

    clock: Callable[[], float] = time.time
    wait: Waiting = wait_for
    window: Callable[[str], None] = lambda name: None
    jail: jail.Jail | None = None
    agents: Mapping[str, agents.Agent] = field(default_factory=dict)


WORLD = World()

FILES, FILES_INSIDE, FILES_CAGED = 128, 8, 16
"""Open files that a run may need, and with each slot: of an agent in this process, and of one in a cage."""


def _found(spec: str, entries: Mapping[str, Entry], given: Mapping[str, agents.Agent]) -> tuple[agents.Agent, int]:
    name, _, slots = agents.parse(spec)
    return (given[name], slots or 1) if name in given else agents.find(spec, entries)


def _refuse_too_many(crew: Sequence[tuple[agents.Agent, int]], allowed: float) -> None:
    """Raises BadInput when so many at once would need more open files than are `allowed`."""
    slots = sum(count for _, count in crew)
    needed = FILES + sum(count * (FILES_INSIDE if agent.in_process else FILES_CAGED) for agent, count in crew)
    if needed > allowed:
        raise BadInput(
            f"{slots} agents at once need about {needed:,} open files, and {allowed:,.0f} are allowed here: raise the"
            " hard limit (ulimit -Hn), or take fewer slots"
        )


def _hidden(folder: Path, entries: Mapping[str, Entry]) -> list[str]:
    """What no agent may see: experiments, where the problem came from, the logins of others (its own is shown)."""
    logins = [entry.login for entry in entries.values() if entry.login]
    return [*map(str, known.private(folder)), *source(folder), *logins]


def run(
    folder: Path,
    plan: Plan,
    *,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_message: Callable[[str], None] = lambda text: None,
    world: World = WORLD,
) -> Ending:
    """Run the experiment in `folder` until a cap, the target, `kf stop` or a signal; everything measured is kept.

    In the main thread SIGINT and SIGTERM drain at first and cut short the second time. Raises BadInput before anything
    has begun."""
    entries = config.load(folder)
    crew = [_found(spec, entries, world.agents) for spec in plan.agents]
    _refuse_too_many(crew, process.allow_files())
    with ExitStack() as stack:
        record = stack.enter_context(Record.open(folder))
        problem = load_problem(folder, record.experiment)
        here = world.jail or jail.find(plan.unprotected)
        if here.note and here.holds:
            on_message(f"JAIL: {here.note}")
        scratch = stack.enter_context(scratch_folder(plan.scratch))
        rooms = Rooms(
            folder=folder.absolute(),
            problem=problem,
            record=record,
            trees=Trees(folder / "trees.git"),
            judge=stack.enter_context(Judge(problem, here, scratch=scratch)),
            policy=find_policy(record.experiment.policy, record.experiment.islands),
            prompts=prompts(),
            seats=os.cpu_count() or 2,
            clock=world.clock,
            window=world.window,
            wait=world.wait,
        )
        mine = scratch / hashlib.sha256(os.fsencode(rooms.folder.resolve())).hexdigest()[:16]
        mine.mkdir(mode=0o711, exist_ok=True)
        gateway = stack.enter_context(Gateway())
        ground = workspace.Ground(mine, here, problem, (str(scratch), *_hidden(folder, entries)), gateway)
        return Floor(rooms, plan, crew, ground).run(on_progress, on_message)
