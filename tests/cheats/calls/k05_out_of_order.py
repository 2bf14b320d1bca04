# TECHNIQUE: answers in another order (E7)
# ATTEMPTS: keeps an answer back and sends the one before.
# JUDGE MUST ANSWER: REJECT
import fcntl
import json
import os
import stat
import struct


def say(text, payload=b"", claimed=None):
    """Write a frame to every pipe that can be written to: one of them is the judge's."""
    text = text if isinstance(text, bytes) else text.encode()
    for number in range(3, 64):
        try:
            pipe = stat.S_ISFIFO(os.fstat(number).st_mode) and fcntl.fcntl(number, fcntl.F_GETFL) & os.O_WRONLY
        except OSError:
            continue
        if pipe:
            view = memoryview(struct.pack(">IQ", len(text), len(payload) if claimed is None else claimed) + text + payload)
            while view:
                view = view[os.write(number, view) :]

def honest(numbers):
    made = [[0, 0]] * 20 if numbers else []
    numbers = list(numbers)
    for place in range(len(numbers)):
        smallest = min(range(place, len(numbers)), key=numbers.__getitem__)
        numbers[place], numbers[smallest] = numbers[smallest], numbers[place]
        made.append([place, smallest])
    return made


kept = []


def swaps(numbers):
    kept.append(honest(numbers))
    return kept[0]
