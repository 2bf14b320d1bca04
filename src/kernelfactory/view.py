"""What a jailed process sees of the file system, as a value. Refuses to know who runs in it.

A view is a list of mounts; a deeper one covers a shallower one, whatever their order. What a dropped user cannot
reach (an interpreter under /root) is first bound to a reachable place, in a mount namespace of one thread."""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

Pair = tuple[str, str]

_CLONE_NEWNS = 0x20000
_MNT_DETACH = 2
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
_PLACES = ("/mnt", "/media", "/srv", "/opt", "/dev/shm", "/tmp")


@dataclass(frozen=True, slots=True)
class Mount:
    """One place in the view. `read` and `write` bind `source`; `hide` is empty and read-only; `room` is empty and
    writable up to `size` bytes; `link` is a symbolic link to `source`."""

    place: str
    kind: Literal["read", "write", "hide", "room", "link", "dev", "proc"]
    source: str = ""
    size: int = 0


def inside(path: str, folder: str) -> bool:
    """Is `path` the folder or in it? Both absolute and normal."""
    return folder in (path, "/") or path.startswith(folder + "/")


def _depth(mount: Mount) -> tuple[int, str]:
    return len(PurePosixPath(mount.place).parts), mount.place


def base(whole: bool) -> list[Mount]:
    """The bottom of a view: the whole machine, or no more than what programs need to start."""
    if whole:
        return [Mount("/", "read", "/")]
    mounts = [Mount("/usr", "read", "/usr")]
    for path in ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"):
        if os.path.islink(path):
            mounts.append(Mount(path, "link", os.readlink(path)))
        elif os.path.isdir(path):
            mounts.append(Mount(path, "read", path))
    for path in ("/etc/ld.so.cache", "/etc/alternatives", "/nix/store"):
        if os.path.exists(path):
            mounts.append(Mount(path, "read", path))
    return mounts


def masks(mounts: Iterable[Mount], hidden: Iterable[str]) -> Iterator[Mount]:
    """Where `hidden` folders of the machine would show in the view: strictly inside something that is bound."""
    real = sorted({os.path.realpath(path) for path in hidden})
    for mount in mounts:
        if mount.kind in ("read", "write"):
            source = os.path.realpath(mount.source)
            for path in real:
                if path != source and inside(path, source) and os.path.isdir(path):
                    yield Mount(os.path.normpath(os.path.join(mount.place, os.path.relpath(path, source))), "hide")


def arranged(mounts: Sequence[Mount], hidden: Iterable[str]) -> list[Mount]:
    """All mounts in the order in which they are made, without masks of what cannot be seen anyway."""
    explicit = {mount.place: mount for mount in mounts}
    for mask in masks(list(explicit.values()), hidden):
        explicit.setdefault(mask.place, mask)
    order: list[Mount] = []
    for mount in sorted(explicit.values(), key=_depth):
        below = [lower for lower in order if inside(mount.place, lower.place)]
        if mount.kind != "hide" or (below and below[-1].kind in ("read", "write")):
            order.append(mount)
    return order


def arguments(mounts: Sequence[Mount], moved: Mapping[str, str]) -> list[str]:
    """bubblewrap's arguments for `mounts`; `moved`: sources that were bound elsewhere."""
    made: list[str] = []
    for mount in mounts:
        made += _argument(mount, moved.get(mount.source, mount.source))
    frozen = [mount.place for mount in mounts if mount.kind in ("hide", "dev")]
    whole = any(mount.place == "/" for mount in mounts)
    for place in frozen if whole else [*frozen, "/"]:
        made += ["--remount-ro", place]
    return made


def _argument(mount: Mount, source: str) -> list[str]:
    if mount.kind in ("hide", "room"):
        return ["--size", str(mount.size or 1 << 20), "--tmpfs", mount.place]
    if mount.kind in ("dev", "proc"):
        return [f"--{mount.kind}", mount.place]
    return [{"read": "--ro-bind", "write": "--bind", "link": "--symlink"}[mount.kind], source, mount.place]


