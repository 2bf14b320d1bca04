"""Builds the program and writes it, as JSON text, to the descriptor named in KF_ARTEFACT_FD (else to standard output).

`--quick` builds it for a small tree and batch. The judge uses its own copy of this file.
"""

import gc
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

OFFICIAL = (10, 16, 256)  # height of the tree, rounds, batch
QUICK = (4, 6, 32)


def build(height, rounds, batch):
    from perf_takehome import KernelBuilder

    builder = KernelBuilder()
    builder.build_kernel(height, 2 ** (height + 1) - 1, batch, rounds)
    return builder.instrs


def main():
    gc.disable()
    size = QUICK if "--quick" in sys.argv[1:] else OFFICIAL
    text = json.dumps(build(*size), separators=(",", ":"), check_circular=False)
    with os.fdopen(int(os.environ.get("KF_ARTEFACT_FD", "1")), "wb") as out:
        out.write(text.encode("ascii"))


if __name__ == "__main__":
    main()
