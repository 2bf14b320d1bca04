"""The verbs as lines over a Unix socket: one JSON object there, one back. Knows no verb and no record."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kernelfactory.model import BadInput, KernelFactoryError, LostClaim, Refused

REQUEST_BYTES = 64 << 10
ANSWER_BYTES = 16 << 20
PATIENCE = 10.0
"""Seconds that a caller has for its request line."""

CALLERS = 16
"""Callers served at once; more wait in the socket's backlog."""

Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]
_ERRORS: Mapping[str, type[KernelFactoryError]] = {"LostClaim": LostClaim, "Refused": Refused}


def ask(path: Path, request: Mapping[str, Any], seconds: float = 3600.0) -> dict[str, Any]:
    """Send one request to the socket at `path` and wait up to `seconds` for the answer.

    Raises LostClaim or Refused as the other side did, BadInput for anything else it says, or when nobody answers."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(seconds)
        try:
            with _Near(path) as near:
                line.connect(near)
            line.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(_line(line, ANSWER_BYTES))
        except (OSError, ValueError) as error:
            raise BadInput(f"nobody answers at {path.name}: is the attempt over, or the run gone? ({error})") from error
    if answer.get("ok") is True:
        return dict(answer["answer"])
    raise _ERRORS.get(str(answer.get("kind")), BadInput)(str(answer.get("error", "refused")))


def ask_inside(verb: str, here: Path | None = None, **more: object) -> dict[str, Any]:
    """Ask the desk of the lent workspace that `here` (None: the current folder) is in, with its token. Raises BadInput
    outside a workspace, and whatever `ask` does."""
    door = _door(Path.cwd() if here is None else here)
    token = (door / "token").read_text("utf-8").strip()
    return ask(door / "desk.sock", {"verb": verb, "token": token, **more})


def _door(here: Path) -> Path:
    """The `.kf` folder, looked for from `here` upwards."""
    for folder in (here, *here.parents):
        if (folder / ".kf" / "token").is_file():
            return folder / ".kf"
    raise BadInput("no workspace here: run this inside the folder that was lent to an attempt (it holds .kf/token)")


class Listener:
    """Serves `handler` at the socket `path` from its own threads until it is closed.

    A KernelFactoryError of the handler goes back as {"ok": false, "error", "kind", "code"}; garbage and silence get a
    refusal and change nothing. `open_to_all`: any uid that can reach the
    folder may connect (the folder's mode guards it)."""

    def __init__(self, path: Path, handler: Handler, *, open_to_all: bool = False) -> None:
        self._handler = handler
        self._places = threading.Semaphore(CALLERS)
        self._socket = socket.socket(socket.AF_UNIX)
        with _Near(path) as near:
            self._socket.bind(near)
            os.chmod(near, 0o666 if open_to_all else 0o600)
        self._socket.listen(64)
        threading.Thread(target=self._accept, name=f"listener {path.name}", daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            self._places.acquire()
            try:
                line, _ = self._socket.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(line,), name="caller", daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        try:
            with line, suppress(OSError):  # the caller went away: what was done is in the record
                line.settimeout(PATIENCE)
                answer = self._answer(line)
                line.settimeout(PATIENCE)
                line.sendall(json.dumps(answer).encode() + b"\n")
        finally:
            self._places.release()

    def _answer(self, line: socket.socket) -> dict[str, Any]:
        try:
            request = json.loads(_line(line, REQUEST_BYTES))
            if not isinstance(request, dict):
                raise Refused("a request is one JSON object on one line")
            return {"ok": True, "answer": dict(self._handler(request))}
        except (ValueError, RecursionError):
            return {"ok": False, "kind": "Refused", "error": "a request is one JSON object on one line", "code": 2}
        except KernelFactoryError as error:
            return {"ok": False, "kind": type(error).__name__, "error": str(error), "code": error.exit_code}
        except Exception as fault:
            said = f"the desk failed ({type(fault).__name__}); what was answered before is kept"
            return {"ok": False, "kind": "Fault", "error": said, "code": 1}


def _line(line: socket.socket, most: int) -> bytes:
    data = bytearray()
    while not data.endswith(b"\n"):
        part = line.recv(65536)
        if not part:
            break
        data += part
        if len(data) > most:
            raise ValueError("the line is too long")
    return bytes(data)


class _Near:
    """A name for `path` short enough for a Unix socket (108 bytes), by way of an open folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder: int | None = None

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) < 100:
            return str(self._path)
        self._folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._folder}/{self._path.name}"

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            os.close(self._folder)
