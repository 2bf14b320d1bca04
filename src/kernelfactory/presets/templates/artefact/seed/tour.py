"""The program to improve: it is right, and far from short."""

# Where in the trip each stop comes: the stop with the smallest number first.
PLACES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29]


def tour(stops):
    return sorted(range(len(stops)), key=lambda stop: PLACES[stop])
