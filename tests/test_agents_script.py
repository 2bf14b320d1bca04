"""scripts/agents.sh: what is installed is what is locked, or nothing. An `npm` on PATH stands in for the registry."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCK = [line.split() for line in (ROOT / "requirements/agents.lock").read_text("utf-8").splitlines() if line[0] != "#"]
NPM = """#!/bin/sh
# npm install --prefix FOLDER … PACKAGE@VERSION: a package that holds PROGRAM, whose digest is DIGEST
while [ $# -gt 1 ]; do [ "$1" = --prefix ] && folder=$2; shift; done
[ -e "$OFFLINE" ] && { echo "npm error: no network" >&2; exit 1; }
program=$folder/node_modules/${1%@*}/$PROGRAM
mkdir -p "$(dirname "$program")"
echo '#!/bin/sh' >"$program"
echo "{\\"integrity\\": \\"$DIGEST\\"}" >"$folder/node_modules/.package-lock.json"
"""

NODE = '#!/bin/sh\n[ ! -e "$OLD_NODE" ]\n'


class Machine:
    def __init__(self, base: Path) -> None:
        self.base, self.agents = base, base / "agents"
        (base / "bin").mkdir()
        for name, text in (("npm", NPM), ("node", NODE)):
            (base / "bin" / name).write_text(text)
            (base / "bin" / name).chmod(0o755)
        _, _, _, self.digest, self.place = next(line for line in LOCK if line[0] == "gemini")

    def install(self, *names: str, digest: str | None = None) -> subprocess.CompletedProcess[str]:
        env = {
            "PATH": f"{self.base / 'bin'}:/usr/bin:/bin",
            "KF_AGENTS": str(self.agents),
            "PROGRAM": self.place,
            "DIGEST": digest or self.digest,
            "OLD_NODE": str(self.base / "old node"),
            "OFFLINE": str(self.base / "offline"),
        }
        command = [str(ROOT / "scripts/agents.sh"), *names]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)

    @property
    def program(self) -> Path:
        return self.agents / "bin" / "gemini"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_an_agent_that_is_missing_is_installed_once_and_named(machine: Machine) -> None:
    done = machine.install("gemini")
    assert (done.returncode, done.stdout) == (0, "gemini\n")
    assert os.access(machine.program, os.X_OK)
    (machine.base / "offline").touch()
    assert machine.install("gemini").stdout == "gemini\n"


def test_a_package_with_another_digest_is_not_kept(machine: Machine) -> None:
    done = machine.install("gemini", digest="sha512-another")
    assert (done.returncode, done.stdout) == (1, "")
    assert "not what requirements/agents.lock says" in done.stderr
    assert [path.name for path in machine.agents.iterdir()] == ["bin"]
    assert not machine.program.exists()


def test_without_a_network_it_says_so_and_leaves_nothing_half_done(machine: Machine) -> None:
    (machine.base / "offline").touch()
    done = machine.install("gemini")
    assert done.returncode == 1
    assert "gemini: npm install" in done.stderr
    assert "no network" in done.stderr
    assert [path.name for path in machine.agents.iterdir()] == ["bin"]


def test_an_agent_that_this_node_cannot_run_is_not_there(machine: Machine) -> None:
    (machine.base / "old node").touch()
    done = machine.install("gemini")
    assert (done.returncode, done.stdout) == (1, "")
    assert "node 20 or newer" in done.stderr


def test_an_agent_that_nobody_locked_is_not_there(machine: Machine) -> None:
    assert machine.install("gemini", "unheard-of").returncode == 1


def test_the_lock_pins_a_version_and_a_digest_for_every_agent_that_tests_require() -> None:
    assert {line[0] for line in LOCK} == {"claude", "codex", "gemini", "opencode"}
    for _, machine, package, digest, place in LOCK:
        assert machine in ("x86_64", "aarch64", "node")
        assert package.rpartition("@")[2][:1].isdigit()
        assert len(digest) == len("sha512-") + 88
        assert place[0] != "/"
