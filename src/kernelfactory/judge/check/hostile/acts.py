"""The acts of a hostile program by name, what takes too much, and how its file begins and ends."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

if __name__ != "builtins":  # read as a module; in a candidate these names are there already
    from kernelfactory.judge.check.hostile.answers import (
        Aim,
        Call,
        Lazy,
        Pickled,
        by_shape,
        carry,
        first_for_ever,
        in_a_thread,
        liar,
        nan,
        nested,
        one_changed,
        remembered,
        second_exits,
        second_wrong,
        spin_afterwards,
        tell,
        wrapped,
    )
    from kernelfactory.judge.check.hostile.process import (
        carry_streams,
        daemon,
        dial,
        end_by_exception,
        forge_and_end,
        forge_everywhere,
        forge_first,
        forge_last,
        frame_answer,
        frame_empty,
        gc_answer,
        loot,
        patch_builtins,
        patch_clock,
        patch_dice,
        patch_json,
        print_scores,
        replace_streams,
        swap_checks,
        write_results,
    )


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
    "carry": carry,
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
    "carry": carry_streams,
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
