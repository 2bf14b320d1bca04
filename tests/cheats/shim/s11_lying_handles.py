# TECHNIQUE: handles that nobody gave
# ATTEMPTS: every answer is a thing that stays in the worker.
# JUDGE MUST ANSWER: NO BETTER
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


say('["ready"]')
while True:
    header, payload = struct.unpack(">IQ", os.read(3, 12))
    os.read(3, header + payload)
    say('["kept",99999999999999999999,true]')
