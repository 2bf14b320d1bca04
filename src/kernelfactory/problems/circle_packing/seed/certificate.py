"""Circles as exact decimals that a judge without any tolerance accepts: certificate(circles) -> [[x, y, radius], ...].

Editing this file changes nothing but the reader's own experiments: the judge uses its own copy.
"""

from fractions import Fraction
from math import floor, isqrt

PLACES = 20
ONE = 10**PLACES  # the side of the square, in the integers that are used here


def certificate(circles):
    """The circles as text. Centres are rounded to the nearest decimal; a radius loses what lies beyond its last place, then
    what sticks out of the square, then its share of what overlaps. ValueError where nothing is left of a radius."""
    centres = [(round(Fraction(x) * ONE), round(Fraction(y) * ONE)) for x, y, _ in circles]
    radii = [floor(Fraction(radius) * ONE) for _, _, radius in circles]
    radii = [min(radius, x, ONE - x, y, ONE - y) for (x, y), radius in zip(centres, radii)]
    require(radii)
    for i, (x, y) in enumerate(centres):
        for j in range(i):
            u, v = centres[j]
            # whole numbers: radii up to the root, rounded down, of the squared distance don't overlap
            overlap = radii[i] + radii[j] - isqrt((x - u) ** 2 + (y - v) ** 2)
            if overlap > 0:
                cut = overlap * radii[i] // (radii[i] + radii[j])
                radii[i] -= cut
                radii[j] -= overlap - cut
                require(radii)
    return [[decimal(x), decimal(y), decimal(radius)] for (x, y), radius in zip(centres, radii)]


def require(radii):
    for number, radius in enumerate(radii):
        if radius <= 0:
            raise ValueError(f"circle {number}: no radius is left; its centre is outside, or that of another circle")


def decimal(number):
    return f"{number // ONE}.{number % ONE:0{PLACES}d}"
