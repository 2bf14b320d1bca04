"""`python -m kernelfactory.agents.mutator`, in a workspace: one attempt."""

from __future__ import annotations

import argparse
import random
import sys

from kernelfactory.agents.mutator.cage import Attempt, CageError
from kernelfactory.model import BadIntake

SLICE = 8.0
"""Seconds that an attempt searches when nothing worthwhile comes up sooner."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m kernelfactory.agents.mutator")
    parser.add_argument("--seconds", type=float, default=SLICE, help="how long to search, at most")
    parser.add_argument("--seed", type=int, help="for the same dice again; otherwise they are the system's")
    parser.add_argument("--parent", type=int, help="the attempt whose result the files are, for the notes")
    options = parser.parse_args()
    try:
        report = Attempt.here(options.parent).work(options.seconds, random.Random(options.seed))
    except (CageError, BadIntake) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{report.tries} tries, best {report.best}, {report.ended}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
