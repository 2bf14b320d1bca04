"""Options that several commands share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; all else goes to stderr.")]
Unprotected = Annotated[
    bool,
    typer.Option(
        "--unprotected", help="Go on without a jail: candidates run on this machine as you. Shown everywhere."
    ),
]
Problem = Annotated[
    str, typer.Argument(metavar="PROBLEM", help="A folder with problem.toml, or the name of a shipped problem.")
]
Experiment = Annotated[
    Path | None,
    typer.Argument(
        metavar="EXPERIMENT", help="The folder of an experiment (default: the latest one made).", show_default=False
    ),
]
MOST = 1 << 62
"""The record keeps whole numbers of 63 bits."""

Seed = Annotated[int, typer.Option("--seed", min=0, max=MOST, help="Drives every choice of parents; never the judge.")]
Agents = Annotated[
    list[str] | None,
    typer.Option(
        "--agent",
        metavar="SPEC",
        help="name\\[@model]\\[:slots], auto, or command@PROGRAM; several times for several agents. Default: mutator.",
    ),
]
Attempts = Annotated[
    int | None, typer.Option("--attempts", metavar="N", min=1, max=MOST, help="Cap: so many attempts.")
]
Hours = Annotated[float | None, typer.Option("--hours", metavar="H", help="Cap: so many hours.")]
Dollars = Annotated[float | None, typer.Option("--dollars", metavar="X", help="Cap: so many US dollars.")]
Tokens = Annotated[int | None, typer.Option("--tokens", metavar="N", min=1, max=MOST, help="Cap: so many tokens.")]
Target = Annotated[
    float | None, typer.Option("--target", metavar="S", help="Stop when a confirmed score is this good.")
]
Minutes = Annotated[float, typer.Option("--attempt-minutes", metavar="M", help="Wall time of one attempt.")]
AttemptDollars = Annotated[
    float | None,
    typer.Option("--attempt-dollars", metavar="X", help="Cap of each attempt: so many US dollars.", show_default=False),
]
AttemptTokens = Annotated[
    int | None,
    typer.Option(
        "--attempt-tokens",
        metavar="N",
        min=1,
        max=MOST,
        help="Cap of each attempt: so many tokens.",
        show_default=False,
    ),
]
Nudges = Annotated[
    int,
    typer.Option("--nudges", metavar="N", min=0, max=100, help="How often an agent that stops early is sent on."),
]
NoSwitch = Annotated[
    bool,
    typer.Option("--no-switch", help="An agent at its usage limit keeps its slots waiting; no other one takes them."),
]
Scratch = Annotated[
    Path | None,
    typer.Option(
        "--scratch", metavar="D", help="Where workspaces lie (default: the state folder).", show_default=False
    ),
]
