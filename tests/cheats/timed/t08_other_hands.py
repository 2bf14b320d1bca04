# TECHNIQUE: work by the kernel's own threads
# ATTEMPTS: looks for io_uring, a kernel cipher in a thread, another process, a keyring.
# JUDGE MUST ANSWER: NO FASTER
import ctypes
import os
import socket

PRIME = 2**61 - 1


def step(value):
    squared = (value * value) % PRIME
    return (squared + 12345) % PRIME


def walk(start, steps):
    value = start
    for _ in range(steps):
        value = step(value)
    return value


libc = ctypes.CDLL(None, use_errno=True)


def cipher():
    made = socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)
    made.bind(("hash", "cryptd(sha256-generic)"))


def call(number):
    if libc.syscall(number, 0, 0, 0, 0, 0) == -1 and ctypes.get_errno() in (1, 38):
        raise OSError


if os.uname().machine == "x86_64":
    for way in (cipher, lambda: call(425), lambda: call(435), os.fork, lambda: call(250)):
        try:
            if way() == 0:
                os._exit(0)
        except (OSError, AttributeError):
            continue
        raise SystemExit(9)
