"""The command for a person's word on scores in quarantine: shown with the reason and the changes, then decided. Decides
nothing itself."""

from __future__ import annotations

import os
import pwd
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kernelfactory.cli import places
from kernelfactory.cli.options import Json
from kernelfactory.cli.terminal import colour_diff, document, number, one_line, plain, say, score, stamp, table
from kernelfactory.model import BadInput

if TYPE_CHECKING:
    from kernelfactory.quarantine import Word
    from kernelfactory.record import Reader

ACTIONS = ("list", "release", "reject")
USAGE = "kf quarantine EXPERIMENT list [N], release N or reject N"


def quarantine(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[EXPERIMENT] list|release|reject [N]",
            help="Which experiment (default: the latest one made), what to do, and with which attempt.",
            show_default=False,
        ),
    ],
    why: Annotated[str | None, typer.Option("--why", metavar="TEXT", help="Why, for the record.")] = None,
    json: Json = False,
) -> int:
    """Scores too good to be taken without a person: see why, release or reject.

    A released program becomes a candidate and may be the best; a rejected one stays out, whoever hands it in again."""
    folder, action, attempt = _asked(words)
    if action == "list":
        return _list(folder, attempt, json)
    if attempt is None:
        raise BadInput(f"say which attempt: {USAGE}")
    return _say_word(folder, action, attempt, why, json)


def _asked(words: list[str]) -> tuple[Path, str, int | None]:
    """`kf quarantine list` means the latest experiment, unless there is a folder of that name with a word after it."""
    named = words[0] not in ACTIONS or (len(words) > 1 and words[1] in ACTIONS)
    rest = words[1:] if named else words
    if not rest or rest[0] not in ACTIONS or len(rest) > 2 or (len(rest) == 2 and not rest[1].isdecimal()):
        raise BadInput(f"not understood: {USAGE}")
    folder = places.experiment(Path(words[0]) if named else None)
    return folder, rest[0], int(rest[1]) if len(rest) == 2 else None


# ── what waits ───────────────────────────────────────────────────────────────────────────────────


def _list(folder: Path, attempt: int | None, json: bool) -> int:
    from kernelfactory.record import Reader

    with Reader.open(folder) as reader:
        if attempt is not None:
            facts = _facts(reader, attempt)
            document(facts) if json else _show(reader, facts)
            return 0
        waiting, decided = [_held_json(reader, held) for held in reader.held()], _decisions(reader, None)
        if json:
            document({"experiment": str(folder.resolve()), "waiting": waiting, "decisions": decided})
            return 0
        metric = reader.experiment.metric
    rows = [
        [str(w["attempt"]), number(w["score"]), number(w["parent_score"]), one_line(w["agent"], 30),
         " ".join(sorted({f["rule"] for f in w["flags"]})), w["reason"] or ""]
        for w in waiting
    ]  # fmt: skip
    if not rows:
        say("nothing waits in quarantine" + (f"; {len(decided)} decided" if decided else ""))
        return 0
    say(f"{len(rows)} in quarantine; scores in {one_line(metric.unit)}", "")
    heads = ("attempt", "score", "parent", "agent", "flags", "why it waits")
    table(heads, rows, left=("agent", "flags", "why it waits"), less=("agent", "flags"))
    command = f"{places.kf()} quarantine {shlex.quote(places.shown(folder))}"
    say("", f"  {command} list N     with its changes", f"  {command} release N  or reject N")
    return 0


def _held_json(reader: Reader, held: Any) -> dict[str, Any]:
    from kernelfactory.record.rows import iso, shallow
    from kernelfactory.record.rows import plain as whole

    values = shallow(held)
    return values | {
        "at": iso(held.at),
        "score": whole(held.score),
        "parent_score": whole(held.parent_score),
        "flags": reader.flags(held.attempt),
    }


def _decisions(reader: Reader, attempt: int | None) -> list[dict[str, Any]]:
    from kernelfactory.record.rows import shallow

    return [shallow(decision) | {"at": stamp(decision.at)} for decision in reader.decisions(attempt)]


