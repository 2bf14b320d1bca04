"""The program to improve: it is right, and shrinks nothing. `python shrink.py shrink` and `python shrink.py restore`."""

import sys

WORDS = b"zero one two three four five six seven eight nine".split()
LETTERS = 5  # so many of each word are kept


def shrink(data):
    return b" ".join(word[:LETTERS] for word in data.split())


def restore(data):
    known = {word[:LETTERS]: word for word in WORDS}
    return b" ".join(known[short] for short in data.split())


if __name__ == "__main__":
    work = {"shrink": shrink, "restore": restore}[sys.argv[1]]
    sys.stdout.buffer.write(work(sys.stdin.buffer.read()))
