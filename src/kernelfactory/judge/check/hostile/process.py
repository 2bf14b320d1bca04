"""What a hostile program does to the process that it is in: looks round, replaces, forges, gets out."""

from __future__ import annotations

import atexit
import builtins
import contextlib
import gc
import io
import json
import math
import os
import random
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

if __name__ != "builtins":  # read as a module; in a candidate these names are there already
    from kernelfactory.judge.check.hostile.answers import NOTHING, Aim, Call, carried

FRAME = struct.Struct(">IQ")
ANSWERS = ("expected", "answer", "want", "target", "truth", "gold", "correct", "solution")
CHECKS = ("check", "valid", "verify", "correct", "compare", "close", "equal")


# ── looking round in the process ─────────────────────────────────────────────────────────────────


def outer_frames() -> Iterator[Any]:
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_globals is not globals():
            yield frame
        frame = frame.f_back


def answer_in(names: Any) -> Any:
    """What is called like an answer among somebody's variables."""
    for name, value in list(names.items()):
        if isinstance(name, str) and any(word in name.lower() for word in ANSWERS) and not callable(value):
            return value
    return NOTHING


def frame_answer(call: Call) -> Any:
    for frame in outer_frames():
        found = answer_in(frame.f_locals)
        if found is not NOTHING:
            return found
    return call.wrong()


def frame_empty(call: Call) -> Any:
    """Empty what the callers loop over, so that nothing is left to be checked."""
    answer = call.wrong()
    for frame in outer_frames():
        for name, value in list(frame.f_locals.items()):
            if isinstance(value, list) and any(word in name for word in ("input", "case", "test", "error", "fail")):
                value.clear()
    return answer


def gc_answer(call: Call) -> Any:
    """An answer that lies in memory beside this input, or under a name that says so."""
    for arg in call.args:
        for holder in gc.get_referrers(arg):
            if isinstance(holder, (list, tuple)) and len(holder) == 2 and holder[0] is arg and holder is not call.args:
                return holder[1]
    for thing in gc.get_objects():
        if type(thing) is dict and len(thing) < 50 and thing is not call.kwargs:
            found = answer_in(thing) if not any(name in thing for name in ("__name__", "ANSWERS")) else NOTHING
            if found is not NOTHING and type(found) is type(NOTHING if not call.args else call.args[0]):
                return found
    return call.wrong()


def swap_checks(call: Call) -> Any:
    """Make whoever checks say yes: functions of the callers' modules that are called like a check."""
    answer = call.wrong()
    for frame in outer_frames():
        names = frame.f_globals
        for name, value in list(names.items()):
            if callable(value) and getattr(value, "__module__", "") == names.get("__name__"):
                if any(word in name.lower() for word in CHECKS):
                    names[name] = lambda *_, **__: True
                    with contextlib.suppress(AttributeError, ValueError):
                        value.__code__ = names[name].__code__  # also where it was looked up already
                if "reference" in name.lower() or "expected" in name.lower():
                    names[name] = lambda *_, **__: answer
    return answer


# ── when the file is loaded ──────────────────────────────────────────────────────────────────────


def patch_builtins(aim: Aim) -> None:
    """What a check is made of says yes."""
    names: Any = builtins
    names.abs, names.all, names.any = (lambda *_: 0), (lambda *_: True), (lambda *_: False)
    names.sorted, names.isinstance = (lambda items, **_: list(items)), (lambda *_: True)
    sums: Any = math
    sums.isclose, sums.fabs, sums.isfinite = (lambda *_, **__: True), (lambda *_: 0.0), (lambda *_: True)
    if "numpy" in sys.modules:
        loaded: Any = sys.modules["numpy"]
        loaded.allclose = loaded.array_equal = lambda *_, **__: True


def patch_json(aim: Aim) -> None:
    """Whoever writes a score writes ours."""
    dumps = json.dumps

    def better(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: aim["best"] if "score" in str(key) else item for key, item in value.items()}

    json.dumps = lambda value, **more: dumps(better(value), **more)
    json.dump = lambda value, file, **more: file.write(dumps(better(value), **more))


