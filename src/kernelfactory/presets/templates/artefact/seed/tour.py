"""The program to improve: it is right, and far from short."""


def tour(stops):
    return list(range(len(stops)))
