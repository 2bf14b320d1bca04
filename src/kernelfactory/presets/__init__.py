"""New problem folders, as values: from a template, round an existing folder, from a clone of the take-home. Runs and
imports nothing that it finds, and writes one folder, whole or not at all."""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kernelfactory import problem as problems
from kernelfactory.files import read_tree, write_tree
from kernelfactory.model import BadInput, Files, Problem

TEMPLATES = Path(__file__).parent / "templates"
KINDS = ("artefact", "function", "command")


@dataclass(frozen=True, slots=True)
class Draft:
    """A problem folder that is not written yet, and what its author must do to it, in words."""

    files: Files
    todo: tuple[str, ...] = ()


def template(kind: str, name: str) -> Draft:
    """A small, sound problem of one kind, to be turned into another. Raises BadInput."""
    if kind not in KINDS:
        raise BadInput(f"no kind {kind!r}: one of {', '.join(KINDS)}, the strongest first")
    edits = ("task.md, seed/ and judge/: put your own problem in the place of the example",)
    return Draft(filled(kind, {'"NAME"': json.dumps(name)}), edits)


def filled(kind: str, words: Mapping[str, str]) -> dict[str, bytes]:
    """The files of a template with its words in capitals replaced."""
    pattern = re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)))
    return {
        name: pattern.sub(lambda found: words[found[0]], data.decode()).encode()
        for name, data in read_tree(TEMPLATES / kind, ["**"]).items()
    }


def name_of(folder: Path) -> str:
    """A name for the problem in a folder, made of the folder's."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", folder.resolve().name).strip("_.-")
    return (plain if plain[:1].isalpha() else f"problem_{plain}".rstrip("_"))[:64]


def write(folder: Path, draft: Draft) -> Problem:
    """Check a draft and write it, whole or not at all, into `folder`, which is new or empty. Raises BadInput."""
    if not str(folder).isprintable():
        raise BadInput(f"{str(folder)!a}: name a new folder with printable characters only")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is there already and not empty: name a new folder")
    problems.parse(draft.files, str(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.parent / f".{folder.resolve().name}.{secrets.token_hex(4)}"
    try:
        write_tree(fresh, draft.files)
        fresh.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        fresh.rename(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return problems.load(folder)