def _facts(reader: Reader, attempt: int) -> dict[str, Any]:
    """All that a person needs to decide on an attempt. Raises BadInput when it has nothing in quarantine."""
    from kernelfactory.record.rows import plain as whole
    from kernelfactory.trees import Trees

    row, found = reader.attempt(attempt), reader.in_quarantine(attempt)
    if not found:
        raise BadInput(f"attempt {attempt} has nothing in quarantine: kf quarantine {reader.folder} list")
    best, parent = found[0], reader.attempt(row.parent).commit if row.parent is not None else None
    diff = Trees(reader.folder / "trees.git").diff(parent, best.commit) if parent and best.commit else ""
    return {
        "attempt": attempt,
        "measurement": best.measurement,
        "score": whole(best.verdict.score),
        "parent": row.parent,
        "parent_score": whole(row.parent_score),
        "agent": row.agent,
        "reason": best.verdict.reason,
        "trust": best.verdict.trust,
        "programs": len({m.verdict.tree for m in found}),
        "commit": best.commit,
        "tree": best.verdict.tree,
        "flags": reader.flags(attempt),
        "decisions": _decisions(reader, attempt),
        "diff": diff,
    }


def _show(reader: Reader, facts: dict[str, Any]) -> None:
    metric = reader.experiment.metric
    say(
        f"attempt {facts['attempt']}: {score(facts['score'], metric)} in quarantine ({facts['trust']})",
        f"  why       {one_line(facts['reason'] or 'no reason given', 300)}",
        f"  parent    attempt {facts['parent']}, {score(facts['parent_score'], metric)}",
        f"  agent     {one_line(facts['agent'])}",
        f"  commit    {facts['commit'] or '-'}",
    )
    if facts["programs"] > 1:
        say(f"  programs  {facts['programs']} of this attempt are in quarantine; this is the best of them")
    for flag in facts["flags"]:
        say(f"  flag      {one_line(' '.join((flag['rule'], flag['where'], flag['text'])), 200)}")
    for made in facts["decisions"]:
        said = f": {made['why']}" if made["why"] else ""
        say(f"  decided   {made['decision']} by {one_line(made['who'])} at {made['at']}{one_line(said, 300)}")
    say("", "── diff " + "─" * 66, colour_diff(plain(facts["diff"])) or "(none)")


# ── a person's word ──────────────────────────────────────────────────────────────────────────────


def _say_word(folder: Path, action: str, attempt: int, why: str | None, json: bool) -> int:
    from kernelfactory.quarantine import DONE, Word
    from kernelfactory.record import Reader
    from kernelfactory.record.rows import plain as whole

    word = Word(attempt, "release" if action == "release" else "reject", _account(), why)
    with Reader.open(folder) as reader:
        facts = _facts(reader, attempt)
        if not json:
            _show(reader, facts)
    if not json and sys.stdin.isatty() and sys.stdout.isatty() and not _sure(action, attempt):
        say("nothing was changed")
        return 1
    about = _decide(folder, word)
    with Reader.open(folder) as reader:
        best, metric = reader.best(), reader.experiment.metric
    now = None if best is None else {"attempt": best.attempt, "score": whole(best.score), "trust": best.trust}
    if json:
        said = {"decision": word.said, "who": word.who, "why": why, "attempts": about, "best": now}
        document({**{key: value for key, value in facts.items() if key != "decisions"}, **said})
        return 0
    others = [str(n) for n in about if n != attempt]
    same = f", and with it {', '.join(others)} (the same program)" if others else ""
    lead = f"; the best is {score(best.score, metric)} (attempt {best.attempt})" if best is not None else ""
    say("", f"attempt {attempt} is {DONE[word.said]}{same}{lead}")
    return 0


def _account() -> str:
    """Who decides, as the system knows it."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _sure(action: str, attempt: int) -> bool:
    return input(f"\n{action} attempt {attempt}? [y/N] ").strip().lower() in ("y", "yes")


def _decide(folder: Path, word: Word) -> list[int]:
    """Through the run that writes the record, else here."""
    from kernelfactory import desk, quarantine
    from kernelfactory.experiment import load_problem
    from kernelfactory.record import Record, owner
    from kernelfactory.trees import Trees

    if owner(folder) is not None and (folder / desk.SOCKET).exists():
        return desk.tell(folder, word)
    with Record.open(folder) as record:
        problem = load_problem(folder, record.experiment)
        try:
            return quarantine.decide(record, word, time.time())
        finally:  # also what was decided before, and cut short
            quarantine.crown(folder, record, Trees(folder / "trees.git"), problem)
