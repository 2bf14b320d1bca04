"""The jails again, as an ordinary user: root lends these tests to somebody who is nobody special."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernelfactory import process, view
from kernelfactory.jail import interpreter_binds
from kernelfactory.process import Options

HERE = Path(__file__).parent
USER = 61_999
FILES = ("test_contract.py", "test_landlock.py", "test_jail.py", "test_cage.py", "test_finding.py", "test_reach.py")
FILES += ("../test_killing.py",)
ENDED = 0

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="they are run by an ordinary user anyway")


@pytest.fixture
def home() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="kf-ordinary-", dir="/var/tmp")
    os.chown(folder, USER, USER)
    yield folder
    shutil.rmtree(folder)


def prepare() -> None:
    """An interpreter in root's own folder is shown to that user."""
    far = [source for source, _ in interpreter_binds(True) if not view.reachable(source, USER)]
    if far:
        view.uncover(far, USER)


def run(home: str, *argv: str) -> process.Finished:
    env = {"PATH": os.environ["PATH"], "HOME": home, "TMPDIR": home, "PYTHONDONTWRITEBYTECODE": "1"}
    env |= {name: value for name, value in os.environ.items() if name == "KF_REQUIRE"}
    options = Options(cwd=str(HERE.parent.parent), user=USER, prepare=prepare, keep_going=True)
    return process.run([sys.executable, *argv], env=env, seconds=600, options=options)


def needed(home: str) -> None:
    try:
        done = run(home, "-c", "import kernelfactory.jail, pytest")
    except OSError as error:
        pytest.skip(f"nothing can be shown to an ordinary user here: {error}")
    if done.returncode != 0:
        pytest.skip(f"an ordinary user cannot read this checkout: {done.stderr.decode()[-300:]}")


@pytest.mark.parametrize("name", FILES)
def test_they_hold_for_an_ordinary_user(home: str, name: str) -> None:
    needed(home)
    options = ("-q", "-rs", "-p", "no:cacheprovider", "-p", "no:xdist", "--basetemp", f"{home}/t")
    done = run(home, "-m", "pytest", *options, str(HERE / name))
    said = done.stdout.decode()
    assert done.returncode == ENDED, said[-8000:] + done.stderr.decode()[-2000:]
    assert " passed" in said or "[100%]" in said
