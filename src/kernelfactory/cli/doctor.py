"""`kf doctor`: what works on this machine, and what to do about what does not. Installs and changes nothing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kernelfactory.cli import asking
from kernelfactory.cli.options import Json
from kernelfactory.cli.terminal import document, one_line, say, size, table
from kernelfactory.model import BadInput, KernelFactoryError

if TYPE_CHECKING:
    from kernelfactory.agents import Agent
    from kernelfactory.agents.config import Entry
    from kernelfactory.jail import Tried

LEAST_DISK = 1 << 30
LEAST_MEMORY = 2 << 30
LEAST_FILES = 256
SEEN = 600
"""Characters that are shown of what was seen."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `essential`: without it KernelFactory does not work as promised."""

    part: str
    ok: bool
    essential: bool
    seen: str
    advice: str = ""


def doctor(json: Json = False) -> int:
    """What works here, and what to do about what does not.

    Exit code 0 when all that is essential works, 1 otherwise."""
    found = [finding for look in LOOKS for finding in look()]
    healthy = all(finding.ok for finding in found if finding.essential)
    if json:
        document({"healthy": healthy, "findings": [asdict(finding) for finding in found]})
        return 0 if healthy else 1
    rows = [[_mark(finding), finding.part, one_line(finding.seen, SEEN)] for finding in found]
    table(("", "part", "seen"), rows, left=("", "part", "seen"))
    advice = [f"  {finding.part}: {finding.advice}" for finding in found if finding.advice and not finding.ok]
    say(*(["", "what to do", *advice] if advice else []))
    say("", "all that is essential works" if healthy else "something essential does not work")
    return 0 if healthy else 1


def _mark(finding: Finding) -> str:
    return "ok" if finding.ok else ("wrong" if finding.essential else "lacking")


# ── where we are ─────────────────────────────────────────────────────────────────────────────────


def _system() -> list[Finding]:
    release = f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores"
    linux = sys.platform == "linux"
    advice = "Linux is what is tested; on Windows use WSL2" if not linux else ""
    return [
        Finding("system", linux, sys.platform == "win32", release, advice),
        Finding("python", sys.version_info >= (3, 11), True, platform.python_version(), "use Python 3.11 or newer"),
        _git(),
    ]


def _git() -> Finding:
    """Programs are kept in a git repository by a library; the command is only for looking at it."""
    import pygit2

    command = shutil.which("git")
    seen = f"library {pygit2.LIBGIT2_VERSION}" + (f", command {command}" if command else ", no git command")
    return Finding("git", bool(command), False, seen, "install git to look into trees.git yourself")


def _disk() -> list[Finding]:
    from kernelfactory.files import state_folder

    found = []
    for part, folder in (("disk, here", Path.cwd()), ("disk, workspaces", state_folder())):
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free = shutil.disk_usage(there).free
        writable = os.access(there, os.W_OK)
        seen = f"{size(free)} free in {there}" + ("" if writable else ", not writable")
        found.append(
            Finding(part, free >= LEAST_DISK and writable, True, seen, f"needs {size(LEAST_DISK)} and write access")
        )
    return found


def _limits() -> list[Finding]:
    import resource

    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    found = [Finding("open files", files < 0 or files >= LEAST_FILES, True, str(files), "raise it: ulimit -n 1024")]
    memory = _memory()
    if memory is not None:
        enough = memory >= LEAST_MEMORY
        found.append(Finding("memory", enough, False, f"{size(memory)} available", "fewer slots: --agent mutator:1"))
    return found


