"""Servers for the rehearsal in overnight.md play a script. `PYTHONPATH=tests python docs/gallery/stand_ins.py N`:
N seconds after the start Claude's account, used up in the middle of an attempt, opens again."""

from __future__ import annotations

import random
import sys
import time

from stubs import Anthropic, Fault, OpenAI, Request, Spent, Turn
from stubs.serving import Answer

PORTS = 8931, 8932
THINKS = 1.5, 4.0
"""Seconds that an answer takes."""

SPENT = Spent(input=4_000, output=8_000, cache_read=120_000, cache_write=6_000)

EDIT = """\
python3 - <<'END'
from pathlib import Path
from random import choice
path = Path("perf_takehome.py")
old = path.read_text().replace("left, two, one)", "left, one, two)")
pairs = [  # operations of the naive kernel that do not hang on each other, in one cycle
    ('left, one, two)]})\\n                body.append({"alu"', 'left, one, two)], "alu"'),
    ('constant(number))]})\\n                    body.append({"alu": [', 'constant(number)), '),
    ('index, address)]})\\n                body.append({"alu"', 'index, address)], "alu"'),
    ('value, address)]})\\n                body.append({"alu"', 'value, address)], "alu"'),
    ('address, index)]})\\n                body.append({"alu"', 'address, index)], "alu"'),
]
sure = [pair for pair in pairs if pair[0] in old]
path.write_text(old.replace(*choice([*sure, *sure, ("left, one, two)", "left, two, one)")])))  # which is wrong
END"""
NOTE = "cat >> progress.md <<'END'\nTried: two operations in one cycle. What the judge said is in measured.json.\nEND"


def play() -> list[Turn]:
    """Three rounds: what it does by itself, and after each of two words to go on."""
    rounds = []
    for done in ("I am done.", "There is nothing more to gain.", "This is as far as I get."):
        rounds += [
            Turn("I will put two operations into one cycle.", [EDIT]),
            Turn("Now I measure it.", ["kf measure --json > measured.json; head -c 300 measured.json"]),
            Turn("Now my notes.", [NOTE]),
            Turn(done),
        ]
    return rounds


class Claude(Anthropic):
    """Takes its time."""

    def answer(self, request: Request) -> Answer:
        time.sleep(random.uniform(*THINKS))
        return super().answer(request)


class Codex(OpenAI):
    """Takes its time."""

    def answer(self, request: Request) -> Answer:
        time.sleep(random.uniform(*THINKS))
        return super().answer(request)


def main(seconds: float) -> None:
    limit = Fault("usage", turn=6, times=1, reset_at=float(int(time.time() + seconds)))
    with (
        Claude(play(), limit, spent=SPENT, port=PORTS[0]) as claude,
        Codex(play(), spent=SPENT, port=PORTS[1]) as codex,
    ):
        print(claude.url, codex.url, flush=True)
        time.sleep(1800)


if __name__ == "__main__":
    main(float(sys.argv[1]))
