#!/usr/bin/env python3
"""A hostile agent: waits until somebody leaves it the token of a living sibling, and uses it at its own door."""

import json
import os
import socket
import time


def ask(verb, token):
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(20)
        line.connect(".kf/desk.sock")
        line.sendall(json.dumps({"verb": verb, "token": token}).encode() + b"\n")
        return json.loads(line.makefile("rb").readline())


def wait(path):
    while not os.path.exists(path):
        time.sleep(0.02)
    with open(path) as file:
        return file.read()


stolen = wait("stolen")
answers = {verb: ask(verb, stolen) for verb in ("measure", "submit", "abandon", "renew")}
with open("number.txt", "w") as file:
    file.write("800\n")
own = ask("measure", wait(".kf/token"))
with open("progress.md", "w") as file:
    json.dump({"answers": answers, "own": own}, file)
wait("go")  # no sibling ends before the other has tried
