"""Docs cannot lie: commands, options, links, included code and public names are checked against what there is."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from kernelfactory import agents
from kernelfactory.agents import claude, codex, config, gemini, opencode, prices
from kernelfactory.cli.app import app
from kernelfactory.model import BadInput

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PUBLIC = ("kernelfactory", "kernelfactory.testing")
LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(([^)\s]+)\)")
KNOWN = (claude.KNOWN, codex.KNOWN, gemini.KNOWN, opencode.KNOWN)
INCLUDED = re.compile(r"<!-- included from (\S+): (\w+) -->\n```python\n(.*?)```\n<!-- end -->", re.DOTALL)
CONSOLE = re.compile(r"```(?:console|sh|bash)\n(.*?)```", re.DOTALL)


def commands() -> Mapping[str, Any]:
    group: Any = get_command(app)
    return dict(group.commands)


def options(command: Any) -> set[str]:
    """Every long option but --help, which all have."""
    return {word for option in command.params for word in option.opts if word.startswith("--")} - {"--help"}


# ── the checks, as functions of a text ───────────────────────────────────────────────────────────


def undocumented(readme: str) -> list[str]:
    """Commands without an entry in the README's table, and options that its entry lacks."""
    said = {
        name: entry
        for line in readme.splitlines()
        if line.startswith("| `kf ")
        for name, entry in entries(line.split(" | ")[0])
    }
    missing = [name for name in commands() if name not in said]
    known = [(name, command) for name, command in commands().items() if name in said]
    return missing + [f"{name} {o}" for name, command in known for o in options(command) if o not in words(said[name])]


def overstated(readme: str) -> list[str]:
    """What the table promises and no command has."""
    wrong = []
    for line in readme.splitlines():
        for name, entry in entries(line.split(" | ")[0]) if line.startswith("| `kf ") else ():
            known = options(commands()[name]) if name in commands() else set()
            wrong += [f"{name} {word}" for word in words(entry) if word not in known]
    return wrong


def entries(cell: str) -> Iterator[tuple[str, str]]:
    for entry in re.findall(r"`kf ([^`]+)`", cell):
        yield entry.split()[0], entry


def words(entry: str) -> set[str]:
    return set(re.findall(r"--[a-z-]+", entry))


def dead_links(text: str, page: Path) -> list[str]:
    """Links to files that are not there and to headings that no page has."""
    dead = []
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            dead.append(link)
    return dead


def anchors(text: str) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def stale_blocks(text: str) -> list[str]:
    """Included functions whose text is no longer the source's."""
    return [name for file, name, block in INCLUDED.findall(text) if block != source(ROOT / file, name)]