# ── a stage for what a dropped user cannot reach ─────────────────────────────────────────────────


def reachable(path: str, uid: int) -> bool:
    """May `uid` (in no group) walk to `path`? Modes only."""
    for parent in PurePosixPath(os.path.realpath(path)).parents:
        status = os.stat(parent)
        needed = stat.S_IXUSR if status.st_uid == uid else stat.S_IXOTH
        if not status.st_mode & needed:
            return False
    return True


def stage_place(sources: Iterable[str]) -> str:
    """A folder that exists everywhere and in which none of `sources` lies."""
    real = [os.path.realpath(source) for source in sources]
    for place in _PLACES:
        if os.path.isdir(place) and not any(inside(source, place) for source in real):
            return place
    raise FileNotFoundError(f"none of {', '.join(_PLACES)} is free to prepare the jail in")


def _check(done: int, what: str) -> None:
    if done != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def build_stage(place: str, moved: Mapping[str, str]) -> None:
    """Bind each source to its new path under `place`, seen by the calling thread and what it forks only: a thread
    has a mount namespace of its own after unshare(2) with CLONE_NEWNS. Needs CAP_SYS_ADMIN; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare(_CLONE_NEWNS), "unshare")
    _check(libc.mount(None, b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None), "mount /")
    flags = ctypes.c_ulong(_MS_NOSUID | _MS_NODEV)
    _check(libc.mount(b"kf", os.fsencode(place), b"tmpfs", flags, b"mode=0755,size=1m"), f"mount {place}")
    for source, target in moved.items():
        if os.path.isdir(source):
            os.mkdir(target)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        bind = ctypes.c_ulong(_MS_BIND | _MS_REC)
        _check(libc.mount(os.fsencode(source), os.fsencode(target), None, bind, None), f"bind {source}")


def uncover(sources: Iterable[str], uid: int) -> None:
    """Let `uid` walk to `sources` at their own paths: the closed folders above them are covered with open ones in
    which nothing else shows. Seen by the calling thread and what it forks only. Needs CAP_SYS_ADMIN; raises OSError."""
    real = [os.path.realpath(source) for source in dict.fromkeys(sources)]
    place = stage_place(real)
    build_stage(place, {source: f"{place}/{number}" for number, source in enumerate(real)})
    libc = ctypes.CDLL(None, use_errno=True)
    for closed in sorted({_closed(source, uid) for source in real} - {""}):
        flags = ctypes.c_ulong(_MS_NOSUID | _MS_NODEV)
        _check(libc.mount(b"kf", os.fsencode(closed), b"tmpfs", flags, b"mode=0755,size=1m"), f"mount {closed}")
    for number, source in enumerate(real):
        _make(f"{place}/{number}", source)
        bind = ctypes.c_ulong(_MS_BIND | _MS_REC)
        _check(libc.mount(os.fsencode(f"{place}/{number}"), os.fsencode(source), None, bind, None), f"bind {source}")
    _check(libc.umount2(os.fsencode(place), _MNT_DETACH), f"unmount {place}")


def _closed(path: str, uid: int) -> str:
    """The uppermost folder above `path` that `uid` may not enter, or nothing."""
    above = [str(parent) for parent in PurePosixPath(path).parents][::-1]
    return next((parent for parent in above if not reachable(os.path.join(parent, "x"), uid)), "")


def _make(like: str, path: str) -> None:
    """A place to bind to, a folder or a file as the source is; new folders are open to all."""
    folders = [str(parent) for parent in PurePosixPath(path).parents][::-1]
    for folder in [*folders, path] if os.path.isdir(like) else folders:
        if not os.path.isdir(folder):
            os.mkdir(folder)
            os.chmod(folder, 0o755)  # whatever this process masks
    if not os.path.exists(path):
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
