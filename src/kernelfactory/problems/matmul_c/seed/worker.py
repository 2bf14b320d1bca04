"""Calls matmul in the compiled library, for the judge. Part of the problem: changing it changes nothing."""

import ctypes
import os

import kfworker

DOUBLE = 8
M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -3, -1
WARM_BYTES = 12 << 20


def keep_memory():
    """Matrices come and go with every call: let their memory be there already, not fetched anew from the system."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(M_TRIM_THRESHOLD, 1 << 30)
    return b"\1" * WARM_BYTES


keep_memory()
library = ctypes.CDLL(os.environ["KF_ARTEFACT"])
library.matmul.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
library.matmul.restype = None


def matmul(n, a, b):
    """The bytes of c."""
    c = ctypes.create_string_buffer(DOUBLE * n * n)
    library.matmul(n, a, b, c)
    return memoryview(c)


kfworker.serve(matmul)
