"""The C core as Python sees it, through ctypes. Refuses to compile, and to find the library (that is build's)."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

from kernelfactory.core.vliw import CYCLES, ENGINES, REFUSALS, SCRATCH, TRACE_ROOM, Ran, Size, refused

ABI = 1
ERRORS = (None, "IndexError", "ZeroDivisionError", CYCLES)
_u32, _u64, _pointer = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p


class _Result(ctypes.Structure):
    cycles: int
    used: ctypes.Array[ctypes.c_uint64]
    error: int
    bundle: int
    pc: int
    state: int
    traced: int
    wrong: int
    _fields_ = [
        ("cycles", _u64),
        ("used", _u64 * (len(ENGINES) + 1)),
        ("error", _u32),
        ("bundle", _u32),
        ("pc", _u32),
        ("state", _u32),
        ("traced", _u32),
        ("wrong", _u32),
    ]


class _Job(ctypes.Structure):
    _fields_ = [
        ("memory", _pointer),
        ("scratch", _pointer),
        ("trace", _pointer),
        ("inputs", _u32),
        ("words", _u32),
        ("trace_room", _u32),
        ("runs", _u32),
        ("cycles", _u64),
    ]


class _Size(ctypes.Structure):
    _fields_ = [("height", _u32), ("rounds", _u32), ("batch", _u32)]


def _declare(library: ctypes.CDLL) -> None:
    """Argument types for every call; the results that are not int."""
    library.kf_program_new.restype = _pointer
    library.kf_program_free.argtypes = [_pointer]
    library.kf_program_free.restype = None
    library.kf_parse.argtypes = [_pointer, ctypes.c_char_p, ctypes.c_size_t, _pointer]
    library.kf_run.argtypes = [_pointer, _pointer, _pointer]
    library.kf_measure.argtypes = [_pointer, _pointer, _pointer, _u32, _u64, _pointer]
    library.kf_image.argtypes = [_pointer, _u64, _pointer]
    library.kf_image.restype = None
    library.kf_words.argtypes = [_pointer]
    library.kf_words.restype = _u32
    library.kf_reference.argtypes = [_pointer, _u32, _pointer, _pointer]
    library.kf_hash.argtypes = [_u32, _pointer]
    library.kf_hash.restype = None


def _ran(result: _Result, memory: Sequence[int] = (), scratch: Sequence[int] = (), trace: Sequence[int] = ()) -> Ran:
    return Ran(
        cycles=result.cycles,
        used=tuple(result.used),
        error=ERRORS[result.error],
        bundle=result.bundle,
        pc=result.pc,
        paused=result.state == 1,
        traced=result.traced,
        wrong=result.wrong,
        memory=tuple(memory),
        scratch=tuple(scratch),
        trace=tuple(trace[: result.traced]),
    )


class Core:
    """The compiled backend. Raises OSError for a file that is no library of this kind. Used by one thread at a time
    per program; the calls let other threads run."""

    name = "c"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.library = ctypes.CDLL(str(path))
        try:
            abi = self.library.kf_abi()
        except AttributeError as missing:
            raise OSError(f"{path} is not the VLIW core: {missing}") from missing
        if abi != ABI:
            raise OSError(f"{path} has interface {abi}, wanted {ABI}: run python -m kernelfactory.core.build")
        _declare(self.library)
        self.spare: list[int] = []

    def parse(self, text: bytes) -> CompiledProgram:
        program = CompiledProgram(self)
        where = (_u64 * 2)()
        number = self.library.kf_parse(program.handle, text, len(text), where)
        if number >= len(REFUSALS):
            raise MemoryError("no memory for the decoded program")
        if number:
            raise refused(number, where[0])
        return program

    def image(self, size: Size, seed: int) -> list[int]:
        c_size = _c_size(self.library, size)
        out = (_u32 * size.words)()
        self.library.kf_image(ctypes.byref(c_size), seed, out)
        return list(out)

    def reference(self, image: Sequence[int]) -> list[int]:
        batch = image[2]
        indices, values = (_u32 * batch)(), (_u32 * batch)()
        if self.library.kf_reference((_u32 * len(image))(*image), len(image), indices, values):
            raise ValueError("no memory image of the workload")
        return list(values)

    def hash_steps(self, value: int) -> list[int]:
        steps = (_u32 * 6)()
        self.library.kf_hash(value, steps)
        return list(steps)


def _c_size(library: ctypes.CDLL, size: Size) -> _Size:
    c_size = _Size(size.height, size.rounds, size.batch)
    if library.kf_words(ctypes.byref(c_size)) != size.words:
        raise ValueError(f"the core takes no workload of {size}")
    return c_size


class CompiledProgram:
    """A decoded program in C; its memory is used again for the next one."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.handle = core.spare.pop() if core.spare else core.library.kf_program_new()
        if not self.handle:
            raise MemoryError("no memory for a program")

    def __del__(self) -> None:
        handle, self.handle = getattr(self, "handle", None), None
        if handle and not self.core.spare:
            self.core.spare.append(handle)
        elif handle:
            self.core.library.kf_program_free(handle)

    def measure(self, size: Size, seeds: Sequence[int], cycles: int) -> list[Ran]:
        results = (_Result * len(seeds))()
        c_size = _c_size(self.core.library, size)
        c_seeds = (_u64 * len(seeds))(*seeds)
        if self.core.library.kf_measure(self.handle, ctypes.byref(c_size), c_seeds, len(seeds), cycles, results):
            raise MemoryError("no memory for the inputs")
        return [_ran(result) for result in results]

    def run(self, memories: Sequence[Sequence[int]], cycles: int, runs: int = 0) -> list[Ran]:
        count, words = len(memories), len(memories[0])
        memory = (_u32 * (count * words))(*(word for one in memories for word in one))
        scratch, trace = (_u32 * (count * SCRATCH))(), (_u32 * (count * TRACE_ROOM))()
        results = (_Result * count)()
        pieces = (ctypes.addressof(memory), ctypes.addressof(scratch), ctypes.addressof(trace))
        job = _Job(*pieces, count, words, TRACE_ROOM, runs, cycles)
        if self.core.library.kf_run(self.handle, ctypes.byref(job), results):
            raise MemoryError("no memory for the run")
        return [
            _ran(
                results[i],
                memory[i * words : (i + 1) * words],
                scratch[i * SCRATCH : (i + 1) * SCRATCH],
                trace[i * TRACE_ROOM : (i + 1) * TRACE_ROOM],
            )
            for i in range(count)
        ]