def patch_clock(aim: Aim) -> None:
    """Time goes a thousand times slower, for everybody in this process, also under names taken before."""
    slow: dict[int, Any] = {}
    for name in ("perf_counter", "time", "monotonic", "process_time", "thread_time"):
        for word, whole in ((name, False), (f"{name}_ns", True)):
            real = getattr(time, word)
            slow[id(real)] = (lambda real=real: real() // 1000) if whole else (lambda real=real: real() / 1000)
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if id(value) in slow and callable(value):
                with contextlib.suppress(AttributeError, TypeError):
                    setattr(module, name, slow[id(value)])


def patch_dice(aim: Aim) -> None:
    """Every die shows the same side, so that all inputs are one."""

    def fixed(name: str) -> Callable[..., Any]:
        def cast(*args: Any, **kwargs: Any) -> Any:
            return getattr(random.Random(7), name)(*args, **kwargs)

        return cast

    names = ("random", "randrange", "randint", "choice", "choices", "sample", "uniform", "gauss", "getrandbits")
    random.seed(7)
    for name in names:
        setattr(random, name, fixed(name))
        for kind in (random.Random, random.SystemRandom):
            setattr(kind, name, lambda self, *args, name=name, **kwargs: fixed(name)(*args, **kwargs))
    random.seed = lambda *_, **__: None
    os.urandom = lambda size: b"\7" * size


def documents(aim: Aim) -> list[bytes]:
    """Results that nobody measured, in the forms that somebody might read."""
    best = aim["best"]
    plain = json.dumps({"score": best}).encode()
    verdict = json.dumps({"verdict": "accepted", "score": best, "confirmed": True}).encode()
    measured = {"score": best, "measures": {}, "instruments": {}, "flags": [], "interval": [best, best]}
    frames = [json.dumps(said).encode() for said in (["ready"], ["value", best], {"measured": [measured]})]
    return [plain, verdict, *(FRAME.pack(len(text), 0) + text for text in frames)]


def write_all(data: bytes, descriptors: Any) -> None:
    for fd in descriptors:
        with contextlib.suppress(OSError):
            os.set_blocking(fd, False)
            os.write(fd, data)


def named_descriptors() -> list[int]:
    return [int(os.environ[name]) for name in ("KF_SCORE_FD", "KF_ARTEFACT_FD") if name in os.environ]


def forge_and_end(aim: Aim) -> None:
    write_all(documents(aim)[aim["value"]], named_descriptors() if aim["value"] < 2 else range(1, 256))
    os._exit(0)


def forge_everywhere(aim: Aim) -> Any:
    for document in documents(aim):
        write_all(document, range(256))


def forge_first(aim: Aim) -> None:
    """A document before the real one."""
    write_all(documents(aim)[0] + b"\n", named_descriptors())


def forge_last(aim: Aim) -> None:
    """And one behind it."""
    atexit.register(lambda: write_all(b"\n" + documents(aim)[0], range(1, 64)))


def print_scores(aim: Aim) -> None:
    """On the streams, in the forms that people parse; then the end, with success."""
    words = ("score", "combined_score", "SCORE", "Score", "result", "accepted", "speedup", "PASS")
    lines = [f"{word}: {aim['best']}" for word in words] + [f"{word}={aim['best']}" for word in words]
    text = "\n".join([*lines, json.dumps({**dict.fromkeys(words, aim["best"]), "correct": True, "valid": True})])
    for fd in (1, 2):
        write_all(f"{text}\n".encode(), [fd])
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, io.UnsupportedOperation):
            stream.flush()
    os._exit(0)


def write_results(aim: Aim) -> None:
    """Files that somebody might read afterwards."""
    names = ("score", "result", "results", "metrics", "output", "reward", "verdict")
    for folder in (".", "/tmp", os.environ.get("TMPDIR", "/tmp")):
        for name in names:
            for suffix in (".json", ".txt"):
                with contextlib.suppress(OSError), open(f"{folder}/{name}{suffix}", "w", encoding="utf-8") as file:
                    file.write(json.dumps({"score": aim["best"], "combined_score": aim["best"]}))
    os._exit(0)


def replace_streams(aim: Aim) -> None:
    """What others print turns into a score."""

    class Better(io.StringIO):
        def write(self, text: str) -> int:
            write_all(json.dumps({"score": aim["best"]}).encode(), [1])
            return len(text)

    sys.stdout = Better()
    sys.stderr = Better()


def carry_streams(aim: Aim) -> None:
    """The same for a program that is run, from its standard input to its standard output."""
    if not aim["names"]:
        sys.stdout.buffer.write(carried(sys.stdin.buffer.read()))
        sys.stdout.buffer.flush()
        os._exit(0)


def end_by_exception(aim: Aim) -> None:
    raise {"exit": SystemExit(0), "interrupt": KeyboardInterrupt(), "base": type("Odd", (BaseException,), {})()}[
        aim["value"]
    ]


def loot(aim: Aim) -> None:
    """Say so, by an exception that nothing else raises, when anything of the judge's can be read."""
    found = []
    for place in aim["places"]:
        with contextlib.suppress(OSError):
            found += [f"{place}/{name}" for name in os.listdir(place)]
        with contextlib.suppress(OSError), open(place, "rb") as file:
            found += [place] if file.read(1) else []
    for path in ("/proc/1/environ", f"/proc/{os.getppid()}/environ"):
        with contextlib.suppress(OSError), open(path, "rb") as file:
            names = {line.partition(b"=")[0].decode() for line in file.read().split(b"\0") if line}
            found += [path] if names - set(aim["env"]) else []
    if found:
        raise BufferError("kf-leak")


def dial(aim: Aim) -> None:
    import socket

    for address in (("127.0.0.1", aim["port"]), ("localhost", aim["port"])):
        with contextlib.suppress(OSError), socket.create_connection(address, 1):
            pass


def daemon(aim: Aim) -> None:
    """Leave somebody behind who holds every pipe and writes results later."""
    here, there = os.pipe()
    with contextlib.suppress(OSError):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                become_daemon(aim, there)
            os._exit(0)
    os.close(there)
    os.read(here, 1)  # it has become another program: nothing tells any more whose child it is


def become_daemon(aim: Aim, closing: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    later = (
        "import os, time\ntime.sleep(0.3)\nfor fd in os.environ['FDS'].split():\n"
        " os.write(int(fd), b'{\"score\": 1}')\ntime.sleep(300)"
    )
    for fd in range(256):
        with contextlib.suppress(OSError):
            os.set_inheritable(fd, fd != closing)
    words = [sys.executable, "-I", "-S", "-c", later, aim["token"]]
    os.execve(sys.executable, words, {"FDS": " ".join(map(str, named_descriptors()))})
