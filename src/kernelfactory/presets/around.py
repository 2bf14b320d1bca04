"""A problem made round an existing folder: its files become the seed, or its evaluator the judge. Reads Python by its
syntax tree only."""

from __future__ import annotations

import ast
import json
import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kernelfactory.files import read_tree
from kernelfactory.model import BadInput, BadIntake, Files
from kernelfactory.presets import Draft, filled
from kernelfactory.problem import CAPS, is_editable

EVALUATORS = ("evaluator.py", "evaluate.py")
PROGRAMS = ("initial_program.py", "initial.py")


@dataclass(frozen=True, slots=True)
class _Evaluated:
    """A folder with an evaluator in the style of evolutionary searches: both file names."""

    evaluator: str
    program: str


def around(folder: Path, name: str, editable: Sequence[str], kind: str | None) -> Draft:
    """A problem from `folder`: of the kind function where it holds an evaluator that imports the program by its path
    (unless `kind` is "command"), else a command whose evaluator is still to be written. Raises BadInput."""
    found = read(folder)
    evaluated = _evaluated(found)
    if kind == "artefact":
        raise BadInput('--from makes problems of the kinds function and command; for "artefact" begin with a template')
    if kind == "function" and evaluated is None:
        raise BadInput(
            f"{folder} holds no evaluator.py with def evaluate(program_path) beside an initial_program.py: take "
            "--kind command, or begin with a template"
        )
    if evaluated is not None and kind != "command":
        return _shim(found, name, evaluated, editable)
    return _command(found, name, editable, folder)


def read(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but .git, .kf and __pycache__. Raises BadInput."""
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder; name the one to start from with --from")
    try:
        return read_tree(folder, ["**"], CAPS)
    except BadIntake as error:
        raise BadInput(
            f"{folder}: {error}; or name a copy without it, such as a fresh export of the repository"
        ) from None


# ── a command ────────────────────────────────────────────────────────────────────────────────────


def _command(found: Files, name: str, editable: Sequence[str], folder: Path) -> Draft:
    if not editable:
        raise BadInput(f"say which files of {folder} agents may change: --editable 'GLOB', several times for several")
    for glob in editable:
        if not any(is_editable(path, [glob]) for path in found):
            raise BadInput(f"--editable {glob!r} matches no file of {folder}: write a path relative to it, * or **")
    chosen = sorted(path for path in found if is_editable(path, editable))
    words = {
        '"NAME"': json.dumps(name),
        "# NAME": f"# {name}",
        "CHOSEN_FILES": _listed(chosen),
        "change: EDITABLE": f"change: {', '.join(f'`{glob}`' for glob in editable)}",
        "= EDITABLE": f"= {_listed(editable)}",
    }
    files = {**filled("around", words), **{f"seed/{path}": data for path, data in found.items()}}
    todo = (
        "judge/evaluate.py: what the program must do, and its score (it counts bytes until you change it)",
        "problem.toml, [metric]: what that score is, and which way is better",
        "task.md: what agents are to do",
    )
    return Draft(files, todo)


def _listed(words: Sequence[str]) -> str:
    return json.dumps(list(words), ensure_ascii=False)


# ── an evaluator that is there already ───────────────────────────────────────────────────────────


def _evaluated(found: Files) -> _Evaluated | None:
    program = next((name for name in PROGRAMS if name in found), None)
    evaluator = next((name for name in EVALUATORS if name in found and _evaluates(found[name])), None)
    return _Evaluated(evaluator, program) if evaluator and program else None


def parsed(data: bytes) -> ast.Module | None:
    """A Python file by its syntax; None where it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about its escapes: not this command's business
            return ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _evaluates(data: bytes) -> bool:
    """Is there a `def evaluate(program_path)`, perhaps with further arguments that have defaults?"""
    tree = parsed(data)
    for node in tree.body if tree else ():
        if isinstance(node, ast.FunctionDef) and node.name == "evaluate":
            places = [*node.args.posonlyargs, *node.args.args]
            required = len(places) - len(node.args.defaults)
            return len(places) >= 1 and required <= 1 and None not in node.args.kw_defaults
    return False


def _shim(found: Files, name: str, style: _Evaluated, editable: Sequence[str]) -> Draft:
    """The evaluator and all beside it go to judge/, byte by byte; the program, and what it imports of its own folder,
    to seed/."""
    shared = _siblings(found, style.program)
    words = {
        '"NAME"': json.dumps(name),
        "# NAME": f"# {name}",
        "PROGRAM_PACKAGES": _packages(found, shared),
        "PROGRAM": style.program,
        "EVALUATOR_MODULE": style.evaluator.removesuffix(".py"),
        "EVALUATOR": style.evaluator,
        "EDITABLE": _listed(editable or [style.program]),
        "MODULE": style.program.removesuffix(".py"),
    }
    files = {
        **filled("evaluator", words),
        **{f"judge/{path}": data for path, data in found.items() if path != style.program},
        **{f"seed/{path}": found[path] for path in shared},
    }
    todo = ["task.md: what agents are to do"]
    if b"combined_score" not in found[style.evaluator]:
        todo.insert(0, "problem.toml, measure.score: the key of the evaluator's answer that is the score")
    return Draft(files, tuple(todo))


def _siblings(found: Files, start: str) -> list[str]:
    """A file and the modules of its own folder that it imports, and that those import."""
    seen, waiting = {start}, [start]
    while waiting:
        for module in _imports(found[waiting.pop()]):
            if (path := f"{module}.py") in found and path not in seen and path not in EVALUATORS:
                seen.add(path)
                waiting.append(path)
    return sorted(seen)


def _imports(data: bytes) -> set[str]:
    """The first words of all that a file imports."""
    tree = parsed(data)
    nodes = list(ast.walk(tree)) if tree else []
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {name.partition(".")[0] for name in names}


def _packages(found: Files, paths: Iterable[str]) -> str:
    """Do these files import anything beyond the standard library and their own folder? As TOML."""
    imported = {module for path in paths for module in _imports(found[path])}
    own = {path.partition("/")[0].removesuffix(".py") for path in found}
    return "true" if imported - own - sys.stdlib_module_names else "false"
