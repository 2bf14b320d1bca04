"""Inputs, reference and the naive kernel: recorded results on both backends, and both backends the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernelfactory import core
from kernelfactory.core import workload

OFFICIAL = core.Size(10, 16, 256)


def recorded_image(case: dict[str, Any]) -> list[int]:
    n, b = len(case["tree"]), case["batch"]
    header = [case["rounds"], n, b, case["height"], 7, 7 + n, 7 + n + b]
    return [*header, *case["tree"], *case["start_indices"], *case["start_values"]]


def workloads(golden: Path) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in sorted((golden / "workload").glob("[0-9]*.json"))]
    assert len(found) == 19
    return found


def deviations(reference: Callable[[list[int]], list[int]], golden: Path) -> int:
    return sum(reference(recorded_image(case)) != case["end_values"] for case in workloads(golden))


def test_reference(backend: core.Backend, golden: Path) -> None:
    assert deviations(backend.reference, golden) == 0


def test_a_faulty_reference_is_noticed(golden: Path) -> None:
    def other_root(image: list[int]) -> list[int]:
        return core.Plain().reference([*image[:7], image[7] ^ 1, *image[8:]])

    assert deviations(other_root, golden) > 15


def test_image(golden: Path, backend: core.Backend) -> None:
    for case in workloads(golden):
        image = recorded_image(case)
        assert (len(image), image[:8]) == (case["image_words"], case["image_first_8_words"])
        size = core.Size(case["height"], case["rounds"], case["batch"])
        drawn = backend.image(size, 5)
        assert (len(drawn), drawn[:7], size.words) == (len(image), image[:7], len(image))
        b = case["batch"]
        assert drawn[len(image) - 2 * b : len(image) - b] == [0] * b


def test_hash(backend: core.Backend, golden: Path) -> None:
    vectors = json.loads((golden / "workload" / "hash.json").read_text())["vectors"]
    assert len(vectors) == 227
    assert all(backend.hash_steps(value) == steps for value, steps in vectors)
    assert backend.hash_steps(0)[-1] == 0x6B4ED927


def test_draws_are_splitmix64() -> None:
    """Published first words of the stream for seed 1234567, and their upper 30 bits here."""
    published = (
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    )
    stream = workload.draws(1234567)
    assert [next(stream) for _ in published] == [word >> 34 for word in published]


def test_both_backends_draw_the_same(c_core: core.Core) -> None:
    for seed in (0, 1, 2**63, 2**64 - 1):
        for size in (OFFICIAL, core.Size(0, 1, 1), core.Size(6, 6, 32)):
            assert c_core.image(size, seed) == core.Plain().image(size, seed)


def test_values_fill_their_range(c_core: core.Core) -> None:
    """2^30 values, both ends near; the mean within five standard errors."""
    words = [word for seed in range(50) for word in c_core.image(OFFICIAL, seed)[7 : 7 + 2047]]
    assert max(words) < 2**30 and max(words) > 2**30 * 0.9999 and min(words) < 2**30 * 0.0001
    assert abs(sum(words) / len(words) / 2**30 - 0.5) < 5 * 0.2887 / len(words) ** 0.5
    assert len(set(words)) > len(words) * 0.999


def test_naive_kernel_costs_what_is_recorded(c_core: core.Core, naive: Any, golden: Path) -> None:
    sizes = json.loads((golden / "workload" / "naive_cycles.json").read_text())["sizes"]
    assert len(sizes) == 12
    for size in sizes:
        text = json.dumps(naive(size["rounds"], size["batch"])).encode()
        ran = c_core.parse(text).measure(core.Size(size["height"], size["rounds"], size["batch"]), range(9), 10**6)
        assert {(one.cycles, one.error, one.wrong) for one in ran} == {(size["cycles"], None, 0)}


def test_naive_kernel_at_official_size_on_both(backend: core.Backend, naive: Any) -> None:
    ran = backend.parse(json.dumps(naive(16, 256)).encode()).measure(OFFICIAL, [7], 10**6)[0]
    assert (ran.cycles, ran.wrong, ran.used) == (147734, 0, (118784, 0, 12564, 8192, 8194, 0))


def test_wrong_values_are_counted(backend: core.Backend, naive: Any) -> None:
    size, program = core.Size(3, 2, 8), naive(2, 8)
    program[-2] = {}  # the last store of a value
    assert [ran.wrong for ran in backend.parse(json.dumps(program).encode()).measure(size, range(10), 10**6)] == [
        1
    ] * 10


def test_sizes_beyond_the_core_are_refused(c_core: core.Core) -> None:
    with pytest.raises(ValueError, match="takes no workload"):
        c_core.parse(b"[]").measure(core.Size(30, 1, 1), [1], 10)
    for backend in (c_core, core.Plain()):
        with pytest.raises(ValueError, match="no memory image"):
            backend.reference([1, 3, 1, 1, 7, 10, 11, 5, 5, 5, 9, 0])
