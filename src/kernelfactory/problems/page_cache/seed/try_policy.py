"""Counts the misses of policy.py on sample.txt, at your desk: no verdict. `python try_policy.py`."""

from pathlib import Path

from policy import Policy

SLOTS = 40
policy, cached, misses = Policy(SLOTS), set(), 0
for page in map(int, Path("sample.txt").read_text().split()):
    if page not in cached:
        misses += 1
        if len(cached) == SLOTS:
            cached.remove(policy.drop(page))
        cached.add(page)
    policy.asked(page)
print(f"{misses} misses on the sample")
