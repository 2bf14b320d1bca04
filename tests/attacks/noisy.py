#!/usr/bin/env python3
"""A hostile agent: makes as much noise at its door as it can, until it is told that others have had their turns."""

import json
import os
import socket
import threading
import time

TOKEN = open(".kf/token").read()
REQUESTS = [
    json.dumps({"verb": "measure", "token": TOKEN}).encode(),
    json.dumps({"verb": "measure", "token": TOKEN, "quick": True}).encode(),
    json.dumps({"verb": "stop", "token": TOKEN}).encode(),
    json.dumps({"verb": "measure", "token": "guess"}).encode(),
    b"\xff{{{",
    b"x" * 100_000,
]
over = threading.Event()
asked = []


def shout(number):
    while not over.is_set():
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(20)
                line.connect(".kf/desk.sock")
                line.sendall(REQUESTS[number % len(REQUESTS)] + b"\n")
                line.recv(1000)
                asked.append(number)
        except OSError:
            time.sleep(0.01)


def drip():
    """A line that never ends, a byte at a time."""
    while not over.is_set():
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.connect(".kf/desk.sock")
                while not over.is_set():
                    line.sendall(b"{")
                    time.sleep(0.2)
        except OSError:
            time.sleep(0.1)


with open("number.txt", "w") as file:
    file.write("800\n")
threads = [threading.Thread(target=shout, args=(number,)) for number in range(18)]
threads += [threading.Thread(target=drip) for _ in range(6)]
for thread in threads:
    thread.start()
while not os.path.exists("enough"):
    time.sleep(0.05)
over.set()
for thread in threads:
    thread.join()
with open("progress.md", "w") as file:
    json.dump({"asked": len(asked)}, file)
