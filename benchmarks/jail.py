"""What the jail costs: each pair measured interleaved in one run, a plain process against the same one jailed."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable

from kernelfactory import jail, process
from kernelfactory.cage import Cage
from kernelfactory.jail import Spec, interpreter_binds, python
from kernelfactory.process import Finished, Options

ENV = {"PATH": "/usr/bin:/bin"}
ROUNDS = 60
PLAIN = Options(contained=True)


def interleaved(works: dict[str, Callable[[], Finished]], rounds: int) -> dict[str, list[float]]:
    """Wall milliseconds of each work, taken in turns so that a busy moment hits all alike."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            begin = time.perf_counter()
            done = work()
            taken[name].append((time.perf_counter() - begin) * 1e3)
            if done.returncode != 0:
                raise SystemExit(f"{name}: {done}")
    return taken


def main(rounds: int = ROUNDS) -> dict[str, object]:
    held = jail.find()
    begin = time.perf_counter()
    attacks = jail.self_test(held)
    proof = (time.perf_counter() - begin) * 1e3
    bare = (python(), "-I", "-S", "-c", "pass")
    binds = interpreter_binds()
    with tempfile.TemporaryDirectory() as folder:
        uid = jail.cage_uid(0)
        jail.own(folder, uid)
        cage = Cage(workspace=folder, uid=uid)
        works: dict[str, Callable[[], Finished]] = {
            "true": lambda: process.run(["true"], env=ENV, seconds=20, options=PLAIN),
            "true, jailed": lambda: held.run(Spec(("true",), env=ENV)),
            "python": lambda: process.run(bare, env=ENV, seconds=20, options=PLAIN),
            "python, jailed": lambda: held.run(Spec(bare, read=binds, env=ENV)),
            "true, tree searched": lambda: process.run(["true"], env=ENV, seconds=20),
            "true, caged": lambda: held.run(cage.spec(["true"], env={}, seconds=20)),
        }
        taken = interleaved(works, rounds)
    middle = {name: statistics.median(times) for name, times in taken.items()}
    answer: dict[str, object] = {
        "jail": held.name,
        "user": "root" if os.geteuid() == 0 else "ordinary",
        "rounds": rounds,
        "attacks": len(attacks),
        "attacks_that_worked": sum(attack.worked for attack in attacks),
        "self_test_ms": round(proof, 1),
        "median_ms": {name: round(value, 2) for name, value in middle.items()},
        "min_ms": {name: round(min(times), 2) for name, times in taken.items()},
        "jail_overhead_ms": round(middle["true, jailed"] - middle["true"], 2),
        "jail_overhead_python_ms": round(middle["python, jailed"] - middle["python"], 2),
        "jail_overhead_python_ratio": round(middle["python, jailed"] / middle["python"], 2),
    }
    print(f"jail {held.name}, as {answer['user']}, {rounds} interleaved rounds, load {os.getloadavg()[0]:.1f}")
    for name, value in middle.items():
        print(f"  {name:<20} median {value:6.2f} ms   min {min(taken[name]):6.2f} ms")
    print(
        f"  overhead on true {answer['jail_overhead_ms']} ms, on python {answer['jail_overhead_python_ms']} ms", end=""
    )
    print(f" ({answer['jail_overhead_python_ratio']}x); self-test {proof:.0f} ms, {len(attacks)} attacks")
    return answer


if __name__ == "__main__":
    main()
