"""The real command line in its own process, and experiments made of real records."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Kf = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A plain environment with its own state folder, no colours asked for and none refused."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV")}
    return {**kept, "KF_STATE": str(tmp_path / "state"), "PYTHONWARNINGS": "error"}


@pytest.fixture
def kf(tmp_path: Path, environment: dict[str, str]) -> Kf:
    """Run `kf` with these words, in `cwd` (default: a fresh folder); its output is on pipes."""

    def run(
        *words: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "kernelfactory", *words]
        around = {**environment, **(env or {})}
        return subprocess.run(
            argv, cwd=cwd or tmp_path, env=around, capture_output=True, text=True, timeout=120, check=False
        )

    return run
