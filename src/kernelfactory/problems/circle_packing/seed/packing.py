"""Places the circles. A plain starting point: a grid, and a few random moves of which the harmless are kept."""

from math import hypot
from random import Random

COLUMNS = 6
ROWS = 5
MOVES = 100
STEP = 0.1


def grid(count):
    """Centres in rows, from the left to the right."""
    return [((i % COLUMNS + 0.5) / COLUMNS, (i // COLUMNS + 0.5) / ROWS) for i in range(count)]


def radii(centres):
    """Each circle reaches the border, or half the way to the nearest other centre."""
    found = []
    for x, y in centres:
        radius = min(x, 1 - x, y, 1 - y)
        for u, v in centres:
            if (u, v) != (x, y):
                radius = min(radius, hypot(x - u, y - v) / 2)
        found.append(radius)
    return found


def packing(count):
    """`count` circles in the unit square, each (x, y, radius)."""
    rng = Random(1)
    centres = grid(count)
    best = sum(radii(centres))
    for _ in range(MOVES):
        chosen = rng.randrange(count)
        x, y = centres[chosen]
        moved = list(centres)
        moved[chosen] = (x + rng.uniform(-STEP, STEP), y + rng.uniform(-STEP, STEP))
        found = sum(radii(moved))
        if found >= best:
            centres, best = moved, found
    return [(x, y, radius) for (x, y), radius in zip(centres, radii(centres))]
