"""What the jail costs: each pair measured interleaved in one run, a plain process against the same one jailed."""

from __future__ import annotations

import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace

from kernelfactory import jail, process
from kernelfactory.cage import Cage
from kernelfactory.jail import Reach, Spec, groups, interpreter_binds, python
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


def works(held: jail.Jail, cage: Cage, reach: Reach) -> dict[str, Callable[[], Finished]]:
    """What is measured in one jail, with a plain process beside it."""
    reaching = replace(cage, reach=(reach,))
    bare = (python(), "-I", "-S", "-c", "pass")
    binds = interpreter_binds()
    return {
        "true": lambda: process.run(["true"], env=ENV, seconds=20, options=PLAIN),
        "true, jailed": lambda: held.run(Spec(("true",), env=ENV)),
        "python": lambda: process.run(bare, env=ENV, seconds=20, options=PLAIN),
        "python, jailed": lambda: held.run(Spec(bare, read=binds, env=ENV)),
        "true, tree searched": lambda: process.run(["true"], env=ENV, seconds=20),
        "true, caged": lambda: held.run(cage.spec(["true"], env={}, seconds=20)),
        "true, caged, reach": lambda: held.run(reaching.spec(["true"], env={}, seconds=20)),
    }


def one(held: jail.Jail, rounds: int) -> dict[str, object]:
    begin = time.perf_counter()
    attacks = jail.self_test(held)
    proof = (time.perf_counter() - begin) * 1e3
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as answering:
        uid = jail.cage_uid(0)
        answering.bind(f"{folder}/socket")
        jail.own(folder, uid)
        reach = Reach(8118, f"{folder}/socket")
        taken = interleaved(works(held, Cage(workspace=folder, uid=uid), reach), rounds)
    middle = {name: statistics.median(times) for name, times in taken.items()}
    least = {name: min(times) for name, times in taken.items()}
    answer: dict[str, object] = {
        "rounds": rounds,
        "attacks": len(attacks),
        "attacks_that_worked": sum(attack.worked for attack in attacks),
        "self_test_ms": round(proof, 1),
        "median_ms": {name: round(value, 2) for name, value in middle.items()},
        "min_ms": {name: round(value, 2) for name, value in least.items()},
        "overhead_ms": round(middle["true, jailed"] - middle["true"], 2),
        "overhead_least_ms": round(least["true, jailed"] - least["true"], 2),
        "overhead_python_ms": round(middle["python, jailed"] - middle["python"], 2),
        "reach_least_ms": round(least["true, caged, reach"] - least["true, caged"], 2),
    }
    print(f"{held.name}, {rounds} interleaved rounds, load {os.getloadavg()[0]:.1f}")
    for name, value in middle.items():
        print(f"  {name:<20} median {value:6.2f} ms   min {least[name]:6.2f} ms")
    print(
        f"  over a plain true: {answer['overhead_ms']} ms at the median, {answer['overhead_least_ms']} ms at least;",
        end="",
    )
    print(
        f" over a plain python: {answer['overhead_python_ms']} ms; reach {answer['reach_least_ms']} ms at least;",
        end="",
    )
    print(f" self-test {proof:.0f} ms, {len(attacks)} attacks")
    return answer


def grouped(rounds: int) -> dict[str, float] | None:
    """What a control group adds: made, limited, entered, left and removed."""
    if not groups.available():
        return None
    taken = []
    for _ in range(rounds):
        begin = time.perf_counter()
        group = groups.make(1 << 30, 64)
        if group is not None:
            group.enter()
            group.leave()
            group.close()
        taken.append((time.perf_counter() - begin) * 1e3)
    print(f"a control group: median {statistics.median(taken):.2f} ms, min {min(taken):.2f} ms")
    return {"median_ms": round(statistics.median(taken), 3), "min_ms": round(min(taken), 3)}


def main(rounds: int = ROUNDS) -> dict[str, object]:
    """Every jail that works here, each beside plain processes."""
    held = [way.jail for way in jail.ways() if way.jail is not None]
    answer: dict[str, object] = {"user": "root" if os.geteuid() == 0 else "ordinary"}
    answer |= {each.name: one(each, rounds) for each in held}
    return {**answer, "control group": grouped(rounds)}


if __name__ == "__main__":
    main()
