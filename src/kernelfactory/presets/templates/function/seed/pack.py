"""The program to improve: it is right, and wasteful."""


def pack(sizes):
    return [[item] for item in range(len(sizes))]
