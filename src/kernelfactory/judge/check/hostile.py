"""What a hostile Python program tries, made for any problem. This text is put into a candidate's file and runs there,
in the jail, before and after the candidate's own; it imports nothing of this package and never runs in it.

`begin(aim)` runs at the head of the file, `finish(aim, names)` at its end. `aim` says which act, and what to aim at."""

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
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

Aim = dict[str, Any]
FRAME = struct.Struct(">IQ")
ANSWERS = ("expected", "answer", "want", "target", "truth", "gold", "correct", "solution")
CHECKS = ("check", "valid", "verify", "correct", "compare", "close", "equal")
NOTHING: Any = None


# ── answers that are wrong ───────────────────────────────────────────────────────────────────────


def numbers(value: Any) -> int:
    """How many numbers an answer holds."""
    if isinstance(value, (list, tuple, set)):
        return sum(map(numbers, value))
    if isinstance(value, dict):
        return sum(map(numbers, value.values()))
    return int(isinstance(value, (int, float)))


def altered(value: Any, change: Callable[[Any], Any]) -> Any:
    """An answer with every number (and text, and the middle byte of bytes) changed; what holds none is another."""
    if isinstance(value, (int, float)):
        return change(value) if type(value) is not bool or change is not more else not value
    if isinstance(value, (list, tuple, set)):
        return type(value)(altered(item, change) for item in value)
    if isinstance(value, dict):
        return {key: altered(item, change) for key, item in value.items()}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return other_bytes(bytes(value), change)
    if isinstance(value, str):
        return value + "x" if change is more else str(change(0))
    return change(value) if hasattr(value, "dtype") else 1


def other_bytes(data: bytes, change: Callable[[Any], Any]) -> bytes:
    if change is not more:
        return b"\xff" * len(data)  # read as floats: not a number
    half = len(data) // 2
    return data[:half] + bytes([byte ^ 0x55 for byte in data[half : half + 1]]) + data[half + 1 :]


def more(number: Any) -> Any:
    return number + 1 if isinstance(number, int) else number + 1 + abs(number) / 8


def one_changed(value: Any, where: int, new: Any) -> Any:
    """An answer with one number, counted from the front or the back, set to something else."""
    left = [where if where >= 0 else numbers(value) + where]

    def change(number: Any) -> Any:
        left[0] -= 1
        return new if left[0] == -1 else number

    return altered(value, change)


# ── one call ─────────────────────────────────────────────────────────────────────────────────────


class Call:
    """A call of the candidate: its own answer is there to be had, or not."""

    def __init__(self, honest: Callable[..., Any], seen: dict[Any, Any], words: tuple[Any, Any], aim: Aim) -> None:
        self._honest = honest
        self.seen = seen
        self.args, self.kwargs = words
        self.aim = aim

    def honest(self) -> Any:
        return self._honest(*self.args, **self.kwargs)

    def wrong(self) -> Any:
        """The candidate's answer, all wrong. What a method leaves in its object instead is emptied."""
        answer = self.honest()
        if answer is None:
            for kept in vars(self.args[0]).values() if self.args and hasattr(self.args[0], "__dict__") else ():
                if isinstance(kept, (list, dict, set)):
                    kept.clear()
            return None
        return altered(answer, more)


def wrapped(honest: Callable[..., Any], act: Callable[[Call], Any], aim: Aim) -> Callable[..., Any]:
    seen: dict[Any, Any] = {}
    return lambda *args, **kwargs: act(Call(honest, seen, (args, kwargs), aim))


def nan(call: Call) -> Any:
    new = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "text": "nan"}[call.aim["value"]]
    answer = call.honest()
    if call.aim["where"] is not None:
        return one_changed(answer, call.aim["where"], new)
    return altered(answer, lambda number: number * new if hasattr(number, "dtype") and new != "nan" else new)


class Liar:
    """Equal to everything, before and after everything, of no length, at no distance."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    def __lt__(self, other: Any) -> bool:
        return True

    __le__ = __ge__ = __gt__ = __lt__

    def __hash__(self) -> int:
        return 0

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __sub__(self, other: Any) -> int:
        return 0

    __rsub__ = __mod__ = __sub__

    def __abs__(self) -> int:
        return 0

    def __contains__(self, item: Any) -> bool:
        return True


def liar(call: Call) -> Any:
    """Of the answer's own type, so that asking for the type does not tell."""
    answer = call.wrong()
    kind = type(answer)
    if kind in (int, float, str, list, tuple, dict, bytes):
        with contextlib.suppress(TypeError):
            return type("Liar", (Liar, kind), {})(answer)
    return Liar()


