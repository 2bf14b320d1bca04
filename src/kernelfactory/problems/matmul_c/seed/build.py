"""Compiles matmul.c and hands the shared object in. Part of the problem: changing it changes nothing."""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile

FLAGS = ["-O3", "-march=native", "-std=gnu11", "-shared", "-fPIC"]
PLAIN = ["-O3", "-std=gnu11", "-shared", "-fPIC"]
NOTHING = b"int nothing;"


def main():
    found = [path for name in ("cc", "gcc", "clang") if (path := shutil.which(name, path="/usr/bin:/bin"))]
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        for compiler in found:
            for flags in (FLAGS, PLAIN):
                if run([compiler, *flags, "-xc", "-", "-o", f"{folder}/nothing.so"], input=NOTHING).returncode == 0:
                    return hand_in(compiler, flags, f"{folder}/matmul.so")
    sys.exit("no C compiler that works under /usr/bin (cc, gcc or clang): install one, for instance `apt install gcc libc6-dev`")


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)


def hand_in(compiler, flags, made):
    done = run([compiler, *flags, "-Wl,--no-undefined", "matmul.c", "-lm", "-o", made])
    if done.returncode:
        sys.exit(done.stdout.decode("utf-8", "replace")[:1800])
    try:
        ctypes.CDLL(made).matmul
    except (OSError, AttributeError) as error:
        sys.exit(f"matmul.c makes no library with a function matmul: {error}")
    with open(made, "rb") as file, os.fdopen(int(os.environ["KF_ARTEFACT_FD"]), "wb") as out:
        shutil.copyfileobj(file, out)


main()
