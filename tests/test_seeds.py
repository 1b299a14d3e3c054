"""Numbers that are drawn for a purpose."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distillbench.data import Ids
from distillbench.interfaces import ClipGenerator
from distillbench.seeds import seed_torch, splitmix64

WORDS = st.integers(0, 2**64 - 1)
LOW = 2**64 - 1


def reference(seed: int, step: int) -> int:
    """What splitmix64 draws from a seed at a step, in Python's own integers."""
    value = (seed + step * 0x9E3779B97F4A7C15) & LOW
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & LOW
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & LOW
    return value ^ (value >> 31)


def test_it_draws_what_the_published_code_draws() -> None:
    drawn = splitmix64(np.full(3, 1234567, np.uint64), np.arange(1, 4, dtype=np.uint64))
    assert drawn.tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(st.lists(WORDS, max_size=5), st.lists(st.integers(0, 2**40), max_size=5))
def test_it_draws_what_python_reckons(seeds: list[int], steps: list[int]) -> None:
    drawn = splitmix64(np.array(seeds, np.uint64)[:, None], np.array(steps, np.uint64))
    assert drawn.tolist() == [[reference(seed, step) for step in steps] for seed in seeds]


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5), st.lists(st.integers(0, 4), max_size=3)
)
def test_a_clips_numbers_are_drawn_from_its_key(keys: list[int], counts: list[int]) -> None:
    generator = ClipGenerator(torch.tensor(keys, dtype=torch.int64))
    drawn = torch.cat([torch.zeros(len(keys), 0), *(generator.rand(count) for count in counts)], 1)
    numbers = [
        [
            (reference(reference(key & LOW, 0), step) >> 11) * 2.0**-53
            for step in range(1, sum(counts) + 1)
        ]
        for key in keys
    ]
    assert drawn.tolist() == numbers


@given(st.lists(st.text("aé1-", max_size=6), max_size=4), st.integers(-(2**70), 2**70))
def test_an_ids_hash_is_a_function_of_its_bytes_and_the_seed(ids: list[str], seed: int) -> None:
    def hashed(name: str) -> int:
        value = 0xCBF29CE484222325
        for byte in name.encode():
            value = ((value ^ byte) * 0x100000001B3) & LOW
        return reference(value ^ reference(seed & LOW, 1), 1)

    assert Ids.of(ids).hashes(seed).tolist() == [hashed(name) for name in ids]


@given(seed=st.integers(0, 2**63 - 1))
def test_a_seeded_step_draws_what_torch_draws_after_its_own_seeding(seed: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        expected = torch.rand(8)
        torch.rand(3)
        seed_torch(seed)
        assert torch.equal(torch.rand(8), expected)


def test_the_generators_of_cuda_are_seeded_once_it_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    with torch.random.fork_rng(devices=[]):
        seed_torch(4)
        assert seeded == []
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
        seed_torch(5)
    assert seeded == [5]
