"""Where a problem meets its candidates: which editable file is called, and what of it. Reads texts, runs nothing."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from kernelfactory.model import Files, Problem
from kernelfactory.problem import is_editable

Language = Literal["python", "c", "data"]
_DEFINED = re.compile(
    r"^(?P<ret>[A-Za-z_][\w \t*]*?[ \t*])(?P<name>[A-Za-z_]\w*)\s*\((?P<params>[^;{}()]*)\)\s*\{", re.M
)
_NOT_CALLED = frozenset(("if", "for", "while", "switch", "return", "main"))


@dataclass(frozen=True, slots=True)
class Interface:
    """`file`: the editable file that others call, of which `names` are called (none: it is run, or only read).
    `how`: in words."""

    file: str
    names: tuple[str, ...]
    language: Language

    @property
    def how(self) -> str:
        called = ", ".join(self.names[:6]) or "nothing of it is called"
        return f"{self.file} ({self.language}): {called}"


def interface(problem: Problem, judge: Files) -> Interface:
    """Of a problem; `judge` is what its judge/ folder holds."""
    editable = {name: data for name, data in problem.seed.items() if is_editable(name, problem.editable)}
    callers = {name: data for name, data in problem.seed.items() if name not in editable}
    if problem.kind == "command" or problem.measure.evaluator:
        callers |= {f"judge/{name}": data for name, data in judge.items()}
    trees = [tree for name, data in sorted(callers.items()) if name.endswith(".py") and (tree := parsed(data))]
    for file, language in ((name, _language(name)) for name in _likely(problem, editable)):
        if language == "python" and (module := parsed(editable[file])) is not None:
            found = _python(problem, file, module, trees)
        elif language == "c":
            found = _c(editable[file].decode("utf-8", "replace"), trees)
        else:
            continue
        return Interface(file, found, language)
    return Interface(_likely(problem, editable)[0], (), "data")


def _language(name: str) -> Language:
    suffix = posixpath.splitext(name)[1]
    return "python" if suffix == ".py" else "c" if suffix in (".c", ".h", ".cc", ".cpp") else "data"


def _likely(problem: Problem, editable: Files) -> list[str]:
    """The editable files, the one that a [call] names first, C before its headers, tests last."""
    module = (problem.answering.function or "" if problem.answering else "").partition(":")[0].replace(".", "/")

    def order(name: str) -> tuple[bool, bool, bool, int, str]:
        named = name in (f"{module}.py", f"{module}/__init__.py")
        return not named, _language(name) == "data", name.endswith(".h"), name.count("/"), name

    return sorted(editable, key=order)


def parsed(data: bytes) -> ast.Module | None:
    """A Python text's tree, or None."""
    try:
        return ast.parse(data)
    except (SyntaxError, ValueError, RecursionError):
        return None


# ── Python ───────────────────────────────────────────────────────────────────────────────────────


def _python(problem: Problem, file: str, module: ast.Module, callers: list[ast.Module]) -> tuple[str, ...]:
    """The functions and classes of `module` that callers use; all public ones where none is seen to be used though the
    module is loaded."""
    defined = [node.name for node in module.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    function = (problem.answering.function or "" if problem.answering else "").partition(":")
    if function[2] and file in (f"{function[0].replace('.', '/')}.py", f"{function[0].replace('.', '/')}/__init__.py"):
        return (function[2],)
    imported, mentioned = set[str](), set[str]()
    for caller in callers:
        imported |= _imported(caller, file)
        mentioned |= _mentioned(caller)
    used = [name for name in defined if name in imported]
    if not used and (imported or function[0] or posixpath.basename(file) in mentioned or problem.kind == "command"):
        used = [name for name in defined if name in mentioned and not name.startswith("_")]
    return tuple(used)


def _imported(caller: ast.Module, file: str) -> set[str]:
    """The names that a module takes from `file`; "*" when it takes the whole."""
    dotted = posixpath.splitext(file)[0].removesuffix("/__init__").replace("/", ".")
    found: set[str] = set()
    for node in ast.walk(caller):
        if isinstance(node, ast.ImportFrom) and node.module and _is(node.module, dotted):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {"*" for alias in node.names if _is(f"{node.module or ''}.{alias.name}".lstrip("."), dotted)}
        elif isinstance(node, ast.Import):
            found |= {"*" for alias in node.names if _is(alias.name, dotted)}
        elif isinstance(node, ast.Constant) and node.value in (dotted, file):
            found |= {"*"}
    return found


def _is(module: str, dotted: str) -> bool:
    return module == dotted or dotted.endswith("." + module)


def _mentioned(caller: ast.Module) -> set[str]:
    """Attributes and texts: what a module may use of another that it loads by its path."""
    found: set[str] = set()
    for node in ast.walk(caller):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= set(re.findall(r"[A-Za-z_]\w*(?:\.py)?", node.value[:10_000]))
    return found


# ── C ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Signature:
    """A C function as it is defined: `at` is where its body begins."""

    returns: str
    name: str
    params: tuple[tuple[str, str], ...]
    at: int


def signatures(text: str) -> Iterator[Signature]:
    """The functions that a C text defines, as far as they are plainly written."""
    for found in _DEFINED.finditer(text):
        if found["name"] in _NOT_CALLED or "static" in found["ret"].split():
            continue
        words = [re.sub(r"\s+", " ", word).strip() for word in found["params"].split(",")]
        params = [re.fullmatch(r"(.*?[\s*])([A-Za-z_]\w*)", word) for word in words if word not in ("", "void")]
        if all(params):
            pairs = tuple((param[1].strip(), param[2]) for param in params if param)
            yield Signature(found["ret"].strip(), found["name"], pairs, found.end())


def _c(text: str, callers: list[ast.Module]) -> tuple[str, ...]:
    mentioned = set[str]().union(*map(_mentioned, callers))
    defined = [each.name for each in signatures(text)]
    return tuple(name for name in defined if name in mentioned) or tuple(defined)


# ── loaded dice ──────────────────────────────────────────────────────────────────────────────────


def loaded_dice(judge: Mapping[str, bytes]) -> str | None:
    """Where a judge's text seeds a generator with a constant, so that its inputs are the same each time."""
    for name, data in sorted(judge.items()):
        tree = parsed(data) if name.endswith(".py") else None
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, ast.Call) and _seeds(node):
                return f"judge/{name}:{node.lineno}"
    return None


def _seeds(node: ast.Call) -> bool:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    values = [*node.args, *(word.value for word in node.keywords)]
    fixed = bool(values) and all(isinstance(value, ast.Constant) and value.value is not None for value in values)
    return fixed and name in ("Random", "seed", "default_rng", "RandomState", "manual_seed", "PRNGKey")
