"""A stub by hand: `PYTHONPATH=tests python -m stubs anthropic|openai|gemini [PORT [FAULT…]]`; prints what arrives.

Plays a short script over and over; a fault is `kind[@turn][xTimes]`."""

from __future__ import annotations

import sys
import time

from stubs import Anthropic, Fault, Gemini, OpenAI, night

KINDS = {"anthropic": Anthropic, "openai": OpenAI, "gemini": Gemini}


def main(words: list[str]) -> None:
    if not words or words[0] not in KINDS:
        sys.exit(str(__doc__))
    port = int(words[1]) if len(words) > 1 else 0
    with KINDS[words[0]](night("echo edited >> kernel.py"), *map(Fault.read, words[2:]), port=port) as stub:
        print(stub.url, flush=True)
        shown = 0
        while True:
            for request in stub.log[shown:]:
                shown += 1
                print(request.method, request.path, f"turn {request.turn}", request.fault or "", flush=True)
            time.sleep(0.1)


if __name__ == "__main__":
    main(sys.argv[1:])
