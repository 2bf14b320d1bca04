"""Experiment folders: made whole or not at all, opened to go on. Runs nothing but the seed's own judging."""

from __future__ import annotations

import json
import secrets
import shutil
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.resources import files as resources
from pathlib import Path

from kernelfactory import problem as problems
from kernelfactory.budget import Caps
from kernelfactory.files import write_atomic, write_tree
from kernelfactory.judge import Judge
from kernelfactory.model import BadInput, BadProblem, Experiment, Problem, Verdict
from kernelfactory.policy import SHIPPED, Policy
from kernelfactory.policy import find as find_shipped
from kernelfactory.problem import is_editable
from kernelfactory.record import Record
from kernelfactory.trees import Trees

NO_CAPS = Caps()

POLICIES = "kernelfactory.policies"
"""The entry points under which other packages offer policies."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What an experiment is asked to be. `seed` drives every choice of parents, never the judge."""

    agents: tuple[str, ...] = ("mutator",)
    policy: str = "islands"
    islands: int = 3
    seed: int = 0
    caps: Caps = NO_CAPS


def create(folder: Path, judge: Judge, settings: Settings) -> None:
    """Make the folder of a new experiment on the judge's problem: locked copy, record with the judged seed, trees.

    Raises BadInput when the folder is not empty or an option makes no sense, BadProblem when the seed fails its own
    judge; nothing is left behind then."""
    policy = find_policy(settings.policy, settings.islands)
    refuse_full(folder)
    verdict = judge.screen(judge.problem.seed)
    if verdict.verdict != "accepted":
        why = f"{verdict.verdict}: {verdict.reason}"
        raise BadProblem(f"{judge.problem.folder}: the seed fails its own judge ({why}); kf check says more")
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = folder.parent / f".{folder.name}.{secrets.token_hex(4)}"
    try:
        _fill(new, judge.problem, settings, policy.islands, verdict)
        if folder.exists():
            folder.rmdir()
        new.rename(folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def refuse_full(folder: Path) -> None:
    """Raises BadInput unless `folder` is absent or empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is there already and not empty: choose another --dir, or kf resume it")


def _fill(new: Path, problem: Problem, settings: Settings, islands: int, verdict: Verdict) -> None:
    new.mkdir()
    problems.lock(problem.folder, new / "problem")
    made = Experiment(
        name=new.name.split(".")[1],
        problem=problem.name,
        digest=problem.digest,
        metric=problem.metric,
        axes=problem.axes,
        policy=settings.policy,
        islands=islands,
        seed=settings.seed,
        created_at=time.time(),
        agents=settings.agents,
        private=problem.private,
    )
    write_atomic(new / "experiment.toml", _toml(made, problem.folder, settings.caps).encode())
    commit = Trees.create(new / "trees.git").commit(problem.seed, message="the seed", ref="refs/candidates/000000/1")
    record = Record.create(new, made)
    record.seeded(verdict, made.created_at, commit.commit)
    record.close()
    write_tree(new / "best", {n: d for n, d in problem.seed.items() if is_editable(n, problem.editable)})
    (new / "attempts").mkdir()


def _toml(made: Experiment, source: str, caps: Caps) -> str:
    """What was asked at first. For people to read: what holds is in the record, with the caps of every run."""
    rows: Sequence[tuple[str, object]] = (
        ("problem", made.problem),
        ("digest", made.digest),
        ("agents", list(made.agents)),
        ("policy", made.policy),
        ("islands", made.islands),
        ("seed", made.seed),
        ("source", str(Path(source).absolute())),
    )
    asked = {name: value for name in Caps.__slots__ if (value := getattr(caps, name)) is not None}
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in rows]
    limits = [f"{name} = {json.dumps(value)}\n" for name, value in asked.items()]
    return "".join(["# What was asked at first; what holds is in record.db.\n", *lines, "\n[caps]\n", *limits])


def source(folder: Path) -> tuple[str, ...]:
    """The folder that the problem was copied from, if it can be told: agents must not see it either."""
    try:
        found = tomllib.loads((folder / "experiment.toml").read_text("utf-8")).get("source")
    except (OSError, ValueError):
        return ()
    return (found,) if isinstance(found, str) else ()


def find_policy(name: str, islands: int) -> Policy:
    """A policy by name: a shipped one, or one that another package offers as an entry point of "kernelfactory.policies"
    (called with the number of islands). Raises BadInput."""
    for point in entry_points(group=POLICIES, name=name):
        if name not in SHIPPED:
            policy: Policy = point.load()(islands)
            return policy
    return find_shipped(name, islands)


def load_problem(folder: Path, experiment: Experiment) -> Problem:
    """The experiment's own locked copy. Raises BadProblem when it is not what it was made with."""
    problem = problems.load(folder / "problem")
    if problem.digest != experiment.digest:
        raise BadProblem(
            f"{folder / 'problem'} was changed since the experiment began: put it back, or begin a new experiment"
        )
    return problem


def prompts() -> Mapping[str, str]:
    """The shipped template texts by name."""
    found = resources("kernelfactory") / "prompts"
    return {item.name: item.read_text("utf-8") for item in found.iterdir() if item.name.endswith(".md")}
