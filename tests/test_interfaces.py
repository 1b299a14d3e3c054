"""What flows between the parts of a run."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from distillbench.interfaces import NO_FRAME, ClipGenerator, Clips, Codec, Labels


def clips(lengths: list[int], width: int = 3) -> Clips:
    longest = max(lengths)
    times = torch.arange(longest).expand(len(lengths), -1)
    real = times < torch.tensor(lengths)[:, None]
    frames = (
        torch.randint(0, 256, (len(lengths), longest, width), dtype=torch.uint8) * real[:, :, None]
    )
    return Clips(frames, torch.tensor(lengths), times.masked_fill(~real, NO_FRAME), longest)


def test_taking_frames_keeps_their_content_and_their_numbers() -> None:
    whole = clips([5, 3])
    taken = whole.take(torch.tensor([[0, 2, 4], [1, NO_FRAME, NO_FRAME]]))
    assert taken.lengths.tolist() == [3, 1]
    assert taken.times.tolist() == [[0, 2, 4], [1, NO_FRAME, NO_FRAME]]
    assert torch.equal(taken.frames[0], whole.frames[0, [0, 2, 4]])
    assert torch.equal(taken.frames[1, 0], whole.frames[1, 1])
    assert not taken.frames[1, 1:].any()


def test_the_mask_tells_frames_from_padding() -> None:
    assert clips([2, 1]).mask().tolist() == [[True, True], [True, False]]


def test_decoding_follows_googles_decoder_bias_included() -> None:
    stored = Clips(
        torch.tensor([[[0, 128, 255]]], dtype=torch.uint8),
        torch.tensor([1]),
        torch.tensor([[0]]),
        1,
    )
    decoded = Codec(normalise="none").decode(stored).frames[0, 0]
    expected = torch.tensor([0.0, 128.0, 255.0]) * 4 / 255 + 4 / 512 - 2
    assert torch.allclose(decoded, expected, atol=1e-6)


def test_decoded_frames_have_unit_norm_and_decoded_padding_is_zero() -> None:
    decoded = Codec().decode(clips([4, 2])).frames
    assert torch.allclose(decoded[0].norm(dim=1), torch.ones(4))
    assert not decoded[1, 2:].any()


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=6, unique=True),
    st.integers(1, 9),
)
def test_a_clips_draws_do_not_depend_on_its_batch(keys: list[int], count: int) -> None:
    together = ClipGenerator(torch.tensor(keys)).rand(count)
    alone = torch.cat([ClipGenerator(torch.tensor([key])).rand(count) for key in keys])
    assert torch.equal(together, alone)
    assert bool(((together >= 0) & (together < 1)).all())


def test_draws_are_uniform_and_never_repeated() -> None:
    generator = ClipGenerator(torch.arange(1000))
    first, second = generator.rand(50), generator.rand(50)
    drawn = torch.cat([first, second], 1).flatten()
    assert len(drawn.unique()) == len(drawn)
    assert abs(float(drawn.mean()) - 0.5) < 0.01
    assert abs(float(drawn.std()) - 12**-0.5) < 0.01
    assert abs(float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1])) < 0.02


@given(st.lists(st.sets(st.integers(0, 6)), min_size=1, max_size=8), st.data())
def test_dense_labels_are_those_of_the_videos_asked_for(
    labels: list[set[int]], data: st.DataObject
) -> None:
    which = data.draw(st.lists(st.integers(0, len(labels) - 1), min_size=1, max_size=9))
    flat = [c for each in labels for c in sorted(each)]
    offsets = torch.tensor([0, *torch.tensor([len(each) for each in labels]).cumsum(0).tolist()])
    dense = Labels(offsets, torch.tensor(flat, dtype=torch.int64), 7).dense(torch.tensor(which))
    assert [set(row.nonzero().flatten().tolist()) for row in dense] == [
        labels[video] for video in which
    ]
