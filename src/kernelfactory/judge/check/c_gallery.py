"""The attacks on a problem whose programs are C: put into the seed's own text, by its functions' signatures. Makes
texts, runs nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kernelfactory.judge.check import advice
from kernelfactory.judge.check.gallery import Base, Wall
from kernelfactory.judge.check.interface import Interface, Signature, signatures

TOP = (
    "#ifndef _GNU_SOURCE\n#define _GNU_SOURCE\n#endif\n"
    "#include <fcntl.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n"
)
EACH_FD = "for (int kf_fd = 1; kf_fd < 256; kf_fd++)"


@dataclass(frozen=True, slots=True)
class CAttack:
    """`text`: the whole file, with the attack in it."""

    name: str
    text: bytes
    base: Base
    wall: Wall
    cure: str
    bomb: bool = False

    @property
    def varied(self) -> bool:
        """Does it need a process that is asked twice?"""
        return self.wall == "fresh inputs"


def c_attacks(interface: Interface, seed: bytes, forged: float, secret: str) -> Iterator[CAttack]:
    """All that fit the functions that are called. `secret`: a file of judge/ that nobody may read."""
    text = seed.decode("utf-8", "replace")
    called = [each for each in signatures(text) if each.name in interface.names]
    known: Base = "known wrong"
    inside = advice.IN_PROCESS
    rows: list[tuple[str, str, Base, Wall, str, bool]] = [
        ("a program that does nothing", _body(text, called, _back), known, "ruler", advice.UNCHECKED, False),
        ("the first answer for ever", _body(text, called, _once), "wrong", "fresh inputs", advice.EACH, False),
        ("the end within a call", _body(text, called, "exit(0);"), "wrong", "pipe", inside, False),
        ("the end at once within a call", _body(text, called, "_exit(0);"), "wrong", "pipe", inside, False),
        ("a crash within a call", _body(text, called, "abort();"), "wrong", "separate process", advice.FAULT, False),
        ("an endless call", _body(text, called, "for (;;) usleep(100);"), "seed", "limits", advice.LIMITS, True),
        ("memory without end", _body(text, called, MEMORY), "seed", "limits", advice.LIMITS, True),
        ("processes without end", _body(text, called, FORKS), "seed", "limits", advice.LIMITS, True),
        ("the end with status 0 on loading", text + _on_load("_exit(0);"), "wrong", "pipe", inside, False),
        ("results on all descriptors", _forging(text, called, forged), "wrong", "pipe", inside, False),
        ("reading judge/ and /proc", text + _on_load(_loot(secret)), "leak", "jail", advice.JAIL, False),
        ("writing its own memory", text + _on_load(OWN_MEMORY), "seed", "separate process", inside, False),
        ("judge/ as a source text", text + _included(secret), "leak", "jail", advice.JAIL, False),
    ]
    rows += [(name, _after(text, called, value), known, "ruler", cure, False) for name, value, cure in _VALUES]
    for name, made, base, wall, cure, bomb in rows:
        if made != text:
            yield CAttack(name, (TOP + made).encode(), base, wall, cure, bomb)


_VALUES = (
    ("answers that are off by one", "+= 1", advice.UNCHECKED),
    ("answers that are not finite", "= (0.0 / 0.0)", advice.FINITE),
    ("a better number in the answer", "= 1000000007", advice.UNCHECKED),
)


def _body(text: str, called: list[Signature], inserted: str | Callable[[Signature], str]) -> str:
    """The text with a statement at the start of each called function."""
    for each in sorted(called, key=lambda each: -each.at):
        statement = inserted if isinstance(inserted, str) else inserted(each)
        text = f"{text[: each.at]} {statement} {text[each.at :]}"
    return text


def _back(each: Signature) -> str:
    return "return;" if each.returns.split()[-1:] == ["void"] else "return 0;"


def _once(each: Signature) -> str:
    return f"static int kf_calls; if (kf_calls++) {_back(each)}"


MEMORY = "for (;;) { char *kf = malloc(64 << 20); if (!kf) abort(); memset(kf, 1, 64 << 20); }"
FORKS = "for (int kf = 0; kf < 2000; kf++) if (fork() == 0) { sleep(300); _exit(0); }"
OWN_MEMORY = 'int kf = open("/proc/self/mem", 2); if (kf >= 0) { if (pwrite(kf, "x", 1, (long)&kf)) {} }'


def _on_load(statement: str) -> str:
    return f"\n__attribute__((constructor)) static void kf_on_load(void) {{ {statement} }}\n"


def _forge(forged: float) -> str:
    document = json.dumps(json.dumps({"score": forged}))
    frame = json.dumps(json.dumps(["value", forged]))
    head = "char kf_head[12] = {0, 0, 0, 0}; kf_head[3] = (char)strlen(kf_frame);"
    sent = "if (write(kf_fd, kf_head, 12) == 12 && write(kf_fd, kf_frame, strlen(kf_frame))) {}"
    both = f"{{ {sent} if (write(kf_fd, kf_text, strlen(kf_text))) {{}} }}"
    return f"const char *kf_text = {document}, *kf_frame = {frame}; {head} {EACH_FD} {both}"


def _forging(text: str, called: list[Signature], forged: float) -> str:
    return _body(text, called, _back) + _on_load(_forge(forged))


def _loot(secret: str) -> str:
    """It ends instead of answering when it could read something: then it is not the seed any more."""
    return f'if (open({json.dumps(secret)}, 0) >= 0 || open("/proc/1/environ", 0) >= 0) abort();'


def _included(secret: str) -> str:
    """The same for what the compiler can read."""
    return f"\n#if __has_include({json.dumps(secret)})\n{_on_load('abort();')}\n#endif\n"


def _after(text: str, called: list[Signature], change: str) -> str:
    """The text with each called function renamed, and one of its old name that calls it and then changes what it
    answers: the first value behind its pointers to what is not constant, or what it returns."""
    added = ""
    for each in sorted(called, key=lambda each: -each.at):
        written = next((name for kind, name in each.params if _is_output(kind)), None)
        if written is None and each.returns == "void":
            continue
        start = text.rindex(each.name, 0, each.at)
        text = f"{text[:start]}kf_{text[start:]}"
        added += _wrapper(each, written, change)
    return text + added


def _is_output(kind: str) -> bool:
    return kind.endswith("*") and "const" not in kind and "void" not in kind and "char" not in kind


def _wrapper(each: Signature, written: str | None, change: str) -> str:
    params = ", ".join(f"{kind} {name}" for kind, name in each.params) or "void"
    call = f"kf_{each.name}({', '.join(name for _, name in each.params)})"
    if written is not None:
        keep, back = ("", "") if each.returns == "void" else (f"{each.returns} kf_kept = ", "return kf_kept;")
        return f"\n{each.returns} {each.name}({params}) {{ {keep}{call}; {written}[0] {change}; {back} }}\n"
    kept = f"{each.returns} kf_kept = {call}; kf_kept {change}; return kf_kept;"
    return f"\n{each.returns} {each.name}({params}) {{ {kept} }}\n"
