"""Users that root becomes before it runs foreign code. Refuses to be user 0 inside, or nobody."""

from __future__ import annotations

import itertools
import os
import secrets
from pathlib import Path

from kernelfactory.model import BadInput

UID_BASE = 60_000
"""The first of the user numbers that root drops to: 60000 + slot for cages, 60500 up for what the judge runs."""

_SHARE = 500
LOGIN_UID = UID_BASE + _SHARE - 1
"""One of the cages' that no slot comes to: for what an agent owns that no other may read."""

_DEEP, _ENTRIES = 128, 500_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_next = itertools.count(secrets.randbelow(_SHARE))


def drops() -> bool:
    """Must and can this process become another user? (In a user namespace of one user, root is nobody special.)"""
    if os.geteuid() != 0 or not os.path.exists("/proc/self/uid_map"):
        return False
    lines = [[int(word) for word in line.split()] for line in Path("/proc/self/uid_map").read_text().splitlines()]
    return any(first <= UID_BASE and first + count >= UID_BASE + 2 * _SHARE for first, _, count in lines)


def cage_uid(slot: int) -> int | None:
    """The user that the cage of worker `slot` runs as: 60000 + slot (mod 500) for root, None: nobody else."""
    return UID_BASE + slot % _SHARE if drops() else None


def of_cages(uid: int) -> bool:
    """Is it one of those that `cage_uid` gives?"""
    return UID_BASE <= uid < UID_BASE + _SHARE


def judged_uid() -> int:
    """A user for one run, another one than that of the runs before."""
    return UID_BASE + _SHARE + next(_next) % _SHARE


def own(folder: str | Path, uid: int | None) -> None:
    """Give `folder` and all in it to a cage's user (None: nothing to do). Links are given, not followed. Raises
    BadInput for one in which somebody has made more than anybody needs."""
    if uid is None:
        return
    os.chown(folder, uid, uid, follow_symlinks=False)
    opened = os.open(folder, _FOLDER)
    try:
        _own(opened, uid, _DEEP, _ENTRIES)
    finally:
        os.close(opened)


def _own(folder: int, uid: int, deep: int, left: int) -> int:
    """How many entries may still follow, of `left`."""
    with os.scandir(folder) as found:
        for entry in found:
            left -= 1
            if not (left and deep):
                raise BadInput(f"a folder holds more than {_ENTRIES} entries, or folders below {_DEEP} others")
            os.chown(entry.name, uid, uid, dir_fd=folder, follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                inner = os.open(entry.name, _FOLDER, dir_fd=folder)
                try:
                    left = _own(inner, uid, deep - 1, left)
                finally:
                    os.close(inner)
    return left
