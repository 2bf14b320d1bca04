# TECHNIQUE: half a character where a number is meant
# ATTEMPTS: text that the ruler fails on when it speaks of it.
# JUDGE MUST ANSWER: REJECT malformed
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
    say('["value",{"d":[[1.5,"\\ud800"]]}]')
    os._exit(0)
