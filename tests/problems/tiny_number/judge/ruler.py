"""The artefact is the text of one whole number; that number is the score."""

import re

from kernelfactory.model import Measured, Rejected

BACKEND = "python"


def measure(artefact, rng, inputs):
    if not re.fullmatch(rb"-?\d{1,8}\n?", artefact):
        raise Rejected("malformed", "number.txt must hold one whole number of at most 8 digits")
    number = int(artefact)
    return Measured(number, {"digits": float(len(str(abs(number))))}, {"even": number % 2 == 0})
