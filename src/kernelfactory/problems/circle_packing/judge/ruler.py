"""The ruler: 26 circles in exact numbers to the sum of their radii. Refuses tolerance: every decision is between integers.

No packing reaches `bound(26)` = 2.7359 (rounded up). Draw each circle's cell of the power diagram within the square. The cells are n
convex polygons, each round its circle, and they tile the square. As a planar graph (V - E + n + 1 = 2, every vertex of
degree 3 or more but for the four corners of the square, so 2E >= 3V - 4) it has E <= 3n + 1 edges, at least four of them
on the border, so the cells have at most 2E - 4 <= 6n - 2 sides in all. A polygon of k sides round a circle of radius r has
an area of at least k tan(pi/k) r^2. Let g(k) = 1 / (k tan(pi/k)); by Cauchy and Schwarz
    (sum of r)^2 <= (sum of g(k)) * (sum of r^2 / g(k)) <= sum of g(k),
because the areas add up to 1; and g is concave and grows (x cot x = 1 - x^2/3 - x^4/45 - ..., all terms negative), so that
sum is at most n * g(6 - 2/n).
"""

from __future__ import annotations

import json
import math
import re
from fractions import Fraction
from itertools import combinations
from random import Random

from kernelfactory.model import Measured, Rejected

BACKEND = "python"
IDENTITY = "circle_packing 1"
CIRCLES = 26
MOST_BYTES = 1 << 16
NEAR = 10**6
"""Circles nearer to each other, or to the border, than a NEARth of the side are called touching; no decision rests on it."""
_NUMBER = re.compile(r"[0-9]{1,40}(?:\.[0-9]{1,40}|/[0-9]{1,40})?")

Circle = tuple[int, int, int]


def bound(circles: int) -> float:
    """No packing of so many circles has a larger sum of radii."""
    sides = 6 - 2 / circles
    return math.sqrt(circles / (sides * math.tan(math.pi / sides)))


def _number(text: object) -> Fraction:
    """An exact number from "12", "0.5" or "1/3": digits of ASCII, at most 40 in a row, nothing else."""
    if type(text) is not str or not _NUMBER.fullmatch(text):
        raise Rejected("malformed", 'a number is text such as "0.125" or "1/8", of at most 40 digits in a row')
    try:
        return Fraction(text)
    except ZeroDivisionError:
        raise Rejected("malformed", "a number is divided by 0") from None


def parse(artefact: bytes) -> tuple[int, list[Circle]]:
    """The side of the square and the circles (x, y, radius), all as integers of one common denominator."""
    if len(artefact) > MOST_BYTES:
        raise Rejected("over_limit", f"the certificate is longer than {MOST_BYTES} bytes")
    try:
        rows = json.loads(artefact.decode("ascii"))
    except (ValueError, RecursionError):
        raise Rejected("malformed", "the certificate is not JSON in ASCII") from None
    if type(rows) is not list or len(rows) != CIRCLES:
        raise Rejected("malformed", f"the certificate is not a list of {CIRCLES} circles")
    if any(type(row) is not list or len(row) != 3 for row in rows):
        raise Rejected("malformed", "a circle is [x, y, radius]")
    numbers = [[_number(text) for text in row] for row in rows]
    side = math.lcm(*(number.denominator for row in numbers for number in row))
    return side, [(_whole(x, side), _whole(y, side), _whole(radius, side)) for x, y, radius in numbers]


def _whole(number: Fraction, side: int) -> int:
    return number.numerator * (side // number.denominator)


def check(side: int, circles: list[Circle]) -> None:
    """Raises Rejected for the first circle that has no radius, leaves the square, or overlaps an earlier one."""
    for i, (x, y, radius) in enumerate(circles):
        if radius <= 0:
            raise Rejected("wrong_answer", f"circle {i} has no radius")
        if min(x, y) < radius or max(x, y) > side - radius:
            raise Rejected("wrong_answer", f"circle {i} leaves the square")
    for (i, a), (j, b) in combinations(enumerate(circles), 2):
        if _squared(a, b) < (a[2] + b[2]) ** 2:
            raise Rejected("wrong_answer", f"circles {i} and {j} overlap")


def _squared(a: Circle, b: Circle) -> int:
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2


def down(numerator: int, denominator: int) -> float:
    """The largest float that is not above the fraction (both parts positive)."""
    found = numerator / denominator
    return math.nextafter(found, 0.0) if Fraction(found) > Fraction(numerator, denominator) else found


def measure(artefact: bytes, rng: Random, inputs: int) -> Measured:
    """The sum of the radii, rounded down; nothing is drawn. Raises Rejected."""
    del rng, inputs
    side, circles = parse(artefact)
    check(side, circles)
    radii = [radius for _, _, radius in circles]
    touching = sum(
        _squared(a, b) * NEAR**2 <= ((a[2] + b[2]) * NEAR + side) ** 2 for a, b in combinations(circles, 2)
    )
    border = sum((min(x, y, side - x, side - y) - radius) * NEAR <= side for x, y, radius in circles)
    measures = {"border_share": border / CIRCLES, "radius_spread": 1 - min(radii) / max(radii)}
    instruments = {
        "touching_pairs": touching,
        "at_the_border": border,
        "smallest_radius": min(radii) / side,
        "largest_radius": max(radii) / side,
    }
    return Measured(down(sum(radii), side), measures, instruments)