def source(file: Path, name: str) -> str:
    text = file.read_text("utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
            return "".join(text.splitlines(keepends=True)[node.lineno - 1 : node.end_lineno])
    return ""


def wrong_lines(text: str) -> list[str]:
    """`kf …` and `make …` lines in console blocks that would not be understood."""
    lines = [line.split("  #")[0].strip() for block in CONSOLE.findall(text) for line in block.splitlines()]
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wrong = []
    for line in lines:
        first, *rest = shlex.split(line, comments=True) or [""]
        if (first == "kf" and not parses(rest)) or (first == "make" and not set(targets_of(rest)) <= targets):
            wrong.append(line)
    return wrong


def targets_of(rest: list[str]) -> list[str]:
    return [word for word in rest if "=" not in word]


def parses(rest: list[str]) -> bool:
    name, *arguments = rest or ["--help"]
    if name not in commands():
        return name in ("--help", "--version", "-h")
    try:
        commands()[name].make_context(name, arguments)
    except typer.Exit:
        return True
    except typer.TyperException:
        return False
    return True


def unnamed(text: str) -> list[str]:
    """Public names that no page mentions."""
    names = [name for module in PUBLIC for name in getattr(import_module(module), "__all__", ())]
    return [name for name in names if not re.search(rf"\b{name}\b", text)]


# ── the pages as they are ────────────────────────────────────────────────────────────────────────

README = (ROOT / "README.md").read_text("utf-8")


def test_every_command_and_option_is_in_the_readme() -> None:
    assert undocumented(README) == []
    assert overstated(README) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_tells_the_truth(page: Path) -> None:
    text = page.read_text("utf-8")
    assert dead_links(text, page) == []
    assert stale_blocks(text) == []
    assert wrong_lines(text) == []


def test_the_life_of_an_attempt_shows_the_source() -> None:
    page = (ROOT / "docs/life-of-an-attempt.md").read_text("utf-8")
    assert [(file, name) for file, name, _ in INCLUDED.findall(page)] == [("src/kernelfactory/factory.py", "attempt")]


def test_public_names_are_documented() -> None:
    assert unnamed("\n".join(page.read_text("utf-8") for page in PAGES)) == []


AGENTS_LOCK = ROOT / "requirements/agents.lock"


def test_every_package_of_the_lock_is_hashed_and_has_no_address() -> None:
    for lock in {ROOT / "requirements.lock", *ROOT.glob("requirements/*.lock")} - {AGENTS_LOCK}:
        assert addresses_and_bare(lock.read_text()) == []


def test_every_agent_of_the_lock_is_hashed_and_has_no_address() -> None:
    assert unpinned(AGENTS_LOCK.read_text()) == []


def unpinned(lock: str) -> list[str]:
    """Lines of an agents.lock that are not `name machine package@version digest place`."""
    pinned = re.compile(r"[a-z]+ +\S+ +[@\w./-]+@\d[\w.-]* +sha512-[A-Za-z0-9+/=]{88} +[\w./@-]+")
    lines = [line for line in lock.splitlines() if line.strip() and not line.startswith("#")]
    return [line for line in lines if not pinned.fullmatch(line) or "://" in line]


def addresses_and_bare(lock: str) -> list[str]:
    entries_ = re.split(r"\n(?=\S)", lock.strip())
    return [
        entry.split()[0] for entry in entries_ if "--hash=sha256:" not in entry or "://" in entry or "index" in entry
    ]


# ── docs/agents.md ───────────────────────────────────────────────────────────────────────────────

AGENTS = (ROOT / "docs/agents.md").read_text("utf-8")
TOML = re.compile(r"```toml\n(.*?)```", re.DOTALL)


def untold(text: str) -> list[str]:
    """Keys of agents.toml, agents, versions and the date of the prices that the page does not say."""
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `")]
    first = {word for row in rows for word in re.findall(r"`([^`]+)`", row)}
    versions = [version for known in KNOWN for version in (known.low, f"{known.package}@{known.high}")]
    missing = [name for name in (*config._KEYS, *agents.known()) if name not in first]
    return missing + [said for said in (*versions, prices.LIST.date) if said not in text]


def refused(text: str, folder: Path) -> list[str]:
    """What its examples of agents.toml are refused for."""
    wrong = []
    for number, block in enumerate(TOML.findall(text)):
        place = folder / str(number)
        place.mkdir()
        (place / config.FILE).write_text(block)
        try:
            config.load(place, {"XDG_CONFIG_HOME": str(folder / "nowhere")})
        except BadInput as fault:
            wrong.append(str(fault))
    return wrong


def test_the_page_on_agents_tells_all_that_can_be_said(tmp_path: Path) -> None:
    assert untold(AGENTS) == []
    assert refused(AGENTS, tmp_path) == [] and len(TOML.findall(AGENTS)) >= 3


# ── and each check fails when it should ──────────────────────────────────────────────────────────


def test_an_undocumented_command_option_or_a_promise_is_found() -> None:
    assert "status --json" in undocumented(
        README.replace("`kf status [EXPERIMENT] [--json]`", "`kf status [EXPERIMENT]`")
    )
    assert "doctor" in undocumented(README.replace("`kf doctor", "`kf medic"))
    assert overstated(README.replace("`kf doctor [--json]`", "`kf doctor [--json] [--fix]`")) == ["doctor --fix"]


def test_dead_links_stale_blocks_and_wrong_lines_are_found() -> None:
    assert dead_links("[a](docs/nowhere.md) [b](README.md#no-such-heading)", ROOT / "README.md") == [
        "docs/nowhere.md",
        "README.md#no-such-heading",
    ]
    assert dead_links("[a](README.md#how-it-works) [b](https://example.org/x)", ROOT / "README.md") == []
    page = (ROOT / "docs/life-of-an-attempt.md").read_text("utf-8")
    assert stale_blocks(page.replace("desk.claim(worker)", "desk.grab(worker)")) == ["attempt"]
    assert wrong_lines("```console\nkf staus\nkf run x --atempts 3\nmake nothing\n```\n") == [
        "kf staus",
        "kf run x --atempts 3",
        "make nothing",
    ]
    assert addresses_and_bare("a==1 \\\n    --hash=sha256:00\nb==2\n") == ["b==2"]
    whole = AGENTS_LOCK.read_text()
    assert len(unpinned(whole.replace("sha512-", "sha1-"))) == len(unpinned(whole.replace("@", " "))) > 3


def test_what_a_page_on_agents_lacks_is_found(tmp_path: Path) -> None:
    assert untold(AGENTS.replace("| `upstream` |", "| `up` |")) == ["upstream"]
    assert untold(AGENTS.replace(prices.LIST.date, "1999-01-01")) == [prices.LIST.date]
    assert untold(AGENTS.replace(f"codex@{codex.KNOWN.high}", "codex@latest")) == [f"@openai/codex@{codex.KNOWN.high}"]
    (wrong,) = refused('```toml\n[claude]\nmodle = "x"\n```\n', tmp_path)
    assert "model" in wrong
