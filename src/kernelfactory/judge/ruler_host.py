"""The program in the ruler's own process: loads a problem's ruler, answers requests. Never sees candidate code, only
artefacts as bytes, or the answers of a jailed worker; never decides (its parent checks every number).

Run as a script: ruler_host.py JUDGE_FOLDER FILE. Both directions speak frames on stdin and stdout:
4 bytes length of a JSON header and 8 bytes length of a payload (both big-endian), the header, the payload. While it
measures a program that answers calls it sends {"relay": …} and gets what came of it.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import random
import struct
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

FRAME = struct.Struct(">IQ")


def main(argv: list[str]) -> int:
    """Say which ruler this is, then answer requests until stdin ends."""
    folder, name = argv
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a ruler prints is no answer
    requests = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # nor is what it reads, or a process of its, a request
    try:
        sys.path[:0] = [folder, str(Path(__file__).resolve().parents[2])]
        ruler = _load(folder, name)
        hello = {"backend": str(getattr(ruler, "BACKEND", "python")), "identity": str(getattr(ruler, "IDENTITY", ""))}
    except Exception as error:
        _send(answers, _fault(error))
        return 1
    _send(answers, hello)
    pipes = Pipes(requests, answers)
    while (got := pipes.receive()) is not None:
        _send(answers, _answer(ruler, *got, pipes.relay))
        if pipes.torn:
            return 1
    return 0


class Pipes:
    """The two ends, and what is asked in between. `torn`: a frame was begun and not read to its end (for want of
    memory, as a rule); what follows in the pipe may be a candidate's bytes, and is never read as a request."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self._requests = requests
        self._answers = answers
        self.torn = False

    def receive(self) -> tuple[dict[str, Any], bytes] | None:
        """The next header and payload; None when there are no more."""
        head = self._requests.read(FRAME.size)
        if not head or len(head) != FRAME.size:
            return None
        header, payload = FRAME.unpack(head)
        self.torn = True
        got = json.loads(self._requests.read(header)), self._requests.read(payload)
        self.torn = False
        return got

    def relay(self, wanted: dict[str, Any], request: bytes) -> tuple[dict[str, Any], bytes]:
        _send(self._answers, {"relay": wanted}, request)
        answer = self.receive()
        if answer is None:
            raise EOFError("the judge is gone")
        return answer


def _load(folder: str, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, os.path.join(folder, f"{name}.py"))
    if spec is None or spec.loader is None:
        raise ImportError(f"no module in judge/{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _answer(ruler: ModuleType, request: dict[str, Any], artefact: bytes, relay: Callable[..., Any]) -> dict[str, Any]:
    """Measure one program as often as asked for, in order; the first rejection ends it."""
    from kernelfactory.model import Rejected

    try:
        return {"measured": [_plain(found) for found in _measured(ruler, request, artefact, relay)]}
    except Rejected as rejected:
        return {"rejected": str(rejected.code)[:100], "reason": str(rejected.reason)[:2000]}
    except MemoryError:
        return {"rejected": "over_limit", "reason": "measuring it needs more memory than the ruler may use"}
    except Exception as error:
        return _fault(error)


def _measured(ruler: ModuleType, request: dict[str, Any], artefact: bytes, relay: Callable[..., Any]) -> Iterator[Any]:
    """One answer of the ruler for each number of inputs, then one for the edge cases, where they are asked for."""
    dice, subject = random.SystemRandom(), _subject(request, artefact, relay)
    if request.get("evaluator"):
        yield from (_evaluated(ruler, request, relay) for inputs in request["inputs"] for _ in range(inputs))
        return
    for inputs in request["inputs"]:
        yield getattr(ruler, request["function"])(subject, dice, inputs)
    if request.get("edges"):
        yield getattr(ruler, request["edges"])(subject, dice)


def _subject(request: dict[str, Any], artefact: bytes, relay: Callable[..., Any]) -> Any:
    """What is measured: an artefact, or a program that answers calls."""
    if request.get("kind") != "function":
        return artefact
    from kernelfactory.judge.calls import Calls

    return Calls(relay, "candidate", clock=request["clock"], bar=request.get("bar"))


def _evaluated(ruler: ModuleType, request: dict[str, Any], relay: Callable[..., Any]) -> Any:
    """An existing evaluator's answer about the stand-in."""
    from kernelfactory.judge import existing, stand_in
    from kernelfactory.model import Measured

    door = stand_in.Door(relay, tempfile.mkdtemp(), request["module"], str(Path(__file__).resolve().parents[2]))
    score, measures = existing.evaluated(getattr(ruler, request["function"]), door, request["score"], request["goal"])
    return Measured(score, measures)


def _plain(measured: Any) -> dict[str, Any]:
    """A Measured as JSON values; raises BadInput for another answer, ValueError or TypeError for what JSON cannot say
    (NaN, objects)."""
    from kernelfactory.model import BadInput, Measured

    if not isinstance(measured, Measured):
        raise BadInput(f"it answered with {type(measured).__name__}; it must answer with a Measured")
    if isinstance(measured.score, float) and not math.isfinite(measured.score):
        raise BadInput(f"its score is {measured.score}; it must be a finite number")
    plain = {
        "score": measured.score,
        "measures": dict(measured.measures),
        "instruments": dict(measured.instruments),
        "flags": [[str(rule), str(where), str(text)] for rule, where, text in measured.flags],
        "interval": None if measured.interval is None else [float(end) for end in measured.interval],
    }
    json.dumps(plain, allow_nan=False)
    return plain


def _fault(error: Exception) -> dict[str, Any]:
    """Which error and where; the error's own words apart, because they may tell of the inputs (ours do not)."""
    from kernelfactory.model import KernelFactoryError

    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    frames += [(error.filename or "?", error.lineno)] if isinstance(error, SyntaxError) else []
    own = next((f for f in reversed(frames) if os.path.dirname(f[0]) == sys.argv[1]), None)
    file, line = own or (frames or [("?", 0)])[-1]
    where = f" ({os.path.basename(file)}:{line})"
    if isinstance(error, KernelFactoryError):
        return {"fault": f"{error}{where if own else ''}"[:300], "detail": ""}
    return {"fault": f"{type(error).__name__}{where}"[:200], "detail": str(error)[:500]}


def _send(answers: BinaryIO, answer: dict[str, Any], payload: bytes = b"") -> None:
    data = json.dumps(answer).encode()
    answers.write(FRAME.pack(len(data), len(payload)) + data)
    answers.write(payload)
    answers.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
