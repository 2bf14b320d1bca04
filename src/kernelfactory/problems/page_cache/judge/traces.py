"""What is asked of the cache: pages one after the other, from four habits that take turns. And how well anybody could
do who knows the future."""

import heapq

LENGTH = 2500
SLOTS = 40
SEEDS = (101, 102, 103)


def trace(rng):
    """Page numbers: some always in use, some scanned once, some looped over, some in use for a while."""
    base = rng.randrange(1 << 20)
    names = list(range(base, base + 4000))
    rng.shuffle(names)
    hot, loop, scan = names[:30], names[60:110], iter(names[200:])
    weights = [1 / (rank + 1) ** 0.5 for rank in range(len(hot))]
    pages, phase = [], 0
    while len(pages) < LENGTH:
        habit = rng.choices(("hot", "loop", "scan", "phase"), (6, 0.3, 6, 2))[0]
        if habit == "hot":
            pages += rng.choices(hot, weights, k=rng.randrange(10, 60))
        elif habit == "loop":
            pages += loop[: rng.randrange(20, len(loop))]
        elif habit == "scan":
            pages += [next(scan) for _ in range(rng.randrange(10, 40))]
        else:
            phase = (phase + 1) % 8
            group = names[120 + 10 * phase : 130 + 10 * phase]
            pages += rng.choices(group, k=rng.randrange(20, 60))
    return pages[:LENGTH]


def optimum(pages, slots):
    """Misses of who always drops the page that is wanted again last (Belady 1966)."""
    later, wanted = [0] * len(pages), {}
    for at in range(len(pages) - 1, -1, -1):
        later[at] = wanted.get(pages[at], len(pages) + at)
        wanted[pages[at]] = at
    cached, queue, misses = {}, [], 0
    for at, page in enumerate(pages):
        if page not in cached:
            misses += 1
            if len(cached) == slots:
                while True:
                    negative, victim = heapq.heappop(queue)
                    if cached.get(victim) == -negative:
                        del cached[victim]
                        break
        cached[page] = later[at]
        heapq.heappush(queue, (-later[at], page))
    return misses
