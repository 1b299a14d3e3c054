from __future__ import annotations

import gc

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distillbench.data.memory.buffer_pool import BufferPool


@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.integers(0, 3), st.booleans()), min_size=1, max_size=30
    )
)
@settings(max_examples=60, deadline=None)
def test_what_is_held_is_never_overwritten(requests: list[tuple[int, int, bool]]) -> None:
    memory, held = BufferPool(), []
    for number, (size, drop, as_view) in enumerate(requests):
        tensor = memory.empty((size, 3), torch.float32).fill_(number)
        held.append((number, tensor[size // 2] if as_view else tensor))
        del tensor, held[:drop]
        assert all((kept == value).all() for value, kept in held)


def test_what_is_dropped_is_used_again() -> None:
    memory = BufferPool()
    first = memory.empty((5, 7), torch.uint8)
    place, view = first.data_ptr(), first[2:3]
    del first
    assert memory.empty((5, 7), torch.uint8).data_ptr() != place, "a view of it is left"
    del view
    gc.collect()
    memory = BufferPool()
    first = memory.empty((5, 7), torch.uint8)
    place = first.data_ptr()
    del first
    assert memory.empty((3, 4), torch.uint8).data_ptr() == place


def test_memory_outlives_its_recycler() -> None:
    tensor = BufferPool().empty((4,), torch.int64).fill_(9)
    gc.collect()
    assert tensor.tolist() == [9] * 4
