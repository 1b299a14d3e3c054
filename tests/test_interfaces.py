"""What flows between the parts of a run."""

from __future__ import annotations

from typing import Any

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


def spread(frames: torch.Tensor) -> Clips:
    counts = torch.full((len(frames),), frames.shape[1])
    return Clips(frames, counts, torch.arange(frames.shape[1]).expand(len(frames), -1), 4)


def test_each_feature_may_be_divided_by_its_own_norm() -> None:
    frames = torch.randn(3, 4, 7)
    decoded = Codec(normalise="l2-features", widths=(5, 2)).decode(spread(frames)).frames
    for part in (slice(0, 5), slice(5, 7)):
        torch.testing.assert_close(decoded[..., part].norm(dim=2), torch.ones(3, 4))
        torch.testing.assert_close(
            decoded[..., part] * frames[..., part].norm(dim=2, keepdim=True), frames[..., part]
        )


def test_frames_may_be_standardised_and_padding_stays_zero() -> None:
    mean, deviation = (1.0, -2.0, 0.5), (2.0, 0.5, 1.0)
    codec = Codec(normalise="standardise", mean=mean, deviation=deviation)
    frames = torch.randn(2, 4, 3)
    shown = Clips(frames, torch.tensor([4, 2]), torch.arange(4).expand(2, -1), 4)
    decoded = codec.decode(shown).frames
    expected = (frames - torch.tensor(mean)) / torch.tensor(deviation)
    torch.testing.assert_close(decoded[0], expected[0])
    torch.testing.assert_close(decoded[1, :2], expected[1, :2])
    assert not decoded[1, 2:].any()


@given(
    st.sampled_from(["l2-features", "standardise", "none"]), st.sets(st.integers(0, 6), min_size=1)
)
def test_the_codec_of_some_columns_decodes_whole_features_as_that_of_all(
    how: Any, chosen: set[int]
) -> None:
    codec = Codec(
        normalise=how,
        widths=(4, 1, 2),
        mean=tuple(range(7)),
        deviation=tuple(range(1, 8)),
    )
    frames = torch.randn(2, 3, 7)
    columns = torch.tensor(sorted(chosen))
    if how == "l2-features":
        features = [range(4), range(4, 5), range(5, 7)]
        columns = torch.tensor([c for part in features if chosen & set(part) for c in part])
    alone = codec.take(columns).decode(spread(frames[:, :, columns])).frames
    torch.testing.assert_close(alone, codec.decode(spread(frames)).frames[:, :, columns])


def test_a_codec_describes_what_it_has_and_can_be_made_of_that() -> None:
    assert Codec().describe().keys() == {"scale", "offset", "normalise"}
    codec = Codec(normalise="standardise", mean=(1.0,), deviation=(2.0,))
    assert Codec(**codec.describe()) == codec


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
