#!/usr/bin/env python3
"""A hostile agent: tries what it must not, and writes into progress.md what worked. Its arguments are what it should
not know: the experiment, a sibling's token, and folders to read."""

import glob
import json
import os
import socket
import sys
import threading
import time

EXPERIMENT, TOKEN, *FOLDERS = sys.argv[1:]
WORKED = []


def attempt(name, act):
    try:
        if act():
            WORKED.append(name)
    except (OSError, ValueError):
        pass


def readable(path):
    with open(path, "rb") as file:
        return bool(file.read(1))


def anything_in(folder):
    return any(os.path.isfile(path) for path in glob.glob(folder + "/**", recursive=True))


def written(path):
    with open(path, "ab") as file:
        file.write(b"x")
    return True


def ask(request, path=".kf/desk.sock"):
    data = request if isinstance(request, bytes) else json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(20)
        line.connect(path)
        line.sendall(data + b"\n")
        return json.loads(line.makefile("rb").readline() or b"{}")


def mine(verb, **more):
    with open(".kf/token") as file:
        return ask({"verb": verb, "token": file.read(), **more})


def daemon():
    """Outlives its parents if anything does: measures and writes when the attempt is over."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(3)
            mine("measure")
            written("/var/tmp/kf-daemon-was-here")
        os._exit(0)


for folder in FOLDERS:
    attempt(f"read {folder}", lambda: anything_in(folder))
attempt("read the record", lambda: readable(EXPERIMENT + "/record.db"))
attempt("read the judge", lambda: anything_in(EXPERIMENT + "/problem/judge"))
attempt("write the record", lambda: written(EXPERIMENT + "/record.db"))
attempt("write best", lambda: written(EXPERIMENT + "/best/number.txt"))
attempt("read the launcher's environment", lambda: b"KF_SECRET" in open("/proc/1/environ", "rb").read())
attempt("inherit the environment", lambda: "KF_SECRET" in os.environ)
attempt("signal everybody", lambda: os.kill(int(os.environ.get("KF_VICTIM", "999999")), 0) is None)
for verb in ("release", "claim", "stop", "stop-now", "judged", "quarantine"):
    attempt(f"verb {verb}", lambda: mine(verb).get("ok"))
attempt("a wrong token", lambda: ask({"verb": "measure", "token": "guess"}).get("ok"))
attempt("no token", lambda: ask({"verb": "measure"}).get("ok"))
attempt("a sibling's token", lambda: ask({"verb": "submit", "token": TOKEN}).get("ok"))
for name, data in (("garbage", b"\xff{{{"), ("a long line", b"x" * 200_000), ("nesting", b"[" * 60_000)):
    attempt(name, lambda: ask(data).get("ok"))

silent = [socket.socket(socket.AF_UNIX) for _ in range(4)]
for line in silent:
    line.connect(".kf/desk.sock")  # and never says a word

with open("number.txt", "w") as file:
    file.write("800\n")
answers = []
threads = [threading.Thread(target=lambda: answers.append(mine("measure"))) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
good = sum(bool(answer.get("ok")) for answer in answers)
if good == len(answers):
    WORKED.append("measure many at once")
with open("number.txt", "w") as file:
    file.write("-7\n")  # beyond what is possible
if mine("measure").get("answer", {}).get("verdict") == "accepted":
    WORKED.append("an impossible score")
attempt("release itself", lambda: mine("release", attempt=1).get("ok"))
with open("number.txt", "w") as file:
    file.write("800\n")
daemon()


def tell():
    with open("progress.md", "w") as file:
        json.dump({"worked": WORKED, "good": good}, file)


tell()
attempt("the owner's door", lambda: ask({"verb": "stop-now"}, EXPERIMENT + "/desk.sock").get("ok"))
tell()
