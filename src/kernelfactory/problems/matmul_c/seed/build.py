"""Compiles matmul.c and hands the shared object in. Part of the problem: changing it changes nothing."""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile

FLAGS = ["-O3", "-march=native", "-std=gnu11", "-shared", "-fPIC", "-Wl,--no-undefined"]
NONE = "no C compiler that works in /usr/bin (cc, gcc or clang): install one, such as with `apt install gcc libc6-dev`"


def main():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        done = compiled(f"{folder}/matmul.so")
        if done.returncode:
            sys.exit(done.stdout.decode("utf-8", "replace")[:1800])
        hand_in(f"{folder}/matmul.so")


def compiled(made):
    """What came of the first compiler that is no worse with nothing to compile: it is tried only after a failure."""
    for name in ("cc", "gcc", "clang"):
        compiler = shutil.which(name, path="/usr/bin:/bin")
        for flags in ([], ["-march=native"]) if compiler else ():
            command = [compiler, *(flag for flag in FLAGS if flag not in flags)]
            done = run([*command, "matmul.c", "-lm", "-o", made])
            if done.returncode == 0 or run([*command, "-xc", "-", "-o", made], input=b"int nothing;").returncode == 0:
                return done
    sys.exit(NONE)


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)


def hand_in(made):
    try:
        ctypes.CDLL(made).matmul
    except (OSError, AttributeError) as error:
        sys.exit(f"matmul.c makes no library with a function matmul: {error}")
    with open(made, "rb") as file, os.fdopen(int(os.environ["KF_ARTEFACT_FD"]), "wb") as out:
        shutil.copyfileobj(file, out)


main()
