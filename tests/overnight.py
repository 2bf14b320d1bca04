"""`kf` as somebody starts it in the evening: in a process of its own, with a home, agents.toml and keys of its own,
real agents, and model servers that play a script. Refuses to look into its memory: what it left is all there is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kernelfactory.record import Attempt, Happened, Reader
from stubs import Anthropic, Fault, Gemini, OpenAI, Stub, Turn

TINY = str(Path(__file__).parent / "problems" / "tiny_number")
SECONDS = 120.0
"""How long anything may take here, on a busy machine."""

TOML: Mapping[str, str] = {
    "claude": '[claude]\nmodel = "claude-sonnet-4-5"\nupstream = "{url}"\nenv = {{ CLAUDE_CODE_MAX_RETRIES = "1" }}\n',
    "gemini": '[gemini]\nmodel = "gemini-2.5-flash"\nupstream = "{url}"\n',
    "opencode": '[opencode]\nmodel = "anthropic/claude-sonnet-4-5"\nupstream = "{url}/v1"\n',
    "codex": '[codex]\nmodel = "gpt-5.5"\nupstream = "{url}/v1"\n'
    'flags = ["-c", "model_providers.kf.stream_max_retries=1", "-c", "model_providers.kf.request_max_retries=1"]\n',
}
BOTH = ("claude", "codex")
OTHERS = ("gemini", "opencode")
KEYS = {
    "claude": "ANTHROPIC_API_KEY",
    "codex": "CODEX_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "opencode": "ANTHROPIC_API_KEY",
}
VALUES = {
    "claude": "sk-ant-night+watch/claude=0123456789",
    "codex": "sk-proj-night+watch/codex=9876543210",
    "gemini": "AIza-night+watch/gemini=0123456789",
    "opencode": "sk-ant-night+watch/opencode=543210",
}
"""Keys with characters that are spelt otherwise in a URL."""

Done = subprocess.CompletedProcess[str]


class Evening:
    """One person's machine below `base`: `kf(...)` runs it to its end, `start` in the background."""

    def __init__(self, base: Path, keys: Mapping[str, str]) -> None:
        self.base, self.folder, self.state = base, base / "x", base / "state"
        self.config = base / "config" / "kernelfactory" / "agents.toml"
        self.config.parent.mkdir(parents=True)
        self.running: list[subprocess.Popen[bytes]] = []
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(base / "home"),
            "LANG": "C.UTF-8",
            "XDG_CONFIG_HOME": str(base / "config"),
            "KF_STATE": str(self.state),
            "KF_AGENTS": os.environ["KF_AGENTS"],
            "PYTHONWARNINGS": "error",
            **keys,
        }

    def agents(self, stubs: Mapping[str, Stub], more: Mapping[str, str] | None = None) -> None:
        """Write agents.toml; `more`: further lines of a table."""
        told = {name: TOML[name].format(url=stub.url) for name, stub in stubs.items()}
        for name, lines in (more or {}).items():
            told[name] = told.get(name, f"[{name}]\n") + lines
        self.config.write_text("\n".join(told.values()))

    def kf(self, *words: str) -> Done:
        argv = [sys.executable, "-m", "kernelfactory", *words]
        return subprocess.run(
            argv, cwd=self.base, env=self.env, capture_output=True, text=True, timeout=SECONDS, check=False
        )

    def json(self, *words: str) -> Any:
        done = self.kf(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self, *words: str, argv: Sequence[str] = ("-m", "kernelfactory")) -> subprocess.Popen[bytes]:
        argv = [sys.executable, *argv, *words]
        with (self.base / "output").open("w") as output:
            child = subprocess.Popen(argv, cwd=self.base, env=self.env, stdout=output, stderr=subprocess.STDOUT)
        self.running.append(child)
        return child

    def command(self, name: str, script: str) -> str:
        """A program of this person's, as an agent: its lines of agents.toml."""
        path = self.base / f"{name}.sh"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return f'agent = "command"\npath = "{path}"\n'

    def close(self) -> None:
        for child in self.running:
            if child.poll() is None:
                child.kill()
            child.wait()

    # ── what it left ──

    @contextmanager
    def record(self) -> Iterator[Reader]:
        with Reader.open(self.folder) as reader:
            yield reader

    def attempts(self) -> list[Attempt]:
        """Those that were begun, by number."""
        with self.record() as reader:
            return [row for row in reader.attempts() if row.attempt > 0]

    def incidents(self, *kinds: str) -> list[Happened]:
        with self.record() as reader:
            return [found for found in reader.incidents() if not kinds or found.kind in kinds]

    def said(self) -> str:
        """All that the one in the background has printed."""
        return (self.base / "output").read_text() if self.running else ""

    def until(self, condition: Callable[[], Any], seconds: float = SECONDS) -> Any:
        """Wait for something that a run does, and what it is."""
        deadline = time.monotonic() + seconds
        while True:
            with suppress(Exception if not (self.folder / "record.db").exists() else ()):
                if found := condition():
                    return found
            gone = [child for child in self.running if child.poll() is not None]
            assert time.monotonic() < deadline and (not gone or self.running[-1] not in gone), self.said()
            time.sleep(0.1)

    def workspaces(self) -> list[Path]:
        """Bases that lie in the scratch folder."""
        return sorted(self.state.glob("scratch/*/kf-*"))


KINDS: Mapping[str, type[Stub]] = {"claude": Anthropic, "codex": OpenAI, "gemini": Gemini, "opencode": Anthropic}


def keys(*names: str) -> dict[str, str]:
    """Variables in which the keys of these agents are."""
    return {KEYS[name]: VALUES[name] for name in names}


def stub(name: str, play: Sequence[Turn], *faults: Fault, **said: Any) -> Stub:
    """The model of an agent, which lets only its key in."""
    return KINDS[name](play, *faults, key=VALUES[name], **said)


def asked(stub: Stub) -> str:
    """All that was said to a model."""
    return "\n".join(json.dumps(request.body) for request in stub.log)


# ── who is alive ──


def living(space: str) -> list[int]:
    """Processes of a PID namespace, by its number, that have not ended."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            state = Path(f"/proc/{name}/stat").read_bytes().rpartition(b") ")[2][:1]
            if os.readlink(f"/proc/{name}/ns/pid") == space and state not in (b"Z", b"X"):
                found.append(int(name))
    return found


def gone(space: str, seconds: float) -> bool:
    """Is nobody of it alive, or in a while?"""
    deadline = time.monotonic() + seconds
    while living(space):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def end(space: str) -> None:
    """What an injected fault let live."""
    while left := living(space):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
