"""What a jail does outside while one run lasts: orders, the group, whether it started at all. Refuses to judge it."""

from __future__ import annotations

import os
from contextlib import suppress

from kernelfactory.jail.groups import Group
from kernelfactory.jail.spec import JailFailed

_STATUS_BYTES = 4096


class Watch:
    """Of one run (see process.Watch). `orders`: what the launcher reads from `orders_fd` to the end before it does
    anything, so that it is in its group by then; `status_fd` is where it says that the command began, with `begins`,
    on a descriptor that the command never has. Both go to the child."""

    expendable = True

    def __init__(self, orders: bytes, begins: bytes, group: Group | None) -> None:
        self.orders_fd, self._orders_fd = os.pipe()
        self._status_fd, self.status_fd = os.pipe()
        os.set_blocking(self._status_fd, False)
        self._orders, self._begins, self._group = orders, begins, group
        self._told = bytearray()
        self.begun = False

    def enter(self) -> None:
        """Before the fork, in the thread that forks."""
        if self._group is not None:
            with suppress(OSError):
                self._group.enter()

    def started(self, pid: int) -> None:
        """After the fork, in the same thread."""
        self.begun = True
        if self._group is not None:
            with suppress(OSError):
                self._group.leave()
            with suppress(OSError):
                self._group.add(pid)
        self._close("orders_fd", "status_fd")
        with suppress(BrokenPipeError):
            view = memoryview(self._orders)
            while view:
                view = view[os.write(self._orders_fd, view) :]
        self._close("_orders_fd")

    def failed(self, said: bytes) -> JailFailed | None:
        """The main process ended by itself: if the command never ran, the error, with the last line of `said`."""
        self._listen()
        if self._begins in self._told:
            return None
        lines = ascii(said.decode(errors="replace").strip().splitlines()[-1:])[2:-2]
        return JailFailed(f"the jail did not start: {lines[:300] or 'it gave no reason'}")

    def ask(self, pid: int, over: int) -> None:
        """Have the tree ended; the main process is killed after this."""

    def over(self) -> bool:
        """The main process is gone: free what was made. Was somebody killed for memory?"""
        self.begun = True
        self._listen()
        self._close("orders_fd", "status_fd", "_orders_fd", "_status_fd")
        group, self._group = self._group, None
        return group is not None and group.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while self._status_fd >= 0 and len(self._told) < _STATUS_BYTES:
                piece = os.read(self._status_fd, _STATUS_BYTES)
                if not piece:
                    break
                self._told += piece

    def _close(self, *names: str) -> None:
        for name in names:
            fd = getattr(self, name)
            if fd >= 0:
                os.close(fd)
                setattr(self, name, -1)