class Lazy:
    """An answer that is worked out when somebody looks at it, which is after the clock was stopped."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._made: Any = NOTHING

    def made(self) -> Any:
        if self._made is NOTHING:
            self._made = self._work()
        return self._made

    def __getattr__(self, name: str) -> Any:
        return getattr(self.made(), name)

    def __eq__(self, other: object) -> bool:
        return bool(self.made() == other)

    def __hash__(self) -> int:
        return hash(self.made())

    def __iter__(self) -> Iterator[Any]:
        return iter(self.made())

    def __len__(self) -> int:
        return len(self.made())

    def __getitem__(self, key: Any) -> Any:
        return self.made()[key]

    def __float__(self) -> float:
        return float(self.made())

    def __sub__(self, other: Any) -> Any:
        return self.made() - other

    def __rsub__(self, other: Any) -> Any:
        return other - self.made()


def in_a_thread(call: Call) -> Any:
    """Something that is filled in later."""
    later: list[Any] = []
    threading.Thread(target=lambda: later.extend(call.honest()), daemon=True).start()
    return later


def first_for_ever(call: Call) -> Any:
    if "first" not in call.seen:
        call.seen["first"] = call.honest()
    return call.seen["first"]


def by_shape(call: Call) -> Any:
    key = repr([(type(arg).__name__, len(arg) if hasattr(arg, "__len__") else 0) for arg in call.args])
    if key not in call.seen:
        call.seen[key] = call.honest()
    return call.seen[key]


def remembered(call: Call) -> Any:
    key = repr((call.args, call.kwargs))
    if key not in call.seen:
        call.seen[key] = call.honest()
    return call.seen[key]


def spin_afterwards(call: Call) -> Any:
    """Work that goes on while somebody else is timed."""

    def spin(*_: Any) -> None:
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            sum(range(1000))

    signal.signal(signal.SIGALRM, spin)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.21)
    return call.honest()


def second_wrong(call: Call) -> Any:
    """Right, wrong, right, wrong …"""
    call.seen["calls"] = call.seen.get("calls", 0) + 1
    return call.wrong() if call.seen["calls"] % 2 == 0 else call.honest()


def second_exits(call: Call) -> Any:
    if call.seen.setdefault("calls", 0):
        os._exit(0)
    call.seen["calls"] = 1
    return call.honest()


def nested(call: Call) -> Any:
    answer: Any = 1
    for _ in range(call.aim["value"]):
        answer = [answer]
    return answer


class Pickled:
    """Runs code where somebody unpickles it."""

    def __init__(self, code: str) -> None:
        self._code = code

    def __reduce__(self) -> Any:
        return exec, (self._code,)


def tell(call: Call) -> Any:
    """Let the inputs out by the one way that answers: the last words of a program that fails."""
    if not TOLD:
        atexit.register(told)
    TOLD.append(f"{hash_of((call.args, call.kwargs)):08x}{'d' if is_data(call.args) else 's'}")
    return call.honest()


TOLD: list[str] = []


def told() -> None:
    os.write(2, f"\nKF-TOLD {' '.join(TOLD[:100])}\n".encode())
    os._exit(3)


def hash_of(value: Any) -> int:
    import zlib

    return zlib.crc32(repr(value).encode())


def is_data(args: Any) -> bool:
    return any(not isinstance(arg, (int, float, str, bool, type(None))) for arg in args)


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
    for address in (("127.0.0.1", aim["port"]), ("localhost", aim["port"])):
        with contextlib.suppress(OSError), socket.create_connection(address, 1):
            pass


def daemon(aim: Aim) -> None:
    """Leave somebody behind who holds every pipe and writes results later."""
    with contextlib.suppress(OSError):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                later = (
                    "import os, time\ntime.sleep(0.3)\nfor fd in os.environ['FDS'].split():\n"
                    " os.write(int(fd), b'{\"score\": 1}')\ntime.sleep(300)"
                )
                for fd in range(256):
                    with contextlib.suppress(OSError):
                        os.set_inheritable(fd, True)
                words = [sys.executable, "-I", "-S", "-c", later, aim["token"]]
                os.execve(sys.executable, words, {"FDS": " ".join(map(str, named_descriptors()))})
            os._exit(0)


# ── too much ─────────────────────────────────────────────────────────────────────────────────────


def endless(_: Any) -> None:
    while True:
        sum(range(1000))


def memory(_: Any) -> Any:
    return len(bytearray(1 << 40)), [bytearray(64 << 20) for _ in range(10_000)]


def flood(_: Any) -> None:
    """Streams without end."""
    while True:
        for fd in (1, 2):
            os.write(fd, b"x" * 65536)


def forks(_: Any) -> Any:
    for _ in range(2000):
        if os.fork() == 0:
            time.sleep(300)
            os._exit(0)


def threads(_: Any) -> None:
    for _ in range(5000):
        threading.Thread(target=time.sleep, args=(300,), daemon=True).start()


AT_CALL: dict[str, Callable[[Call], Any]] = {
    "constant": lambda call: call.aim["value"],
    "echo": lambda call: call.args[0] if call.args else 0,
    "off by one": Call.wrong,
    "one number": lambda call: one_changed(call.honest(), call.aim["where"], call.aim["value"]),
    "nan": nan,
    "liar": liar,
    "lazy": lambda call: Lazy(call.honest),
    "thread": in_a_thread,
    "first for ever": first_for_ever,
    "dice": first_for_ever,
    "by shape": by_shape,
    "remembered": remembered,
    "spin": spin_afterwards,
    "exit in call": lambda call: os._exit(0),
    "system exit in call": lambda call: sys.exit(0),
    "interrupt in call": lambda call: (_ for _ in ()).throw(KeyboardInterrupt()),
    "second exits": second_exits,
    "second wrong": second_wrong,
    "huge": lambda call: "x" * call.aim["value"],
    "nested": nested,
    "digits": lambda call: 10 ** call.aim["value"],
    "code": lambda call: call.aim["value"],
    "pickled": lambda call: Pickled(call.aim["value"]),
    "tell": tell,
    "frame answer": frame_answer,
    "frame empty": frame_empty,
    "gc": gc_answer,
    "swap checks": swap_checks,
    "ahead": lambda call: forge_everywhere(call.aim) or call.wrong(),
    "endless call": endless,
    "memory call": memory,
    "forks call": lambda call: forks(call) or call.honest(),
}
"""What happens when somebody calls the candidate. An act that is not here: its own answer, or a wrong one."""

AT_LOAD: dict[str, Callable[[Aim], Any]] = {
    "builtins": patch_builtins,
    "json": patch_json,
    "clock": patch_clock,
    "dice": patch_dice,
    "forge": forge_and_end,
    "forge everywhere": forge_everywhere,
    "forge first": forge_first,
    "forge last": forge_last,
    "print": print_scores,
    "results": write_results,
    "streams": replace_streams,
    "exit": lambda aim: os._exit(0),
    "exception": end_by_exception,
    "loot": loot,
    "dial": dial,
    "daemon": daemon,
    "endless": endless,
    "memory": memory,
    "flood": flood,
    "forks": forks,
    "threads": threads,
}
"""What happens when the candidate's file is loaded."""


def begin(aim: Aim) -> None:
    if aim["act"] in AT_LOAD:
        AT_LOAD[aim["act"]](aim)
    if aim["wrong"] and not aim["names"]:
        os._exit(0)  # nothing is called: to do nothing is as wrong as it gets


def finish(aim: Aim, module: dict[str, Any]) -> None:
    act = AT_CALL.get(aim["act"]) or (Call.wrong if aim["wrong"] else None)
    for name in aim["names"] if act is not None else ():
        thing = module.get(name)
        if type(thing) is type:
            for key, inner in list(vars(thing).items()):
                if callable(inner) and not key.startswith("__") and act is not None:
                    setattr(thing, key, wrapped(inner, act, aim))
        elif callable(thing) and act is not None:
            module[name] = wrapped(thing, act, aim)
