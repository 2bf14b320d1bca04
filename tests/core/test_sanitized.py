"""The C core under the address and undefined-behaviour sanitizers, on texts in buffers of their exact size (soak)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from kernelfactory import process
from kernelfactory.core import build, place

CONFTEST = Path(__file__).parent / "conftest.py"
SANITIZE = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
FUZZ = """
import ctypes, importlib.util, json, sys
from pathlib import Path
from random import Random

from kernelfactory import core
from kernelfactory.model import Rejected

spec = importlib.util.spec_from_file_location("conftest", sys.argv[2])
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)
END = 0 if sys.argv[4:] else 1  # without the 0 at the end the core must be seen to read too far
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]


class Exact:
    # Hands every text over in a buffer that ends with its 0.
    def __init__(self, library):
        self.library = library

    def __getattr__(self, name):
        return self.kf_parse_exactly if name == "kf_parse" else getattr(self.library, name)

    def kf_parse_exactly(self, handle, text, length, where):
        buffer = libc.malloc(length + END)
        ctypes.memmove(buffer, text, length + END)
        number = self.library.kf_parse(handle, ctypes.cast(buffer, ctypes.c_char_p), length, where)
        libc.free(buffer)
        return number


backend = core.Core(Path(sys.argv[1]))
backend.library = Exact(backend.library)
ran = 0
for seed in range(int(sys.argv[3])):
    dice = Random(seed)
    text = json.dumps(shared.RandomProgram(dice).bundles()).encode()
    text = shared.mutated(dice, text) if dice.random() < 0.6 else text
    try:
        program = backend.parse(text)
    except Rejected:
        continue
    ran += 1
    words = dice.choice([0, 1, 7, 8, 48, 48, 48])
    memories = [[dice.getrandbits(32) if dice.random() < 0.5 else dice.randrange(50) for _ in range(words)]
                for _ in range(dice.choice([1, 2, 8, 9]))]
    program.run(memories, 200, dice.choice([0, 1, 3]))
    size = core.Size(dice.randrange(4), dice.randrange(4), dice.randrange(20))
    program.measure(size, range(dice.randrange(1, 11)), 200)
print(ran)
"""


def fuzz(library: Path, runtime: str, *arguments: str) -> process.Finished:
    environment = {**os.environ, "LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0"}
    command = [sys.executable, "-c", FUZZ, str(library), str(CONFTEST), *arguments]
    return process.run(command, env=environment, seconds=3600)


@pytest.mark.soak
def test_no_sanitizer_complains(tmp_path: Path) -> None:
    name, command = build.compilers()[0]
    if name != "cc":
        pytest.skip("no cc here")
    library = tmp_path / "core.so"
    texts = [str(place.FOLDER / source) for source in place.sources(".c")]
    made = process.run(
        [*command, *place.FLAGS, *SANITIZE, *texts, "-o", str(library)], env=dict(os.environ), seconds=300
    )
    runtime = (
        process.run([*command, "-print-file-name=libasan.so"], env=dict(os.environ), seconds=60).stdout.decode().strip()
    )
    if made.returncode or not os.path.isabs(runtime):
        pytest.skip("this compiler has no sanitizers")
    done = fuzz(library, runtime, os.environ.get("KF_FUZZ", "20000"))
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    assert int(done.stdout) > 5000
    assert b"heap-buffer-overflow" in fuzz(library, runtime, "20", "faulty").stderr
