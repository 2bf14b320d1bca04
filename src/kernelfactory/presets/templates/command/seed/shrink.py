"""The program to improve: it is right, and shrinks nothing."""


def shrink(data):
    return data


def restore(data):
    return data
