from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from distillbench.errors import ConfigError
from distillbench.interfaces import NO_FRAME, ClipGenerator, FrameSelector
from distillbench_plugins.selectors.all import All
from distillbench_plugins.selectors.every_n import EveryN
from distillbench_plugins.selectors.first import First
from distillbench_plugins.selectors.first_middle_last import FirstMiddleLast
from distillbench_plugins.selectors.last import Last
from distillbench_plugins.selectors.middle import Middle
from distillbench_plugins.selectors.random import Random
from distillbench_plugins.selectors.uniform import Uniform


def jittered(k: int) -> Uniform:
    return Uniform(k, jitter=True)


Maker = Callable[[int], FrameSelector]
EXACT: list[Maker] = [Uniform, jittered, Random, First, Middle, Last, FirstMiddleLast]
EVERY: list[Maker] = [*EXACT, EveryN, All]

lengths_of_videos = st.lists(st.integers(1, 40), min_size=1, max_size=6)


def select(
    selector: FrameSelector, lengths: list[int], training: bool = False, first_key: int = 0
) -> Tensor:
    generator = ClipGenerator(torch.arange(first_key, first_key + len(lengths)))
    return selector.select(torch.tensor(lengths), None, generator, training)


def kept(selector: FrameSelector, length: int, training: bool = False) -> list[int]:
    """The frames kept of one video of `length` frames."""
    return select(selector, [length], training)[0].tolist()


@settings(max_examples=100, deadline=None)
@given(
    make=st.sampled_from(EVERY),
    k=st.integers(1, 45),
    lengths=lengths_of_videos,
    training=st.booleans(),
)
def test_frames_ascend_lie_within_the_video_and_end_in_no_frame(
    make: Maker, k: int, lengths: list[int], training: bool
) -> None:
    index = select(make(k), lengths, training)
    assert index.dtype == torch.int64
    for row, length in zip(index.tolist(), lengths, strict=True):
        real = [frame for frame in row if frame != NO_FRAME]
        assert row == real + [NO_FRAME] * (len(row) - len(real))
        assert real == sorted(set(real))
        assert 0 <= real[0] <= real[-1] < length
    assert bool((index != NO_FRAME).any(0).all())


@settings(max_examples=60, deadline=None)
@given(
    make=st.sampled_from(EXACT),
    k=st.integers(1, 45),
    lengths=lengths_of_videos,
    training=st.booleans(),
)
def test_k_frames_are_kept_or_all_where_there_are_fewer(
    make: Maker, k: int, lengths: list[int], training: bool
) -> None:
    index = select(make(k), lengths, training)
    assert (index != NO_FRAME).sum(1).tolist() == [min(k, length) for length in lengths]
    assert index.shape[1] == min(k, max(lengths))


@settings(max_examples=60, deadline=None)
@given(
    make=st.sampled_from(EVERY),
    k=st.integers(1, 20),
    lengths=lengths_of_videos,
    training=st.booleans(),
)
def test_each_video_is_chosen_for_as_if_alone(
    make: Maker, k: int, lengths: list[int], training: bool
) -> None:
    together = select(make(k), lengths, training)
    for video, length in enumerate(lengths):
        alone = select(make(k), [length], training, first_key=video)[0]
        assert together[video, : len(alone)].tolist() == alone.tolist()
        assert bool((together[video, len(alone) :] == NO_FRAME).all())


@pytest.mark.parametrize("make", EVERY)
def test_global_random_state_is_left_alone(make: Maker) -> None:
    before = torch.get_rng_state()
    select(make(4), [9, 2], training=True)
    assert torch.equal(torch.get_rng_state(), before)


@settings(max_examples=60, deadline=None)
@given(k=st.integers(1, 30), length=st.integers(1, 300))
def test_uniform_keeps_the_floor_of_i_n_over_k(k: int, length: int) -> None:
    count = min(k, length)
    assert kept(Uniform(k), length) == [i * length // count for i in range(count)]


def test_uniform_takes_the_papers_frames() -> None:
    assert kept(Uniform(6), 300) == [0, 50, 100, 150, 200, 250]
    assert kept(Uniform(6), 10) == [0, 1, 3, 5, 6, 8]


@settings(max_examples=60, deadline=None)
@given(k=st.integers(1, 30), length=st.integers(1, 300), key=st.integers(0, 99))
def test_jitter_takes_one_frame_of_each_equal_segment_and_its_centre_in_evaluation(
    k: int, length: int, key: int
) -> None:
    count = min(k, length)
    segments = [range(i * length // count, (i + 1) * length // count) for i in range(count)]
    drawn = select(jittered(k), [length], training=True, first_key=key)[0].tolist()
    assert all(frame in segment for frame, segment in zip(drawn, segments, strict=True))
    assert kept(jittered(k), length) == [segment[len(segment) // 2] for segment in segments]


def test_jitter_draws_anew_with_a_new_generator() -> None:
    draws = {
        tuple(select(jittered(5), [300], training=True, first_key=key)[0].tolist())
        for key in range(10)
    }
    assert len(draws) == 10


def test_random_frames_are_spread_evenly_over_the_video() -> None:
    index = select(Random(5), [10] * 4000)
    shares = torch.bincount(index.flatten(), minlength=10) / 4000
    assert bool(((shares - 0.5).abs() < 0.05).all())


def test_random_frames_are_the_same_for_the_same_video_and_differ_between_videos() -> None:
    index = select(Random(5), [100] * 50)
    assert torch.equal(index, select(Random(5), [100] * 50))
    assert len({tuple(row) for row in index.tolist()}) == 50


def test_first_middle_and_last_lie_where_their_names_say() -> None:
    assert kept(First(3), 10) == [0, 1, 2]
    assert kept(Middle(3), 10) == [3, 4, 5]
    assert kept(Middle(4), 10) == [3, 4, 5, 6]
    assert kept(Last(3), 10) == [7, 8, 9]


@pytest.mark.parametrize(
    ("k", "frames"),
    [
        (1, [10]),
        (2, [0, 20]),
        (3, [0, 10, 20]),
        (4, [0, 9, 10, 20]),
        (5, [0, 1, 10, 19, 20]),
        (6, [0, 1, 9, 10, 19, 20]),
        (10, [0, 1, 2, 8, 9, 10, 11, 18, 19, 20]),
    ],
)
def test_a_remainder_of_one_goes_to_the_middle_and_of_two_to_first_and_last(
    k: int, frames: list[int]
) -> None:
    assert kept(FirstMiddleLast(k), 21) == frames


def test_every_n_keeps_the_released_codes_slots_and_drops_those_beyond_the_end() -> None:
    assert kept(EveryN(30), 120) == list(range(0, 120, 10))
    assert kept(EveryN(30), 300) == list(range(0, 300, 10))
    assert kept(EveryN(6), 51) == [0, 50]
    assert kept(EveryN(3, n=2), 300) == [0, 2, 4]
    assert kept(EveryN(10, n=4, slots=10), 300) == [0, 4, 8]


def test_every_n_refuses_knobs_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="n=-1"):
        EveryN(3, n=-1)
    with pytest.raises(ConfigError, match="slots=0"):
        EveryN(3, slots=0)


def test_all_keeps_every_frame_whatever_k_is() -> None:
    assert kept(All(2), 7) == list(range(7))
