# TECHNIQUE: an answer in drops (I7)
# ATTEMPTS: two bytes at a time.
# JUDGE MUST ANSWER: REJECT timeout
# SLOW
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


def terms(x):
    say("", claimed=8 << 20)
    for number in range(3, 64):
        try:
            while fcntl.fcntl(number, fcntl.F_GETFL) & os.O_WRONLY:
                os.write(number, b"xx")
        except OSError:
            pass
