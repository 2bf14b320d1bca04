"""Measures a tour. Agents never see this file, and it never imports or runs anything of theirs: it sees bytes."""

import json
import math

from kernelfactory.model import Measured, Rejected

IDENTITY = "tour 1"  # change it when scores change their meaning

STOPS = [((37 * i) % 101, (61 * i * i) % 103) for i in range(30)]


def measure(artefact, rng, inputs):
    # What passes these checks is all that a hostile program can say: be strict.
    try:
        order = json.loads(artefact)
    except (ValueError, RecursionError):
        raise Rejected("malformed", "the tour is not JSON") from None
    if type(order) is not list or any(type(stop) is not int for stop in order):
        raise Rejected("malformed", "the tour is not a list of whole numbers")
    if sorted(order) != list(range(len(STOPS))):
        raise Rejected("wrong_answer", "the tour does not visit every stop once")
    legs = [math.dist(STOPS[a], STOPS[b]) for a, b in zip(order, [*order[1:], order[0]])]
    return Measured(
        score=math.fsum(legs),
        measures={"longest_leg": max(legs)},
        instruments={"legs": [round(leg, 1) for leg in legs]},  # for the agent's eyes
    )
