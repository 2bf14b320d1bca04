"""What the check on a new machine requires is what tests ask for, by the same names."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
READ = re.compile(r"\"(\w+)\" in os\.environ\.get\(\"KF_REQUIRE\"")


def required(script: str) -> set[str]:
    return set(re.findall(r"\brequire (\w+)", script))


def read() -> set[str]:
    return {name for file in (ROOT / "tests").rglob("*.py") for name in READ.findall(file.read_text("utf-8"))}


def test_every_required_name_is_read_by_a_test_and_every_name_read_can_be_required() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert required(script) == read() != set()
    assert required(script + "\nrequire chromium") != read()
