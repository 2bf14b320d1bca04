"""Writes the network, as JSON, to the descriptor named in KF_ARTEFACT_FD (else prints how many comparators it has).

The judge uses its own copy of this file.
"""

import json
import os

from network import network

WIRES = 12


def main():
    comparators = [[int(low), int(high)] for low, high in network(WIRES)]
    if "KF_ARTEFACT_FD" not in os.environ:
        print(len(comparators))
        return
    with os.fdopen(int(os.environ["KF_ARTEFACT_FD"]), "w") as out:
        json.dump(comparators, out)


if __name__ == "__main__":
    main()
