"""An attempt's transcript as it grows: what its agent printed, line by line, secrets taken out first. Reads no line."""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import suppress
from pathlib import Path

from kernelfactory.redact import Mask

MOST_BYTES = 256 << 20
CUT = b'{"kind": "cut", "text": "the transcript is full: nothing more is kept"}\n'


def digest(path: Path) -> str | None:
    """Of a transcript that is there; None where there is none."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except FileNotFoundError:
        return None


class Journal:
    """The file at `path`, made with its first line; thread-safe. Each line is whole, and on its way to the disk before
    `line` returns, so that a run that is killed keeps what was said; only one that may end in the middle of a secret
    waits for the next. At most `most` bytes are kept; `fault` says why it ends before that, on a disk that takes no
    more: no agent is to fail for it."""

    def __init__(self, path: Path, mask: Mask, most: int = MOST_BYTES) -> None:
        self._path, self._left = path, most
        self._masked, self._begun = mask.stream(), b""
        self._digest = hashlib.sha256()
        self._fd: int | None = None
        self._closed = False
        self.fault: str | None = None
        self._lock = threading.Lock()

    def line(self, text: str) -> None:
        """Add a line; what of it is secret never reaches the file."""
        data = text.replace("\n", " ").encode("utf-8", "replace") + b"\n"
        with self._lock:
            if not self._closed and self._left > 0:
                self._keep(self._masked.feed(data))

    def _keep(self, data: bytes) -> None:
        """Add what is whole now."""
        whole, end, self._begun = (self._begun + data).rpartition(b"\n")
        data = whole + end
        if not data:
            return
        self._left -= len(data)
        try:
            self._add(data if self._left > 0 else CUT)
        except OSError as error:
            self._left, self.fault = 0, error.strerror or str(error)

    def _add(self, data: bytes) -> None:
        if self._fd is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        view, whole = memoryview(data), os.fstat(self._fd).st_size
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, whole)  # no line is half there
            raise
        self._digest.update(data)

    def close(self) -> str | None:
        """No more lines; the digest of the file, None when there was never a line. May be called again."""
        with self._lock:
            if not self._closed and self._left > 0:
                rest = self._masked.end()
                self._keep(rest + b"\n" if self._begun + rest and not rest.endswith(b"\n") else rest)
            self._closed = True
            if self._fd is None:
                return None
            os.close(self._fd)
            self._fd = None
            return f"sha256:{self._digest.hexdigest()}"
