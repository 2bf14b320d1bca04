"""Writes the circles, as exact decimals in JSON, to the descriptor named in KF_ARTEFACT_FD (else prints their sum).

The judge uses its own copy of this file.
"""

import json
import os
from fractions import Fraction

from certificate import certificate
from packing import packing

CIRCLES = 26


def main():
    circles = certificate(packing(CIRCLES))
    if "KF_ARTEFACT_FD" not in os.environ:
        print(float(sum(Fraction(radius) for _, _, radius in circles)))
        return
    with os.fdopen(int(os.environ["KF_ARTEFACT_FD"]), "w") as out:
        json.dump(circles, out)


if __name__ == "__main__":
    main()