def _memory() -> int | None:
    """Bytes that are available now, where the system says so."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


# ── what judges ──────────────────────────────────────────────────────────────────────────────────


def _jail() -> list[Finding]:
    """The jail that is used, and each way to make one."""
    from kernelfactory import jail

    ways = [_way(tried) for tried in jail.ways()]
    try:
        found = jail.find()
    except KernelFactoryError as refused:
        return [Finding("jail", False, True, str(refused), f"{jail.advice()}; else --unprotected"), *ways]
    attacks = jail.self_test(found)
    worked = [attack.name for attack in attacks if attack.worked]
    open_ = [name for name in worked if name not in found.lacks]
    seen = f"{found.name}: {found.trust}, {len(attacks) - len(worked)} of {len(attacks)} attacks held off"
    seen += f"; worked: {', '.join(worked)}" if worked else ""
    return [Finding("jail", not open_, True, f"{seen}{'; ' if found.note else ''}{found.note}", jail.advice()), *ways]


def _way(tried: Tried) -> Finding:
    from kernelfactory import jail

    advice = {
        "bubblewrap": jail.advice(),
        "landlock": "only needed without bubblewrap: Linux 6.12 or newer, `landlock` among its lsm=",
        "seatbelt": "a Linux machine, also a virtual one, has a better jail",
    }
    seen = tried.why if tried.jail is None else f"works ({tried.jail.trust})"
    return Finding(f"jail: {tried.name}", tried.jail is not None, False, seen, advice.get(tried.name, ""))


def _groups() -> list[Finding]:
    """Whether the memory of a whole tree of processes is bounded by the kernel."""
    from kernelfactory.jail import groups

    made = groups.available()
    seen = "; ".join(f"{kind}: version {2 if place.unified else 1}" for kind, place in made.items())
    advice = "each process alone is bounded; for all together: systemd-run --user --scope kf run … (or as root)"
    return [Finding("control groups", "memory" in made, False, seen or "none can be made here", advice)]


def _core() -> list[Finding]:
    """The compiled simulator of the shipped VLIW problem, and what could compile it."""
    from kernelfactory import core
    from kernelfactory.core.build import compilers

    found, tools = core.shared_object(), ", ".join(name for name, _ in compilers()) or "none"
    works = core.load() is not None
    seen = f"compiled: {found.name}" if found and works else f"missing: pure Python stands in (compilers here: {tools})"
    advice = "install a C compiler (cc), or pip install ziglang; then: python -m kernelfactory.core.build"
    return [Finding("C core", works, False, seen, advice)]


# ── who works ────────────────────────────────────────────────────────────────────────────────────


def _agents() -> list[Finding]:
    """Each agent that is known here, by its own word; asked without spending anything."""
    from kernelfactory import agents
    from kernelfactory.agents import config

    try:
        entries = config.load(None)
    except BadInput as fault:
        return [Finding("agents.toml", False, True, str(fault), f"see docs/agents.md, or move {config.users()} away")]
    names = list(dict.fromkeys([*agents.known(), *entries]))
    if not names:
        return [Finding("agents", False, True, "none", "install the package again: pip install -e .")]
    ready = Finding("agents", True, True, f"--agent auto: {', '.join(asking.ready(entries))}")
    return [ready, *(_agent(name, entries) for name in names)]


def _agent(name: str, entries: Mapping[str, Entry]) -> Finding:
    from kernelfactory import agents, budget

    part = f"agent: {name}"
    try:
        agent, _ = agents.find(name, entries)
    except BadInput as needs:  # a command, say: which?
        return Finding(part, True, False, f"there: {str(needs).removeprefix(f'agent {name}: ')}")
    state = agent.state()
    seen = [
        "ready" if state.ready else "not ready",
        f"version {state.version}" + (f" (known to work: {state.range})" if state.range else "")
        if state.version
        else "",
        f"login: {state.login or 'none'}",
        _held(agent),
        f"can pass a cap by {state.bound or budget.bound(agent.streams)}" if agent.costs_money else "",
        state.installed or "not installed",
    ]
    return Finding(part, state.ready, False, "; ".join(filter(None, seen)), state.advice)


def _held(agent: Agent) -> str:
    """What holds its processes in here."""
    from kernelfactory import jail

    if agent.in_process:
        return "starts no process"
    try:
        return f"cage: {jail.find().name}"
    except KernelFactoryError:
        return "no cage here: --unprotected"


LOOKS: tuple[Callable[[], list[Finding]], ...] = (_system, _disk, _limits, _jail, _groups, _core, _agents)
