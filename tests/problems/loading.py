"""Shared for the tests of shipped problems: files loaded by path, and the lint of what agents read."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType


def load_file(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def no_hints(folder: Path, words: list[str], guilty: str) -> None:
    """An example biases whoever reads it: none of these words in the task or the seed. `guilty` shows that the lint sees."""
    assert any(word in guilty for word in words)
    for path in [folder / "task.md", *(folder / "seed").rglob("*.py")]:
        text = path.read_text("utf-8").lower()
        assert [word for word in words if word in text] == [], path.name
