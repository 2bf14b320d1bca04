"""A folder as a hostile agent leaves it, for tests and benchmarks of what reads it. Refuses to read it itself."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

HOOKS = ("post-checkout", "pre-commit", "post-index-change", "reference-transaction", "fsmonitor-watchman")
NAMES = (
    b"line\nbreak.py",
    b"SCORE: 1\n",
    b"\xe2\x80\xaeyp.lenrek",
    b"not \xff utf-8.py",
    b"-rf",
    b"$(touch x)",
    b"a" * 255,
)
"""Names that are no names: with newlines, running from right to left, not UTF-8, options, commands."""


def litter(folder: Path, mark: Path, *, files: int, depth: int = 200) -> None:
    """Fill `folder` with whatever an agent may leave in it beside its program. A git command that looks at files there
    makes the file `mark`. `files`: so many small ones."""
    _repositories(folder, mark)
    _links(folder)
    _odd(folder)
    for name in NAMES:
        (folder / os.fsdecode(name)).write_bytes(b"x")
    deep = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("deep", dir_fd=deep)
        inner = os.open("deep", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = inner
    os.close(deep)
    many = folder / "many"
    many.mkdir()
    for number in range(files):
        os.close(os.open(many / f"{number}.txt", os.O_CREAT | os.O_WRONLY, 0o644))


def _repositories(folder: Path, mark: Path) -> None:
    """A repository whose configuration and hooks run commands, a bare one with a name of its own, a `.git` that is a
    file and points to that one."""
    command = f"touch {mark}"
    config = (
        "[core]\n\trepositoryformatversion = 0\n\tbare = {bare}\n"
        f"\tfsmonitor = {command} #\n\tpager = {command} #\n\teditor = {command} #\n\tsshCommand = {command} #\n"
        f'[filter "x"]\n\tclean = {command}; cat\n\tsmudge = {command}; cat\n\trequired = true\n'
        f'[diff]\n\texternal = {command} #\n[diff "x"]\n\ttextconv = {command} #\n[alias]\n\tst = !{command}\n'
    )
    for place, bare in ((folder / ".git", "false"), (folder / "library.git", "true"), (folder / "src/.git", "false")):
        for inner in ("hooks", "objects/info", "objects/pack", "refs/heads", "info"):
            (place / inner).mkdir(parents=True)
        (place / "HEAD").write_text("ref: refs/heads/main\n")
        (place / "config").write_text(config.replace("{bare}", bare))
        (place / "info/attributes").write_text("* filter=x diff=x\n")
        for hook in HOOKS:
            (place / "hooks" / hook).write_text(f"#!/bin/sh\n{command}\n")
            (place / "hooks" / hook).chmod(0o755)
    (folder / "module").mkdir()
    (folder / "module/.git").write_text(f"gitdir: {folder}/library.git\n")
    (folder / ".gitattributes").write_text("* filter=x diff=x export-subst\n")
    (folder / ".gitmodules").write_text(f'[submodule "x"]\n\tpath = module\n\turl = ext::sh -c {command}\n')


def _links(folder: Path) -> None:
    """To files and folders outside, to itself, through a parent."""
    for name, target in (("etc", "/etc"), ("passwd", "/etc/passwd"), ("loop", "loop"), ("up", ".."), ("root", "/")):
        (folder / name).symlink_to(target)


def _odd(folder: Path) -> None:
    """A FIFO, a socket, a sparse terabyte, what nobody may read."""
    os.mkfifo(folder / "fifo.py")
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as made, suppress(OSError):
        os.chdir(folder)
        try:
            made.bind("socket.py")
        finally:
            os.chdir(here)
    sparse(folder / "sparse.bin")
    closed = folder / "closed"
    closed.mkdir()
    (closed / "x").write_text("x")
    closed.chmod(0)


def sparse(path: Path, size: int = 1 << 40) -> None:
    """A file of a terabyte that takes no room; of less where the file system has no such files."""
    with path.open("wb") as file:
        for smaller in (0, 4, 8, 12):
            with suppress(OSError):
                file.truncate(size >> smaller)
                return
