"""`kf`: the doors for people at a terminal and for agents in a workspace. Asks the rooms and shows; decides nothing."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from kernelfactory.cli import streams
from kernelfactory.model import KernelFactoryError

CUT_SHORT = 3
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run `kf` with `argv` (default: the process's own arguments) and end the process with the contract's exit code;
    0 becomes 2 where the output could not be written."""
    out = streams.make_safe()
    code = command(list(sys.argv[1:] if argv is None else argv))
    sys.stdout.flush()
    sys.exit(code or (2 if out.fault else 0))


def command(argv: list[str]) -> int:
    """Run one command; every error becomes one line on stderr. Returns the exit code; `KF_DEBUG=1` shows tracebacks."""
    from kernelfactory.cli.app import app

    try:
        return app(args=argv or ["--help"], prog_name="kf", standalone_mode=False) or 0
    except (Exception, KeyboardInterrupt) as error:
        line, code = explain(error)
        if _debug():
            traceback.print_exception(error)
        streams.tell("kf: " + " ".join(line.split()))
        return code


def explain(error: BaseException) -> tuple[str, int]:
    """What to say of an error, and the exit code that goes with it."""
    import typer

    match error:
        case typer.TyperException():
            asked = getattr(getattr(error, "ctx", None), "command_path", "kf")
            return f"{error.format_message()} ({asked} --help)", error.exit_code
        case KernelFactoryError():
            return str(error), error.exit_code
        case KeyboardInterrupt():
            return "interrupted", INTERRUPTED
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return f"{_os_line(error)}: free some space, then go on with kf resume", CUT_SHORT
        case OSError():
            return f"{_os_line(error)}: name another place, or see to its rights", 2
        case _:
            fault = f"internal fault: {type(error).__name__}: {error}"
            return (fault if _debug() else f"{fault} (KF_DEBUG=1 shows the traceback)"), 1


def _debug() -> bool:
    return os.environ.get("KF_DEBUG", "0") not in ("", "0")


def _os_line(error: OSError) -> str:
    where = f": {os.fsdecode(error.filename)}" if error.filename else ""
    return f"{error.strerror or error}{where}"
