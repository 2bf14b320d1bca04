"""Run as a process by the tests: writes attempts into a record for ever and says each acknowledged row on stdout.
With a second argument it has a fault: it says them before they are durable."""

from __future__ import annotations

import os
import sys
import time

from kernelfactory.model import Choice, Ruler, Usage, Verdict, Work
from kernelfactory.record import ClaimRow, Record, Start


def verdict(score: float, tree: str) -> Verdict:
    ruler = Ruler("c", "sha256:ruler")
    return Verdict("accepted", score, "toy", "sha256:toy", tree, "bubblewrap", "judged", ruler, confirmed=True)


def say(what: str) -> None:
    os.write(1, f"{what}\n".encode())


def write(folder: str, early: bool) -> None:
    record = Record.open(folder)
    run = record.start_run(Start(60.0, "bubblewrap", "judged", "c", "sha256:ruler"), time.time())
    say("ready")
    while True:
        now = time.time()
        with record.transaction():
            number = record.next_attempt()
            choice = Choice(0, number % 3, "because " * 20)
            token = os.urandom(8).hex()
            record.claim(ClaimRow(number, choice, token, now, now + 9, "scripted", "slot 1", "none", run=run))
        say(f"claimed {number}")
        measurement = record.add_measurement(number, "screen", verdict(1e6 - number, f"t{number}"), now)
        say(f"measured {number} {measurement}")
        record.submit(number, Work({}, "note " * 100, Usage(1.0, 1, 0.5), "finished"), now)
        say(f"submitted {number}")
        with record.transaction():
            record.judged(number, "improved", measurement, now)
            if early:
                say(f"judged {number} {measurement}")
                time.sleep(0.05)
        say(f"judged {number} {measurement}")


if __name__ == "__main__":
    write(sys.argv[1], len(sys.argv) > 2)
