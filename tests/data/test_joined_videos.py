"""Videos that are pieces of other videos, against a loop over frames."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distillbench.data import (
    JoinedVideos,
    Recipe,
    ShardVideos,
    draw_in_rounds,
    find_shards,
    write_synthetic,
)
from distillbench.interfaces import NO_FRAME, Videos


@pytest.fixture(scope="module")
def shards() -> Iterator[Videos]:
    with tempfile.TemporaryDirectory() as folder:
        widths = {"rgb": 5, "audio": 3}
        write_synthetic(
            Path(folder), Recipe(videos=20, widths=widths, classes=9, shortest=1, longest=12), 3
        )
        yield ShardVideos(find_shards(folder), list(widths), classes=9)


def whole(videos: Videos, video: int) -> torch.Tensor:
    return videos.read(torch.tensor([video]), torch.arange(int(videos.lengths[video]))[None])[0]


def joined(videos: Videos, made: list[list[tuple[int, int, int]]]) -> JoinedVideos:
    """made: of each video its pieces: the other video, the first frame and how many."""
    pieces, firsts, counts = torch.tensor([each for video in made for each in video]).T
    offsets = torch.tensor([0, *np.cumsum([len(video) for video in made])])
    return JoinedVideos(
        videos, [f"j{v}" for v in range(len(made))], offsets, pieces, firsts, counts
    )


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_pieces_read_as_a_loop_over_them_reads(shards: Videos, data: st.DataObject) -> None:
    def a_piece() -> tuple[int, int, int]:
        video = data.draw(st.integers(0, len(shards) - 1))
        first = data.draw(st.integers(0, int(shards.lengths[video]) - 1))
        return video, first, data.draw(st.integers(0, int(shards.lengths[video]) - first))

    made = [
        [(0, 0, 1), *(a_piece() for _ in range(data.draw(st.integers(0, 5))))]
        for _ in range(data.draw(st.integers(1, 4)))
    ]
    for pieces in made:
        data.draw(st.randoms()).shuffle(pieces)
    videos = joined(shards, made)
    which = data.draw(st.lists(st.integers(0, len(made) - 1), max_size=5))
    slots = data.draw(st.integers(0, 6))
    index = [
        [data.draw(st.integers(NO_FRAME, int(videos.lengths[v]) - 1)) for _ in range(slots)]
        for v in which
    ]
    read = videos.read(
        torch.tensor(which, dtype=torch.int64),
        torch.tensor(index, dtype=torch.int64).view(len(which), slots),
    )
    assert read.shape == (len(which), slots, 8)
    assert read.dtype == torch.uint8
    for row, video in enumerate(which):
        expected = torch.cat([whole(shards, of)[at : at + count] for of, at, count in made[video]])
        assert len(expected) == videos.lengths[video]
        for slot, frame in enumerate(index[row]):
            want = torch.zeros(8) if frame == NO_FRAME else expected[frame]
            assert torch.equal(read[row, slot].float(), want.float())
    dense = shards.labels.dense(torch.arange(len(shards)))
    for video, pieces in enumerate(made):
        union = dense[[of for of, _, count in pieces if count]].amax(0)
        assert torch.equal(videos.labels.dense(torch.tensor([video]))[0], union)


def test_a_piece_is_a_whole_video_unless_it_is_said_to_be_less(shards: Videos) -> None:
    offsets, pieces = torch.tensor([0, 2, 3]), torch.tensor([4, 1, 4])
    videos = JoinedVideos(shards, ["a", "b"], offsets, pieces)
    assert videos.lengths.tolist() == [
        int(shards.lengths[4] + shards.lengths[1]),
        int(shards.lengths[4]),
    ]
    assert torch.equal(whole(videos, 0), torch.cat([whole(shards, 4), whole(shards, 1)]))
    if shards.lengths[4] > 1:
        rest = JoinedVideos(shards, ["a"], offsets[:2] // 2, pieces[:1], torch.tensor([1]))
        assert torch.equal(whole(rest, 0), whole(shards, 4)[1:])


def test_a_buffer_is_filled_and_returned(shards: Videos) -> None:
    videos = joined(shards, [[(0, 0, 1), (1, 0, 1)], [(2, 0, 1), (3, 0, 1)]])
    index = torch.tensor([[0, 1, NO_FRAME], [1, NO_FRAME, NO_FRAME]])
    out = torch.full((2, 3, 8), 9, dtype=torch.uint8)
    assert videos.read(torch.tensor([1, 0]), index, out) is out
    assert torch.equal(out, videos.read(torch.tensor([1, 0]), index))
    assert not out[1, 1:].any()


def test_a_frame_behind_a_videos_last_is_refused_and_never_another_videos(shards: Videos) -> None:
    videos = joined(shards, [[(0, 0, 1)], [(1, 0, 1)]])
    with pytest.raises(IndexError, match="a frame was requested that its video does not have"):
        videos.read(torch.tensor([0]), torch.tensor([[1]]))


def test_what_the_videos_are_like_is_what_their_pieces_are_like(shards: Videos) -> None:
    videos = joined(shards, [[(0, 0, 1)]])
    assert videos.features == shards.features
    assert videos.codec == shards.codec
    assert videos.class_names == shards.class_names
    assert videos.labels.count == shards.labels.count
    assert list(videos.ids) == ["j0"]


def test_a_fingerprint_is_that_of_the_pieces(shards: Videos) -> None:
    made = [[(0, 0, 1), (1, 0, 1)], [(2, 0, 1)]]
    others = [made[::-1], [made[0][::-1], made[1]], [made[0][:1], [*made[0][1:], *made[1]]]]
    prints = [joined(shards, each).fingerprint for each in (made, *others)]
    assert joined(shards, made).fingerprint == prints[0]
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ([[(0, 0, 99)]], "a piece has frames that its video does not have"),
        ([[(0, -1, 1)]], "a piece has frames that its video does not have"),
        ([[(0, 0, -1)]], "a piece has frames that its video does not have"),
        ([[(0, 0, 1)], [(0, 0, 0)]], "a video has no frame"),
    ],
)
def test_pieces_that_are_none_are_refused(
    shards: Videos, made: list[list[tuple[int, int, int]]], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        joined(shards, made)


@given(
    things=st.integers(1, 9), draws=st.integers(0, 40), more=st.integers(0, 40), seed=st.integers(0)
)
def test_nothing_is_drawn_again_before_everything_was(
    things: int, draws: int, more: int, seed: int
) -> None:
    few, many = (
        draw_in_rounds(things, count, np.random.default_rng(seed))
        for count in (draws, draws + more)
    )
    assert few.dtype == np.int64
    assert few.tolist() == many[:draws].tolist()
    for start in range(0, draws, things):
        a_round = few[start : start + things].tolist()
        assert len(set(a_round)) == len(a_round)
        assert set(a_round) <= set(range(things))
