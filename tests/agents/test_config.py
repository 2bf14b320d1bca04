"""agents.toml: what is read, which file wins, and how each fault is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

import pytest

from kernelfactory.agents import config
from kernelfactory.agents.config import Entry
from kernelfactory.model import BadInput

WHOLE = """
[night]
agent = "claude"
model = "opus"
effort = "high"
flags = ["--fast", "--x=1"]
path = "~/bin/claude"
env = {A = "1", MAX_TOKENS = "2"}
secrets = ["MY_KEY"]
login = "login"
hosts = ["API.example.com", "*.example.org", "localhost:8080"]
upstream = "https://gate.example.com/v1"
dollars = 20
tokens = 5_000_000
attempt_dollars = 1.5
attempt_tokens = 100
silence_minutes = 15
nudges = 0
"""


def read(tmp_path: Path, users: str | bytes = "", experiments: str = "") -> Mapping[str, Entry]:
    folder = tmp_path / "experiment"
    folder.mkdir(exist_ok=True)
    (folder / "agents.toml").write_text(experiments)
    mine = tmp_path / "config/kernelfactory/agents.toml"
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_bytes(users if isinstance(users, bytes) else users.encode())
    return config.load(folder, {"XDG_CONFIG_HOME": str(tmp_path / "config")})


def test_every_key_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, experiments=WHOLE)["night"]
    assert found == Entry(
        name="night",
        agent="claude",
        model="opus",
        effort="high",
        flags=("--fast", "--x=1"),
        path=str(Path("~/bin/claude").expanduser()),
        env={"A": "1", "MAX_TOKENS": "2"},
        secrets=("MY_KEY",),
        login=str(tmp_path / "experiment/login"),
        hosts=("api.example.com", "*.example.org", "localhost:8080"),
        upstream="https://gate.example.com/v1",
        dollars=20.0,
        tokens=5_000_000,
        attempt_dollars=1.5,
        attempt_tokens=100,
        silence=900.0,
        nudges=0,
    )
    silent = Entry(name="night", agent="claude")
    assert all(
        getattr(found, f.name) != getattr(silent, f.name) for f in fields(Entry) if f.name not in ("name", "agent")
    )


def test_the_experiments_file_wins_key_by_key(tmp_path: Path) -> None:
    found = read(tmp_path, '[a]\nmodel = "x"\nnudges = 3\n[b]\neffort = "low"\n', '[a]\nmodel = "y"\n[c]\n')
    assert found["a"] == Entry(name="a", agent="a", model="y", nudges=3)
    assert set(found) == {"a", "b", "c"}


def test_no_file_says_nothing(tmp_path: Path) -> None:
    assert config.load(None, {"HOME": str(tmp_path)}) == {}
    assert config.load(tmp_path / "nowhere", {"HOME": str(tmp_path)}) == {}


def test_the_users_file_lies_below_the_home_where_nothing_else_is_said(tmp_path: Path) -> None:
    assert config.users({"HOME": "/h"}) == Path("/h/.config/kernelfactory/agents.toml")
    assert config.users({"HOME": "/h", "XDG_CONFIG_HOME": "not/absolute"}) == Path(
        "/h/.config/kernelfactory/agents.toml"
    )


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[claude]\nmodle = 'x'\n", 2, "claude.modle: unknown key; is model meant?"),
        ("[claude]\nwhatever = 'x'\n", 2, "unknown key (known: agent, attempt_dollars"),
        ("model = 'x'\n", 1, "put it below the name of an agent: [claude], say; is model meant?"),
        ("[claude]\n\n[claude]\n", 3, "TOML syntax"),
        ("['no name']\n", 1, "a name is a letter"),
        ("[a]\nagent = 'no kind'\n", 2, "the kind of agent"),
        ("[a]\nmodel = 3\n", 2, "set it to a text"),
        ("[a]\nmodel = 'x\\u001b'\n".replace("'", '"'), 2, "control characters"),
        ("[a]\nflags = '--fast'\n", 2, "a list of texts"),
        ("[a]\nflags = [1]\n", 2, "a list of texts"),
        ("[a]\nenv = ['A=1']\n", 2, "a table, [env]"),
        ("[a]\nenv = {A = 1}\n", 2, 'set it to a text, such as "1"'),
        ("[a]\nenv = {'a b' = '1'}\n", 2, "no name for an environment variable"),
        ("[a.env]\nOPENAI_API_KEY = 'sk-1'\n", 2, "name it in secrets"),
        ("[a]\nsecrets = ['sk-ant-123']\n", 2, "a secret itself never stands in this file"),
        ("[a]\nhosts = ['https://x.example']\n", 2, "write a host's name"),
        ("[a]\nupstream = 'ftp://x'\n", 2, "a URL"),
        ("[a]\nupstream = 'https://user:word@x.example/'\n", 2, "a URL without a user"),
        ("[a]\ndollars = 0\n", 2, "a number above 0"),
        ("[a]\ndollars = nan\n", 2, "a number above 0"),
        ("[a]\ndollars = true\n", 2, "a number above 0"),
        ("[a]\nattempt_dollars = '5'\n", 2, "a number above 0"),
        ("[a]\ntokens = 1.5\n", 2, "a whole number above 0"),
        ("[a]\ntokens = 0\n", 2, "a whole number above 0"),
        ("[a]\nattempt_tokens = 99999999999999999999\n", 2, "a whole number above 0"),
        ("[a]\nsilence_minutes = -1\n", 2, "a number above 0"),
        ("[a]\nsilence = 600\n", 2, "is silence_minutes meant?"),
        ("[a]\nnudges = -1\n", 2, "0 for never"),
        ("[a]\nname = 'b'\n", 2, "unknown key"),
        (b"[a]\nmodel = '\xff'\n", 2, "not UTF-8"),
        ("a = " + "[" * 5000, 1, "nested too deep"),
    ],
)
def test_faults_are_told_with_file_line_and_key(tmp_path: Path, text: str | bytes, line: int, said: str) -> None:
    with pytest.raises(BadInput) as fault:
        read(tmp_path, text)
    assert type(fault.value) is BadInput
    assert str(fault.value).startswith(f"{tmp_path / 'config/kernelfactory/agents.toml'}:{line}: ")
    assert said in str(fault.value) and "\n" not in str(fault.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "agents.toml").mkdir()
    with pytest.raises(BadInput, match=r"agents.toml: cannot be read"):
        config.load(tmp_path, {"HOME": str(tmp_path)})


def test_what_an_agent_does_not_read_is_refused() -> None:
    for f in fields(Entry):
        given = {"flags": ("x",), "secrets": ("X",), "hosts": ("x",), "env": {"X": "1"}}.get(f.name, "x")
        entry = replace(Entry(name="mine"), **{f.name: given})
        if f.name in ("model", "effort", "flags", "path", "env", "secrets", "login", "hosts", "upstream"):
            with pytest.raises(BadInput, match=f"\\[mine\\]: {f.name} means nothing to the agent toy"):
                entry.only("toy", ())
            entry.only("toy", (f.name,))
        elif f.name != "name":
            entry.only("toy", ())


def test_secrets_come_from_our_environment_and_are_missed_there() -> None:
    entry = Entry(name="a", secrets=("A", "B", "C"))
    assert config.secrets_of(entry, {"A": "1", "C": "", "D": "4"}) == {"A": "1"}
    assert config.missing(entry, {"A": "1", "C": "", "D": "4"}) == ["B", "C"]
