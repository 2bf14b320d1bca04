#!/usr/bin/env python3
"""A hostile agent: tries what it must not, and writes into progress.md what worked. Its arguments are what it should
not know: the experiment, a word in the environment of other processes, and folders to read."""

import glob
import json
import os
import signal
import socket
import sys
import threading
import time

EXPERIMENT, SECRET, *FOLDERS = sys.argv[1:]
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
    """Names alone are nothing: the shipped problems' are no secret."""
    return any(opened(path) for path in glob.glob(folder + "/**", recursive=True) if os.path.isfile(path))


def opened(path):
    try:
        with open(path, "rb"):
            return True
    except OSError:
        return False


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


def others():
    """Processes whose environment tells the secret: nobody's of this attempt."""
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            if SECRET.encode() in open(path, "rb").read():
                yield int(path.split("/")[2])
        except OSError:
            pass


def signalled():
    found = list(others())
    for pid in found:
        os.kill(pid, signal.SIGTERM)
    return found


def daemon():
    """Outlives its parents if anything does: measures and writes when the attempt is over."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            written("daemon-lives")
            for number in range(60):
                time.sleep(0.2)
                attempt("measure late", lambda: number > 5 and mine("measure"))
                attempt("write late", lambda: number > 5 and written("number.txt"))
        os._exit(0)
    while not os.path.exists("daemon-lives"):
        time.sleep(0.01)


for folder in FOLDERS:
    attempt(f"read {folder}", lambda: anything_in(folder))
attempt("read the record", lambda: readable(EXPERIMENT + "/record.db"))
attempt("read the judge", lambda: anything_in(EXPERIMENT + "/problem/judge"))
attempt("write the record", lambda: written(EXPERIMENT + "/record.db"))
attempt("write best", lambda: written(EXPERIMENT + "/best/number.txt"))
attempt("write a file into best", lambda: written(EXPERIMENT + "/best/more.txt"))
attempt("read the launcher's environment", lambda: SECRET.encode() in open("/proc/1/environ", "rb").read())
attempt("read the environment of others", lambda: list(others()))
attempt("inherit the environment", lambda: any(SECRET in value for value in os.environ.values()))
attempt("signal others", signalled)
for verb in ("release", "claim", "stop", "stop-now", "judged", "quarantine"):
    attempt(f"verb {verb}", lambda: mine(verb).get("ok"))
attempt("a wrong token", lambda: ask({"verb": "measure", "token": "guess"}).get("ok"))
attempt("no token", lambda: ask({"verb": "measure"}).get("ok"))
for name, data in (("garbage", b"\xff{{{"), ("a long line", b"x" * 200_000), ("nesting", b"[" * 60_000)):
    attempt(name, lambda: ask(data).get("ok"))

silent = [socket.socket(socket.AF_UNIX) for _ in range(4)]
for line in silent:
    line.connect(".kf/desk.sock")  # and never says a word

with open("number.txt", "w") as file:
    file.write("800\n")
answers = []
start = threading.Barrier(30)
threads = [threading.Thread(target=lambda: start.wait() + 1 and answers.append(mine("measure"))) for _ in range(30)]
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
