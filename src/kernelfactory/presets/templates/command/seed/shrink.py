"""The program to improve: it is right, and shrinks little. Reads words on its standard input, writes short forms."""

import sys

LETTERS = 5  # so many of each word are kept


def shrink(data):
    return b" ".join(word[:LETTERS] for word in data.split())


if __name__ == "__main__":
    sys.stdout.buffer.write(shrink(sys.stdin.buffer.read()))
