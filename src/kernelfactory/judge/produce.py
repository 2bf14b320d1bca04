"""From a candidate's files to its artefact: a fresh folder, the jail, one pipe. Believes nothing but the bytes."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kernelfactory import files
from kernelfactory.jail import Jail, Spec, interpreter_binds, python
from kernelfactory.judge.tripwires import clean
from kernelfactory.model import BadIntake, Files, Problem, Produce, ReasonCode
from kernelfactory.problem import is_editable
from kernelfactory.process import Finished, Options

OUTPUT_BYTES = 1 << 20
TAIL_BYTES = 2048
_VERDICT = re.compile(rb'\s*\{\s*"(?:verdict|score|accepted)"\s*:')


@dataclass(frozen=True, slots=True)
class Refusal:
    """No artefact, or none that measures: why, and the last words of the candidate's own output, cleaned."""

    code: ReasonCode
    reason: str
    said: str = ""


def graft(problem: Problem, candidate: Files) -> dict[str, bytes]:
    """The pristine seed with its editable files replaced by the candidate's; whatever else a candidate holds is
    dropped, and an editable file that it lacks is gone."""
    pristine = {name: data for name, data in problem.seed.items() if not is_editable(name, problem.editable)}
    return {**pristine, **{name: data for name, data in candidate.items() if is_editable(name, problem.editable)}}


def artefact(problem: Problem, tree: Files, jail: Jail, scratch: Path, extra: Sequence[str] = ()) -> bytes | Refusal:
    """What a grafted tree produces. Without [produce] it is the one editable file (of an `artefact` problem; nothing of
    the others)."""
    if problem.produce is None:
        return _the_file(problem, tree) if problem.kind == "artefact" else b""
    with folder_for(scratch, jail) as folder:
        refusal = written(folder, tree)
        return refusal or _read(problem.produce, _run(problem.produce, folder, jail, extra))


def written(folder: str, tree: Files) -> Refusal | None:
    """Write a tree; why it cannot be, when that is the candidate's fault."""
    try:
        files.write_tree(folder, tree)
    except BadIntake as error:
        return Refusal("malformed", str(error)[:200])
    except OSError as error:
        if error.errno not in (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR):
            raise  # the disk's fault, not the candidate's
        return Refusal("malformed", "a file name is too long, or a folder has the name of a file")
    return None


@contextmanager
def folder_for(scratch: Path, jail: Jail) -> Iterator[str]:
    """A folder for one build. Locked while it is in use, so that one left by a killed judge can be told and removed."""
    folder = tempfile.mkdtemp(prefix="kf-", dir=scratch)
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.fchmod(lock, 0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=not jail.holds)  # without a jail a build can make what cannot be removed
        os.close(lock)


def _the_file(problem: Problem, tree: Files) -> bytes | Refusal:
    found = [data for name, data in tree.items() if is_editable(name, problem.editable)]
    if len(found) != 1:
        return Refusal("malformed", f"the candidate must hold exactly one file, {problem.editable[0]}")
    return found[0] or Refusal("malformed", f"{problem.editable[0]} is empty")


def _run(produce: Produce, folder: str, jail: Jail, extra: Sequence[str]) -> Finished:
    """Run the command in its folder. `python` is the factory's interpreter: its standard library and the folder of
    the script, no site-packages, no byte code files; dictionaries and sets in the same order in every run."""
    word, *arguments = (*produce.command, *extra)
    spec = Spec(
        argv=(python(), "-s", "-S", "-B", *arguments) if word == "python" else (word, *arguments),
        read=(*interpreter_binds(), (folder, folder)),
        env={"LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "HOME": "/tmp", "PATH": "/usr/bin:/bin"},
        cwd=folder,
        seconds=produce.seconds,
        memory=produce.memory,
        processes=_processes(produce.memory),
    )
    pipes = Options(output_bytes=OUTPUT_BYTES, data_fd_env="KF_ARTEFACT_FD", data_bytes=produce.artefact_bytes)
    return jail.run(spec, options=pipes)


def _processes(memory: int) -> int:
    """How many processes a build may have: the limit on memory is per process, and together they should not take more
    than half of the machine."""
    half = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return max(4, min(64, half // memory))


def _read(produce: Produce, ended: Finished) -> bytes | Refusal:
    said = clean(ended.stderr[-TAIL_BYTES:].decode("utf-8", "replace"))
    if ended.timed_out:
        return Refusal("timeout", f"producing the artefact took longer than {produce.seconds:g} seconds", said)
    if ended.overflow or len(ended.data) > produce.artefact_bytes:
        return Refusal("over_limit", "the output or the artefact is larger than allowed", said)
    if ended.out_of_memory:
        return Refusal("over_limit", "producing the artefact took more memory than allowed", said)
    if ended.returncode != 0:
        return Refusal("crashed", f"producing the artefact ended with status {ended.returncode}", said)
    if not ended.data:
        return Refusal("malformed", "no artefact came out", said)
    return ended.data


def imitates_verdict(data: bytes) -> bool:
    """Is this artefact a verdict's JSON instead of a program?"""
    return _VERDICT.match(data[:200]) is not None
