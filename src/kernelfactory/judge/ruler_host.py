"""The program in the ruler's own process: loads a problem's ruler, answers requests. Never sees candidate code, only
artefacts as bytes; never decides (its parent checks every number).

Run as a script: ruler_host.py JUDGE_FOLDER FILE. Both directions speak frames on stdin and stdout:
4 bytes length of a JSON header and 8 bytes length of a payload (both big-endian), the header, the payload.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import struct
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

FRAME = struct.Struct(">IQ")


def main(argv: list[str]) -> int:
    """Say which ruler this is, then answer requests until stdin ends."""
    folder, name = argv
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a ruler prints is no answer
    requests = os.fdopen(0, "rb", closefd=False)
    try:
        sys.path[:0] = [folder, str(Path(__file__).resolve().parents[2])]
        ruler = _load(folder, name)
        hello = {"backend": str(getattr(ruler, "BACKEND", "python")), "identity": str(getattr(ruler, "IDENTITY", ""))}
    except Exception as error:
        _send(answers, _fault(error))
        return 1
    _send(answers, hello)
    dice = random.SystemRandom()
    while (head := requests.read(FRAME.size)) and len(head) == FRAME.size:
        header, payload = FRAME.unpack(head)
        request = json.loads(requests.read(header))
        _send(answers, _answer(ruler, request, requests.read(payload), dice))
    return 0


def _load(folder: str, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, os.path.join(folder, f"{name}.py"))
    if spec is None or spec.loader is None:
        raise ImportError(f"no module in judge/{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _answer(ruler: ModuleType, request: dict[str, Any], artefact: bytes, dice: random.Random) -> dict[str, Any]:
    """Measure one artefact on each number of inputs asked for, in order; the first rejection ends it."""
    from kernelfactory.model import Rejected

    try:
        measure: Callable[..., Any] = getattr(ruler, request["function"])
        return {"measured": [_plain(measure(artefact, dice, inputs)) for inputs in request["inputs"]]}
    except Rejected as rejected:
        return {"rejected": str(rejected.code), "reason": str(rejected.reason)}
    except MemoryError:
        return {"rejected": "over_limit", "reason": "measuring it needs more memory than the ruler may use"}
    except Exception as error:
        return _fault(error)


def _plain(measured: Any) -> dict[str, Any]:
    """A Measured as JSON values; raises ValueError or TypeError for what JSON cannot say (NaN, objects)."""
    plain = {
        "score": measured.score,
        "measures": dict(measured.measures),
        "instruments": dict(measured.instruments),
        "flags": [[str(rule), str(where), str(text)] for rule, where, text in measured.flags],
    }
    json.dumps(plain, allow_nan=False)
    return plain


def _fault(error: Exception) -> dict[str, Any]:
    """Which error and where; the error's own words apart, because they may tell of the inputs."""
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    frames += [(error.filename or "?", error.lineno)] if isinstance(error, SyntaxError) else []
    file, line = next((f for f in reversed(frames) if os.path.dirname(f[0]) == sys.argv[1]), (frames or [("?", 0)])[-1])
    where = f"{os.path.basename(file)}:{line}"
    return {"fault": f"{type(error).__name__} ({where})"[:200], "detail": str(error)[:500]}


def _send(answers: BinaryIO, answer: dict[str, Any]) -> None:
    data = json.dumps(answer).encode()
    answers.write(FRAME.pack(len(data), 0) + data)
    answers.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
