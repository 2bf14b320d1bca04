"""The table of commands. Nothing heavy is imported before a command runs."""

from __future__ import annotations

from typing import Annotated

import typer

from kernelfactory import __version__
from kernelfactory.cli import best, doctor, inside, judging, making, publishing, quarantine, reading, running, tending

EXIT_CODES = "Exit codes: 0 done, 1 the answer is no, 2 bad input, 3 cut short (work kept), 130 Ctrl-C (work kept)."

COMMANDS = {
    "Run": (running.demo, running.run, running.resume, running.stop, tending.clean),
    "Read": (reading.status, reading.attempts, reading.show, best.best, reading.notes, tending.report),
    "Judge": (making.new, judging.judge, judging.check, quarantine.quarantine, doctor.doctor),
    "Publish": (publishing.publish_check,),
    "Inside a workspace": (inside.measure, inside.submit, inside.abandon, inside.renew),
}

app = typer.Typer(
    name="kf",
    help="Point a team of coding agents at a program and a score; wake up to a faster program.",
    epilog=EXIT_CODES,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(asked: bool) -> None:
    if asked:
        print(f"kf {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Point a team of coding agents at a program and a score; wake up to a faster program."""


for _panel, _commands in COMMANDS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)
