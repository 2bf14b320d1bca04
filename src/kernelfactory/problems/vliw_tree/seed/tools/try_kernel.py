"""Runs the kernel on the machine of problem.py and tells what it cost: python tools/try_kernel.py [--official] [--trace]

The default is a small size. It checks the answer against the reference, at one's desk only: what counts is the judge.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from perf_takehome import KernelBuilder
from problem import SLOT_LIMITS, Input, Machine, Tree, build_mem_image, reference_kernel2


def run(height, rounds, batch, trace=False):
    """Builds and runs the kernel once on random input; returns (cycles, right answer?, slots used per engine)."""
    forest = Tree.generate(height)
    inp = Input.generate(forest, batch, rounds)
    mem = build_mem_image(forest, inp)
    builder = KernelBuilder()
    builder.build_kernel(height, len(forest.values), batch, rounds)
    machine = Machine(mem, builder.instrs, builder.debug_info(), trace=trace)
    machine.enable_pause = False
    machine.enable_debug = False
    machine.run()
    for expected in reference_kernel2(mem):
        pass
    start = expected[6]
    right = machine.mem[start : start + batch] == expected[start : start + batch]
    slots = {engine: sum(len(b.get(engine, ())) for b in builder.instrs) for engine in SLOT_LIMITS}
    return machine.cycle, right, slots


def main():
    height, rounds, batch = (10, 16, 256) if "--official" in sys.argv else (4, 6, 32)
    cycles, right, slots = run(height, rounds, batch, trace="--trace" in sys.argv)
    print(f"height {height}, rounds {rounds}, batch {batch}: {cycles} cycles, {'right' if right else 'WRONG'} answer")
    for engine, limit in SLOT_LIMITS.items():
        if engine != "debug":
            share = slots[engine] / max(1, limit * cycles)
            print(f"  {engine:5} {slots[engine]:8} slots in the program, {100 * share:5.1f} % of {limit} a cycle")
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
